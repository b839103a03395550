"""What follows from an attempt that ended badly, all the way into the rows: the golden vectors, failover, fallback,
caps, the end. The rules themselves are tested in `tests/domain/test_routing.py`.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.carriers import Carrier, receipt, refused
from tests.pipeline.ledgers import Ledger
from tests.pipeline.worlds import Line, everyone, virtually, world

from sendpool.connectors.base import CarrierId, ReceiptState, Uncertain
from sendpool.domain.decision import Trigger
from sendpool.domain.failures import FailureClass, Repair, by_rule
from sendpool.domain.message import Category
from sendpool.domain.policy import OpenOutcome, PoolRules
from sendpool.domain.request import PoolOrigin
from sendpool.domain.routing import LONGEST_DOUBT
from sendpool.domain.sender import Channel
from sendpool.domain.states import AttemptState, MessageState
from sendpool.domain.throughput import Bucket
from sendpool.pipeline.links import Gate
from sendpool.pipeline.settle import Result
from sendpool.store.history import MessagePlace
from sendpool.store.pools import delete_pool, remove_member
from sendpool.store.redaction import Redaction, redact_message
from sendpool.testing.store_rows import AT

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "failover.json").read_text(encoding="utf-8"))["vectors"]
#: Those that the send stage carries out: a throttled row goes back to where it stood.
ELSEWHERE = {"1": "test_send.py", "2": "test_send.py"}
KEY = 1000

_AFTER_ACCEPTANCE = {
    AttemptState.DELIVERED: ReceiptState.DELIVERED,
    AttemptState.UNDELIVERED: ReceiptState.UNDELIVERED,
    AttemptState.REVOKED: ReceiptState.REVOKED,
}


# ---------------------------------------------------------------- golden vectors


class Vector:
    """One golden vector on a database."""

    def __init__(self, path: Path, vector: dict[str, Any]) -> None:
        self.vector = vector
        names = [name for senders in vector["pool"].values() for name, _ in senders]
        links = sorted({link for senders in vector["pool"].values() for _, link in senders})
        self.sender = {name: place for place, name in enumerate(names, 1)}
        members = {
            Channel(channel): [(self.sender[name], links.index(link) + 1) for name, link in senders]
            for channel, senders in vector["pool"].items()
        }
        self.connection = {sender: link for pairs in members.values() for sender, link in pairs}
        policy = vector["policy"]
        rules = PoolRules(
            fallback_after=policy.get("fallback_after"),
            open_outcome=OpenOutcome(policy["open_outcome"]) if "open_outcome" in policy else None,
            filtered_may_fall_back=policy.get("filtered_may_fall_back", False),
        )
        self.ledger = Ledger(path, members, rules)
        for sender in self.ledger.roster.senders.values() if "repairs" in vector else ():
            gate = self.ledger.engine.sending.gates[sender.id] = Gate(sender, Bucket(sender.mps), {})
            gate.repairs = frozenset(map(Repair, vector["repairs"]))
        self.plan = [Channel(channel) for channel in vector["plan"]]
        letters = "".join("E" if channel is Channel.EMAIL else channel.value[0] for channel in self.plan)
        validity = 600 if policy["category"] == "otp" else 172_800
        self.ledger.accept(KEY, plan=letters, category=policy["category"], validity=validity)
        self.started: set[int] = set()

    def happen(self, event: dict[str, Any]) -> None:
        """One event of the vector, at its time."""
        ledger, n, state = self.ledger, event["attempt"] + 1, AttemptState[event["state"]]
        ledger.now = AT + int(event["at"] * 1e6)
        if n not in self.started:
            self.started.add(n)
            ledger.start(KEY, n, self.sender[event["sender"]])
        found = by_rule(event["code"])
        trigger = Trigger(event.get("trigger", "result"))
        if trigger is Trigger.TIME_OVER:
            ledger.ask(KEY, n, trigger)
        elif state in (AttemptState.REJECTED, AttemptState.AMBIGUOUS):
            ledger.results(Result(KEY, n, state, found.failure, event["code"], found.rule))
        else:
            ledger.results(Result(KEY, n, AttemptState.ACCEPTED, carrier_id=f"{KEY}.{n}.1"))
            if found.failure is FailureClass.AMBIGUOUS:
                ledger.ask(KEY, n, trigger, found.rule)
            if state in _AFTER_ACCEPTANCE:
                told = receipt(f"{KEY}.{n}.1", _AFTER_ACCEPTANCE[state])._replace(rule=found.rule)
                told = told._replace(failure=found.failure if state is not AttemptState.DELIVERED else None)
                ledger.receipts(told, connection_id=self.connection[self.sender[event["sender"]]])

    def check(self, event: dict[str, Any]) -> None:
        """The rows say what the vector wants."""
        wanted, ledger = event["expect"], self.ledger
        waits = ledger.waits(KEY)
        if wanted["do"] == "later":
            due = round(max(0.0, wanted.get("at", event["at"]) - event["at"]) * 1e6)
            assert waits == [(self.plan[self.step].value, str(self.sender[wanted["sender"]]), due)]
        elif wanted["do"] == "failover":
            (channel, lane, due) = waits[0]
            tried = [row[0] for row in ledger.rows("SELECT sender_id FROM attempt")]
            assert (channel, due, len(waits)) == (self.plan[self.step].value, 0, 1)
            assert int(lane) not in tried
            if wanted.get("other_connection_only") or wanted.get("prefer_other_connection"):
                assert self.connection[int(lane)] != self.connection[self.sender[event["sender"]]]
        elif wanted["do"] == "fallback":
            assert [(channel, due) for channel, _, due in waits] == [(self.plan[wanted["step"]].value, 0)]
            assert self.step == wanted["step"]
        else:
            assert waits == []
        if wanted["do"] == "end":
            assert ledger.message(KEY) is MessageState[wanted["state"]]
            assert ledger.rows("SELECT error_code FROM message") == [(wanted["code"],)]
        elif wanted["do"] == "stop":
            assert ledger.message(KEY) is MessageState.DELIVERED
        elif wanted["do"] == "wait" and wanted.get("until", 1 << 40) < 172_800:
            asks = ledger.rows("SELECT due FROM later WHERE queue_id = 0 ORDER BY due")
            assert (AT + wanted["until"] * 1_000_000,) in asks

    @property
    def step(self) -> int:
        """The message's present step."""
        step: int = self.ledger.rows("SELECT step FROM message")[0][0]
        return step


