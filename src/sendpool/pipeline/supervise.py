"""Supervise: keep one connector open per configured connection, and give each an inbox into the pipeline."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial

import structlog

from sendpool.connectors.base import (
    AttemptKey,
    CallbackRoute,
    CarrierId,
    ConnectionSettings,
    Heard,
    HearsUnopened,
    Inbound,
    OptedOut,
    Outcome,
    Receipt,
    ReceiptState,
    Recounted,
    Rejected,
    TakesCallbacks,
    Throttled,
    Unavailable,
)
from sendpool.connectors.registry import connector_type
from sendpool.domain.keywords import Keywords
from sendpool.domain.ownership import FOREVER, Tenure
from sendpool.domain.scopes import ScopeSettings
from sendpool.domain.standing import Stood, restore_bucket
from sendpool.domain.throughput import Bucket, BucketState
from sendpool.failpoints import reach
from sendpool.pipeline.consent import entry_of, note_opt_outs
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.limiting import connection_key, scope_key, sender_key
from sendpool.pipeline.links import Gate, Link
from sendpool.pipeline.numbers import OutOfNumbers
from sendpool.pipeline.receive import Arrival
from sendpool.pipeline.repair import repairs_of
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.tidings import Tidings
from sendpool.pipeline.window import needs_window, note_heard

log = structlog.get_logger()


class ConnectionInbox:
    """What one connector may say: to the send stage what became of segments, to the engine what must be stored."""

    def __init__(
        self, engine: Engine, link: Link, account_id: int, keywords: Callable[[], Keywords] = Keywords
    ) -> None:
        """*keywords* tells what is done with those that people send."""
        self._engine = engine
        self._keywords = keywords
        self._link = link
        self._account_id = account_id
        self._tidings = Tidings(account_id, link.name, engine.clock, engine.sweep)

    def outcomes(self, items: Sequence[tuple[AttemptKey, int, Outcome]]) -> None:
        """What became of segments."""
        reach("answer.heard")
        for kind, number in Counter([type(outcome) for _, _, outcome in items]).items():
            name = _OUTCOME_NAMES.get(kind, "uncertain")
            self._engine.metrics.attempts(self._link.name, name).inc(number)
            if name == _THROTTLED:
                self._tidings.outcomes(item[2] for item in items)
        self._engine.sending.outcomes(self._link, items)
        self._note_account()
        reach("answer.taken")

    def _note_account(self) -> None:
        """Say where the carrier has begun or ceased to refuse the account."""
        closure, name = self._link.closure, self._link.name
        if self._tidings.account(closure):
            self._engine.metrics.link_refused(name).set(int(closure.closed))
            if closure.closed:
                what = "settings" if closure.of_settings else "account"
                log.error("carrier refuses the connection", connection=name, what=what)
            else:
                log.info("carrier takes the connection again", connection=name)

    def receipts(self, items: Sequence[Receipt]) -> Awaitable[None]:
        """Store receipts; resolves when they are durable."""
        states = [item.state for item in items]
        # Counted by who they are: to hash a member of an enumeration takes longer than to look at all.
        for state in ReceiptState:
            if number := states.count(state):
                self._engine.metrics.receipts(self._link.name, state.name.lower()).inc(number)
        return self._engine.receipts(self._link, items)

    def inbound(self, items: Sequence[Inbound]) -> Awaitable[None]:
        """Store inbound texts; resolves when they are durable."""
        try:
            return self._engine.arrivals([self._arrival(item) for item in items])
        except OutOfNumbers as error:
            refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            refused.set_exception(error)
            return refused

    def opted_out(self, items: Sequence[OptedOut]) -> Awaitable[None]:
        """Write who has opted out into the account's ledger; resolves when it is durable."""
        entries = [entry_of(self._account_id, item) for item in items]
        return self._engine.settle(partial(note_opt_outs, entries=entries))

    async def heard(self, items: Sequence[Heard]) -> None:
        """Note whom the carrier tells of; resolves when it is durable, where it is worth that."""
        engine, told = self._engine, dict[int, bool]()
        for item in items:
            sender = engine.roster.sender_by_address.get((self._account_id, item.channel, item.sender))
            if sender is not None:
                told[sender.id] = item.unplaced or told.get(sender.id, False)
        now = engine.clock.wall()
        if due := engine.windows.worth_noting(told, now):
            await engine.settle(lambda _changes: note_heard(due, now))

    def _arrival(self, item: Inbound) -> Arrival:
        key = self._engine.acceptor.take_ids(1)
        sender = self._engine.roster.sender_by_address.get((self._account_id, item.channel, item.recipient))
        return Arrival(key, self._link.connection_id, item, sender, self._account_id, self._keywords())

    def pace(self, share: float) -> None:
        """The carrier's load asks for less, or allows more again."""
        self._engine.sending.pace(self._link, share)

    def link(self, *, up: bool, window: int, detail: str = "") -> None:
        """The connection's state changed."""
        log.info("connection up" if up else "connection down", connection=self._link.name, detail=detail, window=window)
        self._engine.metrics.link_up(self._link.name).set(int(up))
        self._engine.sending.link(self._link, up=up, window=window, detail=detail)
        self._note_account()
        if not self._link.draining:
            self._tidings.link(up=up, detail=detail)


