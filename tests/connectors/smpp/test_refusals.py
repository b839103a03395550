"""A refusal becomes the outcome that its class asks for."""

from __future__ import annotations

import pytest

from sendpool.connectors.base import Outcome, Rejected, Throttled, Uncertain
from sendpool.connectors.smpp.refusals import Refusals
from sendpool.connectors.smpp.settings import SmppSettings, status_overrides
from sendpool.domain.failures import ROWS, FailureClass

OWN = {"0x400": "ACCOUNT", "401": "THROTTLED", "0X0402": "AMBIGUOUS", "45": "CONTENT"}


@pytest.fixture
def refusals() -> Refusals:
    return Refusals(status_overrides(SmppSettings(host="h", system_id="s", status_errors=OWN)))


@pytest.mark.parametrize("code", [code for code in ROWS["smpp"] if code != "0x00"])
def test_every_status_of_the_class_table_has_an_outcome(refusals: Refusals, code: str) -> None:
    row, outcome = ROWS["smpp"][code], refusals.outcome(int(code, 16), late=False)

    if row.failure is FailureClass.THROTTLED:
        assert outcome == Throttled("connection", None, code)
    elif code != "0x45":
        assert outcome == Rejected(row.failure, code, row.scope, row.rule)


@pytest.mark.parametrize(
    ("status", "late", "outcome"),
    [
        (0x400, False, Rejected(FailureClass.ACCOUNT, "0x400", "account", "connection/ACCOUNT")),
        (0x401, False, Throttled("connection", None, "0x401")),
        (0x402, False, Uncertain("status unknown to SMPP (0x402)")),
        (0x45, False, Rejected(FailureClass.CONTENT, "0x45", "message", "connection/CONTENT")),
        (0x4FF, False, Rejected(FailureClass.TRANSIENT, "0x4ff", "message", "smpp/?")),
        (0x58, True, Rejected(FailureClass.THROTTLED, "0x58", "connection", "smpp/0x58")),
        (0x0A, True, Rejected(FailureClass.SENDER, "0x0a", "sender", "smpp/0x0a")),
    ],
)
def test_own_codes_unknown_codes_and_late_ones(refusals: Refusals, status: int, late: bool, outcome: Outcome) -> None:
    assert refusals.outcome(status, late=late) == outcome
    assert refusals.outcome(status, late=late) is refusals.outcome(status, late=late)
