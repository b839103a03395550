"""Two servers on one PostgreSQL database and four carriers: one dies, one is told to end, and nobody sends twice."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from sendpool.simulate.centre import MessageCentre
from sendpool.simulate.record import Submit
from sendpool.simulate.script import Script
from sendpool.testing.postgres_server import PostgresServer, postgres_server
from sendpool.testing.road import road_to

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig, Server

KEY = 'secret_key = "the key of a journey"'
NAMES = ("a", "b", "c", "d")
#: Segments a second of each connection.
MPS = 25.0


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


class Carriers:
    """Four carriers, each of which knows the two nodes apart by their system ids."""

    def __init__(self, centres: Sequence[MessageCentre]) -> None:
        self.centres = centres

    def submits(self) -> list[Submit]:
        return sorted((one for centre in self.centres for one in centre.submits), key=lambda one: one.at)

    def users(self) -> list[str]:
        """Who is bound to each: the node's system id, "" where nobody is, "two" where both are."""
        bound = [{link.system_id for link in centre.links if link.bound} for centre in self.centres]
        return ["two" if len(one) > 1 else next(iter(one), "") for one in bound]

    def shared(self) -> bool:
        return sorted(self.users()) == ["node-1", "node-1", "node-2", "node-2"]

    def assert_one_node_at_a_time(self) -> None:
        """The submits of two nodes never alternate: a connection goes over, and is used by one at a time."""
        for centre in self.centres:
            turns = [one.system_id for one in centre.submits]
            changes = sum(1 for one, other in pairwise(turns) if one != other)
            assert changes <= 3, f"{changes} changes of hands in {len(turns)} submits"

    def assert_throughput(self, mps: float) -> None:
        """In no second more than limit + burst + 10 % (promise I5)."""
        most = mps + max(1.0, 0.05 * mps) + 0.1 * mps
        for centre in self.centres:
            times = sorted(one.at for one in centre.submits)
            start = 0
            for end, at in enumerate(times):
                while at - times[start] >= 1.0:
                    start += 1
                assert end - start + 1 <= most, f"{end - start + 1} in one second, {mps:g} allowed"


@pytest.fixture
async def carriers() -> AsyncIterator[Carriers]:
    async with AsyncExitStack() as stack:
        accounts = {f"node-{number}": "pass8chr" for number in (1, 2)}
        script = Script(port=0, accounts=accounts, receipt_delay=0.2)
        yield Carriers([await stack.enter_async_context(MessageCentre(script)) for _ in NAMES])


async def node(number: int, url: str, rig: Rig, carriers: Carriers, more: str = "", *, start: bool = True) -> Server:
    """One of the two servers; their files differ in the name by which carriers know them."""
    connections = [
        rig.smpp(name, centre.port, [(f"+1203445891{place}", MPS)], system_id=f"node-{number}")
        for place, (name, centre) in enumerate(zip(NAMES, carriers.centres, strict=True))
    ]
    server = await rig.server(start=False)
    server.url = url
    server.write(*connections, server=f"{KEY}\n{more}")
    if start:
        await server.start()
    return server


def _arrived(carriers: Carriers, phone: str) -> bool:
    return any(one.destination == phone for one in carriers.submits())


async def _everything_left(server: Server, operation: str) -> bool:
    stats = await server.stats(operation)
    return stats["queued"] == 0 and stats["delivered"] + stats["sent"] == stats["total"]


def when_all(carriers: Carriers, node: str, after: float, sources: Collection[str]) -> float | None:
    """When a node had sent through each of these senders after a moment; None: it has not yet."""
    first: dict[str, float] = {}
    for one in carriers.submits():
        if one.system_id == node and one.at > after and one.source in sources:
            first.setdefault(one.source, one.at)
    return max(first.values()) if len(first) == len(sources) else None


