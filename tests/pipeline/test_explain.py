"""Every choice is explained (promise I10): why it waits, why this sender, why it did or did not fail over."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.pipeline.carriers import Carrier, refused
from tests.pipeline.rcs_carriers import SMS, RcsCarrier, between
from tests.pipeline.test_rehearse import request as asked
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.connectors.base import CarrierId, Outcome, Rejected, Submission, Throttled, Uncertain
from sendpool.domain import ids
from sendpool.domain.consent import OptOut
from sendpool.domain.explanation import Explanation, Waiting
from sendpool.domain.failures import TABLE_VERSION, classify
from sendpool.domain.message import Category
from sendpool.domain.request import Accepted, AddressOrigin, PoolOrigin, SenderOrigin
from sendpool.domain.schedule import Moment
from sendpool.domain.sender import Channel
from sendpool.pipeline.cancel import Wish, cancel
from sendpool.pipeline.explain import explain_message
from sendpool.pipeline.rehearse import rehearse
from sendpool.store.database import Query, Script
from sendpool.store.history import MessagePlace
from sendpool.testing.explanations import complete

FAST, SLOW = "+12034458910", "+12034458911"


async def explained(one: World, sent: Accepted, index: int = 0) -> Explanation:
    """The explanation of a message, checked to be whole."""
    found = await explain_message(one.engine, one.account_id, MessagePlace(sent.uid, index))
    assert found is not None
    complete(found)
    return found


def verdicts(found: Explanation) -> dict[str, tuple[str, str]]:
    """(verdict, reason) of each candidate by its address."""
    return {one.address: (one.verdict.value, one.reason) for one in found.candidates}


def steps(found: Explanation) -> list[tuple[str, str, str]]:
    """(channel, outcome, reason) of each step."""
    return [(one.channel, one.outcome.value, one.reason) for one in found.plan]


def second_tier(sender_id: int) -> Script[None]:
    """Put a sender into the second tier of all pools."""
    yield Query("UPDATE pool_member SET tier = 1 WHERE sender_id = ?", (sender_id,))


def filtered(_: Submission, __: int) -> Outcome:
    """A filter's refusal."""
    meant = classify("twilio", "30007")
    return Rejected(meant.failure, "30007", meant.scope, meant.rule)


def waiting(found: Explanation) -> Waiting:
    """What it waits for, where it does."""
    assert isinstance(found.waiting, Waiting)
    return found.waiting


def decisions(found: Explanation) -> list[tuple[str, str | None, str | None]]:
    """(state, next, rule of it) of each attempt."""
    return [(one.state, one.next, one.next_rule) for one in found.attempts]


def two(first: Carrier, second: Carrier, fast: float = 100.0, slow: float = 100.0) -> dict[str, Line]:
    return {"a": Line(first, {FAST: fast}), "b": Line(second, {SLOW: slow})}


@virtually
async def test_a_delivered_message_says_who_took_it_and_who_did_not(fresh: Path) -> None:
    first, second = Carrier(), Carrier()
    async with world(fresh, **two(first, second)) as one:
        second.link(up=False)
        sent = await one.send(*everyone(1))
        await one.until_states(DELIVERED=1)

        found = await explained(one, sent)

        assert found.status == "DELIVERED"
        assert found.text == f"Delivered over SMS by {FAST}, with one attempt."
        assert steps(found) == [("SMS", "delivered", "delivered"), ("RCS", "left_out", "no_sender")]
        assert verdicts(found) == {FAST: ("taken", "only_one"), SLOW: ("skipped", "down")}
        (attempt,) = found.attempts
        assert attempt.attempt_id == ids.attempt_id(sent.uid, 0, 1)
        assert (attempt.failure, attempt.code, attempt.rule, attempt.next) == ("OK", None, None, "stop")


@virtually
async def test_a_spread_pool_takes_who_is_free_first(fresh: Path) -> None:
    async with world(fresh, **two(Carrier(), Carrier())) as one:
        sent = await one.send(*everyone(1))
        await one.until_states(DELIVERED=1)

        found = await explained(one, sent)

        assert sorted(verdicts(found).values()) == [("skipped", "ready"), ("taken", "first_free")]


