"""Two servers on one PostgreSQL database whose connections share a named scope: its limit holds at the carriers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from tests.journeys.test_two_nodes import KEY

from sendpool.simulate.centre import MessageCentre
from sendpool.simulate.script import Script
from sendpool.testing.postgres_server import PostgresServer, postgres_server

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig, Server

#: Segments a second of the scope; each connection alone could do far more.
SHARED, ALONE = 20.0, 200.0
SCOPE = f'[[scopes]]\nname = "campaign"\nmps = {SHARED:g}\n'
#: What a second may bring at most: the limit, its burst and a tenth (promise I5).
MOST = SHARED + 1.0 + SHARED / 10


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


async def _node(number: int, url: str, rig: Rig, centres: list[MessageCentre]) -> Server:
    connections = [
        rig.smpp(name, one.port, [(f"+1203445891{place}", ALONE)], system_id=f"node-{number}", scopes=["campaign"])
        for place, (name, one) in enumerate(zip("ab", centres, strict=True))
    ]
    server = await rig.server(start=False)
    server.url = url
    server.write(*connections, SCOPE, server=KEY)
    return server


def _submits(centres: list[MessageCentre], node: str = "") -> list[float]:
    return sorted(one.at for centre in centres for one in centre.submits if node in one.system_id)


async def test_a_limit_that_two_connections_share_holds_when_the_node_that_runs_them_is_killed(
    rig: Rig, postgres: PostgresServer
) -> None:
    async with AsyncExitStack() as stack:
        script = Script(port=0, accounts={f"node-{n}": "pass8chr" for n in (1, 2)}, receipt_delay=0.05)
        centres = [await stack.enter_async_context(MessageCentre(script)) for _ in "ab"]
        first, second = [await _node(n, postgres.url(), rig, centres) for n in (1, 2)]
        await first.start()
        await rig.linked(*centres)
        await second.start()
        pool = await second.pool()
        await second.send(pool, rig.phones(1_000))
        await rig.until(lambda: len(_submits(centres)) > 60, what="some have left through both")
        assert {one.system_id for centre in centres for one in centre.submits} == {"node-1"}

        await first.kill()
        killed_at = time.time()

        await rig.until(
            lambda: all(len(_submits([one], "node-2")) > 40 for one in centres), 60.0, "the other node sends"
        )
        both = [{one.system_id for one in centre.submits if one.at > killed_at + 1.0} for centre in centres]
        assert both == [{"node-2"}, {"node-2"}]
        times = _submits(centres)
        assert max(sum(1 for at in times if begin <= at < begin + 1.0) for begin in times) <= MOST