async def test_one_of_two_nodes_is_killed_and_the_other_told_to_end(
    rig: Rig, postgres: PostgresServer, carriers: Carriers
) -> None:
    first = await node(1, postgres.url(), rig, carriers)
    second = await node(2, postgres.url(), rig, carriers)
    await rig.until(carriers.shared, 60.0, "each has two connections")
    pool = await first.pool()
    operation = await second.send(pool, rig.phones(3000))
    await rig.until(lambda: len({one.system_id for one in carriers.submits()}) == 2, what="both send")
    sources = {f"+1203445891{place}" for place, user in enumerate(carriers.users()) if user == "node-2"}

    # Killed in the middle: what it held goes on at the other one within 20 s.
    await second.kill()
    killed_at = time.time()
    taken = partial(when_all, carriers, "node-1", killed_at, sources)
    takeover = await rig.until(taken, 30.0, "the other one sends through all four") - killed_at
    assert takeover <= 20.0

    # It comes back and has its share again; then the first one is told to end.
    await second.start()
    await rig.until(carriers.shared, 60.0, "each has two connections again")
    theirs = {f"+1203445891{place}" for place, user in enumerate(carriers.users()) if user == "node-2"}
    await rig.until(partial(when_all, carriers, "node-2", killed_at, theirs), 15.0, "the second sends again")
    ours = {f"+1203445891{place}" for place, user in enumerate(carriers.users()) if user == "node-1"}
    told_at = time.time()
    assert await first.stop() == 0
    gone = partial(when_all, carriers, "node-2", told_at, ours)
    handover = await rig.until(gone, 10.0, "the second sends through all four") - told_at
    assert handover <= 2.0

    await rig.until(partial(_everything_left, second, operation), 90.0, "everything has left")
    print(f"takeover {takeover:.1f} s, hand-over {handover:.2f} s")
    await _assert_nothing_lost(rig, second, operation, carriers, 3000)


async def _assert_nothing_lost(rig: Rig, server: Server, operation: str, carriers: Carriers, total: int) -> None:
    """Every message is at a carrier, or marked as of unknown fate; none was sent twice.

    Carriers keep the receipts of what the first node has sent for that node, which is bound no more.
    """

    def kept() -> int:
        return sum(centre.totals().receipts_waiting for centre in carriers.centres)

    async def told() -> bool:
        stats = await server.stats(operation)
        return stats["sent"] <= kept() + len(await server.messages(operation, "&ambiguous=true"))

    await rig.until(told, 30.0, "every receipt is in that the carrier has not kept")
    stats = await server.stats(operation)
    marked = {one["id"] for one in await server.messages(operation, "&ambiguous=true")}
    assert stats["total"] == total
    assert stats["delivered"] + stats["sent"] == total
    assert stats["sent"] <= len(marked) + kept()
    sent = Counter(one.destination for one in carriers.submits())
    assert total - len(sent) <= len(marked)
    assert max(sent.values()) == 1
    carriers.assert_one_node_at_a_time()
    carriers.assert_throughput(MPS)


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "of a version that notes nothing"])
async def test_what_a_killed_node_had_under_way_is_stated_as_unknown(
    rig: Rig, postgres: PostgresServer, *, noted: bool
) -> None:
    slow = Script(port=0, accounts={f"node-{number}": "pass8chr" for number in (1, 2)}, answer_delay=300.0)
    async with AsyncExitStack() as stack:
        carriers = Carriers([await stack.enter_async_context(MessageCentre(slow)) for _ in NAMES])
        first = await node(1, postgres.url(), rig, carriers)
        second = await node(2, postgres.url(), rig, carriers)
        await rig.until(carriers.shared, 60.0, "each has two connections")
        operation = await first.send(await first.pool(), rig.phones(200))
        await rig.until(lambda: len(_sent_by(carriers, "node-2")) >= 20, 30.0, "the second has sent")

        await second.kill()
        left = _sent_by(carriers, "node-2")
        if not noted:
            await _execute(postgres.url(), "DELETE FROM begun", "UPDATE lease SET journaled = 0")

        async def stated() -> bool:
            marked = await first.messages(operation, "&ambiguous=true")
            return left <= {one["to"][0]["address"] for one in marked}

        await rig.until(stated, 40.0, "whoever takes over says what may have left")


def _sent_by(carriers: Carriers, user: str) -> set[str]:
    return {f"+{one.destination.lstrip('+')}" for one in carriers.submits() if one.system_id == user}


async def _execute(url: str, *statements: str) -> None:
    database = await asyncpg.connect(url)
    for statement in statements:
        await database.execute(statement)
    await database.close()