@virtually
async def test_a_sender_that_a_request_names_says_so(fresh: Path) -> None:
    async with world(fresh, **two(Carrier(), Carrier())) as one:
        by_address = await one.send(*everyone(1), origin=AddressOrigin(SLOW, Channel.SMS))
        by_id = await one.send(*everyone(1), origin=SenderOrigin(one.sender(FAST).uid))
        await one.until_states(DELIVERED=2)

        assert verdicts(await explained(one, by_address)) == {SLOW: ("taken", "named")}
        assert verdicts(await explained(one, by_id)) == {FAST: ("taken", "named")}


@virtually
async def test_what_waits_says_for_whose_throughput_and_how_long(fresh: Path) -> None:
    async with world(fresh, **two(Carrier(), Carrier(), fast=1.0, slow=0.5)) as one:
        sent = await one.send(*everyone(20))
        await asyncio.sleep(2.2)

        found = await explained(one, sent, 19)

        assert found.status == "QUEUED"
        assert verdicts(found) == {FAST: ("waited", "used_up"), SLOW: ("waited", "used_up")}
        assert waiting(found).reason == "in_queue"
        assert waiting(found).text.startswith("It waits for throughput of 2 senders, next free in 0.")
        assert waiting(found).ahead in range(11, 20)
        assert found.attempts == []
        assert steps(found)[0] == ("SMS", "waiting", "in_queue")


@virtually
async def test_what_waits_for_links_that_are_down_says_that_nobody_is_ready(fresh: Path) -> None:
    first, second = Carrier(), Carrier()
    async with world(fresh, **two(first, second)) as one:
        first.link(up=False)
        second.link(up=False)
        sent = await one.send(*everyone(1))

        found = await explained(one, sent)

        assert waiting(found).reason == "no_sender_ready"
        assert waiting(found).text == "No sender is ready: 2 down."
        assert found.text == "On SMS: No sender is ready: 2 down."


@virtually
async def test_a_carrier_that_asks_for_a_pause_is_named_with_its_end(fresh: Path) -> None:
    carrier = Carrier()
    carrier.answer = lambda submission, part: Throttled("connection", 120.0, "0x58")
    async with world(fresh, a=Line(carrier, {FAST: 10.0})) as one:
        sent = await one.send(*everyone(1))
        await one.until(lambda: one.engine.sending.links[1].bucket.paused_until > one.now)
        await asyncio.sleep(0.1)

        found = await explained(one, sent)

        assert verdicts(found) == {FAST: ("waited", "paused")}
        assert waiting(found).text == "It waits for the end of the carrier's pause of 1 sender, next free in 2 min."
        assert decisions(found) == [("WITHDRAWN", "later", None)]
        assert "That is no attempt" in found.attempts[0].text
        carrier.answer = lambda submission, part: CarrierId("x")


@virtually
async def test_what_a_carrier_throttled_is_told_although_its_number_was_used_again(fresh: Path) -> None:
    carrier = Carrier()
    answers = [Throttled("sender", 1.0, "0x58"), Throttled("connection", 1.0, "0x58")]
    carrier.answer = lambda submission, part: answers.pop() if answers else CarrierId(carrier.name_of(submission, part))
    async with world(fresh, a=Line(carrier, {FAST: 10.0})) as one:
        sent = await one.send(*everyone(1))
        await one.until_states(DELIVERED=1)

        found = await explained(one, sent)

        assert decisions(found) == [("WITHDRAWN", "later", None)] * 2 + [("DELIVERED", "stop", "1")]
        assert {attempt.attempt_id for attempt in found.attempts} == {ids.attempt_id(sent.uid, 0, 1)}
        assert found.text == f"Delivered over SMS by {FAST}, with one attempt."


@virtually
async def test_failover_says_what_failed_by_which_rule_and_who_took_over(fresh: Path) -> None:
    first, second = Carrier(), Carrier()
    first.answer = lambda submission, part: refused("0x0a")
    second.answer = lambda submission, part: CarrierId(second.name_of(submission, part))
    async with world(fresh, **two(first, second)) as one:
        sent = await one.send(*everyone(30))
        await one.until_states(DELIVERED=30)
        stories = [await explained(one, sent, i) for i in range(30)]
        found = next(story for story in stories if len(story.attempts) == 2)

        refusal, other = found.attempts
        assert (refusal.state, refusal.failure, refusal.rule) == ("REJECTED", "SENDER", "smpp/0x0a")
        assert (refusal.next, refusal.next_rule, refusal.table_version) == ("failover", "7", TABLE_VERSION)
        assert "Another sender of the channel was to try: the fault is this sender's." in refusal.text
        assert other.sender_address == SLOW
        assert verdicts(found) == {SLOW: ("taken", "untried"), FAST: ("excluded", "tried")}


