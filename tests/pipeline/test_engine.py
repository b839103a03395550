"""The engine: one commit carries many, a failed one loses and doubles nothing, a crash at any moment neither."""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.pipeline.carriers import Carrier, receipt, refused
from tests.pipeline.worlds import LONG_TEXT, Line, World, everyone, virtually, world

from sendpool.connectors.base import CarrierId, Outcome, ReceiptState, Submission, Throttled, Uncertain
from sendpool.domain.failures import by_rule
from sendpool.domain.message import LONGEST_TEXT, LONGEST_WITH_MEDIA
from sendpool.domain.request import AddressOrigin, PoolOrigin, Refused
from sendpool.domain.segments import count
from sendpool.domain.sender import Channel
from sendpool.pipeline.engine import AWAITED
from sendpool.pipeline.plan import LONGEST, ONE_OF, SHORT
from sendpool.pipeline.waiter import StoreUnavailable
from sendpool.store.database import Script
from sendpool.store.outbox import write_events
from sendpool.testing.clock import run_virtually

NUMBER = "+12030000001"


# ---------------------------------------------------------------- commits


@virtually
async def test_one_commit_carries_many_requests(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 1000})) as w:
        carrier.link(up=False)
        await asyncio.sleep(2)
        before = w.store.commits
        accepted = await asyncio.gather(*(w.send(recipient) for recipient in everyone(200)))

        assert w.store.commits - before <= 3
        assert len({one.operation_id for one in accepted}) == len({one.uid for one in accepted}) == 200
        assert await w.states() == {"QUEUED": 200}


@virtually
async def test_commits_are_short_while_small_requests_come(fresh: Path) -> None:
    carrier = Batches()
    async with world(fresh, False, a=Line(carrier, {NUMBER: 1_000_000})) as w:
        carrier.link(up=False)
        await w.send(*everyone(2_000))
        await asyncio.sleep(2 * AWAITED)
        carrier.link(up=True)
        await w.until_states(DELIVERED=2_000)
        usual, carrier.sizes = carrier.sizes, []
        carrier.link(up=False)
        await w.send(*everyone(2_000, first=10_000))
        await w.send(*everyone(1, first=20_000))
        carrier.link(up=True)
        await w.until_states(DELIVERED=4_001)

        assert max(carrier.sizes) <= LONGEST < max(usual)
        assert 1 <= sum(size > SHORT for size in carrier.sizes) <= 1 + len(carrier.sizes) / ONE_OF


def test_no_text_is_longer_than_what_a_connection_is_given_now_and_then_in_a_short_commit() -> None:
    links = "x" * (LONGEST_WITH_MEDIA - LONGEST_TEXT)
    assert count("\N{GRINNING FACE}" * LONGEST_TEXT + links) <= LONGEST


