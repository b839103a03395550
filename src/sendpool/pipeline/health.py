"""Keep health: judge every few seconds, restrain who is worse than its peers, and say so.

What is counted lives in memory (`pulse`); a standing is written when it changes, so that a restart goes on with it, and
so does another node: the health of a sender is kept by the node that has its connection, and by no other.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import structlog

from sendpool.domain import ids
from sendpool.domain.comparing import Group, Judged, judge_all
from sendpool.domain.health import TRICKLE, USUAL, Condition, Standing, Symptom, Thresholds, agreed
from sendpool.domain.hearing import Hearing
from sendpool.domain.sender import Channel
from sendpool.domain.vitals import Figures, Route, p95
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.listen import keep
from sendpool.pipeline.roster import Roster
from sendpool.store.database import Script
from sendpool.store.health import HealthRow, load_health, write_health
from sendpool.store.hearing import load_hearings
from sendpool.store.notices import Notice, write_notices

log = structlog.get_logger()

#: Seconds between judgements, and between looks which connections this node has.
EVERY, LOOK = 5.0, 1.0
CHANGED = "sendpool.sender.health-changed"


def groups_of(roster: Roster) -> dict[int, list[Group]]:
    """By sender: the groups whose members stand in for each other, which are its pools.

    The pool of everything that an account has counts only for who is in no other: what happens to be configured
    beside each other need not be alike.
    """
    named: dict[int, list[Group]] = defaultdict(list)
    others: dict[int, list[Group]] = defaultdict(list)
    for pool in roster.pools.values():
        if pool.deleted:
            continue
        for channel in Channel:
            group = frozenset(sender.id for sender, _ in roster.members(pool.id, channel))
            if len(group) > 1:
                found = others if pool.everyone else named
                for sender_id in group:
                    found[sender_id].append(group)
    return {**others, **named}


def thresholds_of(roster: Roster) -> dict[int, Thresholds]:
    """By sender, where they are not the usual ones: what its pools agree on. Pools that heed no health do not count,
    nor, as in `groups_of`, the pool of everything for who is in another.
    """
    said: dict[int, list[Thresholds]] = defaultdict(list)
    for pool in roster.pools.values():
        if pool.deleted or pool.everyone or not pool.choice.heeds_health:
            continue
        for channel in Channel:
            members = roster.members(pool.id, channel)
            for sender, _ in members if len(members) > 1 else ():
                said[sender.id].append(pool.choice.thresholds)
    found = {sender_id: agreed(pools) for sender_id, pools in said.items()}
    return {sender_id: one for sender_id, one in found.items() if one != USUAL}


def recalled(row: HealthRow, now: float, trickle: float = TRICKLE) -> Standing:
    """A standing of an earlier run: nothing is known of the time between, so it is shown to be well anew."""
    symptom = Symptom(row.symptom) if row.symptom else None
    return Standing(Condition.UNHEALTHY, trickle, now, symptom, 0, row.relapses, now)


class HealthKeeper:
    """Judges in rounds, and keeps the standings of all that are not simply healthy."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.standings: dict[Route, Standing] = {}
        self._roster: Roster | None = None
        self._groups: Mapping[int, Sequence[Group]] = {}
        self._thresholds: Mapping[int, Thresholds] = {}
        self._task: asyncio.Task[None] | None = None
        #: Changes whose writing has failed.
        self._unwritten: dict[Route, Judged] = {}
        #: Connections whose senders' health is kept here. Where one process has the database to itself, all are.
        self._connections: set[int] = set()

    async def recover(self) -> None:
        """Know who was not healthy when an earlier run ended, or where another node had them."""
        if self._engine.fence.shared:
            await self.follow()
        else:
            self._recall(await self._engine.database.read(load_health()))
        await self._recall_hearings()

    async def follow(self) -> None:
        """Take on the health of senders whose connections have come to this node, and leave those that have gone."""
        if not self._engine.fence.shared or self._connections == self._engine.sending.links.keys():
            return
        rows, now_here = await self._engine.database.read(load_health()), set(self._engine.sending.links)
        come, self._connections = now_here - self._connections, now_here
        senders = self._engine.roster.senders
        self._forget({one for one in self._known() if not self._is_here(one)})
        self._unwritten = {route: one for route, one in self._unwritten.items() if self._is_here(route.sender_id)}
        self._recall(row for row in rows if row.sender_id in senders and senders[row.sender_id].connection_id in come)

    def _recall(self, rows: Iterable[HealthRow]) -> None:
        now = self._engine.clock.monotonic()
        self._know(self._engine.roster)
        for row in rows:
            by = self._thresholds.get(row.sender_id, USUAL)
            self.standings[Route(row.sender_id, row.country)] = recalled(row, now, by.trickle)
            # Whose receipts were missing has brought some before.
            self._engine.sending.pulse.counting.reporting.add(row.sender_id)
        self._restrain()

    async def _recall_hearings(self) -> None:
        """Know what is heard of senders: by an earlier run, and by other nodes of theirs."""
        engine = self._engine
        engine.listener.recall(await engine.database.read(load_hearings()), self._listens_to)

    def _listens_to(self, sender_id: int) -> bool:
        """Whether a sender's receipts are this process's to judge."""
        sender = self._engine.roster.senders.get(sender_id)
        return sender is not None and not self._engine.fence.leaves_to(sender.connection_id)

    def _known(self) -> set[int]:
        """Senders of whom anything is counted or kept."""
        return {route.sender_id for route in (*self._engine.sending.pulse.counting.routes, *self.standings)}

    def _is_here(self, sender_id: int) -> bool:
        sender = self._engine.roster.senders.get(sender_id)
        if not self._engine.fence.shared:
            return sender is not None
        return sender is not None and sender.connection_id in self._connections

    def start(self) -> None:
        """Begin the rounds."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="health")

    async def stop(self) -> None:
        """End the rounds."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(LOOK)
            rounds += 1
            try:
                await self.follow()
                if rounds % round(EVERY / LOOK) == 0:
                    await self.once()
            except Exception as error:  # noqa: BLE001 - the next round may do better
                log.error("health could not be judged or written", error=str(error))

    async def once(self) -> None:
        """One round: judge, restrain, and write what has changed."""
        engine = self._engine
        counting, roster = engine.sending.pulse.counting, engine.roster
        if roster is not self._roster:
            self._know(roster)
        self._forget({one for one in self._known() if not self._is_here(one)})
        if engine.fence.company:
            await self._recall_hearings()
        if not counting.routes and not self.standings:
            return
        await self._listen(roster)
        if engine.planner.restraint:
            self._restrain()  # What a carrier has closed opens again in time.
        now = engine.clock.monotonic()
        judged = judge_all(counting, self._groups, self.standings, now, self._thresholds)
        changed = self._take_over(judged)
        if changed:
            self._restrain()
            engine.wake()
        changed = self._unwritten = {**self._unwritten, **changed}
        if changed:
            await engine.settle(lambda changes: self._write(changed, roster, changes.now))
            self._unwritten = {}

    def _write(self, changed: Mapping[Route, Judged], roster: Roster, now: int) -> Script[None]:
        """Write what has changed, but for what another node has meanwhile: it knows better."""
        links = self._engine.sending.links
        epochs = {}
        for route in changed:
            sender = roster.senders.get(route.sender_id)
            link = links.get(sender.connection_id) if sender is not None else None
            if link is not None:
                epochs[route] = link.tenure.epoch
        if self._engine.fence.shared:
            held = yield from self._engine.fence.held(set(epochs.values()))
            changed = {route: one for route, one in changed.items() if epochs.get(route) in held}
        yield from _write(changed, roster, now)

    def _know(self, roster: Roster) -> None:
        self._roster, self._groups, self._thresholds = roster, groups_of(roster), thresholds_of(roster)
        self._engine.planner.restraint.least = {key: one.trickle for key, one in self._thresholds.items()}

    async def _listen(self, roster: Roster) -> None:
        engine = self._engine
        listener, moment = engine.listener, engine.clock.monotonic()
        told = listener.once(engine.sending.pulse.counting, roster, moment, self._listens_to)
        engine.metrics.receipts_broken.set(listener.broken)
        heard = listener.unkept()
        if told or heard:
            await engine.settle(lambda changes: _write_heard(heard, told, changes.now))
            listener.kept(heard)

    def _take_over(self, judged: Mapping[Route, Judged]) -> dict[Route, Judged]:
        """Keep the new standings; brings those whose condition or share is another."""
        changed = {}
        for route, one in judged.items():
            before, after = self.standings.get(route, Standing()), one.standing
            if after == Standing():
                self.standings.pop(route, None)
            else:
                self.standings[route] = after
            if (before.condition, before.share) != (after.condition, after.share):
                changed[route] = one
                self._tell(route, before, one)
        return changed

    def _tell(self, route: Route, before: Standing, one: Judged) -> None:
        after = one.standing
        sender = self._engine.roster.senders.get(route.sender_id)
        said = {"sender": sender.address if sender else route.sender_id, "country": route.country, "share": after.share}
        if after.condition is not before.condition:
            self._engine.metrics.health_changes(after.condition.value).inc()
            log.warning("health of a sender changed", condition=after.condition.value, symptom=after.symptom, **said)

    def _restrain(self) -> None:
        shares: dict[int, dict[str, float]] = defaultdict(dict)
        counts = dict.fromkeys(Condition, 0)
        for route, standing in self.standings.items():
            counts[standing.condition] += 1
            if standing.share < 1.0:
                shares[route.sender_id][route.country] = standing.share
        self._engine.planner.restraint.restrain(shares)
        for condition in (Condition.UNHEALTHY, Condition.RETURNING):
            self._engine.metrics.restrained(condition.value).set(counts[condition])

    def _forget(self, senders: Iterable[int]) -> None:
        gone = set(senders)
        if gone:
            self._engine.sending.pulse.counting.forget(gone)
            self._engine.listener.forget(gone)
            self.standings = {route: one for route, one in self.standings.items() if route.sender_id not in gone}
            self._restrain()


