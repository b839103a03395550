"""The network between a node and PostgreSQL fails without a word: the other node takes over in time."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.chaos.wire import Elsewhere, Wire, elsewhere
from tests.journeys.test_two_nodes import KEY, NAMES, Carriers, when_all

from sendpool.simulate.centre import MessageCentre
from sendpool.simulate.script import Script
from sendpool.testing.postgres_server import PostgresServer, postgres_server

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig, Server

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None, reason="makes a network: needs root and iproute2"
)

#: Segments a second of each connection: fast, so that most cuts come in the middle of a commit.
MPS = 150.0
#: Seconds until the other node sends through all: the longest lease and a few looks.
WITHIN = 20.0


@pytest.fixture
def there() -> Iterator[Elsewhere]:
    with elsewhere() as made:
        yield made


@pytest.fixture
def to_postgres(there: Elsewhere) -> Wire:
    return there.wire()


@pytest.fixture
def postgres(to_postgres: Wire) -> Iterator[PostgresServer]:
    """A server that takes connections from the other side of the wire."""
    with postgres_server({"listen_addresses": to_postgres.ours}) as server:
        server.let_in(f"{to_postgres.theirs}/32")
        yield server


async def _node(number: int, url: str, rig: Rig, carriers: Carriers, at: str) -> Server:
    connections = [
        rig.smpp(name, centre.port, [(f"+1203445891{n}", MPS)], system_id=f"node-{number}", host=at)
        for n, (name, centre) in enumerate(zip(NAMES, carriers.centres, strict=True))
    ]
    server = await rig.server(start=False)
    server.url = url
    server.write(*connections, server=KEY)
    return server


async def test_a_node_that_loses_the_network_is_replaced_in_time_whatever_it_was_doing(
    rig: Rig, there: Elsewhere, to_postgres: Wire, postgres: PostgresServer
) -> None:
    to_carriers = there.wire()
    async with AsyncExitStack() as stack:
        script = Script(host="0.0.0.0", port=0, accounts={f"node-{n}": "pass8chr" for n in (1, 2)}, receipt_delay=0.2)
        carriers = Carriers([await stack.enter_async_context(MessageCentre(script)) for _ in NAMES])
        first = await _node(1, postgres.url(), rig, carriers, "127.0.0.1")
        await first.start()
        far = f"postgresql://sendpool@{to_postgres.ours}:{postgres.port}/postgres"
        second = await _node(2, far, rig, carriers, to_carriers.ours)
        second.inside = there.inside
        await second.start()
        await rig.until(carriers.shared, 60.0, "each has two connections")
        pool = await first.pool()
        for begin in range(0, 20_000, 1_000):
            await first.send(pool, rig.phones(1_000, begin))
        await rig.until(lambda: len({one.system_id for one in carriers.submits()}) == 2, what="both send")
        theirs = {f"+1203445891{place}" for place, user in enumerate(carriers.users()) if user == "node-2"}

        to_postgres.cut()

        cut_at = time.time()
        taken = partial(when_all, carriers, "node-1", cut_at, theirs)
        takeover = await rig.until(taken, 60.0, "the other one sends through all four") - cut_at
        print(f"takeover from a node whose network failed: {takeover:.1f} s")
        for source in theirs:
            last = max(one.at for one in carriers.submits() if one.system_id == "node-2" and one.source == source)
            first_at = min(one.at for one in carriers.submits() if one.system_id == "node-1" and one.source == source)
            assert last < first_at
        assert takeover <= WITHIN
