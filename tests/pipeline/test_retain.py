"""Retention: what ended long ago goes, whole and in small pieces; what is open or young stays, whatever the clock says.

Every commit of it is followed by a look at all that must hold (`Watched`).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline import worlds
from tests.pipeline.carriers import Carrier, receipt, refused
from tests.pipeline.worlds import EPOCH, LONG_TEXT, Line, World, everyone, virtually, world

from sendpool.connectors.base import CarrierId, Inbound, ReceiptState, Uncertain
from sendpool.domain.sender import Channel
from sendpool.pipeline import retain
from sendpool.pipeline.retain import Lifetime, Retention, merged, pieces, split
from sendpool.pipeline.waiter import StoreUnavailable
from sendpool.store.database import Query, Script
from sendpool.store.history import MessageFilter, MessagePlace, MessageSlice, fetch_message, list_messages
from sendpool.store.notices import Notice, write_notices
from sendpool.store.operations import fetch_operation, list_operations
from sendpool.store.pools import delete_pool
from sendpool.store.retention import Keys
from sendpool.store.slices import Slice

NUMBER = "+12030000001"
SECOND = 1_000_000
DAY = 86_400 * SECOND

#: Columns of times, by table.
TIMES = {
    "operation": ("created_at", "updated_at", "deadline"),
    "message": ("updated_at",),
    "attempt": ("started_at", "updated_at"),
    "event": ("created_at",),
    "receipt": ("received_at",),
    "inbound_seen": ("seen_at",),
    "pool_operation": ("created_at", "updated_at"),
    "scene": ("created_at",),
    "sender_pool": ("deleted_at",),
    "notice": ("created_at",),
}
#: What a message leaves.
HISTORY = ("message", "attempt", "event", "segment", "operation_content", "operation_error", "chunk", "outq", "later")


async def days_pass(w: World, days: float) -> None:
    """Make everything so many days older, in a server that has been running all the time."""
    by = int(days * DAY)

    def script() -> Script[None]:
        for table, columns in TIMES.items():
            sums = ", ".join(f"{column} = {column} - {by}" for column in columns)
            yield Query(f"UPDATE {table} SET {sums}")
        now = w.engine.clock.wall()
        yield Query("INSERT OR REPLACE INTO uptime (id, began_at, ended_at) VALUES (1, ?, ?)", (now - 365 * DAY, now))

    await w.store.write(script())


async def counts(w: World, *tables: str) -> dict[str, int]:
    """How many rows these tables hold, those with none left out."""
    found = {table: (await w.rows(f"SELECT count(*) FROM {table}"))[0][0] for table in tables}
    return {table: count for table, count in found.items() if count}


async def whole(w: World, operation_id: int) -> list[Any]:
    """Everything that is stored of an operation and its messages."""
    total = (await w.rows("SELECT total FROM operation WHERE id = ?", operation_id))[0][0]
    keys = (operation_id, operation_id + max(total, 1) - 1)
    tries = (keys[0] * 64, keys[1] * 64 + 63)
    return [
        await w.rows("SELECT * FROM operation WHERE id = ?", operation_id),
        await w.rows("SELECT * FROM operation_content WHERE operation_id = ?", operation_id),
        await w.rows("SELECT * FROM message WHERE id BETWEEN ? AND ?", *keys),
        await w.rows("SELECT * FROM event WHERE subject_id BETWEEN ? AND ?", *keys),
        await w.rows("SELECT * FROM attempt WHERE id BETWEEN ? AND ?", *tries),
        await w.rows("SELECT * FROM segment WHERE attempt_id BETWEEN ? AND ?", *tries),
        await w.rows("SELECT * FROM outq WHERE message_id BETWEEN ? AND ?", *keys),
    ]


def line(**options: Any) -> Line:
    return Line(Carrier(**options), {NUMBER: 1000.0})


async def settled(w: World, number: int = 3, first: int = 0, text: str = "Hello") -> int:
    """Send and wait until everything is delivered; the operation's key."""
    accepted = await w.send(*everyone(number, first), text=text)
    await w.until_states(operation=accepted, DELIVERED=number)
    return accepted.operation_id


