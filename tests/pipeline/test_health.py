"""Health end to end: real store and engine, virtual time, carriers that lose receipts or refuse."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import pytest
from tests.pipeline.carriers import Carrier, Report, refused
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.connectors.base import ReceiptState, Rejected, Submission
from sendpool.domain.failures import ROUTE_FAULTS, FailureClass, classify, of_class
from sendpool.domain.health import USUAL, Condition, Symptom
from sendpool.domain.reasons import Reason, Remark
from sendpool.domain.vitals import Route
from sendpool.pipeline.fence import Alone
from sendpool.pipeline.health import CHANGED, thresholds_of
from sendpool.store.database import Script
from sendpool.store.health import HealthRow, write_health

ONE, TWO = "+12034458910", "+12034458911"
GERMANY = [f"+49151234{n:05}" for n in range(100)]


def losing(percent: int, prefix: str) -> Report:
    """Bring receipts but for so many of a hundred messages to numbers that begin so."""

    def report(submission: Submission, part: int) -> tuple[ReceiptState, ...]:
        lost = submission.recipient.startswith(prefix) and submission.attempt.message_id * 61 % 100 < percent
        return () if lost else (ReceiptState.DELIVERED,)

    return report


def condition(there: World, address: str, country: str) -> Condition:
    standing = there.health.standings.get(Route(there.sender(address).id, country))
    return standing.condition if standing else Condition.HEALTHY


async def traffic(there: World, seconds: float, rate: int = 20) -> None:
    """So many messages each second to each of two countries."""
    until = there.now + seconds
    while there.now < until:
        await there.send(*everyone(rate), *GERMANY[:rate])
        await asyncio.sleep(1.0)


async def until(there: World, address: str, wanted: Condition, within: float) -> float:
    began = there.now
    while condition(there, address, "GB") is not wanted:
        assert there.now - began < within
        await traffic(there, 5.0)
    return there.now - began


def share_of(carrier: Carrier, since: float, prefix: str) -> int:
    return sum(1 for sent in carrier.sent if sent.at >= since and sent.submission.recipient.startswith(prefix))


@virtually
async def test_sender_that_loses_receipts_in_one_country_gets_a_trickle_there_and_comes_back(tmp_path: Path) -> None:
    one, two = Carrier(report_after=1.0), Carrier(report_after=1.0)
    # So fast that both are always free: else who is kept from one country is free sooner for the other.
    async with world(tmp_path / "a.db", False, one=Line(one, {ONE: 2000.0}), two=Line(two, {TWO: 2000.0})) as there:
        await traffic(there, 20.0)
        one.report = losing(60, "+44")
        assert await until(there, ONE, Condition.UNHEALTHY, 120.0) <= 120.0

        since = there.now
        await traffic(there, 60.0)
        assert share_of(one, since, "+44") <= 0.05 * share_of(two, since, "+44")
        assert share_of(one, since, "+44") >= 8  # Not silence.
        assert 0.8 < share_of(one, since, "+49") / share_of(two, since, "+49") < 1.25
        assert condition(there, ONE, "DE") is condition(there, TWO, "GB") is Condition.HEALTHY

        one.report = losing(0, "+44")
        assert await until(there, ONE, Condition.HEALTHY, 600.0) <= 600.0
        since = there.now
        await traffic(there, 30.0)
        assert 0.8 < share_of(one, since, "+44") / share_of(two, since, "+44") < 1.25

        told = await there.rows("SELECT data FROM notice WHERE type = ? ORDER BY id", CHANGED)
        states = [row[0].split('"state":"')[1].split('"')[0] for row in told]
        assert states == ["unhealthy", *["returning"] * 4, "healthy"]
        assert (await there.rows("SELECT condition, share FROM sender_health"))[0] == ("healthy", 1.0)


@virtually
async def test_unhealthy_sender_takes_all_again_where_nobody_else_can(tmp_path: Path) -> None:
    one, two = Carrier(report_after=1.0), Carrier(report_after=1.0)
    async with world(tmp_path / "a.db", False, one=Line(one, {ONE: None}), two=Line(two, {TWO: None})) as there:
        one.report = losing(60, "+44")
        await until(there, ONE, Condition.UNHEALTHY, 120.0)
        two.link(up=False)
        sent = len(one.sent)
        operation = await there.send(*everyone(100))
        await there.until(lambda: len(one.sent) == sent + 100)
        assert operation.operation_id


@virtually
async def test_nobody_is_held_back_where_the_healthy_are_too_few(tmp_path: Path) -> None:
    one, two = Carrier(report_after=1.0), Carrier(report_after=1.0)
    lines = {"one": Line(one, {ONE: 100.0}), "two": Line(two, {TWO: 5.0})}
    async with world(tmp_path / "a.db", False, **lines) as there:
        one.report = losing(60, "+44")
        await until(there, ONE, Condition.UNHEALTHY, 180.0)
        since = there.now
        await traffic(there, 10.0)
        assert share_of(one, since, "+44") > 100


@virtually
async def test_standing_survives_a_restart(tmp_path: Path) -> None:
    one, two = Carrier(report_after=1.0), Carrier(report_after=1.0)
    async with world(tmp_path / "a.db", False, one=Line(one, {ONE: None}), two=Line(two, {TWO: None})) as there:
        one.report = losing(60, "+44")
        await until(there, ONE, Condition.UNHEALTHY, 120.0)
        while not await there.rows("SELECT 1 FROM sender_health"):
            await asyncio.sleep(0.1)
        copied = await there.copy(tmp_path / "b.db")

    one, two = Carrier(), Carrier()
    async with world(copied, False, one=Line(one, {ONE: None}), two=Line(two, {TWO: None})) as there:
        standing = there.health.standings[Route(there.sender(ONE).id, "GB")]
        assert (standing.condition, standing.symptom) == (Condition.UNHEALTHY, Symptom.LOST_RECEIPTS)
        since = there.now
        await traffic(there, 10.0)
        assert 0 < share_of(one, since, "+44") <= 6


class OneOfSeveral(Alone):
    """This process shares the database; the leases of all its connections are as they are set here."""

    shared = True

    def __init__(self) -> None:
        self.leased = True

    def held(self, epochs: Collection[int]) -> Script[Collection[int]]:
        yield from ()
        return epochs if self.leased else ()


async def _write_standing(there: World, address: str, condition: Condition, share: float) -> None:
    """Another node says how a sender stands in GB."""
    row = HealthRow(there.sender(address).id, "GB", condition.value, share, Symptom.LOST_RECEIPTS.value, "{}", 0, 7, 7)
    await there.store.write(lambda: write_health([row], 7))


@virtually
async def test_health_of_a_sender_is_kept_by_the_node_that_has_its_connection_alone(tmp_path: Path) -> None:
    one, two = Carrier(report_after=1.0), Carrier(report_after=1.0)
    async with world(tmp_path / "a.db", False, one=Line(one, {ONE: None}), two=Line(two, {TWO: None})) as there:
        there.engine.fence = OneOfSeveral()
        one.report = losing(60, "+44")
        await until(there, ONE, Condition.UNHEALTHY, 120.0)
        while not (standing := await there.rows("SELECT * FROM sender_health")):
            await asyncio.sleep(0.1)

        # It goes to another node, which alone judges and writes from then on.
        link = there.engine.sending.links.pop(there.sender(ONE).connection_id)
        one.report = losing(0, "+44")
        await traffic(there, 20.0)
        assert {route.sender_id for route in there.health.standings} <= {there.sender(TWO).id}
        assert await there.rows("SELECT * FROM sender_health") == standing

        # It comes back: what the other node has written counts, at once.
        await _write_standing(there, ONE, Condition.RETURNING, 0.5)
        there.engine.sending.links[link.connection_id] = link
        await asyncio.sleep(2.0)
        recalled = there.health.standings[Route(there.sender(ONE).id, "GB")]
        assert (recalled.condition, recalled.symptom) == (Condition.UNHEALTHY, Symptom.LOST_RECEIPTS)


@virtually
async def test_what_is_judged_under_a_lease_that_is_lost_before_it_is_written_is_not_written(tmp_path: Path) -> None:
    one, two = Carrier(report_after=1.0), Carrier(report_after=1.0)
    async with world(tmp_path / "a.db", False, one=Line(one, {ONE: None}), two=Line(two, {TWO: None})) as there:
        there.engine.fence = fence = OneOfSeveral()
        one.report = losing(60, "+44")
        await traffic(there, 10.0)
        fence.leased = False  # No claim is made any more either: only judgements go on.
        began = there.now
        while condition(there, ONE, "GB") is not Condition.UNHEALTHY:
            assert there.now - began < 120.0
            await asyncio.sleep(1.0)
        await asyncio.sleep(1.0)

        assert await there.rows("SELECT * FROM sender_health") == []


@pytest.mark.parametrize("failure", sorted(ROUTE_FAULTS))
@virtually
async def test_sender_that_refuses_everything_takes_few_before_it_is_stopped(
    tmp_path: Path, failure: FailureClass
) -> None:
    one, two = Carrier(), Carrier()
    one.answer = lambda submission, part: Rejected(failure, "x", of_class(failure).scope, f"class/{failure}")
    async with world(tmp_path / "a.db", False, one=Line(one, {ONE: 500.0}), two=Line(two, {TWO: 100.0})) as there:
        await there.send(*everyone(400))
        await there.until_states(DELIVERED=400)

        gate = there.engine.sending.gates[there.sender(ONE).id]
        assert len(one.sent) <= 30
        closure = there.engine.sending.links[gate.sender.connection_id].closure
        assert closure.closed if failure is FailureClass.ACCOUNT else gate.flights.stopped


@virtually
async def test_stopped_sender_is_probed_with_one_message_after_thirty_seconds(tmp_path: Path) -> None:
    one, two = Carrier(), Carrier()
    one.answer = lambda submission, part: refused("0x0a")
    async with world(tmp_path / "a.db", False, one=Line(one, {ONE: 500.0}), two=Line(two, {TWO: 100.0})) as there:
        await there.send(*everyone(100))
        await there.until_states(DELIVERED=100)
        taken, stopped_at = len(one.sent), one.sent[-1].at
        await traffic(there, 29.0, rate=5)
        assert len(one.sent) == taken
        await traffic(there, 25.0, rate=5)
        assert len(one.sent) == taken + 1
        assert one.sent[-1].at - stopped_at >= 30.0


BAD_LIST = ["0x0b", "0x01", "0x66"]


@virtually
async def test_a_bad_list_of_recipients_lowers_nobodys_health(tmp_path: Path) -> None:
    one, two = Carrier(), Carrier()
    answer = one.answer
    one.answer = lambda submission, part: (
        refused(BAD_LIST[submission.attempt.message_id % 3])
        if submission.attempt.message_id % 10
        else answer(submission, part)
    )
    one.report = lambda submission, part: (ReceiptState.EXPIRED,)
    async with world(tmp_path / "a.db", False, one=Line(one, {ONE: None}), two=Line(two, {TWO: None})) as there:
        await traffic(there, 120.0)

        assert not there.health.standings
        assert Counter(condition(there, one, "GB") for one in (ONE, TWO)) == {Condition.HEALTHY: 2}
        assert not there.engine.sending.gates[there.sender(ONE).id].flights.stopped


@virtually
async def test_country_that_a_carrier_closes_to_a_sender_goes_through_others_for_an_hour(tmp_path: Path) -> None:
    one, two = Carrier(), Carrier()
    answer = one.answer
    closed = classify("twilio", "21408")
    one.answer = lambda submission, part: (
        Rejected(closed.failure, "21408", closed.scope, closed.rule)
        if submission.recipient.startswith("+49")
        else answer(submission, part)
    )
    async with world(tmp_path / "a.db", False, one=Line(one, {ONE: 2000.0}), two=Line(two, {TWO: 2000.0})) as there:
        await traffic(there, 5.0)
        refused_before = share_of(one, 0.0, "+49")
        since = there.now
        await traffic(there, 20.0)

        assert 0 < refused_before <= 20
        assert share_of(one, since, "+49") == 0
        assert share_of(two, since, "+49") == 400
        assert share_of(one, since, "+44") > 100


@virtually
async def test_pools_of_a_sender_agree_on_its_thresholds(tmp_path: Path) -> None:
    lines = {"one": Line(Carrier(), {ONE: None}), "two": Line(Carrier(), {TWO: None})}
    async with world(tmp_path / "a.db", False, **lines) as there:
        one, two = there.sender(ONE), there.sender(TWO)
        await there.make_pool([one.uid, two.uid], health={"worseBy": 0.5, "trickle": 0.02})
        await there.make_pool([one.uid], health={"minSample": 900})
        await there.make_pool([one.uid, two.uid], health={"off": True, "step": 5})
        # Of the pool of all, which says nothing, the usual trickle is the milder one.
        wanted = USUAL._replace(worse_by=0.5)
        assert thresholds_of(there.engine.roster) == {one.id: wanted, two.id: wanted}


@virtually
async def test_an_unhealthy_sender_gets_the_trickle_that_its_pool_says(tmp_path: Path) -> None:
    one, two = Carrier(report_after=1.0), Carrier(report_after=1.0)
    async with world(tmp_path / "a.db", False, one=Line(one, {ONE: 2000.0}), two=Line(two, {TWO: 2000.0})) as there:
        uids = [there.sender(ONE).uid, there.sender(TWO).uid]
        # A pool that has the trickle is enough: of two the larger one holds.
        await there.make_pool(uids, health={"trickle": 0.4})
        one.report = losing(60, "+44")
        await until(there, ONE, Condition.UNHEALTHY, 180.0)
        since = there.now
        await traffic(there, 40.0)
        assert 0.2 <= share_of(one, since, "+44") / share_of(two, since, "+44") <= 0.3
        # The same share, and told as a trickle.
        assert there.engine.planner.restraint._remark(there.sender(ONE).id) == Remark(Reason.TRICKLE, about="GB")
