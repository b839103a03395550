"""What `explain` prints, where no server runs."""

from __future__ import annotations

from typing import Any

import pytest
from tests.cli.conftest import Run

from sendpool.cli.explain import _in_words
from sendpool.domain.ids import clear, message_id

UNKNOWN = message_id(clear(b"\x01" * 16), 7)


@pytest.mark.parametrize("named", ["x", "comms_operation_01h9krwprkeee8fzqspvwy6nq8", "SM12"])
def test_what_is_no_id_of_a_message_is_refused_with_a_hint(run: Run, named: str) -> None:
    done = run("explain", named)

    assert done.status == 1
    assert f'"{named}" is no id of a message or an attempt; those begin with' in done.err


def test_a_message_that_is_not_there_is_told(run: Run) -> None:
    done = run("explain", UNKNOWN)

    assert done.status == 1
    assert done.err.startswith("sendpool: there is no message")


def test_words_tell_the_plan_the_attempts_and_the_senders() -> None:
    sender: dict[str, Any] = {"address": "+12", "verdict": "taken", "text": "It was free."}
    step = {"channel": "SMS", "address": "+44", "outcome": "delivered", "text": "The carrier reported it."}
    left_out = {"channel": "RCS", "address": "", "outcome": "left_out", "text": "No sender."}
    attempt = {
        "attemptId": "SM1",
        "startedAt": "2026-11-26T00:00:00.000Z",
        "channel": "SMS",
        "senderAddress": "+12",
        "state": "DELIVERED",
        "text": "The carrier took it.",
    }
    whole = {
        "messageId": "m",
        "status": "DELIVERED",
        "text": "Delivered.",
        "plan": [step, left_out],
        "attempts": [attempt],
        "candidates": [sender, *([{**sender, "verdict": "skipped"}] * 12)],
        "candidatesLeftOut": 5,
    }

    assert _in_words(whole).splitlines() == [
        "m: DELIVERED",
        "Delivered.",
        "",
        "Plan",
        "  1. SMS to +44: delivered. The carrier reported it.",
        "  - RCS to (removed): left out. No sender.",
        "",
        "Attempt SM1, 2026-11-26T00:00:00.000Z",
        "  SMS by +12: DELIVERED. The carrier took it.",
        "",
        "Senders looked at",
        "  +12: taken. It was free.",
        *["  +12: skipped. It was free."] * 9,
        "  and 8 more",
    ]