async def test_a_node_cut_off_from_the_database_stops_before_the_other_one_begins(
    rig: Rig, postgres: PostgresServer, carriers: Carriers
) -> None:
    async with road_to(postgres.url()) as road:
        first = await node(1, postgres.url(), rig, carriers)
        await node(2, road.url, rig, carriers)
        await rig.until(carriers.shared, 60.0, "each has two connections")
        pool = await first.pool()
        operation = await first.send(pool, rig.phones(2500))
        await rig.until(lambda: len({one.system_id for one in carriers.submits()}) == 2, what="both send")
        theirs = {f"+1203445891{place}" for place, user in enumerate(carriers.users()) if user == "node-2"}

        road.cut()
        cut_at = time.time()
        taken = partial(when_all, carriers, "node-1", cut_at, theirs)
        takeover = await rig.until(taken, 40.0, "the other one sends through all four") - cut_at
        for source in theirs:
            last = max(one.at for one in carriers.submits() if one.system_id == "node-2" and one.source == source)
            first_at = min(one.at for one in carriers.submits() if one.system_id == "node-1" and one.source == source)
            assert last < first_at
        road.mend()

        await rig.until(partial(_everything_left, first, operation), 90.0, "everything has left")
        print(f"takeover from a node that was cut off: {takeover:.1f} s")
        assert takeover <= 25.0
        await _assert_nothing_lost(rig, first, operation, carriers, 2500)


async def test_one_takes_requests_and_the_other_sends(rig: Rig, postgres: PostgresServer, carriers: Carriers) -> None:
    sending = await node(2, postgres.url(), rig, carriers, 'role = "send"')
    taking = await node(1, postgres.url(), rig, carriers, 'role = "api"')
    assert (await sending.ask("GET", "/healthz")).status == 200
    assert (await sending.ask("GET", "/v1/Messages")).status == 404
    await rig.until(lambda: carriers.users() == ["node-2"] * 4, 20.0, "one is bound to all")
    listed = await rig.command(taking, "nodes")
    assert sorted(one["role"] for one in listed["nodes"]) == ["api", "send"]
    assert {one["what"] for one in listed["differences"]} == {"settings"}
    assert [one["state"] for one in listed["leases"]] == ["held"] * 5
    pool = await taking.pool()
    await _assert_explained_from_afar(rig, taking, pool, listed)

    waits = []
    for phone in rig.phones(20):
        asked_at = time.time()
        await taking.send(pool, [phone])
        await rig.until(partial(_arrived, carriers, phone), what="it is at a carrier", every=0.002)
        at = next(one.at for one in carriers.submits() if one.destination == phone)
        waits.append(at - asked_at)
        await asyncio.sleep(0.1)

    print(f"from the request to the carrier: median {sorted(waits)[10] * 1000:.0f} ms, most {max(waits) * 1000:.0f} ms")
    assert sorted(waits)[10] < 0.5
    assert {one.system_id for one in carriers.submits()} == {"node-2"}


async def _assert_explained_from_afar(rig: Rig, taking: Server, pool: str, listed: Any) -> None:
    """A process that only takes requests says who runs the connections, not that they are down."""
    runner = next(one["name"] for one in listed["nodes"] if one["role"] == "send")
    asked = {"to": [{"address": rig.phones(1, first=99)[0], "channel": "PHONE"}], "content": {"text": "Hello"}}
    told = await taking.call("POST", f"/v1/SenderPools/{pool}/Rehearsal", asked)
    assert f"run by another process ({runner})" in json.dumps(told)


async def _keeper(rig: Rig, server: Server) -> str | None:
    """The role of the node that does what is to be done once for all."""
    listed = await rig.command(server, "nodes")
    name = next((one["node"] for one in listed["leases"] if one["lease"] == "keeper"), None)
    return next((one["role"] for one in listed["nodes"] if one["name"] == name), None)


async def test_a_process_that_only_takes_requests_is_keeper_until_one_that_sends_is_there(
    rig: Rig, postgres: PostgresServer, carriers: Carriers
) -> None:
    taking = await node(1, postgres.url(), rig, carriers, 'role = "api"')
    assert await rig.until(lambda: _keeper(rig, taking), what="somebody is keeper") == "api"
    pool = await taking.pool()
    body = {
        "from": {"senderPoolId": pool},
        "to": [{"address": phone, "channel": "PHONE"} for phone in rig.phones(3)],
        "content": {"text": "Hello"},
        "schedule": {"sendAt": [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))]},
    }
    operation = str((await taking.call("POST", "/v1/Messages", body, 202))["operationId"])
    assert (await taking.stats(operation))["scheduled"] == 3

    # What was due is begun by it, and waits for somebody who sends.
    await taking.wait_stats(operation, queued=3, scheduled=0)

    sending = await node(2, postgres.url(), rig, carriers, 'role = "send"')
    await taking.wait_stats(operation, 30.0, delivered=3)
    assert await _keeper(rig, sending) == "send"
    assert {one.system_id for one in carriers.submits()} == {"node-2"}