@virtually
async def test_what_ended_seven_days_ago_is_gone_and_what_is_younger_stays_whole(fresh: Path) -> None:
    async with world(fresh, a=line()) as w:
        await settled(w, 3)
        await settled(w, 40, text=LONG_TEXT)  # Of three segments each.
        await days_pass(w, 7.1)
        young = await settled(w, 5)
        before = await whole(w, young)
        await Retention(w.engine, 7.0).once()

        assert await whole(w, young) == before
        assert await w.rows("SELECT id FROM operation") == [(young,)]
        assert await counts(w, *HISTORY) == {
            "message": 5,
            "attempt": 5,
            "segment": 5,
            "event": 17,
            "operation_content": 1,
        }


@virtually
async def test_nothing_goes_a_moment_too_early(fresh: Path) -> None:
    async with world(fresh, a=line()) as w:
        await settled(w)
        await settled(w)
        before = await counts(w, "operation", *HISTORY)
        await days_pass(w, 6.99)
        await Retention(w.engine, 7.0).once()

        assert await counts(w, "operation", *HISTORY) == before


@virtually
async def test_the_days_count_from_what_happened_last(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        key = await settled(w, 2)
        await one_more(w)
        await days_pass(w, 8)
        carrier.say([receipt(carrier.name_of(carrier.sent[0].submission, 1), ReceiptState.READ)])
        await w.until(lambda: not carrier._reports)
        before = await whole(w, key)
        await Retention(w.engine, 7.0).once()
        assert await whole(w, key) == before

        await days_pass(w, 7.1)
        await Retention(w.engine, 7.0).once()
        assert await w.rows("SELECT id FROM operation WHERE id = ?", key) == []


async def one_more(w: World) -> None:
    """One more operation, so that the one before is not the last."""
    await w.send(*everyone(1, first=900))


@pytest.mark.parametrize("what", ["queued", "in chunks", "sent and not closed", "ambiguous and not closed"])
@virtually
async def test_what_is_open_is_never_touched_however_old_it_is(what: str, fresh: Path) -> None:
    carrier = Carrier()
    carrier.report = lambda submission, part: ()
    if what.startswith("ambiguous"):
        carrier.answer = lambda submission, part: Uncertain("lost")
    async with world(fresh, a=Line(carrier, {NUMBER: 1000})) as w:
        if what in ("queued", "in chunks"):
            carrier.link(up=False)
        operation = await w.send(*everyone(2_500 if what == "in chunks" else 3))
        if what not in ("queued", "in chunks"):
            await w.until_states(SENT=3)
        await one_more(w)
        # The sweep would end what is past its deadline before the deadline is moved.
        await w.sweeper.stop()
        await days_pass(w, 40)

        def valid_for_long() -> Script[None]:
            # It ended for the wire 33 days ago, for us it is closed in an hour.
            yield Query("UPDATE operation SET deadline = ?", (w.engine.clock.wall() + 3_600 * SECOND,))

        await w.store.write(valid_for_long())
        before = await whole(w, operation.operation_id)
        await Retention(w.engine, 7.0).once()

        assert await whole(w, operation.operation_id) == before


@virtually
async def test_closed_messages_go_seven_days_after_their_closing(fresh: Path) -> None:
    carrier = Carrier()
    carrier.report = lambda submission, part: ()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        operation = await w.send(*everyone(3), validity=60)
        await w.until_states(SENT=3)
        await one_more(w)
        await w.until_states(SENT=4)
        await days_pass(w, 7 + 0.04)  # The hour after the validity is not yet over for long enough.
        await Retention(w.engine, 7.0).once()
        assert await counts(w, "operation") == {"operation": 2}

        await days_pass(w, 0.01)
        await Retention(w.engine, 7.0).once()

        assert await w.rows("SELECT id FROM operation WHERE id = ?", operation.operation_id) == []
        assert await counts(w, "segment", "attempt") == {"segment": 1, "attempt": 1}


@virtually
async def test_failures_attempts_and_inbound_texts_go_too(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100, "+12030000002": 100})) as w:
        assert carrier.inbox is not None
        carrier.answer = lambda submission, part: refused("0x03")
        await w.send(*everyone(20))
        await w.until_states(FAILED=20)
        for n in range(3):
            await carrier.inbox.inbound([Inbound(Channel.SMS, "+447700900001", NUMBER, "Hi", f"mo{n}")])
        await days_pass(w, 8)
        carrier.answer = lambda submission, part: CarrierId(carrier.name_of(submission, part))
        young = await settled(w, 1)
        await carrier.inbox.inbound([Inbound(Channel.SMS, "+447700900001", NUMBER, "Hi", "mo9")])
        await Retention(w.engine, 7.0).once()

        assert await w.rows("SELECT kind, id = ? FROM operation", young) == [("message", 1), ("inbound", 0)]
        assert await w.rows("SELECT carrier_id FROM inbound_seen") == [("mo9",)]
        assert (await counts(w, *HISTORY))["attempt"] == 1


