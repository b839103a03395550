"""Nodes on one PostgreSQL: each connection is one node's at a time, whatever becomes of a node or its network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any, NamedTuple, cast

import asyncpg
import pytest

from sendpool.domain.ownership import KEEPER, Tenure, Terms
from sendpool.domain.sender import Channel
from sendpool.domain.standing import Stood
from sendpool.domain.throughput import BucketState
from sendpool.metrics import Metrics
from sendpool.pipeline.book import QueueBook
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.fence import News
from sendpool.pipeline.nodes import Node, lease_of
from sendpool.store.database import DatabaseAway, Script
from sendpool.store.leases import held_epochs, renew_leases
from sendpool.store.line import Line
from sendpool.store.migrate import migrate_postgres
from sendpool.store.postgres_run import run
from sendpool.testing.postgres_server import PostgresServer, postgres_server
from sendpool.testing.road import Road, road_to

#: Long enough that a busy machine does not lose a lease by itself.
TERMS = Terms(lease=3.0, renew_every=0.5, margin=0.8, poll=0.1, grace=0.5, steady=0.5)
CONNECTIONS = (1, 2, 3, 4)
DECLARED = {lease_of(key): {str(key): "a b c"} for key in CONNECTIONS}
STATE = BucketState(1.5, 0.0, 1.0, 0)


class Change(NamedTuple):
    """A connection came to a node, or went from it."""

    at: float
    node: str
    key: int
    came: bool


class Board:
    """Which node uses which connection, as their supervisors were told, in order."""

    def __init__(self) -> None:
        self.changes: list[Change] = []

    def note(self, node: str, key: int, *, came: bool) -> None:
        self.changes.append(Change(time.monotonic(), node, key, came))

    def holders(self, key: int) -> list[str]:
        found: list[str] = []
        for change in self.changes:
            if change.key == key and change.came:
                found.append(change.node)
            elif change.key == key and change.node in found:
                found.remove(change.node)
        return found

    def of(self, node: str) -> list[int]:
        return [key for key in CONNECTIONS if self.holders(key) == [node]]

    def assert_never_two(self) -> None:
        holders: dict[int, str] = {}
        for change in self.changes:
            if change.came:
                assert change.key not in holders, f"{change} while {holders[change.key]} has it"
                holders[change.key] = change.node
            elif holders.get(change.key) == change.node:
                del holders[change.key]


class Connections:
    """Stands for a supervisor: opens and closes at once, and tells the board."""

    def __init__(self, name: str, board: Board) -> None:
        self.name = name
        self.board = board
        self.stood: dict[int, Stood] = {}
        self.tenures: dict[int, Tenure] = {}

    async def own(self, tenures: Mapping[int, Tenure], stood: Stood) -> None:
        for key, tenure in tenures.items():
            self.stood[key], self.tenures[key] = stood, tenure
            self.board.note(self.name, key, came=True)

    def give_up(self, keys: Iterable[int]) -> list[asyncio.Task[None]]:
        for key in keys:
            self.board.note(self.name, key, came=False)
        return []

    def debts(self, keys: Iterable[int]) -> dict[str, BucketState]:
        return {lease_of(key): STATE for key in keys}


class Stages:
    """Stands for an engine without anything to commit."""

    def __init__(self) -> None:
        self.clock = Clock(time.monotonic, lambda: time.time_ns() // 1000)
        self.metrics = Metrics()
        self.book = QueueBook()
        self.database = self
        self.settled = 0
        self.woken = 0

    async def read(self, script: Script[list[int]]) -> list[int]:
        """What earlier owners have begun: nothing."""
        script.close()
        return []

    async def settle(self, stage: Callable[[Any], Any]) -> None:
        """What a stage reads is not there: no attempt was begun."""
        script = stage(None)
        try:
            script.send(None)
            while True:
                script.send([])
        except StopIteration:
            self.settled += 1

    def wake(self) -> None:
        self.woken += 1


class Member:
    """A node with what it is wired to."""

    def __init__(self, name: str, url: str, board: Board) -> None:
        self.name = name
        self.engine = Stages()
        self.connections = Connections(name, board)
        self.line = Line(url, self._hear, TERMS.renew_every)
        parts = (cast(Any, self.engine), cast(Any, self.connections), self.line)
        self.node = Node(*parts, lambda _kind, _id: "", TERMS)

    def _hear(self, text: str | None) -> None:
        self.node.hear(text)

    async def join(self, role: str = "all", declared: dict[str, dict[str, str]] = DECLARED) -> None:
        await self.node.register(self.name, role, "1", declared)
        self.node.start()

    async def die(self) -> None:
        """As by kill -9: it does nothing any more, and nobody is told."""
        task = self.node._task
        assert task is not None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if self.node._timer is not None:
            self.node._timer.cancel()
        await self.line.close()


class World:
    """A database, a board and the nodes on it."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self.url = url
        self.board = Board()
        self._stack = stack

    def member(self, name: str, url: str = "") -> Member:
        made = Member(name, url or self.url, self.board)
        self._stack.push_async_callback(_end, made)
        return made

    def at_end(self, done: Callable[[], object]) -> None:
        self._stack.callback(done)

    async def road(self) -> Road:
        return await self._stack.enter_async_context(road_to(self.url))

    async def until(self, condition: Callable[[], bool], what: str, within: float = 15.0) -> None:
        end = time.monotonic() + within
        while not condition():
            assert time.monotonic() < end, f"not within {within:g} s: {what}; {self.board.changes}"
            await asyncio.sleep(0.01)


