"""How far sinks have come, on both databases."""

from __future__ import annotations

import msgspec

from sendpool.store.database import Database, Query, Script
from sendpool.store.deliveries import (
    Progress,
    Run,
    dead_runs,
    due_runs,
    positions_between,
    replay,
    save_progress,
    sink_lags,
    sink_states,
    sinks_with_due_runs,
)
from sendpool.store.outbox import write_events
from sendpool.store.sinks import (
    NewSink,
    create_sink,
    delete_sink,
    find_sink,
    in_use,
    list_sinks,
    rotate_secret,
    sinks_version,
    wanted_events,
)
from sendpool.store.subscriptions import SubscribedType, create_subscription, delete_subscription, find_subscription

KEY = b"k" * 32
SINK, SUBSCRIPTION = "DG" + "1" * 32, "DF" + "1" * 32
WHERE = {"destination": "https://user:secret@sink.example/", "method": "POST", "batch_events": True}


def prepare() -> Script[int]:
    from sendpool.store.accounts import encrypt

    sql = "INSERT INTO account (id, sid, name, auth_token, created_at) VALUES (1, 'AC1', '', ?, 0)"
    yield Query(sql, (encrypt("token", KEY),))
    yield from write_events([(5, 2, None, 100), (6, 2, None, 200), (7, 2, None, 300)])
    row = yield from create_sink(1, NewSink(SINK, "d", "webhook", WHERE, "whsec_AAAA"), KEY, 1_000)
    types = [SubscribedType("com.twilio.comms-api.message.queued", 3)]
    yield from create_subscription(1, SUBSCRIPTION, row.id, "s", types, 1_000)
    return row.id


def run(sink_id: int, first: int, last: int, *, next_at: int = 0, dead: bool = False) -> Run:
    return Run(sink_id=sink_id, first=first, last=last, since=0, next_at=next_at, error="it answered 500", dead=dead)


async def test_a_position_never_goes_back(database: Database) -> None:
    key = await database.write(prepare())

    for position in (5, 9, 7):
        await database.write(save_progress(Progress(positions={key: position}), 1))

    (sink,) = await database.read(wanted_events(KEY, 2_000))
    assert sink.position == 9
    assert sorted(sink.types) == ["com.twilio.comms-api.message.queued"]
    assert sink.token == "token"


async def test_runs_come_due_are_taken_or_given_up_and_grow_together(database: Database) -> None:
    key = await database.write(prepare())
    await database.write(save_progress(Progress(runs=[run(key, 1, 2, next_at=50), run(key, 3, 3, next_at=90)]), 1))

    assert await database.read(sinks_with_due_runs(49)) == []
    assert await database.read(sinks_with_due_runs(50)) == [key]
    (first,) = await database.read(due_runs(key, 50, 10))
    await database.write(save_progress(Progress(done=[first.id]), 1))
    assert [one.first for one in await database.read(due_runs(key, 99, 10))] == [3]

    for place in (10, 11, 12):
        await database.write(save_progress(Progress(runs=[run(key, place, place, dead=True)]), 1))
    (dead,) = await database.read(dead_runs(None, 10))
    assert (dead.first, dead.last) == (10, 12)
    (state,) = await database.read(sink_states())
    assert (state.sid, state.waiting, state.dead, state.error) == (SINK, 1, 3, "it answered 500")

    await database.write(replay(run(key, 9, 12)))
    assert await database.read(dead_runs(key, 10)) == []
    await database.write(save_progress(Progress(runs=[msgspec.structs.replace(dead, id=first.id + 1, tries=4)]), 1))
    assert await database.read(due_runs(key, 0, 10)) != []


async def test_how_far_a_sink_is_behind_is_the_oldest_that_it_has_not_taken(database: Database) -> None:
    key = await database.write(prepare())

    async def lag() -> tuple[int, int | None]:
        (one,) = await database.read(sink_lags())
        assert one.sid == SINK
        return one.dead, one.oldest

    await database.write(save_progress(Progress(positions={key: 3}), 1))
    assert await lag() == (0, None)
    await database.write(write_events([(8, 2, None, 400), (9, 2, None, 500)]))
    assert await lag() == (0, 400)
    await database.write(save_progress(Progress(positions={key: 4}), 1))
    assert await lag() == (0, 500)
    waits = msgspec.structs.replace(run(key, 4, 4), since=450)
    await database.write(save_progress(Progress(positions={key: 5}, runs=[waits, run(key, 1, 3, dead=True)]), 1))
    assert await lag() == (3, 450)
    subscription = await database.read(find_subscription(1, SUBSCRIPTION))
    assert subscription is not None
    await database.write(delete_subscription(subscription, 2))
    assert await database.read(sink_lags()) == []


async def test_times_name_positions(database: Database) -> None:
    await database.write(prepare())

    assert await database.read(positions_between(150, 300)) == (2, 2)
    assert await database.read(positions_between(None, None)) == (1, 3)
    first, last = await database.read(positions_between(400, None))
    assert last < first or first == 0


async def test_secrets_rotate_with_an_overlap_and_nothing_is_stored_in_the_clear(database: Database) -> None:
    await database.write(prepare())
    await database.write(rotate_secret(1, SINK, "whsec_BBBB", KEY, 2_000))

    (during,) = await database.read(wanted_events(KEY, 3_000))
    (after,) = await database.read(wanted_events(KEY, 3_000 + 25 * 3600 * 1_000_000))
    assert during.secrets == ("whsec_BBBB", "whsec_AAAA")
    assert after.secrets == ("whsec_BBBB",)

    def stored() -> Script[str]:
        rows = yield Query("SELECT configuration, secret, old_secret FROM sink")
        return "".join(rows[0])

    assert not {"secret@", "whsec"} & set(await database.read(stored()))


async def test_a_sink_in_use_stays_until_its_subscription_ends(database: Database) -> None:
    await database.write(prepare())
    before = await database.read(sinks_version())

    assert await database.read(in_use())
    assert await database.write(delete_sink(1, SINK, 5_000)) is False
    assert await database.write(delete_sink(2, SINK, 5_000)) is None
    row = await database.read(find_subscription(1, SUBSCRIPTION))
    assert row is not None
    await database.write(delete_subscription(row, 5_000))
    assert [one.sid for one in await database.read(list_sinks(1, KEY, in_use=False))] == [SINK]
    assert await database.write(delete_sink(1, SINK, 6_000)) is True
    assert await database.read(find_sink(1, SINK, KEY)) is None
    assert not await database.read(in_use())
    assert await database.read(sinks_version()) != before