@virtually
async def test_a_policy_filter_rotates_nobody_and_says_so(fresh: Path) -> None:
    first, second = Carrier(), Carrier()
    async with world(fresh, **two(first, second)) as one:
        first.answer = second.answer = filtered
        sent = await one.send(*everyone(1))
        await one.until_states(FAILED=1)

        found = await explained(one, sent)

        assert decisions(found) == [("REJECTED", "end", "16")]
        assert "never tried through another sender" in found.text
        assert steps(found)[0] == ("SMS", "failed", "POLICY")


@virtually
async def test_a_phone_without_rcs_says_why_that_step_was_left(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    rcs.reaches = lambda _: False
    async with between(fresh, rcs, sms) as one:
        sent = await one.send(*everyone(1))
        await one.until_states(DELIVERED=1)

        found = await explained(one, sent)

        assert steps(found) == [("RCS", "passed", "unreachable"), ("SMS", "delivered", "delivered")]
        assert verdicts(found) == {SMS: ("taken", "only_one")}


@virtually
async def test_while_a_phone_is_asked_about_the_message_says_so(fresh: Path) -> None:
    rcs, sms = RcsCarrier(look_up_after=3.0), Carrier()
    async with between(fresh, rcs, sms) as one:
        sent = await one.send(*everyone(1))
        await one.until(lambda: rcs.look_ups)

        found = await explained(one, sent)

        assert steps(found) == [("RCS", "waiting", "asking"), ("SMS", "spare", "turn_later")]
        assert waiting(found).reason == "asking"
        await one.until_states(DELIVERED=1)
        assert steps(await explained(one, sent)) == [
            ("RCS", "delivered", "delivered"),
            ("SMS", "unused", "done_before"),
        ]


@virtually
async def test_a_channel_that_took_too_long_is_left_and_says_so(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    rcs.up = False
    async with between(fresh, rcs, sms) as one:
        sent = await one.send(*everyone(1), category=Category.OTP)
        await one.until_states(DELIVERED=1)

        assert steps(await explained(one, sent))[0] == ("RCS", "passed", "time_over")


@virtually
async def test_fallback_after_silence_tells_both_attempts_and_the_timer(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    rcs.report = lambda submission, part: ()
    async with between(fresh, rcs, sms) as one:
        sent = await one.send(*everyone(1), category=Category.OTP)
        await one.until_states(SENT=1)
        waits = await explained(one, sent)
        assert waiting(waits).text.startswith("The carrier took it and has not reported its delivery. In 2")
        await one.until_states(DELIVERED=1)

        found = await explained(one, sent)

        assert [attempt.channel for attempt in found.attempts] == ["RCS", "SMS"]
        assert found.attempts[0].state == "REVOKED"
        assert steps(found)[1] == ("SMS", "delivered", "delivered")
        assert steps(found)[0][1] == "failed"


@virtually
async def test_an_attempt_of_unknown_fate_says_so_and_what_the_policy_does(fresh: Path) -> None:
    carrier = Carrier()
    carrier.answer = lambda submission, part: Uncertain("timeout")
    async with world(fresh, a=Line(carrier, {FAST: 10.0})) as one:
        sent = await one.send(*everyone(1))
        await one.until_states(SENT=1)

        found = await explained(one, sent)

        assert steps(found)[0] == ("SMS", "unknown", "fate_unknown")
        assert decisions(found) == [("AMBIGUOUS", "wait", "6")]
        assert waiting(found).reason == "fate_unknown"


@virtually
async def test_a_message_that_is_to_be_sent_later_says_when(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {FAST: 10.0})) as one:
        sent = await one.send(*everyone(1), send_at=Moment(one.engine.clock.wall() + 3_600_000_000))

        found = await explained(one, sent)

        assert found.status == "SCHEDULED"
        assert steps(found)[0] == ("SMS", "waiting", "scheduled")
        assert waiting(found).text == "It is to be sent later. That is in 1 h."


@virtually
async def test_canceled_and_expired_messages_say_what_never_happened(fresh: Path) -> None:
    carrier = Carrier()
    carrier.up = False
    async with world(fresh, a=Line(carrier, {FAST: 10.0})) as one:
        canceled = await one.send(*everyone(1))
        await cancel(one.engine, Wish(one.account_id, canceled.uid, 0))
        expired = await one.send(*everyone(1), validity=30)
        await one.until_states(CANCELED=1, FAILED=1, within=300.0)

        first, second = await explained(one, canceled), await explained(one, expired)

        assert first.text == "Canceled, without an attempt."
        assert steps(first)[0] == ("SMS", "unused", "canceled")
        assert second.text == "It ended FAILED without an attempt. Its time was over before a sender took it."
        assert steps(second)[0] == ("SMS", "passed", "expired")


@virtually
async def test_a_channel_that_the_request_left_out_is_told(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    async with between(fresh, rcs, sms) as one:
        sent = await one.send(*everyone(1), origin=PoolOrigin(one.pool, frozenset({Channel.SMS})))
        await one.until_states(DELIVERED=1)

        assert steps(await explained(one, sent)) == [("SMS", "delivered", "delivered"), ("RCS", "left_out", "filtered")]


@virtually
async def test_nobody_explains_the_messages_of_another_account(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {FAST: 10.0})) as one:
        sent = await one.send(*everyone(1))

        assert await explain_message(one.engine, one.account_id + 1, MessagePlace(sent.uid, 0)) is None
        assert await explain_message(one.engine, one.account_id, MessagePlace(sent.uid, 1)) is None


@virtually
async def test_a_sticky_pool_says_whose_the_recipient_is(fresh: Path) -> None:
    async with world(fresh, **two(Carrier(), Carrier())) as one:
        uids = [one.sender(address).uid for address in (FAST, SLOW)]
        loyal = await one.make_pool(uids, preference="sticky")
        sent = await one.send(*everyone(20), origin=PoolOrigin(loyal))
        await one.until_states(DELIVERED=20)

        found = [await explained(one, sent, i) for i in range(20)]

        assert {tuple(sorted(verdicts(each).values())) for each in found} == {
            (("skipped", "other_sticky"), ("taken", "sticky"))
        }
        assert {each.attempts[0].sender_address for each in found} == {FAST, SLOW}


@virtually
async def test_a_message_kept_for_its_sender_says_so_while_it_waits(fresh: Path) -> None:
    first, second = Carrier(), Carrier()
    async with world(fresh, **two(first, second, fast=0.5, slow=0.5)) as one:
        uids = [one.sender(address).uid for address in (FAST, SLOW)]
        loyal = await one.make_pool(uids, preference="sticky", grace=300)
        sent = await one.send(*everyone(20), origin=PoolOrigin(loyal))
        await asyncio.sleep(5.5)

        found = await explained(one, sent, 19)

        assert steps(found)[0] == ("SMS", "waiting", "kept")
        assert sorted(one[1] for one in verdicts(found).values()) == ["other_sticky", "used_up"]
        assert waiting(found).text.startswith("It is kept for +12")


@virtually
async def test_a_lower_tier_that_was_ready_says_that_a_better_one_was_too(fresh: Path) -> None:
    async with world(fresh, **two(Carrier(), Carrier())) as one:
        tiered = await one.make_pool([one.sender(FAST).uid, one.sender(SLOW).uid])
        await one.engine.change(lambda: second_tier(one.sender(SLOW).id))
        sent = await one.send(*everyone(1), origin=PoolOrigin(tiered))
        await one.until_states(DELIVERED=1)

        assert verdicts(await explained(one, sent)) == {FAST: ("taken", "only_one"), SLOW: ("skipped", "lower_tier")}


@virtually
async def test_who_opts_out_while_the_message_waits_is_why_it_ended(fresh: Path) -> None:
    carrier = Carrier()
    carrier.up = False
    (somebody,) = everyone(1)
    async with world(fresh, a=Line(carrier, {FAST: 10.0})) as one:
        sent = await one.send(somebody)
        entry = OptOut(one.account_id, "P", somebody, "", "command", "command line")
        await one.engine.change(lambda: one.engine.consent.keep([entry], one.engine.clock.wall()))
        carrier.link(up=True)
        await one.until_states(FAILED=1)

        found = await explained(one, sent)

        assert steps(found)[0] == ("SMS", "passed", "opted_out")
        told = await rehearse(one.engine, asked(one, somebody))
        assert (told.total, told.unaddressable, told.detail[0].outcome) == (0, 1, "unaddressable")
