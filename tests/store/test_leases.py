"""Leases on PostgreSQL: who takes them, who may not, and what a commit that uses one keeps away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import asyncpg
import pytest

from sendpool.domain.ownership import KEEPER
from sendpool.domain.throughput import BucketState
from sendpool.store import leases as store
from sendpool.store.begun import NewAttempt, start_attempts, started_attempts
from sendpool.store.database import Database, Script
from sendpool.store.leases import Taken
from sendpool.store.postgres_run import run
from sendpool.store.receipts import insert_fenced_segments, match
from sendpool.testing.store_rows import AT, accept

T = TypeVar("T")

#: Microseconds: longer than any test.
LONG = 60_000_000
SCOPE = "connection:1"


class Session:
    """One connection to the server, with or without an open transaction."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def do(self, script: Script[T]) -> T:
        """Run a script in a transaction of its own, or in the one that is open."""
        async with self.connection.transaction():
            return await run(self.connection, script)

    async def node(self, name: str = "host", role: str = "all") -> int:
        return await self.do(store.register_node(name, role, "1", {SCOPE: {"1": "a b c"}}))

    async def take(self, node_id: int, length: int = LONG) -> Taken:
        taken = await self.do(store.take_lease(node_id, SCOPE, length))
        assert taken is not None
        return taken


@pytest.fixture
async def sessions(postgres_url: str) -> AsyncIterator[tuple[Session, Session]]:
    """Two connections to one database that has one lease."""
    opened = [await asyncpg.connect(postgres_url) for _ in range(2)]
    first, second = map(Session, opened)
    await first.do(store.add_leases([SCOPE]))
    yield first, second
    for one in opened:
        await one.close()


Two = tuple[Session, Session]


async def test_a_lease_that_nobody_has_held_is_taken_once(sessions: Two) -> None:
    first, second = sessions
    one, other = await first.node(), await second.node()

    taken = await first.take(one)

    assert (taken.first, taken.debts, taken.overdue) == (True, {}, 0.0)
    assert await second.do(store.take_lease(other, SCOPE, LONG)) is None


async def test_an_epoch_grows_with_each_owner_and_is_unique_over_all_leases(sessions: Two) -> None:
    first, _ = sessions
    node_id = await first.node()
    await first.do(store.add_leases([SCOPE, KEEPER]))

    epochs = []
    for scope in (SCOPE, KEEPER, SCOPE):
        taken = await first.do(store.take_lease(node_id, scope, LONG))
        assert taken is not None
        epochs.append(taken.epoch)
        await first.do(store.release_lease(node_id, scope, taken.epoch, {}))

    assert epochs == sorted(set(epochs))


async def test_what_is_handed_over_takes_its_debts_along_and_what_ran_out_does_not(sessions: Two) -> None:
    first, second = sessions
    one, other = await first.node(), await second.node()
    debts = {SCOPE: BucketState(1.5, 0.0, 1.0, 0), "sender:7": BucketState(0.25, 2.0, 0.5, 3)}
    taken = await first.take(one)

    assert await first.do(store.release_lease(one, SCOPE, taken.epoch, debts))
    clean = await second.take(other, length=0)
    unclean = await first.take(one)

    assert clean.debts == debts
    assert 0.0 <= clean.since < 5.0
    assert (clean.first, clean.overdue) == (False, 0.0)
    assert unclean.debts is None
    assert unclean.overdue >= 0.0


async def test_only_its_holder_renews_and_releases_a_lease_and_only_before_it_is_over(sessions: Two) -> None:
    first, second = sessions
    one, other = await first.node(), await second.node()
    taken = await first.take(one)

    assert await second.do(store.renew_leases(other, LONG)) == set()
    assert not await second.do(store.release_lease(other, SCOPE, taken.epoch, {}))
    assert await first.do(store.renew_leases(one, 0)) == {taken.epoch}
    assert await first.do(store.renew_leases(one, LONG)) == set()