@pytest.mark.parametrize(
    "vector",
    [vector for vector in VECTORS if vector["n"] not in ELSEWHERE],
    ids=lambda vector: f"{vector['n']}: {vector['title']}",
)
def test_golden_vectors_come_true_in_the_database(vector: dict[str, Any], fresh: Path) -> None:
    played = Vector(fresh, vector)

    for event in vector["events"]:
        if event.get("trigger") == "closing":
            break  # Nothing is closed yet: that is the retention's affair.
        played.happen(event)
        played.check(event)
    played.ledger.close()


# ---------------------------------------------------------------- failover


@virtually
async def test_a_refused_message_goes_to_another_connection_and_arrives_once(fresh: Path) -> None:
    a, b = Carrier(), Carrier()
    a.answer = lambda submission, part: refused("0x08")
    async with world(fresh, a=Line(a, {"+12030000001": 5, "+12030000002": 5}), b=Line(b, {"+12030000003": 50})) as w:
        operation = await w.send(*everyone(30))
        await w.until_states(DELIVERED=30)

        arrived = Counter(sent.submission.recipient for sent in b.sent)
        assert set(arrived.values()) == {1}
        refused_first = next(sent for sent in a.sent if sent.submission.attempt.n == 1)
        attempts = await w.attempts(refused_first.submission.attempt.message_id)
        assert attempts[-1] == ("+12030000003", "DELIVERED")
        assert {state for _, state in attempts[:-1]} == {"REJECTED"}
        assert await w.states(operation) == {"DELIVERED": 30}