_THROTTLED = "throttled"
_OUTCOME_NAMES = {
    CarrierId: "accepted",
    Rejected: "rejected",
    Throttled: _THROTTLED,
    Unavailable: "unavailable",
    Recounted: "recounted",
}


class Supervisor:
    """The connections of this process: opened, replaced when their settings change, closed."""

    def __init__(self, engine: Engine, tenures: dict[int, Tenure] | None = None) -> None:
        """*tenures*: the connections, by key, that this process may open, filled by `own`; None: all, for ever."""
        self._engine = engine
        self._tenures = tenures
        #: What is to run, and what does.
        self._wanted: Mapping[int, tuple[ConnectionSettings, int]] = {}
        self._settings: dict[int, ConnectionSettings] = {}
        #: Connections that are being closed for another node, and may come back before that is done.
        self._leaving: dict[int, asyncio.Task[None]] = {}
        #: Of connections that were opened: where they stand may be asked for when a lease goes, and they are closed.
        self._buckets: dict[int, Bucket] = {}
        #: Connectors of connections that run elsewhere, to take the reports that carriers post to this process.
        self._ears: dict[int, tuple[ConnectionSettings, Link]] = {}

    async def apply(
        self, wanted: Mapping[int, tuple[ConnectionSettings, int]], scopes: Sequence[ScopeSettings] = ()
    ) -> None:
        """Open, replace and close connections so that these run: settings and account by connection key.

        *scopes* are all the named scopes there are.

        A connection whose own settings are the same stays open; its senders' rates are taken over all the same.
        """
        sending, clock = self._engine.sending, self._engine.clock
        sending.limiter.configure(scopes, clock.monotonic(), clock.wall())
        self._wanted = wanted
        gone = [key for key in self._settings if key not in wanted and key not in self._leaving]
        changed = [
            key
            for key, (settings, _) in wanted.items()
            if key in self._settings and key not in self._leaving and _dial(self._settings[key]) != _dial(settings)
        ]
        await asyncio.gather(*(self._close(key) for key in (*gone, *changed)))
        for key, (settings, _) in wanted.items():
            if key in self._settings:  # Also while it is being closed: it may come back.
                sending.links[key].bucket.resize(settings.mps, settings.burst, self._engine.clock.monotonic())
                self._settings[key] = settings
            else:
                await self._open(key)
        self.gates(self._engine.roster)

    async def _open(self, key: int, stood: Stood | None = None) -> None:
        tenure = FOREVER if self._tenures is None else self._tenures.get(key)
        if tenure is None or key not in self._wanted:
            return
        settings, account_id = self._wanted[key]
        connector = connector_type(settings.type)(settings)
        bucket = Bucket(settings.mps, settings.burst)
        if stood is None:
            self._begin(bucket, connection_key(key))
        else:
            restore_bucket(connection_key(key), bucket, stood, self._engine.clock.monotonic())
        link = Link(key, settings.name, settings.type, connector, bucket, tenure)
        self._settings[key] = settings
        self._engine.sending.links[key] = link
        self._buckets[key] = bucket
        self._ears.pop(key, None)
        await connector.open(ConnectionInbox(self._engine, link, account_id, self._keywords_of(key)))

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
        self._engine.metrics.link_refused.forget(link.name)
        self._engine.metrics.drained_senders.forget(link.name)
        if self._engine.sending.links.get(key) is link:
            del self._engine.sending.links[key], self._settings[key]

    # ------------------------------------------------------------ leases

    async def own(self, tenures: Mapping[int, Tenure], stood: Stood) -> None:
        """Open connections that share buckets, once all of them are this process's; by key, with their tenures."""
        assert self._tenures is not None
        leaving = [self._leaving[key] for key in tenures if key in self._leaving]
        if leaving:
            await asyncio.wait(leaving)
        if not all(one.good(self._engine.clock.monotonic()) for one in tenures.values()):
            return
        self._tenures.update(tenures)
        # Before the first of them sends: what it takes from a shared bucket stays taken.
        for key in tenures:
            self._restore(key, stood)
        for key in tenures:
            await self._open(key, stood)
        self._engine.book.asking.set()
        self._engine.wake()

    def _restore(self, key: int, stood: Stood) -> None:
        """Let the buckets of a connection's senders go on from where they stood, and count its limits anew."""
        sending, clock = self._engine.sending, self._engine.clock
        now = clock.monotonic()
        for gate in sending.gates.values():
            if gate.sender.connection_id == key:
                restore_bucket(sender_key(gate.sender.id), gate.bucket, stood, now)
        scopes = self._wanted[key][0].named_scopes if key in self._wanted else set()
        for name, bucket in sending.limiter.scopes.items():
            if name in scopes:
                if stood.buckets is None or scope_key(name) in stood.buckets:
                    restore_bucket(scope_key(name), bucket, stood, now)
                else:
                    sending.limiter.begin(bucket, scope_key(name), now, clock.wall())
        sending.limiter.tally.stale = True

    def give_up(self, keys: Iterable[int]) -> list[asyncio.Task[None]]:
        """Start nothing more through these connections, from now on, and close them; brings what to wait for.

        What is in flight may still be answered while they close.
        """
        assert self._tenures is not None
        for key in keys:
            self._tenures.pop(key, None)
            link = self._engine.sending.links.get(key)
            if link is not None and key not in self._leaving:
                self._engine.sending.halt_link(link)
                task = asyncio.get_running_loop().create_task(self._close(key), name=f"leave {link.name}")
                self._leaving[key] = task
                task.add_done_callback(partial(self._left, key))
        return [self._leaving[key] for key in keys if key in self._leaving]

    def _left(self, key: int, task: asyncio.Task[None]) -> None:
        self._leaving.pop(key, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("connection not closed in order", error=str(error))

    def debts(self, keys: Iterable[int]) -> dict[str, BucketState]:
        """Where the buckets of these connections, of their senders and of named scopes that they are in stand."""
        sending, now = self._engine.sending, self._engine.clock.monotonic()
        wanted = set(keys)
        shared = {name for key in wanted if key in self._wanted for name in self._wanted[key][0].named_scopes}
        found = {connection_key(key): self._buckets[key].state(now) for key in wanted if key in self._buckets}
        for gate in sending.gates.values():
            if gate.sender.connection_id in wanted:
                found[sender_key(gate.sender.id)] = gate.bucket.state(now)
        buckets = sending.limiter.scopes
        return found | {scope_key(name): buckets[name].state(now) for name in shared & buckets.keys()}

    def gates(self, roster: Roster) -> None:
        """Give every active sender a gate; one that is known keeps its bucket and only takes over a changed rate."""
        gates = self._engine.sending.gates
        now = self._engine.clock.monotonic()
        declared = {
            (key, sender.channel, sender.address): sender
            for key, (settings, _) in self._wanted.items()
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
            settings = self._wanted[sender.connection_id][0] if sender.connection_id in self._wanted else None
            gate.repairs = repairs_of(settings, own) if settings is not None and own is not None else frozenset()
            gate.needs_window = needs_window(settings.type) if settings is not None else None
            gate.bounds = None if settings is None else self._engine.limiter.bounds_of(sender, own, settings, now)
        drained = Counter(
            sender.connection_id for sender in roster.senders.values() if sender.active and sender.drained
        )
        for key, link in self._engine.sending.links.items():
            self._engine.metrics.drained_senders(link.name).set(drained[key])

    async def close(self) -> None:
        """Let what is in flight finish, then disconnect everywhere."""
        await asyncio.gather(*(self._close(key) for key in list(self._settings) if key not in self._leaving))
        if self._leaving:
            await asyncio.wait(list(self._leaving.values()))

    def callbacks(self, name: str) -> Sequence[CallbackRoute]:
        """The endpoints at which a connection takes reports by HTTP, wherever it runs."""
        for link in self._engine.sending.links.values():
            if link.name == name and isinstance(link.connector, TakesCallbacks):
                return link.connector.routes()
        for key, (settings, account_id) in self._wanted.items():
            if settings.name == name and key not in self._engine.sending.links:
                return self._ear(key, settings, account_id)
        return ()

    def _ear(self, key: int, settings: ConnectionSettings, account_id: int) -> Sequence[CallbackRoute]:
        """A connector that is never opened: it only checks what is reported and stores it."""
        known = self._ears.get(key)
        if known is None or known[0] != settings:
            connector = connector_type(settings.type)(settings)
            link = Link(key, settings.name, settings.type, connector, Bucket(None))
            known = self._ears[key] = settings, link
            if isinstance(connector, HearsUnopened):
                connector.listen(ConnectionInbox(self._engine, link, account_id, self._keywords_of(key)))
        connector = known[1].connector
        return connector.routes() if isinstance(connector, TakesCallbacks) else ()

    def _keywords_of(self, key: int) -> Callable[[], Keywords]:
        """What a connection does with keywords, as its settings have it at the time."""

        def keywords() -> Keywords:
            found = self._wanted.get(key)
            return found[0].keywords if found else Keywords()

        return keywords

    def names(self) -> Iterable[str]:
        """Names of the connections that run."""
        return (settings.name for settings in self._settings.values())


def _dial(settings: ConnectionSettings) -> tuple[object, ...]:
    """What a change of needs the link to be dialled anew."""
    return (settings.name, settings.type, settings.window, settings.options)