async def test_nobody_takes_a_lease_from_a_commit_that_uses_it_though_it_is_over_meanwhile(sessions: Two) -> None:
    first, second = sessions
    one, other = await first.node(), await second.node()
    taken = await first.take(one, length=200_000)

    async with first.connection.transaction():
        assert await run(first.connection, store.held_epochs(one, [taken.epoch])) == {taken.epoch}
        while not (await second.do(store.load_view())).leases[0].is_free(await second.do(store.database_clock())):
            await asyncio.sleep(0.01)
        assert await second.do(store.take_lease(other, SCOPE, LONG)) is None

    assert await second.do(store.take_lease(other, SCOPE, LONG)) is not None
    assert await first.do(store.held_epochs(one, [taken.epoch])) == set()


async def test_a_lease_is_renewed_while_a_commit_uses_it(sessions: Two) -> None:
    first, second = sessions
    node_id = await first.node()
    taken = await first.take(node_id)

    async with first.connection.transaction():
        await run(first.connection, store.held_epochs(node_id, [taken.epoch]))
        async with asyncio.timeout(5):
            assert await second.do(store.renew_leases(node_id, LONG)) == {taken.epoch}


async def test_two_nodes_that_reach_for_a_lease_at_once_do_not_wait_for_each_other(sessions: Two) -> None:
    first, second = sessions
    one, other = await first.node(), await second.node()

    async with first.connection.transaction():
        assert await run(first.connection, store.take_lease(one, SCOPE, LONG)) is not None
        async with asyncio.timeout(5):
            assert await second.do(store.take_lease(other, SCOPE, LONG)) is None


async def test_a_view_has_nodes_that_run_and_says_which_of_them_send(sessions: Two) -> None:
    first, _ = sessions
    sending, taking = await first.node(role="send"), await first.node(role="api")
    await first.do(store.end_node(await first.node()))

    view = await first.do(store.load_view())

    assert [(one.node_id, one.sends, set(one.scopes)) for one in view.nodes] == [
        (sending, True, {SCOPE}),
        (taking, False, {SCOPE}),
    ]


# ---------------------------------------------------------------- nodes, on both databases


async def test_nodes_are_listed_with_what_they_declare_until_they_are_forgotten(database: Database) -> None:
    node_id = await database.write(store.register_node("host:1", "all", "1.2", {SCOPE: {"1": "a b c"}}))
    await database.write(store.declare_scopes(node_id, {SCOPE: {"1": "a b d"}}))
    await database.write(store.end_node(node_id))

    (listed,) = await database.read(store.list_nodes())

    assert (listed.name, listed.role, listed.version) == ("host:1", "all", "1.2")
    assert listed.scopes == {SCOPE: {"1": "a b d"}}
    assert listed.ended_at is not None
    assert listed.ended_at >= listed.started_at
    assert await database.write(store.forget_nodes(listed.seen_at)) == 0
    assert await database.write(store.forget_nodes(listed.seen_at + 1)) == 1


async def test_attempts_begun_by_earlier_owners_are_those_of_their_connections_and_of_lower_epochs(
    database: Database,
) -> None:
    owners = {100: (1, 4), 101: (1, 5), 102: (2, 4)}

    def script() -> Script[None]:
        yield from accept(100, 3)
        yield from start_attempts(
            [
                NewAttempt(key, 1, 7, carrier, "SMS", 1, 0, None, AT, 0, epoch)
                for key, (carrier, epoch) in owners.items()
            ]
        )

    await database.write(script())

    async def begun(connections: list[int], before: int) -> list[int]:
        return [one.message_id for one in await database.read(started_attempts(10, connections, before))]

    assert await begun([1], 5) == [100]
    assert await begun([1, 2], 5) == [100, 102]
    assert await begun([1], 6) == [100, 101]
    assert [one.message_id for one in await database.read(started_attempts(10))] == [100, 101, 102]


async def test_a_segment_that_is_told_late_is_remembered_only_of_the_attempt_that_it_is_of(database: Database) -> None:
    def script() -> Script[None]:
        yield from accept(100, 3)
        started = [(100, 3, 7), (101, 3, 8), (102, 4, 7)]
        yield from start_attempts(
            [NewAttempt(key, 1, 7, carrier, "SMS", 1, 0, None, AT, 0, epoch) for key, carrier, epoch in started]
        )
        rows = [(3, f"c{key}", key, 1, 1) for key in (100, 101, 102)]
        yield from insert_fenced_segments(rows, 7)

    await database.write(script())

    found = await database.read(match(3, ["c100", "c101", "c102"]))
    assert [one.message_id for one in found] == [100]