@virtually
async def test_failover_takes_the_sender_that_would_be_free_first(fresh: Path) -> None:
    a, b = Carrier(), Carrier()
    a.answer = lambda submission, part: refused("0x0a")
    slow, quick = "+12030000002", "+12030000003"
    async with world(fresh, a=Line(a, {"+12030000001": 100}), b=Line(b, {slow: 0.1, quick: 50})) as w:
        await asyncio.sleep(30)
        # The slow one has just sent something, so it is not free for ten seconds.
        b_only = await w.make_pool([w.sender(slow).uid])
        from sendpool.domain.request import PoolOrigin

        await w.send("+447700900999", origin=PoolOrigin(b_only))
        await w.until(lambda: len(b.sent) == 1)
        first = await w.make_pool([w.sender("+12030000001").uid, w.sender(slow).uid, w.sender(quick).uid])
        for n in range(6):
            await w.send(f"+44770090{n:04}", origin=PoolOrigin(first))
        await w.until_states(DELIVERED=7, within=8)

        assert slow not in {sent.submission.sender for sent in b.sent[1:]}


@virtually
async def test_failed_over_messages_spread_over_those_that_are_left(fresh: Path) -> None:
    a, b = Carrier(), Carrier()
    a.answer = lambda submission, part: refused("0x0a")
    others = {f"+1203000001{n}": 10.0 for n in range(4)}
    async with world(fresh, a=Line(a, {"+12030000001": 1000}), b=Line(b, dict(others))) as w:
        await asyncio.sleep(5)
        await w.send(*everyone(80))
        await w.until_states(DELIVERED=80)

        counts = Counter(sent.submission.sender for sent in b.sent)
        assert len(counts) == 4
        assert max(counts.values()) <= 2 * min(counts.values())


@virtually
async def test_a_message_tries_four_senders_and_no_more(fresh: Path) -> None:
    carriers = [Carrier() for _ in range(6)]
    for carrier in carriers:
        carrier.answer = lambda submission, part: refused("0x0a")
    lines = {f"c{n}": Line(carrier, {f"+1203000000{n}": 50}) for n, carrier in enumerate(carriers)}
    async with world(fresh, **lines) as w:
        operation = await w.send(*everyone(1))
        await w.until_states(FAILED=1)

        attempts = await w.attempts(operation.operation_id)
        assert len(attempts) == len({sender for sender, _ in attempts}) == 4
        # One event for each attempt that ended, the last of which ended the message too.
        assert await w.events(operation.operation_id) == [1026, 2, 28, 44, 60, 71, 1027]


@virtually
async def test_a_passing_fault_is_repeated_and_backed_off_and_then_given_up(fresh: Path) -> None:
    carrier = Carrier()
    carrier.answer = lambda submission, part: refused("0x08")
    async with world(fresh, a=Line(carrier, {"+12030000001": 50})) as w:
        operation = await w.send(*everyone(1))
        await w.until_states(FAILED=1, within=120)

        gaps = [later.at - earlier.at for earlier, later in zip(carrier.sent, carrier.sent[1:], strict=False)]
        assert len(carrier.sent) == 3
        assert gaps[0] == pytest.approx(0.5, abs=1.1)
        assert gaps[1] == pytest.approx(2.0, abs=1.1)
        assert gaps[1] >= 2.0
        assert [state for _, state in await w.attempts(operation.operation_id)] == ["REJECTED"] * 3


@virtually
async def test_a_bad_recipient_is_the_end_and_names_its_reason(fresh: Path) -> None:
    a, b = Carrier(), Carrier()
    a.answer = b.answer = lambda submission, part: refused("0x03")
    async with world(fresh, a=Line(a, {"+12030000001": 50}), b=Line(b, {"+12030000002": 50})) as w:
        operation = await w.send(*everyone(1))
        await w.until_states(FAILED=1)

        assert len(a.sent) + len(b.sent) == 1
        assert await w.rows("SELECT error_code FROM message WHERE id = ?", operation.operation_id) == [
            (by_rule("smpp/0x03").wire_code,)
        ]


