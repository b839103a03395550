"""What was decided after an attempt tells in which form the message goes on."""

from __future__ import annotations

from sendpool.domain.failures import Repair
from sendpool.domain.states import AttemptState
from sendpool.pipeline.repair import repair_of
from sendpool.store.attempts import PastAttempt

WINDOW = "whatsapp/131047"


def past(n: int, step: int = 0, rule: str | None = WINDOW, said: str | None = "later/15") -> PastAttempt:
    return PastAttempt(
        message_id=1,
        n=n,
        sender_id=1,
        connection_id=1,
        channel="WHATSAPP",
        state=int(AttemptState.UNDELIVERED),
        marks=0,
        failure="CONTENT",
        code="131047",
        rule=rule,
        next=said,
        started_at=0,
        carrier_id=None,
        step=step,
    )


def test_an_attempt_that_asked_for_a_template_makes_the_next_one_a_template() -> None:
    assert repair_of([past(1)], 0) is Repair.TEMPLATE


def test_it_holds_after_an_attempt_that_was_withdrawn() -> None:
    assert repair_of([past(1), past(2, rule="whatsapp/131056", said="later/2")], 0) is Repair.TEMPLATE


def test_it_holds_for_its_step_alone_and_only_where_it_was_decided() -> None:
    assert repair_of([past(1, step=0)], 1) is None
    assert repair_of([past(1, said="fallback/17")], 0) is None
    assert repair_of([past(1, said=None)], 0) is None
    assert repair_of([past(1, rule=None)], 0) is None
    assert repair_of([], 0) is None
