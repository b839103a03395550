"""Supervise: keep one connector open per configured connection, and give each an inbox into the pipeline."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable, Mapping, Sequence

import structlog

from sendpool.connectors.base import (
    AttemptKey,
    CallbackRoute,
    CarrierId,
    ConnectionSettings,
    Inbound,
    Outcome,
    Receipt,
    Rejected,
    TakesCallbacks,
    Throttled,
    Unavailable,
)
from sendpool.connectors.registry import connector_type
from sendpool.domain.scopes import ScopeSettings
from sendpool.domain.throughput import Bucket
from sendpool.failpoints import reach
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.limiting import connection_key, sender_key
from sendpool.pipeline.links import Gate, Link
from sendpool.pipeline.numbers import OutOfNumbers
from sendpool.pipeline.receive import Arrival
from sendpool.pipeline.roster import Roster

log = structlog.get_logger()


class ConnectionInbox:
    """What one connector may say: to the send stage what became of segments, to the engine what must be stored."""

    def __init__(self, engine: Engine, link: Link, account_id: int) -> None:
        self._engine = engine
        self._link = link
        self._account_id = account_id

    def outcomes(self, items: Sequence[tuple[AttemptKey, int, Outcome]]) -> None:
        """What became of segments."""
        reach("answer.heard")
        for name, number in Counter(_OUTCOME_NAMES.get(type(item[2]), "uncertain") for item in items).items():
            self._engine.metrics.attempts(self._link.name, name).inc(number)
        self._engine.sending.outcomes(self._link, items)
        reach("answer.taken")

    def receipts(self, items: Sequence[Receipt]) -> Awaitable[None]:
        """Store receipts; resolves when they are durable."""
        for state, number in Counter(item.state.name for item in items).items():
            self._engine.metrics.receipts(self._link.name, state.lower()).inc(number)
        return self._engine.receipts(self._link, items)

    def inbound(self, items: Sequence[Inbound]) -> Awaitable[None]:
        """Store inbound texts; resolves when they are durable."""
        try:
            return self._engine.arrivals([self._arrival(item) for item in items])
        except OutOfNumbers as error:
            refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            refused.set_exception(error)
            return refused

    def _arrival(self, item: Inbound) -> Arrival:
        key = self._engine.acceptor.take_ids(1)
        sender = self._engine.roster.sender_by_address.get((self._account_id, item.channel, item.recipient))
        return Arrival(key, self._link.connection_id, item, sender, self._account_id)

    def link(self, *, up: bool, window: int, detail: str = "") -> None:
        """The connection's state changed."""
        log.info("connection up" if up else "connection down", connection=self._link.name, detail=detail, window=window)
        self._engine.metrics.link_up(self._link.name).set(int(up))
        self._engine.sending.link(self._link, up=up, window=window, detail=detail)


_OUTCOME_NAMES = {
    CarrierId: "accepted",
    Rejected: "rejected",
    Throttled: "throttled",
    Unavailable: "unavailable",
}


class Supervisor:
    """The connections of this process: opened, replaced when their settings change, closed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._settings: dict[int, ConnectionSettings] = {}

    async def apply(
        self, wanted: Mapping[int, tuple[ConnectionSettings, int]], scopes: Sequence[ScopeSettings] = ()
    ) -> None:
        """Open, replace and close connections so that these run: settings and account by connection key.

        *scopes* are all the named scopes there are.

        A connection whose own settings are the same stays open; its senders' rates are taken over all the same.
        """
        sending, clock = self._engine.sending, self._engine.clock
        sending.limiter.configure(scopes, clock.monotonic(), clock.wall())
        gone = [key for key in self._settings if key not in wanted]
        changed = [
            key
            for key, (settings, _) in wanted.items()
            if key in self._settings and _dial(self._settings[key]) != _dial(settings)
        ]
        await asyncio.gather(*(self._close(key) for key in (*gone, *changed)))
        for key, (settings, account_id) in wanted.items():
            if key not in self._settings:
                await self._open(key, settings, account_id)
            else:
                sending.links[key].bucket.resize(settings.mps, settings.burst, self._engine.clock.monotonic())
            self._settings[key] = settings
        self.gates(self._engine.roster)

    async def _open(self, key: int, settings: ConnectionSettings, account_id: int) -> None:
        connector = connector_type(settings.type)(settings)
        bucket = self._begin(Bucket(settings.mps, settings.burst), connection_key(key))
        link = Link(key, settings.name, settings.type, connector, bucket)
        self._engine.sending.links[key] = link
        await connector.open(ConnectionInbox(self._engine, link, account_id))

    def _begin(self, bucket: Bucket, key: str) -> Bucket:
        # What left just before the last end of this process is not known: the bucket starts empty (design §7).
        clock = self._engine.clock
        return self._engine.limiter.begin(bucket, key, clock.monotonic(), clock.wall())

    async def _close(self, key: int) -> None:
        link = self._engine.sending.links[key]
        link.draining = True
        await link.connector.close()
        self._engine.metrics.in_flight.forget(link.name)
        self._engine.metrics.link_up.forget(link.name)
        self._engine.metrics.drained_senders.forget(link.name)
        del self._engine.sending.links[key], self._settings[key]

    def gates(self, roster: Roster) -> None:
        """Give every active sender a gate; one that is known keeps its bucket and only takes over a changed rate."""
        gates = self._engine.sending.gates
        now = self._engine.clock.monotonic()
        declared = {
            (key, sender.channel, sender.address): sender
            for key, settings in self._settings.items()
            for sender in settings.senders
        }
        for sender in roster.senders.values():
            gate = gates.get(sender.id)
            own = declared.get((sender.connection_id, sender.channel, sender.address))
            options = own.options if own is not None else {}
            if gate is None:
                bucket = self._begin(Bucket(sender.mps, sender.burst), sender_key(sender.id))
                gates[sender.id] = gate = Gate(sender, bucket, options)
            elif (gate.sender.mps, gate.sender.burst) != (sender.mps, sender.burst):
                gate.bucket.resize(sender.mps, sender.burst, now)
            gate.sender, gate.options = sender, options
            settings = self._settings.get(sender.connection_id)
            gate.bounds = None if settings is None else self._engine.limiter.bounds_of(sender, own, settings, now)
        drained = Counter(
            sender.connection_id for sender in roster.senders.values() if sender.active and sender.drained
        )
        for key, link in self._engine.sending.links.items():
            self._engine.metrics.drained_senders(link.name).set(drained[key])

    async def close(self) -> None:
        """Let what is in flight finish, then disconnect everywhere."""
        await asyncio.gather(*(self._close(key) for key in list(self._settings)))

    def callbacks(self, name: str) -> Sequence[CallbackRoute]:
        """The endpoints at which a connection takes reports by HTTP."""
        for link in self._engine.sending.links.values():
            if link.name == name and isinstance(link.connector, TakesCallbacks):
                return link.connector.routes()
        return ()

    def names(self) -> Iterable[str]:
        """Names of the connections that run."""
        return (settings.name for settings in self._settings.values())


def _dial(settings: ConnectionSettings) -> tuple[object, ...]:
    """What a change of needs the link to be dialled anew."""
    return (settings.name, settings.type, settings.window, settings.options)