@virtually
async def test_a_receipt_of_failure_sends_a_blocked_message_through_another_sender_once(fresh: Path) -> None:
    a, b = Carrier(), Carrier()
    blocked = by_rule("class/SENDER")
    a.report = lambda submission, part: ()
    async with world(fresh, a=Line(a, {"+12030000001": 50}), b=Line(b, {"+12030000002": 50})) as w:
        operation = await w.send(*everyone(20))
        await w.until(lambda: len(a.sent) + len(b.sent) == 20)
        await asyncio.sleep(1)
        told = [receipt(a.name_of(sent.submission, 1), ReceiptState.UNDELIVERED) for sent in a.sent]
        a.say([one._replace(failure=blocked.failure, rule=blocked.rule) for one in told])
        await w.until_states(DELIVERED=20)

        assert set(Counter(sent.submission.recipient for sent in b.sent).values()) == {1}
        assert await w.states(operation) == {"DELIVERED": 20}


# ---------------------------------------------------------------- fallback


@virtually
async def test_a_phone_without_rcs_gets_its_sms(fresh: Path) -> None:
    rcs, sms = Carrier(), Carrier()
    no_rcs = by_rule("rcs/404")
    rcs.answer = lambda submission, part: refused("0x00")._replace(failure=no_rcs.failure, rule=no_rcs.rule)
    async with world(fresh, r=Line(rcs, {"agent": 50}, channel=Channel.RCS), s=Line(sms, {"+12030000001": 50})) as w:
        operation = await w.send(*everyone(5))
        await w.until_states(DELIVERED=5)

        assert len(rcs.sent) == len(sms.sent) == 5
        assert await w.attempts(operation.operation_id) == [("agent", "REJECTED"), ("+12030000001", "DELIVERED")]
        assert {sent.submission.channel for sent in sms.sent} == {Channel.SMS}


@virtually
async def test_a_long_text_costs_its_segments_only_where_it_is_cut(fresh: Path) -> None:
    rcs, sms = Carrier(), Carrier()
    no_rcs = by_rule("rcs/404")
    rcs.answer = lambda submission, part: refused("0x00")._replace(failure=no_rcs.failure, rule=no_rcs.rule)
    async with world(fresh, r=Line(rcs, {"agent": 50}, channel=Channel.RCS), s=Line(sms, {"+12030000001": 50})) as w:
        await w.send(*everyone(1), text="x" * 400)
        await w.until_states(DELIVERED=1)

        assert rcs.sent[0].submission.segments == 1
        assert sms.sent[0].submission.segments == 3


@virtually
@pytest.mark.parametrize("how", ["refused", "silent"])
async def test_what_an_outage_of_rcs_brings_has_half_of_sms_and_one_time_passwords_go_first(
    how: str, fresh: Path
) -> None:
    rcs, sms = Carrier(), Carrier()
    no_rcs = by_rule("rcs/404")
    if how == "refused":
        rcs.answer = lambda submission, part: refused("0x00")._replace(failure=no_rcs.failure, rule=no_rcs.rule)
    else:
        rcs.report = lambda submission, part: ()
    lines = {"r": Line(rcs, {"agent": 1_000}, channel=Channel.RCS), "s": Line(sms, {"+12030000001": 50})}
    async with world(fresh, False, **lines) as w:
        pool = await w.make_pool([one.uid for one in w.roster.senders.values()], fallbackAfter=5.0)
        own, only_sms = everyone(1_000, first=5_000), PoolOrigin(pool, frozenset({Channel.SMS}))
        await w.send(*everyone(300), origin=PoolOrigin(pool))
        await w.until(lambda: len(rcs.sent) == 300 and len(sms.sent) > 5)
        before = len(sms.sent)
        await w.send(*own, origin=only_sms)
        await w.until(lambda: any(one.submission.recipient in own for one in sms.sent))
        assert len(sms.sent) - before <= 10, "what comes later on SMS itself does not wait for all that fell back"

        before = len(sms.sent)
        await w.send("+12025550123", origin=only_sms, category=Category.OTP)
        await w.until(lambda: len(sms.sent) >= before + 100)

        order = [one.submission.recipient for one in sms.sent[before:]]
        assert order.index("+12025550123") <= 5
        assert sum(one in own for one in order) >= 50
        assert sum(one not in own for one in order) >= 20, "nor are they starved"


