"""The words of explanations cover everything that can be decided."""

from __future__ import annotations

import re
from inspect import getsource

import pytest

from sendpool.domain import decision, routing
from sendpool.domain.explanation import NEXT, PASSED, RULES, StepReason, decided, duration, moment
from sendpool.pipeline import decide, wait


def test_every_rule_that_routing_can_fire_is_told() -> None:
    rules = set(decision._RULES.values()) | {"20", "2", "3", "4", "8", "19"}
    for source in (getsource(routing), getsource(decision)):
        rules |= set(re.findall(r'(?:Wait|Stop|End|Later|Failover|Fallback|rule=)\(?"(\w+)"', source))

    assert rules <= RULES.keys()
    assert {"timer", "caps", "closed"} <= RULES.keys()


def test_every_decision_is_told() -> None:
    made = {one.__name__.lower() for one in (routing.Later, routing.Failover, routing.Fallback, routing.Wait)}
    made |= {routing.End.__name__.lower(), routing.Stop.__name__.lower(), decide.UNREVOKED}
    made |= set(re.findall(r'f"(\w+)/', getsource(wait)))

    assert made <= NEXT.keys()
    assert "revoke" in made


@pytest.mark.parametrize("reason", StepReason)
def test_a_reason_of_a_step_is_a_sentence(reason: StepReason) -> None:
    assert re.fullmatch(r"[A-Z][^.]*\.", reason.sentence)
    assert StepReason(reason.value) is reason


def test_letters_of_steps_that_were_left_are_one_each() -> None:
    assert all(len(letter) == 1 and letter.isalpha() for letter in PASSED)


def test_a_decision_is_told_with_its_rule() -> None:
    assert decided("end", "12") == "No further attempt was made: the recipient is not on this channel."
    assert decided("unrevoked", "") == "The carrier could not take it back."


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0.0 s"), (1.23, "1.2 s"), (59.96, "60.0 s"), (60, "1 min"), (3_600, "1 h"), (7_500, "2 h 5 min")],
)
def test_a_span_of_time_is_told_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_moment_is_told_in_utc() -> None:
    assert moment(1_800_000_000_123_456) == "2027-01-15T08:00:00.123Z"
