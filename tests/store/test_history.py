"""Lists are compared with the same rows filtered in plain Python, page by page."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, update

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.domain import ids
from sendpool.domain.sender import Channel
from sendpool.domain.states import MessageState, OperationState
from sendpool.store import history, operations
from sendpool.store.database import Database, Query, Script
from sendpool.store.history import MessageFilter, MessagePlace, MessageRow, MessageSlice, list_messages
from sendpool.store.operations import fetch_operation, list_operations
from sendpool.store.pools import ensure_hidden_pools
from sendpool.store.roster import load_pools, load_senders
from sendpool.store.senders import store_inventory
from sendpool.store.slices import Slice
from sendpool.store.sqlite import Sqlite
from sendpool.store.tables import message, operation, operation_content, sender_pool

MINUTE = 60_000_000
START = 1_800_000_000_000_000


def uid_at(microseconds: int, random_bits: random.Random) -> bytes:
    """An operation's uid as it is made at that time."""
    number = (microseconds // 1000) << 80 | 7 << 76 | random_bits.getrandbits(12) << 64 | 2 << 62
    return ids.clear((number | random_bits.getrandbits(62)).to_bytes(16, "big"))


#: Columns of an operation that count nothing.
_ROW = (
    "id",
    "uid",
    "state",
    "category",
    "priority",
    "pool_id",
    "created_at",
    "updated_at",
    "deadline",
    "scheduled_for",
)


def add_operation(key: int, uid: bytes, at: int, **values: Any) -> Script[None]:
    """Write an operation as acceptance would; `messages` rows of it, fewer than `total` while it is expanded."""
    rows = values.pop("messages", [])
    content = {"tags": values.pop("tags", "{}"), "origin": values.pop("origin", "{}")}
    counters = {name: 0 for name in operations.OperationRow._fields if name in operation.c and name not in _ROW}
    row = {
        "id": key,
        "uid": uid,
        "account_id": 1,
        "kind": "message",
        "state": int(OperationState.PROCESSING),
        "pool_id": 0,
        "category": "transactional",
        "unexpanded": 0,
        "deadline": at + MINUTE,
        "created_at": at,
        "updated_at": at,
        **counters,
        "total": len(rows),
    }
    whole = {**row, **values}
    # What is open has something that waits: without it a list would show it as it is about to be.
    whole["queued"] = int(whole["state"] == OperationState.PROCESSING)
    whole["scheduled"] = int(whole["state"] == OperationState.SCHEDULED)
    yield insert(operation).values(**whole)
    yield insert(operation_content).values(operation_id=key, content='{"text":"Hi"}', validity=60, **content)
    for i, changes in enumerate(rows):
        made = {
            "id": key + i,
            "operation_id": key,
            "state": int(MessageState.QUEUED),
            "address": f"+1555{key + i:07d}",
            "space": "P",
            "plan": "S",
            "step": 0,
            "attempts": 0,
            "segments": 1,
            "ambiguous": 0,
            "updated_at": at,
        }
        yield insert(message).values(**{**made, **changes})


STATES = [int(MessageState.QUEUED), int(MessageState.SENT), int(MessageState.DELIVERED)]


def filled(seed: int, count: int = 60) -> Script[list[dict[str, Any]]]:
    """Fill a store with operations of two accounts and of all kinds; brings what was written, oldest first."""
    choose = random.Random(seed)
    settings = ConnectionSettings(
        name="a",
        type="sandbox",
        senders=(
            SenderSettings(channel=Channel.SMS, address="+1"),
            SenderSettings(channel=Channel.WHATSAPP, address="+2"),
        ),
    )
    yield from store_inventory(1, [settings], START)
    yield from ensure_hidden_pools(1, START)
    senders = yield from load_senders()
    pools = yield from load_pools()
    written = []
    key, at = 1, START
    for _ in range(count):
        total = choose.choice([0, 1, 1, 1, 2, 5, 40])
        shown = total if choose.random() < 0.9 else total // 2
        uid = uid_at(at, choose)
        pool = choose.choice(pools)
        rows = [
            {
                "state": choose.choice(STATES),
                "ambiguous": int(choose.random() < 0.2),
                "sender_id": choose.choice([None, *(sender.id for sender in senders)]),
            }
            for _ in range(shown)
        ]
        one = {
            "account_id": choose.choice([1, 1, 1, 2]),
            "kind": choose.choice(["message", "message", "message", "inbound", "email"]),
            "state": int(choose.choice(list(OperationState))),
            "tags": choose.choice(["{}", '{"a":"1"}', '{"a":"1","b":"2"}', '{"a":"2"}']),
            "pool_id": pool.id,
            "total": total,
        }
        yield from add_operation(key, uid, at, **one, messages=rows)
        by_id: dict[Any, str] = {sender.id: sender.channel.value for sender in senders}
        only = by_id[pool.members[0].sender_id] if pool.members else None
        written.append(
            {
                **one,
                "uid": uid,
                "at": at,
                "messages": [
                    {**row, "place": MessagePlace(uid, i), "channel": by_id.get(row["sender_id"]) or only}
                    for i, row in enumerate(rows)
                ],
            }
        )
        key += max(1, total)
        at += choose.randrange(1, MINUTE // 2)
    return written


def expected(
    written: list[dict[str, Any]], passes: Callable[[dict[str, Any], dict[str, Any]], bool], *, emails: bool = False
) -> list[Any]:
    return [
        row["place"]
        for one in reversed(written)
        if one["account_id"] == 1 and (one["kind"] == "email") is emails
        for row in reversed(one["messages"])
        if passes(one, row)
    ]


async def walk(database: Database, wanted: MessageFilter, size: int, **dates: Any) -> list[MessageRow]:
    """All pages, following the places that they give."""
    found: list[MessageRow] = []
    before = None
    while True:
        page = await database.read(list_messages(1, wanted, MessageSlice(size, before, **dates)))
        assert len(page.rows) <= size
        found += page.rows
        if page.next is None:
            return found
        assert before is None or page.next < before
        before = page.next


FILTERS: list[tuple[MessageFilter, Callable[[Any, Any], bool]]] = [
    (MessageFilter(), lambda one, row: True),
    (MessageFilter(state=STATES[1]), lambda one, row: row["state"] == STATES[1]),
    (MessageFilter(state=int(MessageState.CANCELED)), lambda one, row: False),
    (MessageFilter(ambiguous=True), lambda one, row: row["ambiguous"] == 1),
    (
        MessageFilter(ambiguous=False, state=STATES[0]),
        lambda one, row: not row["ambiguous"] and row["state"] == STATES[0],
    ),
    (MessageFilter(tags={"a": "1"}), lambda one, row: '"a":"1"' in one["tags"]),
    (MessageFilter(tags={"a": "1", "b": "2"}), lambda one, row: '"b":"2"' in one["tags"]),
    (MessageFilter(channel="SMS"), lambda one, row: row["channel"] == "SMS"),
    (
        MessageFilter(channel="WHATSAPP", tags={"a": "1"}),
        lambda one, row: row["channel"] == "WHATSAPP" and '"a":"1"' in one["tags"],
    ),
    (MessageFilter(channel="RCS"), lambda one, row: False),
    (MessageFilter(address="+1"), lambda one, row: row["channel"] == "SMS"),
    (MessageFilter(address="+3"), lambda one, row: False),
    (MessageFilter(emails=True, address="+2"), lambda one, row: row["channel"] == "WHATSAPP"),
    (MessageFilter(emails=True), lambda one, row: True),
    (MessageFilter(emails=True, state=STATES[1]), lambda one, row: row["state"] == STATES[1]),
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("scan", "most", "step", "run"), [(20_000, 5_000, 250, 5_000), (7, 5, 3, 4), (1, 1, 1, 1)])
async def test_every_page_size_and_every_bound_shows_the_same_messages(
    scan: int, most: int, step: int, run: int, seed: int, sqlite: Sqlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SCAN": scan, "OPERATIONS": most, "_STEP": step, "_RUN": run}.items():
        monkeypatch.setattr(history, name, value)
    await check_messages(sqlite, seed)


async def test_both_databases_list_the_same_messages(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_RUN", 4)
    await check_messages(database, seed=7)


async def check_messages(database: Database, seed: int) -> None:
    """Every filter and page size shows the messages that it should, in their order."""
    written = await database.write(filled(seed))

    for wanted, passes in FILTERS:
        places = expected(written, passes, emails=wanted.emails)
        for size in (1, 3, 1000):
            found = await walk(database, wanted, size)
            assert [row.place for row in found] == places, (wanted, size)


async def test_a_list_of_one_operation_shows_only_its_own_messages(database: Database) -> None:
    written = await database.write(filled(1))

    for one in written:
        for emails in (False, True):
            wanted = MessageFilter(operation_uid=one["uid"], emails=emails)
            places = expected([one], lambda one, row: True, emails=emails)
            assert [row.place for row in await walk(database, wanted, 3)] == places


async def test_dates_are_those_of_the_operations_creation(database: Database) -> None:
    written = await database.write(filled(2))
    times = [one["at"] for one in written]

    for start, end in ((times[10], times[30]), (None, times[5]), (times[-3], None), (0, 1), (-(10**15), 10**17)):
        inside = [one for one in written if (start or -(10**18)) <= one["at"] < (end or 10**18)]
        places = expected(inside, lambda one, row: True)
        found = await walk(database, MessageFilter(), 7, start=start, end=end)
        assert [row.place for row in found] == places


async def test_a_rare_filter_gives_up_after_a_bounded_walk_and_says_where_to_go_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "SCAN", 10)
    monkeypatch.setattr(history, "_RUN", 5)

    def many() -> Script[None]:
        choose = random.Random(0)
        for i in range(40):
            yield from add_operation(i + 1, uid_at(START + i * 1000, choose), START + i * 1000, messages=[{}])

    await database.write(many())
    rare = MessageFilter(state=int(MessageState.FAILED))

    first = await database.read(list_messages(1, rare, MessageSlice(50)))

    assert first.rows == []
    assert first.next is not None
    assert await walk(database, rare, 50) == []


async def test_a_list_sorts_nothing_and_reads_no_more_than_it_shows(sqlite: Sqlite, monkeypatch: Any) -> None:
    """What keeps a page cheap with millions of messages: the plan of each statement."""
    await sqlite.write(filled(0))
    statements: list[Query] = []

    def spied(script: Script[Any]) -> Script[Any]:
        brought = None
        while True:
            try:
                statement = script.send(brought)
            except StopIteration as end:
                return end.value
            if isinstance(statement, Query):
                statements.append(statement)
            brought = yield statement

    await sqlite.read(spied(list_messages(1, MessageFilter(), MessageSlice(5))))
    await sqlite.read(spied(list_operations(1, Slice(5), OperationState.CANCELED)))

    connection = sqlite3.connect(sqlite.path)
    assert len(statements) >= 4
    for statement in statements:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement.sql}", statement.args)]
        assert any("operation_account" in line for line in plan), plan
        assert not any("TEMP B-TREE" in line or line.startswith("SCAN o") for line in plan), plan
    connection.close()


async def test_a_message_before_binding_has_the_only_sender_that_it_can_have(database: Database) -> None:
    await database.write(filled(0, count=0))
    pools = await database.read(load_pools())
    senders = {sender.id: sender for sender in await database.read(load_senders())}
    choose = random.Random(0)
    single = next(pool for pool in pools if pool.members)
    everyone = next(pool for pool in pools if pool.everyone)
    for i, pool in enumerate((single, everyone)):
        await database.write(add_operation(i + 1, uid_at(START + i, choose), START + i, pool_id=pool.id, messages=[{}]))

    late, early = (await database.read(list_messages(1, MessageFilter(), MessageSlice(5)))).rows

    assert late.sender is None
    assert (late.pool_uid, late.pool_kind) == (everyone.uid, "account")
    only = senders[single.members[0].sender_id]
    assert early.sender == (only.uid, only.address, only.channel)
    for row in (late, early):
        found = await database.read(history.fetch_message(1, row.place))
        assert found is not None
        assert found.row == row


async def test_messages_of_a_deleted_pool_still_show_it(database: Database) -> None:
    await database.write(filled(0, count=0))
    pool = (await database.read(load_pools()))[0]
    await database.write(add_operation(1, uid_at(START, random.Random(0)), START, pool_id=pool.id, messages=[{}]))

    def deleted() -> Script[None]:
        yield update(sender_pool).where(sender_pool.c.id == pool.id).values(deleted_at=1)

    await database.write(deleted())

    (row,) = (await database.read(list_messages(1, MessageFilter(), MessageSlice(5)))).rows
    assert row.pool_uid == pool.uid


@pytest.mark.parametrize("kind", ["message", "email"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("scan", "step"), [(20_000, 5_000), (3, 2)])
async def test_operations_are_listed_in_pages_under_every_filter(
    scan: int, step: int, seed: int, kind: str, sqlite: Sqlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "SCAN", scan)
    monkeypatch.setattr(operations, "_STEP", step)
    await check_operations(sqlite, seed, kind)


async def test_both_databases_list_the_same_operations(database: Database) -> None:
    await check_operations(database, 7, "message")


async def check_operations(database: Database, seed: int, kind: str) -> None:
    """Every filter and page size shows the operations that it should, in their order."""
    written = await database.write(filled(seed))
    start, end = written[10]["at"], written[40]["at"]

    for state in (None, *OperationState):
        for dates in ((None, None), (start, end)):
            uids = [
                one["uid"]
                for one in reversed(written)
                if (one["account_id"], one["kind"]) == (1, kind)
                and state in (None, one["state"])
                and (dates[0] is None or start <= one["at"] < end)
            ]
            for size in (1, 4, 1000):
                found: list[bytes] = []
                before = None
                while True:
                    page = await database.read(list_operations(1, Slice(size, before, *dates), state, kind=kind))
                    assert len(page.rows) <= size
                    found += [row.uid for row in page.rows]
                    if page.next is None:
                        break
                    before = page.next
                assert found == uids


async def test_an_operation_is_only_found_in_its_own_account(database: Database) -> None:
    uid = uid_at(START, random.Random(0))
    await database.write(add_operation(1, uid, START, queued=1, recipients=2, unaddressable=1, messages=[{}]))

    row = await database.read(fetch_operation(1, uid))
    assert row is not None
    assert (row.total, row.queued, row.recipients, row.unaddressable) == (1, 1, 2, 1)
    assert await database.read(fetch_operation(2, uid)) is None
    assert await database.read(history.fetch_message(2, MessagePlace(uid, 0))) is None
    assert await database.read(history.fetch_message(1, MessagePlace(uid, 1))) is None


async def test_emails_and_messages_do_not_show_each_other(database: Database) -> None:
    choose = random.Random(0)
    uids = {kind: uid_at(START + i * 1000, choose) for i, kind in enumerate(("message", "email"))}
    for key, (kind, uid) in enumerate(uids.items(), 1):
        await database.write(add_operation(key, uid, START, kind=kind, messages=[{"name": "Ana"}]))

    for kind, uid in uids.items():
        for emails in (False, True):
            found = await database.read(history.fetch_message(1, MessagePlace(uid, 0), email=emails))
            assert (found is not None) is ((kind == "email") is emails)
            assert found is None or found.row.name == "Ana"
            row = await database.read(fetch_operation(1, uid, emails=emails))
            assert (row is not None) is ((kind == "email") is emails)


async def test_messages_of_a_profile_are_found_and_name_it(database: Database) -> None:
    ana, anna = "mem_profile_an", "mem_profile_ann"
    rows = [
        {"variables": f'{{"":"{ana} mem_store_a","name":"{anna} x"}}'},
        {"variables": f'{{"":"{anna} mem_store_a"}}'},
        {"variables": f'{{"name":"{ana} mem_store_a"}}'},
        {},
    ]
    await database.write(add_operation(10, bytes(15) + b"\x01", START, messages=rows))

    found = await database.read(list_messages(1, MessageFilter(profile=ana), MessageSlice(10)))
    every = await database.read(list_messages(1, MessageFilter(), MessageSlice(10)))

    assert [row.place.position for row in found.rows] == [0]
    assert [row.profile for row in every.rows] == [None, None, f"{anna} mem_store_a", f"{ana} mem_store_a"]