# ---------------------------------------------------------------- doubt


@virtually
async def test_a_pool_that_tolerates_duplicates_has_the_same_sender_send_again_what_is_of_unknown_fate(
    fresh: Path,
) -> None:
    a = Carrier()
    a.answer = lambda submission, part: Uncertain("the link was cut")
    async with world(fresh, a=Line(a, {"+12030000001": 50})) as w:
        members = [one.uid for one in w.roster.senders.values()]
        careful, tolerant = await w.make_pool(members), await w.make_pool(members, duplicates="tolerate")
        await w.send(*everyone(1), origin=PoolOrigin(careful))
        await w.send(*everyone(1, first=5), origin=PoolOrigin(tolerant))
        await w.until(lambda: len(a.sent) >= 3, within=60)
        await asyncio.sleep(120)

        sent = Counter(one.submission.recipient for one in a.sent)
        assert sent[everyone(1)[0]] == 1
        assert sent[everyone(1, first=5)[0]] > 1
        assert await w.rows("SELECT ambiguous FROM message") == [(1,), (1,)], "it is said of both"


@virtually
async def test_only_a_pool_that_says_so_takes_the_next_channel_with_what_stays_of_unknown_fate(fresh: Path) -> None:
    rcs, sms = Carrier(), Carrier()
    rcs.answer = lambda submission, part: Uncertain("the link was cut")
    lines = {"r": Line(rcs, {"agent": 50}, channel=Channel.RCS), "s": Line(sms, {"+12030000001": 50})}
    async with world(fresh, **lines) as w:
        members = [one.uid for one in w.roster.senders.values()]
        reporting, leaving = await w.make_pool(members), await w.make_pool(members, openOutcome="failover")
        await w.send(*everyone(1), origin=PoolOrigin(reporting))
        await w.send(*everyone(1, first=5), origin=PoolOrigin(leaving))
        await w.until_states(DELIVERED=1, SENT=1, within=LONGEST_DOUBT + 30)
        await asyncio.sleep(LONGEST_DOUBT)

        assert [one.submission.recipient for one in sms.sent] == everyone(1, first=5)
        assert await w.states() == {"DELIVERED": 1, "SENT": 1}


@virtually
async def test_a_message_of_unknown_fate_is_never_sent_again_and_a_late_receipt_settles_it(fresh: Path) -> None:
    a, b = Carrier(), Carrier()
    a.answer = lambda submission, part: Uncertain("the link was cut")
    async with world(fresh, a=Line(a, {"+12030000001": 50}), b=Line(b, {"+12030000002": 0.01})) as w:
        await w.send(*everyone(1))
        await w.until_states(SENT=1)
        await asyncio.sleep(120)

        assert len(a.sent) + len(b.sent) == 1
        assert await w.rows("SELECT ambiguous FROM message") == [(1,)]
        assert a.inbox is not None
        key = a.sent[0].submission.attempt
        a.inbox.outcomes([(key, 1, CarrierId("late"))])
        a.say([receipt("late", ReceiptState.DELIVERED)])
        await w.until_states(DELIVERED=1)
        assert await w.rows("SELECT ambiguous FROM message") == [(0,)]


# ---------------------------------------------------------------- lanes and pools that change


