"""Join the other nodes on a PostgreSQL database: a node with its own line, wired to the stages that it concerns."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping

import structlog

from sendpool import __version__
from sendpool.connectors.base import ConnectionSettings
from sendpool.connectors.registry import carrier_name
from sendpool.domain.ownership import Terms, differences
from sendpool.pipeline.declared import declared_by
from sendpool.pipeline.duties import Duties
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.kinds import Kinds
from sendpool.pipeline.nodes import Node
from sendpool.pipeline.revoke import Revoker
from sendpool.pipeline.roster import load_roster
from sendpool.pipeline.supervise import Supervisor
from sendpool.pipeline.sweep import Sweeper
from sendpool.store.database import DatabaseAway
from sendpool.store.leases import list_nodes
from sendpool.store.line import Line
from sendpool.store.roster import load_kinds

log = structlog.get_logger()

TERMS = Terms()

Wanted = Mapping[int, tuple[ConnectionSettings, int]]


def node_name() -> str:
    """What people know this process by: host and process."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Fleet:
    """One process of several. Where one has the database to itself there is none of this."""

    def __init__(self, url: str, engine: Engine, supervisor: Supervisor, key: bytes, terms: Terms = TERMS) -> None:
        """*key* is that by which digests of the configuration are made."""
        self._engine = engine
        self._key = key
        self._line = Line(url, self._hear, terms.renew_every)
        self.node = Node(engine, supervisor, self._line, carrier_name, terms)
        engine.fence = self.node
        engine.book.heads.on = True
        engine.sending.elsewhere = self.node.is_elsewhere
        engine.sending.runner = engine.planner.portrait.runner = self.node.runner
        self._tasks: set[asyncio.Task[None]] = set()
        #: What a node differs in is said once.
        self._told: list[tuple[str, str, list[int]]] = []
        self._know: Callable[[], Awaitable[None]] = _nothing

    def _hear(self, text: str | None) -> None:
        self.node.hear(text)

    def wire(self, sweeper: Sweeper, revoker: Revoker, duties: Duties, know: Callable[[], Awaitable[None]]) -> None:
        """Connect it with the stages; *know* reads accounts and keys again and runs the connections of open ones."""
        self._know = know
        node = self.node

        def keep(keeps: bool) -> None:
            sweeper.keep(keeps)
            duties.keep(keeps)

        node.keeping, node.look, node.look_below = keep, sweeper.look, self._engine.soon.set
        node.reload = lambda: self._do(self._reload(), "reload")
        node.learn_consent = sweeper.learn_consent
        node.asked_to_revoke = lambda keys: self._do(revoker.ask_for(keys), "revoke")

    async def join(self, role: str, wanted: Wanted) -> None:
        """Become known, and begin to take leases. Raises `DatabaseAway`."""
        self._engine.sending.kinds = Kinds(await self._engine.database.read(load_kinds()))
        await self.node.register(node_name(), role, __version__, declared_by(wanted, self._key))
        self.node.start()
        self._do(self._compare(), "compare")

    async def declare(self, wanted: Wanted) -> None:
        """The configuration has changed. Raises `DatabaseAway`."""
        await self.node.declare(declared_by(wanted, self._key))
        await self._compare()

    async def leave(self) -> None:
        """Hand over what this node has."""
        await self.node.leave()

    async def close(self) -> None:
        """Hang up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._line.close()

    # ------------------------------------------------------------ told by others

    async def _reload(self) -> None:
        """Somebody has changed senders, pools, accounts or keys; or a node is new."""
        database = self._engine.database
        self._engine.use_roster(await database.read(load_roster()))
        self._engine.sending.kinds = Kinds(await database.read(load_kinds()))
        await self._know()
        await self._compare()
        self._engine.wake()

    async def _compare(self) -> None:
        """Say what nodes' configurations differ in."""
        rows = await self._engine.database.read(list_nodes())
        alive = {one.node_id for one in self.node.alive()} | {self.node.node_id}
        found = differences({one.node_id: one.scopes for one in rows if one.node_id in alive})
        self._engine.metrics.config_differences(len(found))
        if found != self._told:
            self._told = found
            names = {one.node_id: one.name for one in rows}
            for key, what, nodes in found:
                log.warning(
                    "nodes are configured differently",
                    connection=key,
                    what=what,
                    nodes=[names.get(node, str(node)) for node in nodes],
                )

    def _do(self, work: Awaitable[None], what: str) -> None:
        async def run() -> None:
            try:
                await work
            except DatabaseAway as error:
                log.warning("not up to date with other nodes", what=what, error=str(error))
            except Exception as error:
                log.error("not up to date with other nodes", what=what, error=str(error), exc_info=error)

        task = asyncio.get_running_loop().create_task(run(), name=what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _nothing() -> None:
    """Nobody has to know."""