class Batches(Carrier):
    """A carrier that knows how many attempts came at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    async def submit(self, batch: Sequence[Submission]) -> None:
        self.sizes.append(len(batch))
        await super().submit(batch)


@virtually
async def test_a_request_is_durable_before_it_is_answered(fresh: Path, tmp_path: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 1000})) as w:
        carrier.link(up=False)
        for n in range(5):
            operation = await w.send(*everyone(3, first=10 * n))
            left = await w.copy(tmp_path / f"left-{n}.db")
            connection = sqlite3.connect(left)
            assert connection.execute("SELECT count(*) FROM operation WHERE uid = ?", (operation.uid,)).fetchone() == (
                1,
            )
            assert connection.execute("SELECT count(*) FROM outq").fetchone() == (3 * n + 3,)
            connection.close()


@virtually
async def test_a_change_that_raises_undoes_only_itself(fresh: Path) -> None:
    def good() -> Script[str]:
        yield from write_events([(900_001, 1030, None, 1)])
        return "done"

    def bad() -> Script[None]:
        yield from write_events([(900_002, 1030, None, 1)])
        raise LookupError("no such pool")

    async with world(fresh, a=Line(Carrier(), {NUMBER: 1000})) as w:
        outcomes = await asyncio.gather(
            w.engine.change(bad), w.send(*everyone(1)), w.engine.change(good), return_exceptions=True
        )

        assert isinstance(outcomes[0], LookupError)
        assert outcomes[2] == "done"
        assert await w.rows("SELECT subject_id FROM event WHERE subject_id > 900000") == [(900_001,)]
        await w.until_states(DELIVERED=1)


@virtually
async def test_a_change_of_the_roster_is_known_before_it_is_answered(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {NUMBER: 1000})) as w:
        uid = await w.make_pool([w.sender(NUMBER).uid])

        assert uid in w.engine.roster.pool_by_uid
        await w.send(*everyone(1), origin=PoolOrigin(uid))
        await w.until_states(DELIVERED=1)


@virtually
async def test_nothing_at_all_to_store_is_answered_too(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 1000})):
        assert carrier.inbox is not None
        async with asyncio.timeout(5):
            await carrier.inbox.receipts([])
            await carrier.inbox.inbound([])


@virtually
async def test_a_refused_request_leaves_nothing_behind(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {NUMBER: 1000})) as w:
        with pytest.raises(Refused):
            await w.send(*everyone(1), origin=PoolOrigin(b"x" * 16))
        with pytest.raises(Refused):
            await w.send(*everyone(1), origin=AddressOrigin("+1", Channel.SMS))

        assert await w.rows("SELECT count(*) FROM operation") == [(0,)]


# ---------------------------------------------------------------- commits that fail


@virtually
async def test_whoever_waits_for_a_failed_commit_is_told_and_may_come_again(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 1000})) as w:
        w.store.failures = 1
        outcomes = await asyncio.gather(
            *(w.send(recipient) for recipient in everyone(10)),
            w.make_pool([w.sender(NUMBER).uid]),
            return_exceptions=True,
        )

        assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 11
        assert await w.rows("SELECT count(*) FROM message") == [(0,)]
        await w.send(*everyone(10))
        await w.until_states(DELIVERED=10)
        assert sorted(sent.submission.recipient for sent in carrier.sent) == everyone(10)


@virtually
async def test_what_carriers_said_meanwhile_is_kept_and_applied_once(fresh: Path) -> None:
    carrier = Carrier(answer_after=0.3, report_after=0.3)
    async with world(fresh, a=Line(carrier, {NUMBER: 1000})) as w:
        operation = await w.send(*everyone(20))
        await w.send("+447700800001", text=LONG_TEXT)
        await w.until(lambda: len(carrier.sent) == 21)
        w.store.failures = 6
        await asyncio.sleep(2)
        assert w.store.failures < 6, "some failed"

        await w.until_states(DELIVERED=21)

        assert len(carrier.sent) == 21
        assert await w.events(operation.operation_id) == [1026, 2, 19, 20, 1027]


@virtually
async def test_refusals_during_a_failure_still_fail_over_once(fresh: Path) -> None:
    a, b = Carrier(answer_after=0.2), Carrier()
    a.answer = lambda submission, part: refused("0x0a")
    async with world(fresh, a=Line(a, {NUMBER: 1000}), b=Line(b, {"+12030000002": 1000})) as w:
        await w.send(*everyone(8))
        await w.until(lambda: len(a.sent) + len(b.sent) == 8)
        w.store.failures = 4
        await w.until_states(DELIVERED=8)

        assert set(Counter(sent.submission.recipient for sent in b.sent).values()) == {1}


@virtually
async def test_no_row_is_lost_or_sent_twice_when_its_claim_fails(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 50})) as w:
        await w.send(*everyone(100))
        for _ in range(5):
            await asyncio.sleep(0.3)
            w.store.failures = 1
        await w.until_states(DELIVERED=100)

        assert sorted(sent.submission.recipient for sent in carrier.sent) == everyone(100)


@virtually
async def test_a_new_pool_and_lane_survive_the_failure_of_their_first_commit(fresh: Path, tmp_path: Path) -> None:
    a, b = Carrier(answer_after=0.2), Carrier()
    a.answer = lambda submission, part: refused("0x0a")
    async with world(fresh, a=Line(a, {NUMBER: 1000}), b=Line(b, {"+12030000002": 1000})) as w:
        b.link(up=False)
        w.store.failures = 1
        with pytest.raises(StoreUnavailable):
            await w.send(*everyone(4))
        await w.send(*everyone(4))
        await w.until(lambda: len(a.sent) == 4)
        w.store.failures = 1
        await asyncio.sleep(5)
        left = await w.copy(tmp_path / "left.db")
    again = Carrier()
    async with world(left, a=Line(a, {NUMBER: 1000}), b=Line(again, {"+12030000002": 1000})) as w:
        await w.until_states(DELIVERED=4)
        assert len(again.sent) == 4


@virtually
async def test_shutting_down_ends_although_the_disk_does_not_come_back(fresh: Path) -> None:
    carrier = Carrier(answer_after=1.0)
    async with world(fresh, a=Line(carrier, {NUMBER: 1000})) as w:
        await w.send(*everyone(5))
        await w.until(lambda: len(carrier.sent) == 5)
        w.store.failures = 1_000_000
        await asyncio.sleep(3)

        async with asyncio.timeout(60):
            await w.engine.stop()
        carrier.hush()
        w.store.failures = 0


# ---------------------------------------------------------------- the end


@virtually
async def test_draining_takes_no_request_and_starts_nothing_but_ends_what_flies(fresh: Path) -> None:
    carrier = Carrier(answer_after=1.0, report_after=0.1)
    async with world(fresh, a=Line(carrier, {NUMBER: 10})) as w:
        await w.send(*everyone(50))
        await w.until(lambda: len(carrier.sent) >= 5)
        w.engine.drain()
        with pytest.raises(StoreUnavailable, match="shutting down"):
            await w.send(*everyone(1))
        await asyncio.sleep(0.2)
        flown = len(carrier.sent)
        await asyncio.sleep(5)

        assert len(carrier.sent) == flown
        assert await w.states() == {"DELIVERED": flown, "QUEUED": 50 - flown}


@pytest.mark.parametrize("text", ["Hello", LONG_TEXT])
@virtually
async def test_a_restart_in_order_leaves_nothing_ambiguous_and_sends_nothing_twice(text: str, fresh: Path) -> None:
    sent: list[str] = []
    # Some of these end a life while what was claimed waits for its time to leave.
    for moment in (1.345, 1.301, 0.955, 0.5, 2.04, 100.0):
        carrier = Carrier(answer_after=0.05)
        async with world(fresh, a=Line(carrier, {NUMBER: 12.5}, burst=3)) as w:
            if not sent:
                await w.send(*everyone(60), text=text)
            await asyncio.sleep(moment)
        sent += [one.submission.recipient for one in carrier.sent]
        connection = sqlite3.connect(fresh)
        assert connection.execute("SELECT count(*) FROM attempt WHERE state IN (1, 3) OR marks & 2").fetchone() == (0,)
        connection.close()

    assert sorted(sent) == everyone(60)


# ---------------------------------------------------------------- crashes


# Not shrunk: each life is seconds of work, and the shortest failing one says no more than the first.
@settings(max_examples=6, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(
    moments=st.lists(st.floats(0.01, 2.5), min_size=1, max_size=3),
    text=st.sampled_from(["Hello", LONG_TEXT]),
    answer_after=st.sampled_from([0.0, 0.02, 0.4]),
)
def test_a_crash_at_any_moment_loses_nothing_and_doubles_nothing(
    moments: list[float], text: str, answer_after: float, migrated: Path, tmp_path_factory: Any
) -> None:
    folder = tmp_path_factory.mktemp("crash")
    path = folder / "sendpool.db"
    shutil.copyfile(migrated, path)

    run_virtually(_crash_again_and_again(path, moments, text, answer_after))


async def _crash_again_and_again(path: Path, moments: list[float], text: str, answer_after: float) -> None:
    arrived: Counter[str] = Counter()
    names: dict[tuple[int, int], list[str]] = {}
    for life, moment in enumerate([*moments, 30.0]):
        a, b = Carrier(answer_after=answer_after), Carrier(answer_after=answer_after)
        async with world(path, False, a=Line(a, {NUMBER: 20}), b=Line(b, {"+12030000002": 20})) as w:
            if life == 0:
                await w.send(*everyone(30), text=text)
                await w.send(*everyone(510, first=1_000), text=text, validity=8)
            await asyncio.sleep(moment)
            left = await w.copy(path.with_name(f"left-{life}.db"))
            for sent in (*a.sent, *b.sent):
                arrived[sent.submission.recipient] += 1
                names.setdefault(sent.key, []).append(sent.submission.recipient)
        path = left

    assert max(arrived.values()) == 1, "nobody got it twice"
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT address, state, ambiguous FROM message").fetchall()
    connection.close()
    assert len(rows) == 540, "nothing was lost"
    for address, state, ambiguous in rows:
        if arrived[address]:
            assert state in (3, 4), (address, state)
        else:
            assert state == 7 or (state == 3 and ambiguous), (address, state)


@virtually
async def test_after_a_crash_what_was_under_way_is_ambiguous_and_a_late_receipt_settles_it(
    fresh: Path, tmp_path: Path
) -> None:
    carrier = Carrier(answer_after=30.0)
    async with world(fresh, a=Line(carrier, {NUMBER: 1000})) as w:
        operation = await w.send(*everyone(5))
        await w.until(lambda: len(carrier.sent) == 5)
        left = await w.copy(tmp_path / "left.db")
        carrier.answer = lambda submission, part: None
    first = carrier.sent[0].submission
    again = Carrier()
    async with world(left, a=Line(again, {NUMBER: 1000})) as w:
        assert await w.states(operation) == {"SENT": 5}
        assert await w.rows("SELECT DISTINCT state, code, marks FROM attempt") == [(3, "crash", 2)]
        assert await w.rows("SELECT DISTINCT ambiguous FROM message") == [(1,)]
        assert await w.events(operation.operation_id) == [1026, 2, 19, 1027]
        await asyncio.sleep(30)
        assert again.sent == []

        assert again.inbox is not None
        again.inbox.outcomes([(first.attempt, 1, CarrierId("late"))])
        again.say([receipt("late", ReceiptState.DELIVERED)])
        await w.until_states(DELIVERED=1, SENT=4)


# ---------------------------------------------------------------- query plans

#: Tables that a statement of the pipeline may never walk from end to end, nor sort.
LARGE = ("message", "attempt", "outq", "segment", "event", "chunk", "operation_content", "operation")
_LITERAL = re.compile(r"'(?:[^']|'')*'|(?<![\w.])-?\d+(?:\.\d+)?|x'[0-9a-f]*'", re.IGNORECASE)
_VALUES = re.compile(r"VALUES \(.*?\)(?:,\s*\([^()]*\))*\)", re.DOTALL)


def shape(sql: str) -> str:
    """A statement without its values."""
    return re.sub(r"\(\?(?:, ?\?)*\)(?:, ?\(\?(?:, ?\?)*\))*", "(?)", _LITERAL.sub("?", sql))


@virtually
async def test_no_statement_of_the_pipeline_walks_a_large_table_or_sorts_a_queue(fresh: Path) -> None:
    statements: dict[str, str] = {}

    def note(sql: str) -> None:
        known = statements.setdefault(shape(sql), sql)
        if len(sql) < len(known):
            statements[shape(sql)] = sql

    a, b = Carrier(), Carrier()
    async with world(fresh, False, a=Line(a, {NUMBER: 300}), b=Line(b, {"+12030000002": 300})) as w:
        w.store.inner._writer.connection.set_trace_callback(note)
        for reader in w.store.inner._readers:
            reader.connection.set_trace_callback(note)
        await _do_everything(w, a, b)
        w.store.inner._writer.connection.set_trace_callback(None)
        plans = {sql: await _plan(w, sql) for sql in statements.values() if _has_plan(sql)}

    assert len(plans) > 50
    bad = [(line, shape(sql)[:400]) for sql, plan in plans.items() for line in plan if _is_walk(line, plan)]
    assert bad == []
    heads = [plan for sql, plan in plans.items() if "FROM outq WHERE queue_id" in sql and "LIMIT" in sql]
    assert heads
    # The heads of several queues are put in order once each is cut to what a claim can use.
    single = [plan for plan in heads if "CO-ROUTINE h" not in plan]
    assert single
    assert not any("TEMP B-TREE" in line for plan in single for line in plan)


def _has_plan(sql: str) -> bool:
    return sql.lstrip().split(None, 1)[0].upper() in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


def _is_walk(line: str, plan: list[str]) -> bool:
    found = re.match(r"SCAN (\w+)( USING (?:COVERING )?INDEX (\w+))?", line)
    if found is None or found[1] not in {*LARGE, "m", "a", "q", "s", "e", "o", "c"}:
        return False
    if f"CO-ROUTINE {found[1]}" in plan or f"MATERIALIZE {found[1]}" in plan:
        return False  # What a subquery with a limit brings.
    # Partial indexes hold only what is open: a few rows, or as many operations.
    return found[3] not in ("operation_open", "operation_scheduled", "message_ambiguous")


async def _plan(w: World, sql: str) -> list[str]:
    rows = await w.rows(f"EXPLAIN QUERY PLAN {sql}")
    return [row[3] for row in rows]


async def _do_everything(w: World, a: Carrier, b: Carrier) -> None:
    """Whatever the pipeline can be led to do."""
    fates: dict[str, Outcome] = {
        "1": refused("0x0a"),
        "2": Uncertain("cut"),
        "3": refused("0x08"),
        "4": Throttled("sender", 0.1, "0x58"),
    }

    def answer(submission: Submission, part: int) -> Outcome:
        unusual = fates.get(submission.recipient[-1]) if submission.attempt.n == 1 and w.now < 8 else None
        return unusual or CarrierId(a.name_of(submission, part))

    a.answer = answer
    blocked = by_rule("class/SENDER")
    a.report = lambda s, part: {"5": [ReceiptState.UNDELIVERED], "6": [ReceiptState.READ, ReceiptState.EXPIRED]}.get(
        s.recipient[-1], [ReceiptState.DELIVERED]
    )
    assert a.inbox is not None
    await a.inbox.receipts([receipt("unknown", ReceiptState.DELIVERED)])
    await w.send(*everyone(40))
    await w.send(*everyone(20), text=LONG_TEXT)
    await w.send(*everyone(1_200, first=1_000), validity=3)
    a.say([receipt(f"{n}.1.1", ReceiptState.DELIVERED)._replace(failure=blocked.failure) for n in range(5)])
    b.link(up=False)
    await asyncio.sleep(4)
    b.link(up=True)
    await asyncio.sleep(15)