@virtually
async def test_a_message_that_waits_for_one_sender_too_long_goes_to_another(fresh: Path) -> None:
    a, b, c = Carrier(), Carrier(), Carrier()
    a.answer = lambda submission, part: refused("0x0a")
    async with world(
        fresh, a=Line(a, {"+12030000001": 50}), b=Line(b, {"+12030000002": 50}), c=Line(c, {"+12030000003": 50})
    ) as w:
        c.link(up=False)
        operation = await w.send(*everyone(1))
        await w.until(lambda: len(a.sent) + len(b.sent) >= 1)
        if not a.sent:
            return  # It went to the good one at once: nothing to see.
        await w.until_states(DELIVERED=1)

        assert (await w.attempts(operation.operation_id))[-1][0] == "+12030000002"


@virtually
async def test_rows_in_the_lane_of_a_sender_whose_link_goes_down_are_planned_anew(fresh: Path) -> None:
    a, b, c = Carrier(), Carrier(), Carrier()
    a.answer = lambda submission, part: refused("0x0a")
    # Slow enough that what fails over waits in lanes for a while.
    async with world(
        fresh, a=Line(a, {"+12030000001": 50}), b=Line(b, {"+12030000002": 0.2}), c=Line(c, {"+12030000003": 5})
    ) as w:
        await asyncio.sleep(30)
        await w.send(*everyone(40))
        await w.until(lambda: len(a.sent) >= 5)
        b.link(up=False)
        await w.until_states(DELIVERED=40, within=60)

        assert len(c.sent) >= 38


IN_LANE = "SELECT count(*) FROM outq q JOIN queue k ON k.id = q.queue_id WHERE k.lane = ?"


@pytest.mark.parametrize("how", ["deactivated", "removed"])
@virtually
async def test_a_sender_that_goes_strands_nothing_in_its_lane(how: str, fresh: Path) -> None:
    a, b, c = Carrier(), Carrier(), Carrier()
    a.answer = lambda submission, part: refused("0x0a")
    lines = {
        "a": Line(a, {"+12030000001": 50}),
        "b": Line(b, {"+12030000002": 0.1, "+12030000009": 0.1}),
        "c": Line(c, {"+12030000003": 0.1}),
    }
    async with world(fresh, **lines) as w:
        await asyncio.sleep(30)
        await w.send(*everyone(12))
        await w.until(lambda: len(a.sent) >= 5)
        await asyncio.sleep(0.5)
        gone = w.sender("+12030000003")
        lanes = await w.rows(IN_LANE, str(gone.id))
        assert lanes[0][0] > 0, "something waits for it"
        if how == "deactivated":
            await w.declare({**lines, "c": Line(c, {})})
        else:
            await w.engine.change(lambda: remove_member(w.account_id, w.pool, gone.uid, w.engine.clock.wall()))
        await asyncio.sleep(3)

        left = await w.rows(IN_LANE, str(gone.id))
        assert left == [(0,)]
        await w.until_states(DELIVERED=12, within=300)


@pytest.mark.parametrize("how", ["deactivated", "removed"])
@virtually
async def test_with_the_last_untried_sender_gone_a_message_ends_instead_of_waiting_for_ever(
    how: str, fresh: Path
) -> None:
    a, c = Carrier(), Carrier()
    a.answer = lambda submission, part: refused("0x0a")
    lines = {"a": Line(a, {"+12030000001": 50}), "c": Line(c, {"+12030000003": 0.05})}
    async with world(fresh, **lines) as w:
        await asyncio.sleep(30)
        await w.send(*everyone(6))
        await w.until(lambda: len(a.sent) >= 4)
        await asyncio.sleep(0.5)
        gone = w.sender("+12030000003")
        if how == "deactivated":
            await w.declare({**lines, "c": Line(c, {})})
        else:
            await w.engine.change(lambda: remove_member(w.account_id, w.pool, gone.uid, w.engine.clock.wall()))
        await asyncio.sleep(30)

        states = await w.states()
        assert states["QUEUED"] == 0
        assert states["FAILED"] >= 4