@virtually
async def test_a_text_that_the_carrier_repeats_after_days_is_known_for_as_long_as_the_first(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        assert carrier.inbox is not None
        await carrier.inbox.inbound([Inbound(Channel.SMS, "+447700900001", NUMBER, "Hi", "mo")])
        await days_pass(w, 6)
        await Retention(w.engine, 7.0).once()
        await carrier.inbox.inbound([Inbound(Channel.SMS, "+447700900001", NUMBER, "Hi", "mo")])

        assert await counts(w, "message", "inbound_seen") == {"message": 1, "inbound_seen": 1}


# ---------------------------------------------------------------- what clients see


@virtually
async def test_what_is_being_removed_is_unknown_from_the_first_moment_on(fresh: Path) -> None:
    async with world(fresh, a=line()) as w:
        await settled(w, 3)
        await days_pass(w, 8)
        await settled(w, 1)
        uid = (await w.rows("SELECT uid FROM operation ORDER BY id LIMIT 1"))[0][0]
        retention = Retention(w.engine, 7.0)
        await retention.lifetime.beat(7 * DAY)
        await retention._take(w.engine.clock.wall() - 7 * DAY)

        assert (await counts(w, "message"))["message"] == 4  # All is still there.
        read = w.store.read
        assert await read(fetch_operation(w.account_id, uid)) is None
        assert await read(fetch_message(w.account_id, MessagePlace(uid, 0))) is None
        assert len((await read(list_messages(w.account_id, MessageFilter(), MessageSlice(10)))).rows) == 1
        assert len((await read(list_operations(w.account_id, Slice(10)))).rows) == 1
        assert (await read(list_messages(w.account_id, MessageFilter(operation_uid=uid), MessageSlice(10)))).rows == []


@virtually
async def test_pages_stay_in_order_and_without_gaps_while_the_end_of_the_list_goes(fresh: Path) -> None:
    async with world(fresh, a=line()) as w:
        for n in range(6):
            await settled(w, 5, first=10 * n)
        await days_pass(w, 8)
        young = [await settled(w, 5, first=100 + 10 * n) for n in range(3)]
        expected = [key + n for key in reversed(young) for n in reversed(range(5))]
        removing = asyncio.create_task(Retention(w.engine, 7.0).once())
        keys: list[int] = []
        place: MessagePlace | None = None
        while True:
            page = await w.store.read(list_messages(w.account_id, MessageFilter(), MessageSlice(2, place)))
            rows = await w.rows("SELECT id, uid FROM operation")
            by_uid = {uid: key for key, uid in rows}
            keys += [by_uid[row.place.operation_uid] + row.place.position for row in page.rows]
            place = page.next
            if place is None:
                break
            await asyncio.sleep(0)
        await removing

        assert keys[:15] == expected
        assert keys == sorted(set(keys), reverse=True)


# ---------------------------------------------------------------- trouble


@virtually
async def test_a_round_that_was_cut_off_anywhere_is_finished_by_the_next(fresh: Path, tmp_path: Path) -> None:
    async with world(fresh, a=line()) as w:
        for n in range(4):
            await settled(w, 30, first=30 * n)
        await days_pass(w, 8)
        young = await settled(w, 2)
        before = await whole(w, young)
        for commits in range(1, 12):
            retention = Retention(w.engine, 7.0)
            task = asyncio.create_task(retention.once())
            until = w.store.commits + commits
            await w.until(lambda until=until, task=task: w.store.commits >= until or task.done())  # type: ignore[misc]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await Retention(w.engine, 7.0).once()

        assert await whole(w, young) == before
        assert await counts(w, "operation", "message") == {"operation": 1, "message": 2}


@virtually
async def test_a_commit_that_fails_ends_the_round_and_the_next_goes_on(fresh: Path) -> None:
    async with world(fresh, a=line()) as w:
        await settled(w, 30)
        await days_pass(w, 8)
        await settled(w, 1)
        w.store.failures = 1
        with pytest.raises(StoreUnavailable):
            await Retention(w.engine, 7.0).once()
        retention = Retention(w.engine, 7.0)
        await w.sweeper.stop()  # It has nothing to do for hours.
        w.store.failures = 2
        retention.start()
        await asyncio.sleep(3 * retain.EVERY)
        await retention.stop()

        assert await counts(w, "operation", "message") == {"operation": 1, "message": 1}


@virtually
async def test_a_receipt_for_what_was_removed_is_parked_and_harms_nobody(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        await settled(w, 1)
        name = carrier.name_of(carrier.sent[0].submission, 1)
        await days_pass(w, 8)
        await settled(w, 1)
        await Retention(w.engine, 7.0).once()
        carrier.say([receipt(name, ReceiptState.READ)])
        await w.until(lambda: not carrier._reports)

        assert await w.rows("SELECT carrier_id FROM receipt") == [(name,)]


@virtually
async def test_receipts_that_never_match_are_dropped_after_three_days_and_counted(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        carrier.say([receipt(f"nobody{n}", ReceiptState.DELIVERED) for n in range(1_200)])
        await w.until(lambda: not carrier._reports)
        await days_pass(w, 3.1)
        carrier.say([receipt("young", ReceiptState.DELIVERED)])
        await w.until(lambda: not carrier._reports)
        await Retention(w.engine, 7.0).once()

        assert await w.rows("SELECT carrier_id FROM receipt") == [("young",)]
        assert shown(w)['sendpool_removed_total{what="receipts"}'] == 1_200


def shown(w: World) -> Mapping[str, float]:
    """The metrics."""
    text = w.engine.metrics.render().decode()
    pairs = (row.rsplit(" ", 1) for row in text.splitlines() if not row.startswith("#"))
    return {name: float(value) for name, value in pairs}


@virtually
async def test_ids_and_positions_are_not_given_twice_after_everything_has_gone(fresh: Path) -> None:
    async with world(fresh, a=line()) as w:
        last = await settled(w, 3)
        await days_pass(w, 8)
        position = (await w.rows("SELECT max(position) FROM event"))[0][0]
        await Retention(w.engine, 7.0).once()
        assert await counts(w, *HISTORY) == {"event": 1}
        assert await w.rows("SELECT account_id, kind FROM operation") == [(0, "removed")]
    async with world(fresh, a=line()) as w:
        following = await settled(w, 1)

        assert following >= last + 3
        assert (await w.rows("SELECT min(position) FROM event WHERE subject_id = ?", following))[0][0] > position
        # With a younger one there, its key is of no use any more.
        await Retention(w.engine, 7.0).once()
        assert await w.rows("SELECT id FROM operation") == [(following,)]


# ---------------------------------------------------------------- clocks


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets the wall clock be ahead of what it was, by microseconds."""
    return lambda ahead: monkeypatch.setattr(worlds, "EPOCH", EPOCH + ahead)


@virtually
async def test_a_server_that_starts_with_a_clock_years_ahead_removes_nothing_young(
    fresh: Path, set_clock: Callable[[int], None]
) -> None:
    years = 3 * 365 * DAY
    async with world(fresh, a=line()) as w:
        await settled(w, 3)
        await days_pass(w, 1)
        await Lifetime(w.engine).beat(7 * DAY)
        await settled(w, 1)
        set_clock(years)
        for _ in range(3):  # And starts again, and again.
            retention = Retention(w.engine, 7.0)
            await retention.once()
            await settled(w, 1, first=50)  # With rows of that future.
            await retention.once()

        assert (await counts(w, "message"))["message"] == 7


@virtually
async def test_a_clock_that_jumps_while_the_server_runs_removes_nothing_young(
    fresh: Path, set_clock: Callable[[int], None]
) -> None:
    async with world(fresh, a=line()) as w:
        await settled(w, 3)
        await days_pass(w, 1)
        await settled(w, 1)
        retention = Retention(w.engine, 7.0)
        await retention.once()
        set_clock(30 * DAY)
        await retention.once()
        assert (await counts(w, "message"))["message"] == 4

        set_clock(0)
        await retention.once()
        assert (await counts(w, "message"))["message"] == 4


@virtually
async def test_uptime_is_one_row_while_nothing_happens_to_the_clock(fresh: Path) -> None:
    async with world(fresh, a=line()) as w:
        await w.sweeper.stop()  # It has nothing to do for hours.
        retention = Retention(w.engine, 7.0)
        retention.start()
        await asyncio.sleep(3 * 3_600)
        await retention.stop()
        await asyncio.sleep(100)  # A restart.
        await Lifetime(w.engine).beat(7 * DAY)

        ((began, ended),) = await w.rows("SELECT began_at, ended_at FROM uptime")
        assert ended - began == pytest.approx((3 * 3_600 + 100) * 1e6, rel=0.01)


@virtually
async def test_time_that_another_node_has_kept_meanwhile_is_not_counted_twice(fresh: Path) -> None:
    async with world(fresh, a=line()) as w:
        await w.sweeper.stop()
        retention = Retention(w.engine, 7.0)
        retention.start()
        await asyncio.sleep(3_600)
        await retention.stop()
        # Nobody for an hour, then another node for one, which it begins as a new span: this one was cut off.
        await asyncio.sleep(3_600)
        other = Lifetime(w.engine)
        for _ in range(60):
            await other.beat(7 * DAY)
            await asyncio.sleep(60)

        retention.start()
        await asyncio.sleep(3_600)
        await retention.stop()

        spans = await w.rows("SELECT began_at, ended_at FROM uptime ORDER BY id")
        assert len(spans) == 2
        assert spans[0][1] < spans[1][0]
        lived = sum(ended - began for began, ended in spans)
        assert lived == pytest.approx(3 * 3_600 * 1e6, rel=0.02)


@virtually
async def test_spans_that_are_of_no_use_any_more_are_forgotten(fresh: Path) -> None:
    async with world(fresh, a=line()) as w:
        now = w.engine.clock.wall()

        def script() -> Script[None]:
            for key, days_ago in enumerate((40, 30, 20, 10), 1):
                began = now - days_ago * DAY
                yield Query("INSERT INTO uptime VALUES (?, ?, ?)", (key, began, began + 4 * DAY))

        await w.store.write(script())
        lifetime = Lifetime(w.engine)
        await lifetime.beat(7 * DAY)

        assert await w.rows("SELECT id FROM uptime ORDER BY id") == [(3,), (4,), (5,)]
        assert lifetime.old(7 * DAY) == now - 19 * DAY


# ---------------------------------------------------------------- what else goes


@virtually
async def test_pools_that_were_deleted_long_ago_go_with_their_queues(fresh: Path) -> None:
    async with world(fresh, a=line()) as w:
        await settled(w, 2)
        first = w.pool
        key = (await w.rows("SELECT id FROM sender_pool WHERE uid = ?", first))[0][0]
        w.pool = await w.make_pool([one.uid for one in w.engine.roster.senders.values()])
        await w.engine.change(lambda: delete_pool(w.account_id, first, w.engine.clock.wall()))
        await days_pass(w, 9)
        await settled(w, 2)
        await Retention(w.engine, 7.0).once()
        # Only then no operation is left that may name it.
        await Retention(w.engine, 7.0).once()

        assert await w.rows("SELECT count(*) FROM sender_pool WHERE id = ?", key) == [(0,)]
        assert await w.rows("SELECT count(*) FROM queue WHERE pool_id = ?", key) == [(0,)]
        assert await w.rows("SELECT count(*) FROM pool_member WHERE pool_id = ?", key) == [(0,)]
        assert key not in w.engine.roster.pools
        assert key not in {one.pool_id for one in w.engine.book.keys.values()}
        assert await counts(w, "pool_operation") == {}
        await settled(w, 2, first=10)


@virtually
async def test_scenes_are_new_each_day_and_go_when_nothing_names_them(
    fresh: Path, set_clock: Callable[[int], None]
) -> None:
    async with world(fresh, a=line()) as w:
        await settled(w, 2)
        await days_pass(w, 11)
        set_clock(DAY)
        await w.store.write(running_all_the_time(w))
        await settled(w, 2)
        assert await counts(w, "scene") == {"scene": 2}
        await Retention(w.engine, 7.0).once()

        assert await w.rows("SELECT id FROM scene") == await w.rows("SELECT DISTINCT scene FROM attempt")
        await settled(w, 2)
        assert await counts(w, "scene") == {"scene": 1}


def running_all_the_time(w: World) -> Script[None]:
    now = w.engine.clock.wall()
    yield Query("INSERT OR REPLACE INTO uptime (id, began_at, ended_at) VALUES (1, ?, ?)", (now - 365 * DAY, now))


@virtually
async def test_notices_go_with_their_events(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {NUMBER: 100})) as w:
        notice = Notice(1, "sendpool.connection.up", "a", {}, w.engine.clock.wall())
        await w.store.write(write_notices([notice] * 3))
        await days_pass(w, 6)
        await w.store.write(write_notices([notice]))
        await days_pass(w, 2)
        await Retention(w.engine, 7).once()

        assert await counts(w, "notice", "event") == {"notice": 1, "event": 1}


@virtually
async def test_what_went_is_counted(fresh: Path) -> None:
    async with world(fresh, a=line()) as w:
        await settled(w, 30)
        await days_pass(w, 8)
        await settled(w, 1)
        await Retention(w.engine, 7.0).once()

        figures = {name: value for name, value in shown(w).items() if name.startswith("sendpool_removed_total")}
        assert {name.split('"')[1]: value for name, value in figures.items()} == {
            "messages": 30,
            "attempts": 30,
            "segments": 30,
            "events": 92,
            "operations": 1,
            "pool_operations": 1,
            "scenes": 1,
        }


# ---------------------------------------------------------------- pieces


def test_neighbours_are_one_run_and_what_lies_between_others_is_none() -> None:
    assert merged([Keys(7, 9), Keys(1, 3), Keys(4, 4), Keys(12, 12)]) == [Keys(1, 4), Keys(7, 9), Keys(12, 12)]


def test_a_run_is_removed_in_pieces_that_are_whole_and_small() -> None:
    assert list(split(Keys(10, 10))) == [Keys(10, 10)]
    parts = list(split(Keys(1, 2 * retain.PIECE + 1)))
    assert [part.last - part.first + 1 for part in parts] == [retain.PIECE, retain.PIECE, 1]
    assert merged(parts) == [Keys(1, 2 * retain.PIECE + 1)]
    assert [len(part) for part in pieces(range(retain.PIECE + 1))] == [retain.PIECE, 1]


@virtually
async def test_a_commit_removes_little_and_a_rest_follows(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retain, "PIECE", 10)
    async with world(fresh, a=line()) as w:
        await settled(w, 100)
        await days_pass(w, 8)
        await settled(w, 1)
        left = [(await counts(w, "message"))["message"]]
        commit = w.store.write

        async def counted(script: Script[Any], **how: Any) -> Any:
            brought = await commit(script, **how)
            left.append((await counts(w, "message"))["message"])
            return brought

        monkeypatch.setattr(w.store, "write", counted)
        await Retention(w.engine, 7.0).once()

        removed = [before - after for before, after in itertools.pairwise(left)]
        assert left[-1] == 1
        assert max(removed) == 10


@virtually
async def test_the_file_stops_growing_once_the_days_are_full(fresh: Path) -> None:
    """What is removed makes room for what comes: pages are used again."""
    async with world(fresh, False, a=line()) as w:
        pages = []
        # A table without rows has pages of its own.
        empty = (await w.rows("PRAGMA page_count"))[0][0]
        for day in range(14):
            await settled(w, 40, first=40 * day, text=LONG_TEXT)
            await days_pass(w, 1)
            await Retention(w.engine, 7.0).once()
            pages.append((await w.rows("PRAGMA page_count"))[0][0])

        assert pages[5] - empty > 1.2 * (pages[0] - empty)
        assert pages[-1] <= 1.05 * pages[8]
        assert await w.rows("SELECT count(*) FROM message") == [(6 * 40,)]


@virtually
async def test_the_log_says_once_a_day_what_went(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with world(fresh, False, a=line()) as w:
        await settled(w, 3)
        await days_pass(w, 8)
        await settled(w, 1)
        for idle in (w.sweeper, w.capability, w.revoker, w.health, w.replier):
            await idle.stop()  # They would look about for days.
        retention = Retention(w.engine, 7.0)
        retention.start()
        await asyncio.sleep(2.1 * retain.DAY)
        await retention.stop()

        said = [row for row in capsys.readouterr().out.splitlines() if "removed what ended long ago" in row]
        assert len(said) == 1
        assert "messages=3" in said[0]
