"""Plan: offer what each sender can take now, as claims that the next commit carries out.

Looks at buckets, windows and turns in memory; touches no database.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from math import inf
from typing import Any, NamedTuple

from sendpool.domain.bounded import BoundOffer
from sendpool.domain.dealing import LinkOffer, Offer
from sendpool.domain.policy import PoolRules
from sendpool.domain.preference import spare
from sendpool.domain.scopes import Moment
from sendpool.domain.sender import Channel, Sender
from sendpool.domain.spread import Spread
from sendpool.domain.trickle import Trickles
from sendpool.pipeline.book import QueueBook, is_one_senders
from sendpool.pipeline.claim import HORIZON, Claim, Queue, Tier
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.lanes import Lanes
from sendpool.pipeline.limiting import Limiter
from sendpool.pipeline.links import Gate, Link
from sendpool.pipeline.portrait import Portrait
from sendpool.pipeline.restraint import Able, Restraint
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.scene import Scenes
from sendpool.store.queue import QueueKey

#: Senders of a pool that one claim asks at least; where they can take all that can leave, it asks no more.
HAND = 128
#: Segments that a connection is given at most in a commit for which somebody waits: on SQLite some 10 ms of work. One
#: such commit of so many gives as many as the longest text has, which would else wait until nothing is in flight.
SHORT, LONGEST, ONE_OF = 72, 128, 8


class _Room(NamedTuple):
    """What one sender may take from one pool now: segments in flight, and of them at its pace."""

    gate: Gate
    room: int
    slots: int
    weight: float


class Planner:
    """Plans claims for every pool that has due rows and a sender that is free."""

    def __init__(
        self,
        book: QueueBook,
        links: Mapping[int, Link],
        gates: Mapping[int, Gate],
        spreads: Mapping[tuple[int, Channel], Spread],
        limiter: Limiter,
        wake: Callable[[], None],
        clock: Clock,
    ) -> None:
        """*links* by connection, *gates* by sender, *spreads* and the *limiter* are those that the send stage keeps."""
        self.book = book
        self.roster = Roster()
        self.scenes = Scenes()
        self.restraint = Restraint(clock.monotonic, gates)
        self.restraint.heeds = self._heeds_health
        self.links = links
        self.gates = gates
        self.spreads = spreads
        self._limiter = limiter
        self._wake = wake
        self._clock = clock
        self.portrait = Portrait(self.scenes, self.restraint, links, gates)
        #: Messages of a pool that are no rows yet.
        self.unexpanded: Callable[[int], int] = lambda _: 0
        self._timer: asyncio.TimerHandle | None = None
        self._turn = self._shorts = 0
        #: Where the next hand of a large pool begins, by pool and channel.
        self._hands: dict[tuple[int, Channel], int] = {}

    def plan(self, *, short: bool = False) -> list[Claim]:
        """The claims that the next commit should carry out: every pool with due rows and a sender that is free.

        *short*: somebody waits for an answer from that commit or the next, so that it should not do much.
        """
        now = self._clock.monotonic()
        waiting = self.book.pools()
        if not waiting:
            return []
        # Pools that share a connection's window take turns at being asked first.
        self._turn = (self._turn + 1) % len(waiting)
        waiting = waiting[self._turn :] + waiting[: self._turn]
        links = self._link_offers(now, short=short)
        rooms, hands = self._share(waiting, links, now)
        claims = []
        for pool_id, channel, queues in waiting:
            offers = self._offers(pool_id, channel, rooms, links)
            if offers:
                scene = self.scenes.number(
                    pool_id, channel, self.portrait.standings(self.roster, pool_id, channel, rooms, now)
                )
                claim = self._claim(pool_id, channel, queues, offers, now)
                level = min([offer.served for offer in offers]) if (pool_id, channel) in hands else None
                bounded = self._bounded(pool_id, channel, offers, now)
                claims.append(claim._replace(scene=scene, level=level, **bounded))
        if not claims:
            self._wake_at(now, self._next_free(waiting, now))
        return claims

    def _link_offers(self, now: float, *, short: bool) -> dict[int, LinkOffer]:
        rooms = [(link, link.room(now)) for link in self.links.values()]
        self._shorts += short
        most = SHORT if self._shorts % ONE_OF else LONGEST
        return {
            link.connection_id: LinkOffer(
                link.connection_id,
                min(room, most) if short else room,
                link.bucket,
                idle=link.in_flight == 0,
                epoch=link.tenure.epoch,
            )
            for link, room in rooms
            if room > 0
        }

    def _claim(
        self, pool_id: int, channel: Channel, keys: Sequence[QueueKey], offers: Sequence[Offer], now: float
    ) -> Claim:
        lanes = self.roster.lanes(pool_id, channel)
        queues = [
            Queue(
                queue_id := self.book.number(pool_id, channel, key.lane),
                lanes.takers(key.lane),
                is_one_senders(key.lane),
                self.book.heads.of(queue_id),
            )
            for key in keys
        ]
        choice = lanes.choice
        claim = Claim(pool_id, channel, queues, offers, quiet=choice.quiet, rules=self._rules(pool_id))
        if len(lanes.tiers) < 2:
            return claim
        tiers = self._tiers(pool_id, channel, lanes, keys, now)
        return claim._replace(tiers=tiers, grace=int(choice.grace * 1_000_000))

    def _rules(self, pool_id: int) -> PoolRules | None:
        pool = self.roster.pools.get(pool_id)
        return pool.rules if pool is not None else None

    def _tiers(self, pool_id: int, channel: Channel, lanes: Lanes, keys: Sequence[QueueKey], now: float) -> list[Tier]:
        """The tiers of a pool, each with what those above it cannot take of what waits within the pool's grace."""
        waiting = sum(self.book.waiting(self.book.number(pool_id, channel, key.lane)) for key in keys)
        waiting += self.unexpanded(pool_id)
        members: dict[int, list[int]] = {tier: [] for tier in lanes.tiers}
        paces = dict.fromkeys(lanes.tiers, 0.0)
        for sender, member in self.roster.members(pool_id, channel):
            members[member.tier].append(sender.id)
            if self._ready_at(sender, now) <= now + lanes.choice.grace:
                paces[member.tier] += sender.mps
        left = spare(waiting, list(paces.values()), lanes.choice.grace)
        return [Tier(frozenset(members[tier]), room) for tier, room in zip(lanes.tiers, left, strict=True)]

    def _ready_at(self, sender: Sender, now: float) -> float:
        """When a sender may send again, apart from how many it has in flight; infinite while its link is away."""
        gate, link = self.gates.get(sender.id), self.links.get(sender.connection_id)
        if gate is None or link is None or not link.up or link.draining or sender.drained:
            return inf
        return max(gate.free_at(link, now), gate.flights.stopped_until, link.closure.until)

    def _bounded(self, pool_id: int, channel: Channel, offers: Sequence[Offer], now: float) -> dict[str, Any]:
        """The limiter, where some offer is bounded; and whether nobody but the offers could take a row of the pool."""
        if not any(isinstance(offer, BoundOffer) for offer in offers):
            return {}
        offered = {offer.sender_id for offer in offers}
        others = (sender for sender, _ in self.roster.members(pool_id, channel) if sender.id not in offered)
        return {"limiter": self._limiter, "all_in": not any(self._may_take(sender, now) for sender in others)}

    def _may_take(self, sender: Sender, now: float) -> bool:
        """Whether a sender that has no offer now may have one soon. Rows that wait for one that comes back otherwise,
        because its link comes up, are looked at again then.
        """
        gate, link = self.gates.get(sender.id), self.links.get(sender.connection_id)
        if gate is None or link is None or sender.drained:
            return False
        return link.up and not link.draining and gate.capped_until <= now

    def _takers(self, pool_id: int, channel: Channel, keys: Iterable[QueueKey]) -> Iterable[tuple[Gate, float, int]]:
        """The gates of a pool that have something to take, with their weights there and how much that is."""
        lanes = self.roster.lanes(pool_id, channel)
        for_all = 0
        for_some: Counter[int] = Counter()
        for key in keys:
            waiting = self.book.waiting(self.book.number(pool_id, channel, key.lane))
            takers = lanes.takers(key.lane)
            if takers is None:
                for_all += waiting
            else:
                for_some.update(dict.fromkeys(takers, waiting))
        for sender, member in self.roster.members(pool_id, channel):
            gate = self.gates.get(sender.id)
            number = for_all + for_some[sender.id]
            if gate is not None and number and not sender.drained:
                yield gate, member.weight, number

    def _share(
        self, waiting: Sequence[tuple[int, Channel, list[QueueKey]]], links: Mapping[int, LinkOffer], now: float
    ) -> tuple[dict[tuple[int, int], _Room], set[tuple[int, Channel]]]:
        """What each sender may take from each of its pools, by (pool, sender); and the pools of which not all are
        asked.
        """
        pools_of: dict[int, dict[int, tuple[float, int]]] = defaultdict(dict)
        rooms: dict[tuple[int, int], _Room] = {}
        pool_ids = {pool_id for pool_id, _, _ in waiting}
        hands = set()
        for pool_id, channel, queues in waiting:
            if self._are_many(pool_id, channel, queues, pool_ids) and self._deal_hand(
                pool_id, channel, queues, links, now, rooms
            ):
                hands.add((pool_id, channel))
            else:
                for gate, weight, number in self._takers(pool_id, channel, queues):
                    pools_of[gate.sender.id][pool_id] = (weight, number)
        for sender_id, pools in pools_of.items():
            gate = self.gates[sender_id]
            room, slots = self._room(gate, links, now)
            if slots <= 0:
                continue
            rows = {pool_id: number for pool_id, (_, number) in pools.items()}
            shares = gate.turns.share(slots, pools.keys(), waiting=rows)
            for pool_id, (weight, _) in pools.items():
                if shares.get(pool_id, 0):
                    rooms[pool_id, sender_id] = _Room(gate, room, shares[pool_id], weight)
        return rooms, hands

    def _are_many(self, pool_id: int, channel: Channel, keys: Sequence[QueueKey], waiting: Collection[int]) -> bool:
        """Whether a pool has so many senders that not all have to be asked: all alike, and wanted by it alone."""
        if len(self.roster.members(pool_id, channel)) <= HAND or self.restraint:
            return False
        lanes = self.roster.lanes(pool_id, channel)
        if len(lanes.tiers) > 1 or not all(lanes.takers(key.lane) is None for key in keys):
            return False
        return self.roster.sharing(pool_id).isdisjoint(waiting)

    def _deal_hand(
        self,
        pool_id: int,
        channel: Channel,
        keys: Sequence[QueueKey],
        links: Mapping[int, LinkOffer],
        now: float,
        rooms: dict[tuple[int, int], _Room],
    ) -> bool:
        """Note in *rooms* what some senders of a large pool may take, enough for all that can leave now; the next
        claim begins behind them. False: all are to be asked, since limits choose between messages.
        """
        members = self.roster.members(pool_id, channel)
        number = sum(self.book.waiting(self.book.number(pool_id, channel, key.lane)) for key in keys)
        wanted = min(number, sum(link.room for link in links.values()))
        begin = self._hands.get((pool_id, channel), 0) % len(members)
        found, given = {}, 0
        for place in range(begin, begin + len(members)):
            sender, member = members[place % len(members)]
            gate = self.gates.get(sender.id)
            if gate is None or sender.drained:
                continue
            if gate.bounds is not None:
                return False
            room, slots = self._room(gate, links, now)
            if slots <= 0:
                continue
            found[pool_id, sender.id] = _Room(gate, room, min(slots, number), member.weight)
            given += slots
            if len(found) >= HAND and given >= wanted:
                break
        self._hands[pool_id, channel] = place + 1
        rooms.update(found)
        return True

    def _room(self, gate: Gate, links: Mapping[int, LinkOffer], now: float) -> tuple[int, int]:
        """Segments that a sender may have in flight more, and those of them that its paces allow within the horizon."""
        link = links.get(gate.sender.connection_id)
        if link is None:
            return 0, 0
        room = min(link.room, gate.flights.room(now, self.links[link.connection_id].window))
        slots = min(gate.bucket.slots(now, HORIZON), link.bucket.slots(now, HORIZON), room)
        if gate.bounds is not None and slots > 0:
            slots = min(slots, self._bounded_slots(gate, now))
        return room, slots

    def _bounded_slots(self, gate: Gate, now: float) -> int:
        """Segments that named scopes and lasting limits leave to a sender."""
        assert gate.bounds is not None
        moment = Moment(now, self._clock.wall())
        gate.capped_until = gate.bounds.capped_until(moment)
        return gate.bounds.slots(moment, HORIZON)

    def _offers(
        self,
        pool_id: int,
        channel: Channel,
        rooms: Mapping[tuple[int, int], _Room],
        links: Mapping[int, LinkOffer],
    ) -> list[Offer]:
        offers: list[Offer] = []
        members = self.roster.members(pool_id, channel)
        spread = self.spreads[pool_id, channel]
        trickles = self._trickles(pool_id, channel) if self.restraint else {}
        for sender, _ in members:
            entry = rooms.get((pool_id, sender.id))
            if entry is not None:
                gate, room, slots, weight = entry
                trickle = trickles.get(sender.id)
                link = links[sender.connection_id]
                offer = (sender.id, room, gate.bucket, link, spread.place(sender.id), weight)
                idle = gate.flights.in_flight == 0
                if gate.bounds is None:
                    offers.append(Offer(*offer, idle=idle, slots=slots, trickles=trickle))
                else:
                    offers.append(BoundOffer(*offer, gate.bounds, idle=idle, slots=slots, trickles=trickle))
        return offers

    def _trickles(self, pool_id: int, channel: Channel) -> dict[int, Trickles]:
        """What is left to the unhealthy among a pool's senders, where others can send now."""
        able = [
            Able(sender.id, member.weight, sender.mps or 1.0)
            for sender, member in self.roster.members(pool_id, channel)
            if (gate := self.gates.get(sender.id)) is not None and not gate.flights.stopped
            if (link := self.links.get(sender.connection_id)) is not None and link.up and not link.draining
            if not link.closure.closed
        ]
        return self.restraint.of(pool_id, able)

    def _heeds_health(self, pool_id: int) -> bool:
        pool = self.roster.pools.get(pool_id)
        return pool is None or pool.choice.heeds_health

    def _next_free(self, waiting: Iterable[tuple[int, Channel, list[QueueKey]]], now: float) -> float | None:
        """When a sender with waiting rows may take one again; None when that hangs on an outcome or a link."""
        times = []
        for pool_id, channel, queues in waiting:
            for gate, _, _ in self._takers(pool_id, channel, queues):
                link = self.links.get(gate.sender.connection_id)
                if link is None or link.room(max(now, link.closure.until)) <= 0:
                    continue
                stopped = max(gate.flights.stopped_until, link.closure.until)
                if gate.flights.room(max(now, stopped), link.window) > 0:
                    times.append(max(gate.free_at(link, now), stopped + HORIZON))
        return min(times, default=None)

    def _wake_at(self, now: float, when: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if when is not None:
            # Half the horizon ahead: late enough to gather rows of several senders, early enough to be on time.
            delay = max(0.002, when - now - HORIZON / 2)
            self._timer = asyncio.get_running_loop().call_later(delay, self._wake)