@virtually
async def test_a_deleted_pool_drains_through_its_members(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {"+12030000001": 5})) as w:
        await w.send(*everyone(20))
        await w.until(lambda: len(carrier.sent) >= 3)
        await w.engine.change(lambda: delete_pool(w.account_id, w.pool, w.engine.clock.wall()))

        await w.until_states(DELIVERED=20)


@virtually
async def test_a_deleted_pool_with_nobody_left_fails_every_message_by_name(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, False, a=Line(carrier, {"+12030000001": 1})) as w:
        carrier.link(up=False)
        small = await w.send(*everyone(300))
        large = await w.send(*everyone(3_500, first=1_000))
        await w.until(lambda: w.engine.book.total() >= 2_000)
        await w.engine.change(lambda: delete_pool(w.account_id, w.pool, w.engine.clock.wall()))
        await w.declare({})

        await w.until_states(FAILED=3_800, within=60)

        assert await w.rows("SELECT DISTINCT error_code FROM message") == [(21703,)]
        assert await w.rows("SELECT count(*) FROM event WHERE number = 7") == [(3_800,)]
        assert (await w.events(small.operation_id))[-1] == (await w.events(large.operation_id))[-1] == 1027
        assert await w.rows("SELECT count(*) FROM outq") == [(0,)]


# ---------------------------------------------------------------- redacted messages


def redact(ledger: Ledger) -> Redaction:
    """Delete message KEY, the first of its operation."""
    return ledger.run(redact_message(1, MessagePlace(KEY.to_bytes(16, "big"), 0), ledger.now))


@pytest.mark.parametrize("told", [ReceiptState.UNDELIVERED, ReceiptState.EXPIRED])
def test_a_redacted_message_is_tried_no_more_and_ends_with_what_its_carrier_says(
    told: ReceiptState, ledger: Ledger
) -> None:
    ledger.accept(KEY, plan="SR")
    ledger.start(KEY)
    ledger.results(Result(KEY, 1, AttemptState.ACCEPTED))

    assert redact(ledger) is Redaction.DONE
    # Blocked for this sender: another one would have had its turn.
    ledger.receipts(receipt(f"{KEY}.1.1", told)._replace(failure=FailureClass.SENDER, rule="class/SENDER"))

    assert ledger.message(KEY) is MessageState.UNDELIVERED
    assert ledger.waits(KEY) == []


@pytest.mark.parametrize("redacted", [False, True])
def test_the_time_of_a_redacted_message_brings_no_fallback(redacted: bool, fresh: Path) -> None:
    ledger = Ledger(fresh, {Channel.RCS: [(1, 1)], Channel.SMS: [(2, 2)]})
    ledger.accept(KEY, plan="RS", category="otp", validity=600)
    ledger.start(KEY)
    ledger.results(Result(KEY, 1, AttemptState.ACCEPTED, carrier_id=f"{KEY}.1.1"))

    if redacted:
        redact(ledger)
    ledger.now += 60_000_000
    ledger.ask(KEY, 1, Trigger.TIME_OVER)

    assert ledger.message(KEY) is MessageState.SENT
    assert [channel for channel, _, _ in ledger.waits(KEY)] == ([] if redacted else ["SMS"])
    ledger.close()


@pytest.mark.parametrize("state", [AttemptState.ACCEPTED, AttemptState.AMBIGUOUS])
def test_a_receipt_that_comes_after_the_redaction_counts(state: AttemptState, ledger: Ledger) -> None:
    ledger.accept(KEY)
    ledger.start(KEY)
    ledger.results(Result(KEY, 1, state, FailureClass.AMBIGUOUS if state is AttemptState.AMBIGUOUS else None))

    redact(ledger)
    ledger.receipts(receipt(f"{KEY}.1.1", ReceiptState.DELIVERED))

    assert ledger.message(KEY) is MessageState.DELIVERED
    assert ledger.rows("SELECT delivered, sent FROM operation") == [(1, 0)]
