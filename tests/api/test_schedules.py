"""`schedule.sendAt`: one moment, however often and however it is written; everything else is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from sendpool.api.problems import Findings
from sendpool.api.schedules import MAX_EXPRESSIONS, check_schedule
from sendpool.domain.request import Refused
from sendpool.domain.schedule import Moment

AT = 1_796_117_400_000_000
NOON = "2026-12-01T09:30:00Z"


def refused(value: Any) -> list[str | None]:
    findings = Findings()
    assert check_schedule(value, findings) is None
    with pytest.raises(Refused) as caught:
        findings.refuse()
    return [problem.context for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("send_at", "moment"),
    [
        ([NOON], Moment(AT)),
        ([NOON, NOON], Moment(AT)),
        ([NOON, "2026-12-01T10:30:00+01:00", "2026-12-01t09:30:00.000z"], Moment(AT)),
        (["2026-12-01T09:30:00"], Moment(AT, local=True)),
        (["2026-12-01T09:30:00", "2026-12-01 09:30:00.0"], Moment(AT, local=True)),
        ([NOON] * MAX_EXPRESSIONS, Moment(AT)),
    ],
)
def test_equal_moments_are_one(send_at: list[str], moment: Moment) -> None:
    findings = Findings()

    assert check_schedule({"sendAt": send_at}, findings) == moment
    assert not findings


@pytest.mark.parametrize(
    "send_at",
    [
        [NOON, "2026-12-01T09:30:01Z"],
        [NOON, "2026-12-01T09:30:00"],
        [],
        [NOON] * (MAX_EXPRESSIONS + 1),
        NOON,
        None,
        {},
    ],
)
def test_moments_that_differ_and_lists_that_are_none_are_refused(send_at: Any) -> None:
    assert refused({"sendAt": send_at}) == ["$.schedule.sendAt"]


def test_each_expression_that_is_no_moment_is_named() -> None:
    send_at = [NOON, "tomorrow", "MON-FRI 9:00", 1_796_117_400, None, "2026-12-01", NOON]

    assert refused({"sendAt": send_at}) == [f"$.schedule.sendAt[{n}]" for n in range(1, 6)]


@pytest.mark.parametrize("value", [None, NOON, [NOON], 1])
def test_a_schedule_is_an_object(value: Any) -> None:
    assert refused(value) == ["$.schedule"]


def test_a_schedule_has_send_at_and_nothing_else() -> None:
    assert refused({}) == ["$.schedule.sendAt"]
    assert refused({"sendAt": ["soon"], "send_at": [NOON]}) == ["$.schedule", "$.schedule.sendAt[0]"]
