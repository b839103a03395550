"""Portrait: how all members of a pool stand when a claim is made, as explanations will show it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from sendpool.domain.pool import Member
from sendpool.domain.reasons import Reason, Remark
from sendpool.domain.sender import Channel, Sender
from sendpool.pipeline.claim import HORIZON
from sendpool.pipeline.conditions import READY, condition, condition_of_link, momentary
from sendpool.pipeline.links import Gate, Link
from sendpool.pipeline.restraint import Restraint
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.scene import Detail, Scenes, Standing

#: Members of a pool above which those are not looked at closely whom plainly nothing keeps back.
MANY = 128


class Portrait:
    """Tells how members stand by what the send stage knows of them."""

    def __init__(
        self, scenes: Scenes, restraint: Restraint, links: Mapping[int, Link], gates: Mapping[int, Gate]
    ) -> None:
        self._scenes = scenes
        self._restraint = restraint
        self._links = links
        self._gates = gates
        #: Who runs a connection that this process does not, as `conditions.run_by` takes it.
        self.runner: Callable[[int], str | None] = lambda _connection_id: None
        #: The members of large pools, as last found to be all ready, and how they stood.
        self._all_ready: dict[tuple[int, Channel], tuple[Sequence[tuple[Sender, Member]], list[Standing]]] = {}

    def standings(
        self, roster: Roster, pool_id: int, channel: Channel, rooms: Collection[tuple[int, int]], now: float
    ) -> list[Standing]:
        """Every active member of a pool on a channel, ready or not, as an explanation will show it."""
        members = roster.members(pool_id, channel)
        if len(members) <= MANY:
            return self._scenes.standings(pool_id, channel, self._remarks(roster, pool_id, channel, rooms, now), now)
        known, standings = self._all_ready.get((pool_id, channel), (None, []))
        plain = self._are_plain(roster, pool_id, channel, now)
        if known is members and plain:
            return standings
        standings = self._scenes.standings(pool_id, channel, self._remarks(roster, pool_id, channel, rooms, now), now)
        if plain:
            self._all_ready[pool_id, channel] = (members, standings)
        return standings

    def _are_plain(self, roster: Roster, pool_id: int, channel: Channel, now: float) -> bool:
        """Whether `condition` would find each member of a large pool ready: one look at each costs a fifth of it."""
        links = [self._links.get(key) for key in roster.connections(pool_id, channel)]
        if not all(link is not None and condition_of_link(link, now) is READY for link in links):
            return False
        gates = self._gates
        for sender, _ in roster.members(pool_id, channel):
            gate = gates.get(sender.id)
            if (
                gate is None
                or gate.sender.drained
                or gate.flights.stopped
                or gate.health is not None
                or gate.bounds is not None
                or gate.capped_until > now
                or gate.bucket.paused_until > now
            ):
                return False
        return True

    def _remarks(
        self, roster: Roster, pool_id: int, channel: Channel, rooms: Collection[tuple[int, int]], now: float
    ) -> Iterator[tuple[Sender, Member, Remark]]:
        members = roster.members(pool_id, channel)
        detail = self._scenes.detail(pool_id, channel, len(members))
        for sender, member in members:
            gate, link = self._gates.get(sender.id), self._links.get(sender.connection_id)
            remark = condition(gate, link, now, self.runner(sender.connection_id) if link is None else None)
            if remark is not READY:
                remark = self._restraint.in_pool(remark, pool_id, sender.id)
            if remark.reason is Reason.READY:
                if detail is Detail.MOMENTS and gate and link and (pool_id, sender.id) not in rooms:
                    # Throughput that is used up now is free again in a moment: no time is worth a scene of its own.
                    remark = momentary(gate, link, now, HORIZON)._replace(until=None)
            elif remark.reason is Reason.PAUSED and detail is Detail.STEADY:
                remark = READY
            yield sender, member, remark
