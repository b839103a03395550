"""Own connections: this node's share of the leases when several nodes work on one PostgreSQL database.

One loop: renew what is held, look at who else is there, take what is free and due to this node, hand over what is
beyond its share. It talks to the database over a line of its own, so that no commit delays a renewal. A timer ends the
use of a lease that could not be renewed, whatever the loop is waiting for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from typing import Protocol, TypeVar

import structlog

from sendpool.domain.ownership import (
    KEEPER,
    Flaps,
    NodeView,
    Tenure,
    Terms,
    View,
    scopes_to_add,
    to_give,
    to_leave,
    to_take,
)
from sendpool.domain.standing import Stood, stood_together
from sendpool.pipeline.begun import Name, rescue
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.fence import News
from sendpool.pipeline.settle import Changes
from sendpool.pipeline.supervise import Supervisor
from sendpool.store import leases as store
from sendpool.store.begun import begun_without_note, note_begun
from sendpool.store.database import DatabaseAway, Script
from sendpool.store.leases import Declared, Taken
from sendpool.store.sessions import end_silent_sessions
from sendpool.store.signals import Signal, notify, read_signal

T = TypeVar("T")

log = structlog.get_logger()

#: Seconds that connections have to close before their lease is handed over all the same: what is answered later is
#: still taken, and another node is waiting.
CLOSE_WITHIN = 1.0
#: Seconds that a node may take to become known: it holds nothing yet, and a process that is starting is slow.
REGISTER_WITHIN = 10.0
#: What may have been told while nobody listened.
_EVERYTHING = Signal(0, None, roster=True, leases=True, keeper=True, consent=True)
#: Microseconds for which nodes that are no more stay in the list.
REMEMBERED = 86_400_000_000


class Line(Protocol):
    """Runs short scripts on a connection of its own. Raises `DatabaseAway`."""

    async def run(self, script: Script[T], within: float | None = None) -> T:
        """Run a script in a transaction, *within* so many seconds or its own number of them."""


def lease_of(connection_id: int) -> str:
    """The lease of a connection."""
    return f"connection:{connection_id}"


class Node:
    """One process among others. It is the engine's fence: it knows what it holds by the database's word."""

    shared = True

    def __init__(
        self, engine: Engine, supervisor: Supervisor, line: Line, name: Name, terms: Terms | None = None
    ) -> None:
        """*name* tells the carrier ids of attempts as `rescue` wants them."""
        self._engine = engine
        self._supervisor = supervisor
        self._line = line
        self._name = name
        self._terms = terms or Terms()
        self.node_id = 0
        #: Whether it opens connections; else it only takes requests.
        self._sends = True
        self._declared: dict[str, dict[str, str]] = {}
        self._tenures: dict[str, Tenure] = {}
        #: With what each lease came; and those whose connections were opened, or are about to be.
        self._taken: dict[str, Taken] = {}
        self._open_for: set[str] = set()
        #: Leases that were lost or given up, until their connections are closed.
        self._parting: dict[str, asyncio.Task[None]] = {}
        self._asked_at = 0.0
        self._view = View(0, [], [])
        self._company = False
        self._holders: dict[str, int | None] = {}
        #: What people know nodes by.
        self._names: dict[int | None, str] = {}
        #: Each lease's group, as the last look has it.
        self._groups: dict[str, list[str]] = {}
        self._flaps = Flaps()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._opening: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._leaving = False
        #: Told when this node becomes the one that does what is to be done once, or is it no more.
        self.keeping: Callable[[bool], None] = lambda _keeps: None
        #: Told to look at all queues; at senders, pools, accounts and keys; at attempts that are to be taken back.
        self.look: Callable[[], None] = _do_nothing
        #: Told to look for rows before what was claimed last.
        self.look_below: Callable[[], None] = _do_nothing
        self.reload: Callable[[], None] = _do_nothing
        #: Told that somebody has opted out.
        self.learn_consent: Callable[[], None] = _do_nothing
        self.asked_to_revoke: Callable[[Sequence[tuple[int, int]]], None] = lambda _keys: None

    # ------------------------------------------------------------ what others ask

    @property
    def keeper(self) -> bool:
        """Whether this node does what is to be done once for all."""
        tenure = self._tenures.get(KEEPER)
        return tenure is not None and tenure.good(self._engine.clock.monotonic())

    def has_epoch(self) -> int:
        """The epoch under which this node is the keeper; 0: it is not."""
        tenure = self._tenures.get(KEEPER)
        return 0 if tenure is None else tenure.epoch

    def is_elsewhere(self, connection_id: int) -> bool:
        """Whether another node has this connection."""
        holder = self._holders.get(lease_of(connection_id))
        return holder is not None and holder != self.node_id

    def runner(self, connection_id: int) -> str | None:
        """The name of the node that runs a connection; "": none does just now; None: it has no lease."""
        scope = lease_of(connection_id)
        if scope not in self._holders:
            return None
        holder = self._holders[scope]
        return self._names.get(holder, f"node {holder}") if self.is_elsewhere(connection_id) else ""

    def leaves_to(self, connection_id: int) -> bool:
        """Whether what concerns a connection is another node's to do. What nobody has is the keeper's."""
        return self.is_elsewhere(connection_id) or not (lease_of(connection_id) in self._tenures or self.keeper)

    def tell(self, news: News) -> Script[None]:
        """Tell the others what this commit brings, as it is committed; once, however much it is."""
        revokes = [one[:2] for one in news.revokes if self.is_elsewhere(one[2])]
        wanted = news.keeper and not self.keeper
        told = {"roster": news.roster, "keeper": wanted, "consent": news.consent}
        signal = Signal(self.node_id, list(news.queues), list(news.queues.values()), **told, revokes=revokes)
        if self.company and signal:
            yield from notify(signal)

    def hear(self, text: str | None) -> None:
        """Take in what another node has told; None: something may have been missed."""
        signal = _EVERYTHING if text is None else read_signal(text)
        if signal is None or signal.node == self.node_id:
            return
        book = self._engine.book
        if signal.queues is None or any(key not in book.keys for key in signal.queues):
            self.look()
        # One from before ranks were told names queues alone.
        for key, rank in zip_longest(signal.queues or (), signal.ranks[: len(signal.queues or ())]):
            book.add(key, 1)
            book.heads.told(key, rank)
        if signal.queues is None:
            book.heads.wanted = True
        if book.heads.wanted:
            self.look_below()
        if signal.queues:
            self._engine.wake()
        if signal.leases:
            self.wake()
        if signal.roster:
            self.reload()
        if signal.keeper and self.keeper:
            self.keeping(True)
        if signal.consent:
            self.learn_consent()
        if signal.revokes:
            self.asked_to_revoke(signal.revokes)

    @property
    def company(self) -> bool:
        """Whether another node is there to be told anything."""
        return self._company

    def alive(self) -> list[NodeView]:
        """The nodes that run."""
        return self._view.alive(self._terms)

    def held(self, epochs: Collection[int]) -> Script[Collection[int]]:
        """Of these epochs, those whose leases this node holds, locked against takeover until the commit ends."""
        if not epochs:
            return ()
        found = yield from store.held_epochs(self.node_id, list(epochs))
        if len(found) < len(epochs):
            self.wake()
        return found

    def wake(self) -> None:
        """Look at the leases again, now."""
        self._woken.set()

    # ------------------------------------------------------------ life

    async def register(self, name: str, role: str, version: str, declared: Declared) -> None:
        """Become known to the others, with what the configuration declares. Raises `DatabaseAway`."""
        self._sends = role != "api"
        self._declared = {scope: dict(ones) for scope, ones in declared.items()}
        self.node_id = await self._line.run(_register(name, role, version, self._declared), REGISTER_WITHIN)

    async def declare(self, declared: Declared) -> None:
        """The configuration has changed. What it has no more is handed over. Raises `DatabaseAway`."""
        if declared == self._declared:
            return
        self._declared = {scope: dict(ones) for scope, ones in declared.items()}
        await self._line.run(_declare(self.node_id, self._declared))
        for scope in [one for one in self._tenures if one != KEEPER and one not in self._declared]:
            if scope in self._tenures:
                self._part(scope, "no longer configured")
        # What is shared from now on is not used by two for as long as a look takes.
        self._see(await self._line.run(store.load_view()))
        self._regroup()
        self.wake()

    def start(self) -> None:
        """Begin to take leases."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="node")

    async def leave(self) -> None:
        """Hand everything over and take nothing more."""
        self._leaving = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        for scope in list(self._tenures):
            if scope in self._tenures:
                self._part(scope, "shutting down")
        if self._parting:
            await asyncio.wait(list(self._parting.values()))
        if self._timer is not None:
            self._timer.cancel()
        await self._try(_end(self.node_id))

    async def _run(self) -> None:
        # A driver that is cancelled may say that the database is away instead: that must not keep it going.
        while not self._leaving:
            self._woken.clear()
            try:
                await self._beat()
            except DatabaseAway as error:
                self._engine.metrics.renewal_failed()
                log.warning("leases not renewed", error=str(error))
            except Exception as error:
                log.error("leases not looked after", error=str(error), exc_info=error)
            await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._terms.poll):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _beat(self) -> None:
        """One look: renew, take, give."""
        terms = self._terms
        if self._engine.clock.monotonic() - self._asked_at >= terms.renew_every:
            await self._renew()
        view = await self._line.run(store.load_view())
        new = scopes_to_add(self._declared if self._sends else (), view)
        if new:
            await self._line.run(store.add_leases(new))
            view = await self._line.run(store.load_view())
        self._see(view)
        self._regroup()
        for scope in to_leave(self.node_id, view, terms):
            if scope in self._tenures:
                self._part(scope, "another node has the first of its group")
        for scope in to_take(self.node_id, view, terms):
            if scope in self._tenures:
                self._lose(scope, "the database says that it is over")
            elif scope not in self._parting:
                await self._take(scope)
        self._open_whole_groups()
        await self._end_silent_sessions()
        for given in to_give(self.node_id, view, terms):
            if given in self._tenures:
                self._part(given, "another node has fewer, or is there to send")
        if self.keeper:
            await self._line.run(store.forget_nodes(view.now - REMEMBERED))

    async def _end_silent_sessions(self) -> None:
        """Have nobody wait for what a process that stands still has locked: leases first, then what it was sending."""
        waiting = any(one.is_free(self._view.now) and one.holder is not None for one in self._view.leases)
        if waiting or self._opening or self.keeper:
            ended = await self._line.run(end_silent_sessions(self._terms.lease / 3))
            if ended:
                log.warning("sessions ended whose processes stood still in a transaction", sessions=ended)

    def _see(self, view: View) -> None:
        self._view = view
        self._names = {one.node_id: one.name for one in view.nodes}
        self._company = any(one.node_id != self.node_id for one in self.alive())
        self._holders = {one.scope: None if one.is_free(view.now) else one.holder for one in view.leases}
        self._groups = {
            lease.scope: [one.scope for one in group] for group in view.groups(self._terms) for lease in group
        }

    def _regroup(self) -> None:
        """Stop what is open of a group that is not wholly this node's, as after a change of the configuration."""
        for scope in sorted(self._open_for):
            if scope in self._tenures and not self._is_whole(scope):
                self._part(scope, "it shares a scope with connections that are not here")

    def _is_whole(self, scope: str) -> bool:
        """Whether this node has all leases of a lease's group."""
        return all(one in self._tenures for one in self._groups.get(scope, (scope,)))

    def _open_whole_groups(self) -> None:
        """Connect where the last lease of a group has come."""
        for scope in sorted(self._tenures):
            if scope != KEEPER and scope not in self._open_for and self._is_whole(scope):
                group = self._groups.get(scope, [scope])
                self._open_for.update(group)
                task = asyncio.get_running_loop().create_task(self._open(group), name=f"open {scope}")
                self._opening.add(task)
                task.add_done_callback(self._opened)

    # ------------------------------------------------------------ one lease

    async def _renew(self) -> None:
        asked_at = self._engine.clock.monotonic()
        epochs = await self._line.run(store.renew_leases(self.node_id, self._terms.lease_us))
        self._asked_at = asked_at
        for scope, tenure in list(self._tenures.items()):
            if tenure.epoch in epochs:
                tenure.renewed(asked_at, self._terms)
            elif scope in self._tenures:
                self._lose(scope, "the database says that it is over")
        self._arm()

    def _arm(self) -> None:
        """End the use of leases in time, whatever the loop is waiting for."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._tenures:
            first = min(tenure.good_until for tenure in self._tenures.values())
            wait = max(0.0, first - self._engine.clock.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self._expire)

    def _expire(self) -> None:
        now = self._engine.clock.monotonic()
        for scope, tenure in list(self._tenures.items()):
            if scope in self._tenures and not tenure.good(now):
                self._lose(scope, "it could not be renewed in time")
        self._arm()

    async def _take(self, scope: str) -> None:
        asked_at = self._engine.clock.monotonic()
        taken = await self._line.run(store.take_lease(self.node_id, scope, self._terms.lease_us))
        if taken is None:
            return
        self._tenures[scope] = Tenure(scope, taken.epoch, self._terms.good_until(asked_at))
        self._holders[scope] = self.node_id
        self._arm()
        if self._flaps.came(scope, asked_at):
            self._engine.metrics.lease_flapped()
        self._engine.metrics.lease_taken(len(self._tenures), taken.overdue)
        clean = taken.debts is not None
        log.info("lease taken", lease=scope, epoch=taken.epoch, handed_over=clean, overdue=round(taken.overdue, 1))
        if scope == KEEPER:
            self.keeping(True)
        else:
            self._taken[scope] = taken

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("connections not opened", error=str(error), exc_info=error)

    async def _open(self, group: Sequence[str]) -> None:
        """Settle what the last owners left, then connect."""
        tenures = {scope: self._tenures[scope] for scope in group}
        taken = [self._taken[scope] for scope in group]
        for one in taken:
            await self._settle_before(one, tenures)
        if self._still(tenures):
            stood = stood_together(Stood(one.debts, one.since) for one in taken)
            keys = {key: tenure for scope, tenure in tenures.items() for key in self._keys_of(scope)}
            # Given up in the middle, nobody could tell where buckets stand: the next one begins as after a crash.
            self._taken.update({one.scope: one._replace(debts=None) for one in taken})
            await self._supervisor.own(keys, stood)
            if self._still(tenures):
                for scope in group:
                    del self._taken[scope]
            else:
                self._supervisor.give_up(keys)

    async def _settle_before(self, taken: Taken, tenures: Mapping[str, Tenure]) -> None:
        while self._still(tenures):
            try:
                taken = await self._note(taken)
                rescued = await self._rescue(taken)
            except Exception as error:  # noqa: BLE001 - without this no attempt of it may be made
                log.warning("what the last owner left is not settled yet", lease=taken.scope, error=str(error))
                await asyncio.sleep(self._terms.poll)
                continue
            if not rescued:
                break
            log.warning("attempts of unknown fate found after a takeover", lease=taken.scope, attempts=rescued)

    def _still(self, tenures: Mapping[str, Tenure]) -> bool:
        """Whether these leases are held as they were, all of them."""
        return all(self._tenures.get(scope) is one for scope, one in tenures.items())

    async def _note(self, taken: Taken) -> Taken:
        """Note what an owner of an older version has started, which noted nothing of it."""
        if taken.journaled:
            return taken
        left = await self._engine.database.read(begun_without_note(self._keys_of(taken.scope), taken.epoch))
        await self._engine.settle(lambda _: note_begun(left))
        return taken._replace(journaled=True)

    async def _rescue(self, taken: Taken) -> int:
        keys = self._keys_of(taken.scope)
        found: list[int] = []

        def stage(changes: Changes) -> Script[None]:
            found.append((yield from rescue(changes, self._name, keys, taken.epoch)))
            if not found[-1]:
                yield from store.note_settled(taken.scope, taken.epoch)

        await self._engine.settle(stage)
        return found[-1]

    def _lose(self, scope: str, why: str) -> None:
        """Use it no more from this moment on; what carriers still say of what has left is welcome."""
        log.warning("lease lost", lease=scope, why=why)
        self._tenures[scope].end()
        self._part(scope, why)

    def _part(self, scope: str, why: str) -> None:
        """Close what the lease was for, then hand it over. A lease that is still good is used for what is begun.

        What is open together with it goes with it, in the same moment: none of a group is used alone.
        """
        opened = (
            [one for one in self._groups.get(scope, ()) if one in self._open_for] if scope in self._open_for else []
        )
        self._part_one(scope, why)
        for one in opened:
            if one in self._tenures:
                self._part_one(one, why)

    def _part_one(self, scope: str, why: str) -> None:
        tenure = self._tenures.pop(scope)
        self._open_for.discard(scope)
        unused = self._taken.pop(scope, None)
        self._flaps.left(scope, self._engine.clock.monotonic())
        self._engine.metrics.leases_held(len(self._tenures))
        if scope == KEEPER:
            self.keeping(False)
        closing = self._supervisor.give_up(self._keys_of(scope))
        task = asyncio.get_running_loop().create_task(
            self._hand_over(tenure, closing, why, unused), name=f"part {scope}"
        )
        self._parting[scope] = task
        task.add_done_callback(partial(self._parted, scope))

    def _keys_of(self, scope: str) -> list[int]:
        return [] if scope == KEEPER else [int(scope.partition(":")[2])]

    def _parted(self, scope: str, task: asyncio.Task[None]) -> None:
        self._parting.pop(scope, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("lease not handed over", lease=scope, error=str(error), exc_info=error)
        self.wake()

    async def _hand_over(
        self, tenure: Tenure, closing: list[asyncio.Task[None]], why: str, unused: Taken | None
    ) -> None:
        scope, keys = tenure.scope, self._keys_of(tenure.scope)
        debts: store.Debts | None
        if scope != KEEPER:
            # What a commit under way has started is launched or taken back before the carrier is left.
            await self._settled()
            # What was never used goes on as it came.
            debts = self._supervisor.debts(keys) if unused is None else unused.debts
            if closing:
                await asyncio.wait(closing, timeout=min(CLOSE_WITHIN, self._terms.margin))
            tenure.end()
            await self._settled()
        else:
            debts = {}
        released = await self._try(_release(self.node_id, scope, tenure.epoch, debts))
        log.info("lease handed over", lease=scope, released=bool(released), why=why)

    async def _settled(self) -> None:
        """Wait until what the carriers have said so far is stored, not for long where the database is away."""
        try:
            async with asyncio.timeout(CLOSE_WITHIN):
                await self._engine.settle(_nothing)
        except Exception as error:  # noqa: BLE001 - it is handed over all the same
            log.warning("results of a connection that is handed over wait", error=str(error) or type(error).__name__)

    async def _try(self, script: Script[T]) -> T | None:
        try:
            return await self._line.run(script)
        except DatabaseAway as error:
            log.warning("the database was not told", error=str(error))
            return None


def _do_nothing() -> None:
    """Nobody listens yet."""


def _nothing(_: Changes) -> Script[None]:
    """A stage that only waits for its commit."""
    yield from ()


def _register(name: str, role: str, version: str, declared: Declared) -> Script[int]:
    node_id = yield from store.register_node(name, role, version, declared)
    yield from notify(Signal(node=node_id, leases=True, roster=True))
    return node_id


def _declare(node_id: int, declared: Declared) -> Script[None]:
    yield from store.declare_scopes(node_id, declared)
    yield from notify(Signal(node=node_id, leases=True, roster=True))


def _release(node_id: int, scope: str, epoch: int, debts: store.Debts | None) -> Script[bool]:
    released = yield from store.release_lease(node_id, scope, epoch, debts)
    yield from notify(Signal(node=node_id, leases=True))
    return released


def _end(node_id: int) -> Script[None]:
    yield from store.end_node(node_id)
    yield from notify(Signal(node=node_id, leases=True))