def figures_told(own: Figures, peers_faults: float, peers_loss: float, peers_delay: float | None) -> dict[str, float]:
    """What a judgement rests on, as it is kept and shown: shares, and seconds that 95 of 100 receipts take at most."""
    told = {
        "messages": own.tried,
        "faults": round(own.fault_share, 3),
        "lost": round(own.loss_share, 3),
        "delay": p95(own.delays),
        "peersFaults": round(peers_faults, 3),
        "peersLost": round(peers_loss, 3),
        "peersDelay": peers_delay,
    }
    return {name: round(value, 3) for name, value in told.items() if value is not None}


def _write_heard(heard: dict[int, Hearing], told: Sequence[Notice], now: int) -> Script[None]:
    yield from keep(heard, now)
    yield from write_notices(told)


def _write(changed: Mapping[Route, Judged], roster: Roster, now: int) -> Script[None]:
    rows, notices = [], []
    for route, (standing, own, peers) in changed.items():
        sender = roster.senders.get(route.sender_id)
        if sender is None:
            continue
        # Of a peer that is not known nobody is worse: that is no figure.
        theirs = (peers.fault_share, peers.loss_share) if peers.senders else (0.0, 0.0)
        figures = figures_told(own, *theirs, p95(peers.delays))
        symptom = standing.symptom.value if standing.symptom else None
        rows.append(
            HealthRow(
                *route,
                standing.condition.value,
                standing.share,
                symptom,
                msgspec.json.encode(figures).decode(),
                standing.relapses,
                now,
                now,
            )
        )
        told = {"state": standing.condition.value, "share": f"{standing.share:g}", "country": route.country}
        if symptom:
            told["reason"] = symptom
        notices.append(Notice(sender.account_id, CHANGED, ids.encode(ids.SENDER, sender.uid), told, now))
    yield from write_health(rows, now)
    yield from write_notices(notices)
