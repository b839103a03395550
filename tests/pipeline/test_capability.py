"""Asking ahead who has RCS: no attempt is wasted, nobody waits for it without need, and nothing is lost by it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.pipeline.carriers import Carrier, refused
from tests.pipeline.rcs_carriers import AGENT, SMS, RcsCarrier, between, no_rcs
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.connectors.base import ReceiptState
from sendpool.domain.request import Accepted, PoolOrigin
from sendpool.domain.sender import Channel
from sendpool.pipeline.launch import ASSUMED_VALIDITY
from sendpool.pipeline.reach import UNSAID_FOR

OTHER = "+12034458920"
BY_RCS, BY_SMS = [(AGENT, "DELIVERED")], [(SMS, "DELIVERED")]


def has_left(rcs: RcsCarrier, number: str) -> bool:
    return bool(rcs.sent) and rcs.sent[-1].submission.recipient == number


def with_rcs(number: str) -> bool:
    return not number.endswith("2")


async def made(one: World, operation: Accepted, number: int) -> list[list[tuple[str, str]]]:
    """The attempts of the first *number* messages of an operation."""
    return [await one.attempts(operation.operation_id + i) for i in range(number)]


@virtually
async def test_phones_without_rcs_get_one_attempt_by_sms_and_the_others_one_by_rcs(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    rcs.reaches = with_rcs
    async with between(fresh, rcs, sms) as one:
        numbers = everyone(100)
        operation = await one.send(*numbers)
        await one.until_states(DELIVERED=100, within=5.0)

        assert await made(one, operation, 100) == [BY_RCS if with_rcs(number) else BY_SMS for number in numbers]
        assert sorted(rcs.asked) == numbers
        assert len(rcs.look_ups) == 1


@virtually
async def test_row_is_asked_about_at_once_and_not_when_the_sweep_finds_it(fresh: Path) -> None:
    rcs = RcsCarrier()
    async with between(fresh, rcs, Carrier()) as one:
        for number in everyone(20):
            began = one.now
            await one.send(number)
            await one.until(partial(has_left, rcs, number))
            assert rcs.sent[-1].at - began < 0.3


@virtually
async def test_rows_that_come_while_others_are_looked_up_are_asked_about_too(fresh: Path) -> None:
    rcs, sms = RcsCarrier(look_up_after=1.0), Carrier()
    rcs.reaches = with_rcs
    async with between(fresh, rcs, sms) as one:
        await one.send(*everyone(100))
        await one.until(lambda: rcs.look_ups)
        # Its rank is far before most of those that are being looked up.
        late = await one.send("+447700900882")
        later = await one.send(*everyone(50, first=200))
        await one.until_states(DELIVERED=151)

        assert await one.attempts(late.operation_id) == BY_SMS
        assert [len(tried) for tried in await made(one, later, 50)] == [1] * 50
        assert all(with_rcs(sent.submission.recipient) for sent in rcs.sent)
        assert len(rcs.asked) == len(set(rcs.asked)) == 151


@virtually
async def test_pools_that_want_the_same_answer_at_the_same_time_ask_once(fresh: Path) -> None:
    rcs, sms = RcsCarrier(look_up_after=1.0), Carrier()
    async with between(fresh, rcs, sms) as one:
        other = await one.make_pool([one.sender(AGENT).uid, one.sender(SMS).uid])
        await one.send(*everyone(20))
        await one.until(lambda: rcs.look_ups)
        await one.send(*everyone(30), origin=PoolOrigin(other))
        await one.until_states(DELIVERED=50)

        assert sorted(rcs.asked) == everyone(30)


@virtually
async def test_slow_look_up_delays_no_other_pool(fresh: Path) -> None:
    rcs, other = RcsCarrier(look_up_after=4.0), Carrier()
    async with between(fresh, rcs, Carrier(), other=Line(other, {OTHER: 1000.0})) as one:
        apart = await one.make_pool([one.sender(OTHER).uid])
        await one.send(*everyone(400))
        await one.until(lambda: rcs.look_ups)
        began = one.now
        await one.send(*everyone(50, first=500), origin=PoolOrigin(apart))
        await one.until(lambda: len(other.sent) == 50)

        assert one.now - began < 0.3
        assert not rcs.sent
        await one.until_states(DELIVERED=450)


@virtually
async def test_answers_are_remembered_and_a_refused_send_corrects_them(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    async with between(fresh, rcs, sms) as one:
        number = everyone(1)
        first = await one.send(*number)
        await one.until_states(DELIVERED=1)
        rcs.answer = no_rcs
        second = await one.send(*number)
        await one.until_states(DELIVERED=2)
        third = await one.send(*number)
        await one.until_states(DELIVERED=3)

        assert await one.attempts(first.operation_id) == BY_RCS
        assert await one.attempts(second.operation_id) == [(AGENT, "REJECTED"), *BY_SMS]
        assert await one.attempts(third.operation_id) == BY_SMS
        assert rcs.asked == number


@virtually
async def test_where_nobody_can_say_rcs_is_tried_and_the_question_comes_up_again(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    rcs.reaches = lambda _: None
    rcs.answer = no_rcs
    async with between(fresh, rcs, sms) as one:
        operation = await one.send(*everyone(10))
        await one.until_states(DELIVERED=10)
        assert await made(one, operation, 10) == [[(AGENT, "REJECTED"), *BY_SMS]] * 10

        rcs.reaches, rcs.answer = (lambda _: True), Carrier().answer
        await one.send("+447700900777")
        await one.until(lambda: len(rcs.asked) == 11)
        rcs.reaches = lambda _: None
        again = "+447700900778"
        await one.send(again)
        await one.until(lambda: again in rcs.asked)
        await one.until(lambda: one.engine.reach.ask(1, again) is None, within=UNSAID_FOR + 1)


@virtually
async def test_messages_that_only_rcs_could_carry_end_with_the_documented_code(fresh: Path) -> None:
    rcs = RcsCarrier()
    rcs.reaches = lambda _: False
    async with world(fresh, rcs=Line(rcs, {AGENT: 1000.0}, Channel.RCS)) as one:
        # More than are made due at once: those that ended make room for the next.
        await one.send(*[f"+4477{n:08}" for n in range(5_000)])
        await one.until_states(FAILED=5_000)

        assert await one.rows("SELECT DISTINCT error_code, attempts FROM message") == [(61337, 0)]
        assert not rcs.sent


@virtually
async def test_message_that_was_sent_by_sms_and_cannot_go_on_by_rcs_ends_as_undelivered(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    rcs.reaches = lambda _: False
    sms.report = lambda submission, part: (ReceiptState.UNDELIVERED,)
    async with between(fresh, rcs, sms) as one:
        first_sms = PoolOrigin(one.pool, priority=((Channel.SMS, 1), (Channel.RCS, 2)))
        operation = await one.send(*everyone(1), origin=first_sms)
        await one.until_states(UNDELIVERED=1)

        assert await one.attempts(operation.operation_id) == [(SMS, "UNDELIVERED")]
        assert not rcs.sent


@virtually
async def test_verdicts_that_could_not_be_stored_are_found_again(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    rcs.reaches = with_rcs
    async with between(fresh, rcs, sms) as one:
        await one.send(*everyone(10))
        await one.until(lambda: rcs.look_ups)
        one.store.failures = 1
        await one.until_states(DELIVERED=10)

        assert len(rcs.sent) + len(sms.sent) == 10


@virtually
async def test_rows_that_wait_for_an_answer_survive_a_restart(fresh: Path, tmp_path: Path) -> None:
    rcs, sms = RcsCarrier(look_up_after=3.0), Carrier()
    async with between(fresh, rcs, sms) as one:
        operation = await one.send(*everyone(10))
        await one.until(lambda: rcs.look_ups)
        left = await one.copy(tmp_path / "crashed.db")
        await one.until_states(DELIVERED=10)

    rcs, sms = RcsCarrier(), Carrier()
    rcs.reaches = with_rcs
    async with between(left, rcs, sms) as one:
        await one.until_states(DELIVERED=10)
        expected = [BY_RCS if with_rcs(number) else BY_SMS for number in everyone(10)]
        assert await made(one, operation, 10) == expected
        assert sorted(rcs.asked) == everyone(10)


@virtually
async def test_message_canceled_by_its_end_while_it_waits_is_not_sent(fresh: Path) -> None:
    rcs, sms = RcsCarrier(look_up_after=4.5), Carrier()
    async with between(fresh, rcs, sms) as one:
        await one.send(*everyone(3), validity=2)
        await one.until_states(FAILED=3, within=15.0)

        assert not rcs.sent
        assert not sms.sent


@virtually
async def test_message_that_only_counts_as_reachable_is_not_kept_long_where_sms_waits_behind(fresh: Path) -> None:
    rcs = RcsCarrier()
    rcs.reaches = lambda number: None if number.endswith("1") else True
    async with between(fresh, rcs, Carrier()) as one:
        await one.send("+447700900551", "+447700900552")
        await one.until_states(DELIVERED=2)

        kept = {sent.submission.recipient: sent.submission.validity for sent in rcs.sent}
        assert kept["+447700900551"] == ASSUMED_VALIDITY
        assert (kept["+447700900552"] or 0) > ASSUMED_VALIDITY


# ---------------------------------------------------------------- several agents

SECOND = "second@rbm.goog"


@virtually
async def test_each_agent_is_asked_and_only_takes_the_phones_that_it_reaches(fresh: Path) -> None:
    rcs, second, sms = RcsCarrier(), RcsCarrier(), Carrier()
    # Those that end in 1 or 2 by the first, in 2 or 3 by the second, others by none.
    rcs.reaches = lambda number: number[-1] in "12"
    second.reaches = lambda number: number[-1] in "23"
    line = Line(second, {SECOND: 1000.0}, Channel.RCS)
    async with between(fresh, rcs, sms, second=line) as one:
        numbers = everyone(100)
        operation = await one.send(*numbers)
        await one.until_states(DELIVERED=100, within=5.0)

        for number, tries in zip(numbers, await made(one, operation, 100), strict=True):
            able = {"1": [AGENT], "2": [AGENT, SECOND], "3": [SECOND]}.get(number[-1], [SMS])
            assert len(tries) == 1
            assert tries[0][0] in able
        assert sorted(rcs.asked) == sorted(second.asked) == numbers


@virtually
async def test_failover_takes_no_agent_that_does_not_reach_the_phone(fresh: Path) -> None:
    rcs, second, sms = RcsCarrier(), RcsCarrier(), Carrier()
    rcs.answer = lambda submission, part: refused("0x0a")
    second.reaches = lambda _: False
    line = Line(second, {SECOND: 1000.0}, Channel.RCS)
    async with between(fresh, rcs, sms, second=line) as one:
        operation = await one.send(*everyone(5))
        await one.until_states(DELIVERED=5, within=30)

        assert await made(one, operation, 5) == [[(AGENT, "REJECTED"), *BY_SMS]] * 5
        assert not second.sent