async def _end(member: Member) -> None:
    await member.node.leave()
    await member.line.close()


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture
async def world(postgres: PostgresServer, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    name = f"nodes{abs(hash(request.node.name))}"
    connection = await asyncpg.connect(postgres.url())
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    await migrate_postgres(postgres.url(name))
    async with AsyncExitStack() as stack:
        made = World(postgres.url(name), stack)
        yield made
    made.board.assert_never_two()


async def test_one_node_takes_everything_and_two_share_it(world: World) -> None:
    a, b = world.member("a"), world.member("b")
    await a.join()
    await world.until(lambda: world.board.of("a") == [1, 2, 3, 4] and a.node.keeper, "a has everything")

    await b.join()
    await world.until(lambda: len(world.board.of("a")) == len(world.board.of("b")) == 2, "both have two")

    changes = len(world.board.changes)
    await asyncio.sleep(3 * TERMS.steady)
    assert len(world.board.changes) == changes
    assert a.node.keeper
    assert not b.node.keeper
    assert all(a.node.is_elsewhere(key) == (key in world.board.of("b")) for key in CONNECTIONS)
    assert [a.node.runner(key) for key in CONNECTIONS] == [
        "b" if key in world.board.of("b") else "" for key in CONNECTIONS
    ]
    assert a.node.runner(99) is None


async def test_a_node_that_leaves_hands_over_at_once_with_its_debts(world: World) -> None:
    a, b = world.member("a"), world.member("b")
    await a.join()
    await world.until(lambda: world.board.of("a") == [1, 2, 3, 4], "a has everything")
    await b.join()
    await world.until(lambda: len(world.board.of("b")) == 2, "b has its share")

    began = time.monotonic()
    await a.node.leave()
    await world.until(lambda: world.board.of("b") == [1, 2, 3, 4] and b.node.keeper, "b has everything")

    assert time.monotonic() - began < 2.0
    for key, stood in b.connections.stood.items():
        assert stood.buckets is not None
        state = stood.buckets[lease_of(key)]
        assert STATE.full_in - 2.0 < state.full_in <= STATE.full_in
        assert state._replace(full_in=STATE.full_in) == STATE


async def test_what_a_dead_node_held_is_taken_when_its_lease_is_over_and_not_before(world: World) -> None:
    a, b = world.member("a"), world.member("b")
    await a.join()
    await world.until(lambda: world.board.of("a") == [1, 2, 3, 4], "a has everything")
    tenures = list(a.connections.tenures.values())
    await a.die()
    died = time.monotonic()
    for key in CONNECTIONS:
        world.board.note("a", key, came=False)

    await b.join()
    await world.until(lambda: world.board.of("b") == [1, 2, 3, 4], "b has everything")

    taken = [change.at for change in world.board.changes if change.node == "b"]
    assert min(taken) > max(tenure.good_until for tenure in tenures)
    assert max(taken) < died + TERMS.lease + 2.0
    assert all(stood.buckets is None for stood in b.connections.stood.values())


async def test_a_commit_that_stands_still_within_a_statement_does_not_keep_the_leases_of_a_dead_node(
    world: World,
) -> None:
    a, b = world.member("a"), world.member("b")
    await a.join()
    await world.until(lambda: world.board.of("a") == [1, 2, 3, 4], "a has everything")
    epochs = [one.epoch for one in a.connections.tenures.values()]
    writer = await asyncpg.connect(world.url, server_settings={"application_name": "sendpool"})
    world.at_end(writer.terminate)
    await writer.execute("BEGIN")
    assert await run(writer, held_epochs(a.node.node_id, epochs)) == set(epochs)
    await writer.prepare("SELECT scope FROM lease WHERE epoch = $1")
    await a.die()
    died = time.monotonic()
    for key in CONNECTIONS:
        world.board.note("a", key, came=False)

    await b.join()
    await world.until(lambda: world.board.of("b") == [1, 2, 3, 4], "b has everything")

    assert time.monotonic() < died + TERMS.lease + 2.0


async def test_a_node_cut_off_in_the_middle_of_a_renewal_does_not_keep_its_leases(world: World) -> None:
    road = await world.road()
    a, b = world.member("a", road.url), world.member("b")
    await a.join()
    await world.until(lambda: world.board.of("a") == [1, 2, 3, 4], "a has everything")

    def renew_and_be_cut_off() -> Script[set[int]]:
        epochs = yield from renew_leases(a.node.node_id, TERMS.lease_us)
        road.cut()
        return epochs

    with pytest.raises(DatabaseAway):
        await a.line.run(renew_and_be_cut_off())
    cut_at = time.monotonic()

    await b.join()
    await world.until(lambda: world.board.of("b") == [1, 2, 3, 4], "b has everything")
    assert time.monotonic() < cut_at + TERMS.lease + 2.0


async def test_a_node_cut_off_from_the_database_stops_before_another_one_begins(world: World) -> None:
    road = await world.road()
    a, b = world.member("a", road.url), world.member("b")
    await a.join()
    await world.until(lambda: world.board.of("a") == [1, 2, 3, 4], "a has everything")
    road.cut()
    await b.join()

    await world.until(lambda: world.board.of("b") == [1, 2, 3, 4], "b has everything")
    assert world.board.of("a") == []
    left = {change.key: change.at for change in world.board.changes if change.node == "a" and not change.came}
    came = {change.key: change.at for change in world.board.changes if change.node == "b" and change.came}
    assert all(came[key] - left[key] > TERMS.margin / 2 for key in CONNECTIONS)

    road.mend()
    await world.until(lambda: len(world.board.of("a")) == 2, "a has its share again")


async def test_a_database_that_is_away_for_less_than_a_lease_costs_nothing(world: World) -> None:
    road = await world.road()
    a = world.member("a", road.url)
    await a.join()
    await world.until(lambda: world.board.of("a") == [1, 2, 3, 4], "a has everything")

    road.cut()
    await asyncio.sleep(TERMS.renew_every)
    road.mend()
    await asyncio.sleep(TERMS.lease)

    assert [change for change in world.board.changes if not change.came] == []


async def test_a_node_that_only_takes_requests_holds_nothing_and_hears_what_is_told(world: World) -> None:
    api, sender = world.member("api"), world.member("sender")
    await api.join("api")
    await sender.join("send")
    await world.until(lambda: world.board.of("sender") == [1, 2, 3, 4] and sender.node.keeper, "one sends")
    await world.until(lambda: api.node.is_elsewhere(1) and sender.node.company, "they know of each other")
    heard: list[str] = []
    sender.node.look = lambda: heard.append("look")
    sender.node.keeping = lambda keeps: heard.append(f"keep {keeps}")
    sender.node.reload = lambda: heard.append("reload")
    sender.node.asked_to_revoke = lambda keys: heard.append(f"revoke {keys}")
    key = sender.engine.book.number(7, Channel.SMS)

    began = time.monotonic()
    sender.node.learn_consent = lambda: heard.append("consent")
    news = News({key: 5}, roster=True, keeper=True, revokes=[(7, 1, 1)], consent=True)
    await api.line.run(api.node.tell(news))
    await world.until(lambda: len(heard) == 4, "it has heard")
    took = time.monotonic() - began

    assert sorted(heard) == ["consent", "keep True", "reload", "revoke [(7, 1)]"]
    assert sender.engine.book.waiting(key) == 1
    assert sender.engine.woken > 0
    assert took < 0.5
    await api.line.run(api.node.tell(News({key + 1: 5}, roster=False, keeper=False, revokes=[])))
    await world.until(lambda: heard[-1] == "look", "an unknown queue is looked for")
    assert world.board.of("api") == []


async def test_what_a_node_no_longer_declares_goes_to_one_that_does(world: World) -> None:
    a, b = world.member("a"), world.member("b")
    await a.join()
    await world.until(lambda: world.board.of("a") == [1, 2, 3, 4], "a has everything")
    await b.join(declared={lease_of(4): {"4": "a b c"}})

    await a.node.declare({lease_of(key): {str(key): "a b c"} for key in (1, 2, 3)})

    await world.until(lambda: world.board.of("b") == [4], "b has what a gave up")
    assert world.board.of("a") == [1, 2, 3]


async def test_a_commit_sees_by_the_databases_word_what_is_held(world: World) -> None:
    a = world.member("a")
    await a.join()
    await world.until(lambda: world.board.of("a") == [1, 2, 3, 4], "a has everything")
    epochs = [a.connections.tenures[key].epoch for key in CONNECTIONS]
    connection = await asyncpg.connect(world.url)
    try:
        await connection.execute("UPDATE lease SET until = 0 WHERE scope = $1", lease_of(2))
        async with connection.transaction():
            held = await run(connection, a.node.held(epochs))
    finally:
        await connection.close()

    assert set(held) == {epoch for key, epoch in zip(CONNECTIONS, epochs, strict=True) if key != 2}
    # It is told so by its next renewal too, and takes the lease anew.
    await world.until(lambda: a.connections.tenures[2].epoch != epochs[1], "it was taken again")


async def test_the_keeper_forgets_nodes_of_long_ago(world: World) -> None:
    connection = await asyncpg.connect(world.url)
    try:
        await connection.execute(
            "INSERT INTO node (name, role, version, scopes, started_at, seen_at) VALUES ('old', 'all', '1', '{}', 0, 0)"
        )
        a = world.member("a")
        await a.join()
        await world.until(lambda: a.node.keeper, "a is the keeper")
        while await connection.fetchval("SELECT count(*) FROM node WHERE name = 'old'"):
            await asyncio.sleep(0.05)
    finally:
        await connection.close()
    assert KEEPER in a.node._holders


def sharing(*keys: int) -> dict[str, dict[str, str]]:
    return {lease_of(key): {str(key): "a b c shared" if key in keys else "a b c"} for key in CONNECTIONS}


def together(board: Board, *keys: int) -> bool:
    """Whether one node has all of these, and each of the others is somebody's."""
    return (
        all(len(board.holders(key)) == 1 for key in CONNECTIONS) and len({board.holders(key)[0] for key in keys}) == 1
    )


async def test_connections_that_share_a_scope_are_one_nodes_and_move_whole(world: World) -> None:
    a, b = world.member("a"), world.member("b")
    await a.join(declared=sharing(1, 3))
    await world.until(lambda: world.board.of("a") == [1, 2, 3, 4], "a has everything")

    await b.join(declared=sharing(1, 3))
    await world.until(lambda: together(world.board, 1, 3) and len(world.board.of("b")) == 2, "both have two")
    await a.node.leave()
    await world.until(lambda: world.board.of("b") == [1, 2, 3, 4], "b has everything")

    assert apart_moments(world.board, 1, 3) == []


async def test_what_shares_a_scope_from_now_on_comes_to_one_node_whatever_two_had(world: World) -> None:
    a, b = world.member("a"), world.member("b")
    await a.join()
    await b.join()
    await world.until(lambda: len(world.board.of("a")) == len(world.board.of("b")) == 2, "both have two")
    keys = (world.board.of("a")[0], world.board.of("b")[0])
    before = len(world.board.changes)

    await a.node.declare(sharing(*keys))
    assert not set(keys) & set(world.board.of("a")), "a goes on with what it does not have whole"
    await b.node.declare(sharing(*keys))
    await world.until(lambda: together(world.board, *keys), "one has both")

    assert len({world.board.holders(key)[0] for key in keys}) == 1
    assert any(change.came for change in world.board.changes[before:])


async def test_an_api_node_is_keeper_while_no_other_is_there(world: World) -> None:
    api, sender = world.member("api"), world.member("sender")
    await api.join("api")
    await world.until(lambda: api.node.keeper, "the api node is keeper")
    assert world.board.changes == []

    await sender.join()
    await world.until(lambda: sender.node.keeper, "the one that sends is keeper")
    assert not api.node.keeper
    await sender.node.leave()
    await world.until(lambda: api.node.keeper, "the api node is keeper again")

    assert world.board.of("api") == []


def apart_moments(board: Board, one: int, other: int) -> list[Change]:
    """Changes after which two nodes had a connection each of a group."""
    holders: dict[int, str] = {}
    found = []
    for change in board.changes:
        if change.came:
            holders[change.key] = change.node
        elif holders.get(change.key) == change.node:
            del holders[change.key]
        if one in holders and other in holders and holders[one] != holders[other]:
            found.append(change)
    return found
