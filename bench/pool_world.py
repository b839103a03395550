"""A pool in virtual time: the rules of `sendpool.domain` with nothing around them, so that hours pass in seconds.

Dealing, buckets, fair queueing, limits in flight, health and `next_step` are the server's own code. What is left out is
what costs time there and decides nothing: the database, sockets, and receipts.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Sequence
from enum import StrEnum
from heapq import heappop, heappush
from math import inf
from typing import NamedTuple

from sendpool.domain.comparing import judge_all
from sendpool.domain.dealing import LinkOffer, Offer, deal
from sendpool.domain.decision import MessageFacts, OutcomeFacts, Tried
from sendpool.domain.failures import classify
from sendpool.domain.fairness import FairClock, flow_of
from sendpool.domain.health import Standing
from sendpool.domain.inflight import Flights
from sendpool.domain.message import Category
from sendpool.domain.policy import policy_for
from sendpool.domain.preference import Preference, Seat, number_of, preferred
from sendpool.domain.routing import End, Failover, Later, next_step
from sendpool.domain.sender import Channel
from sendpool.domain.spread import Spread
from sendpool.domain.states import AttemptState
from sendpool.domain.throughput import Bucket
from sendpool.domain.vitals import Counting, Route
from sendpool.pipeline.claim import HORIZON
from sendpool.pipeline.restraint import Able, Restraint

#: Seconds between two looks at who is free, between two judgements of health, and until a carrier answers.
TICK, ROUND, LATENCY = 0.05, 10.0, 0.2
#: Seconds that a row waits in the lane of one sender that cannot take it, before another gets it.
GRACE = 10.0
#: Segments in flight on a connection, and seconds that a message is useful.
WINDOW, VALIDITY = 50, 48 * 3600.0
#: What a carrier answers during its outage.
_REFUSED = classify("smpp", "0x08")
_POOL, _COUNTRY = 1, "US"
_TAKEN, _FAULTED = AttemptState.ACCEPTED, AttemptState.REJECTED


class Choosing(StrEnum):
    """How a sender is chosen."""

    #: Late: whoever is free first takes what is next.
    SPREAD = "spread"
    #: A recipient always gets the same sender while that can send.
    STICKY = "sticky"
    #: When accepted, by fixed percentages, as is usual elsewhere; without limits in flight, and without health.
    STATIC = "static"


class SenderPlan(NamedTuple):
    """A sender, and when it refuses everything (seconds, from and to)."""

    mps: float
    outage: tuple[float, float] = (inf, inf)


class Request(NamedTuple):
    """So many recipients at a time."""

    at: float
    recipients: int
    category: Category = Category.BULK


class Row:
    """A message on its way."""

    __slots__ = ("born", "cost", "flow", "kind", "rank", "recipient", "since", "tried")

    def __init__(self, flow: int, kind: Category, recipient: str, rank: int, born: float) -> None:
        self.flow = flow
        self.kind = kind
        self.recipient = recipient
        self.rank = rank
        self.born = self.since = born
        self.cost = 1
        self.tried: list[Tried] = []


class Taken(NamedTuple):
    """A message that a carrier took."""

    at: float
    born: float
    flow: int
    kind: Category
    sender: int
    recipient: str


class Sender:
    """A sender with its carrier."""

    def __init__(self, number: int, plan: SenderPlan) -> None:
        self.id = number
        self.plan = plan
        self.bucket = Bucket(plan.mps)
        self.flights = Flights()
        #: (when the carrier answers, when it left, row).
        self.answers: deque[tuple[float, float, Row]] = deque()
        self.left: Counter[int] = Counter()

    def room(self, now: float, *, adaptive: bool) -> int:
        """How many may start."""
        return self.flights.room(now, WINDOW) if adaptive else max(0, WINDOW - self.flights.in_flight)

    def refuses(self, at: float) -> bool:
        """Whether its carrier is out of order then."""
        begin, end = self.plan.outage
        return begin <= at < end


_Heap = list[tuple[int, int, Row]]


class World:
    """One pool under one way of choosing. `run` brings it to the end; what happened stands in its fields."""

    def __init__(self, choosing: Choosing, senders: Sequence[SenderPlan], seed: int = 1) -> None:
        self.choosing = choosing
        self._spread = Spread()
        self.senders = {i + 1: Sender(i + 1, plan) for i, plan in enumerate(senders)}
        self.taken: list[Taken] = []
        self.refused: Counter[int] = Counter()
        self.failed = self.offered = 0
        self.restrained_at: list[tuple[float, int]] = []
        self._dice = random.Random(seed)
        self._seats = [Seat(one.id, number_of(str(one.id).encode()), one.plan.mps) for one in self.senders.values()]
        self._fair = FairClock()
        self._shared: _Heap = []
        self._lanes: dict[int, _Heap] = {number: [] for number in self.senders}
        self._later: list[tuple[float, int, int, Row]] = []
        self._order = self._flows = self._people = 0
        self._counting = Counting()
        self._standings: dict[Route, Standing] = {}
        self._restraint = Restraint(lambda: 0.0, {})
        self._quota = dict.fromkeys(self.senders, 0.0)

    @property
    def adaptive(self) -> bool:
        """Whether limits in flight and health apply."""
        return self.choosing is not Choosing.STATIC

    @property
    def waiting(self) -> int:
        """Messages that are not taken, and have not failed."""
        queued = len(self._shared) + sum(map(len, self._lanes.values())) + len(self._later)
        return queued + sum(len(one.answers) for one in self.senders.values())

    def run(self, requests: Sequence[Request], seconds: float) -> None:
        """Let so much time pass."""
        todo = deque(sorted(requests))
        judge_at = ROUND
        for turn in range(int(seconds / TICK)):
            now = turn * TICK
            while todo and todo[0].at <= now:
                self._accept(todo.popleft(), now)
            for sender in self.senders.values():
                self._hear(sender, now)
            while self._later and self._later[0][0] <= now:
                _, _, number, row = heappop(self._later)
                self._enqueue(row, number, now)
            if self.adaptive and now >= judge_at:
                judge_at += ROUND
                self._judge(now)
            if turn % 20 == 0 and self.adaptive:
                self._leave_lanes(now)
            self._deal(now)

    # ------------------------------------------------------------ in

    def _accept(self, request: Request, now: float) -> None:
        self.offered += request.recipients
        self._flows += 1
        flow = self._flows
        key, weight = flow_of(flow, request.recipients, request.category)
        ranks = self._fair.admit_each(key, [1] * request.recipients, weight)
        for rank in ranks:
            self._people += 1
            row = Row(flow, request.category, f"+1415{self._people:07d}", rank, now)
            self._enqueue(row, self._choose(row), now)

    def _choose(self, row: Row) -> int:
        """The lane of a new row; 0 is anybody's."""
        if self.choosing is Choosing.SPREAD:
            return 0
        if self.choosing is Choosing.STICKY:
            seat = preferred(Preference.STICKY, row.recipient, _COUNTRY, self._seats)
            return seat.sender_id if seat is not None else 0
        # In turn, in proportion to their throughput.
        for number, sender in self.senders.items():
            self._quota[number] += sender.plan.mps
        chosen = max(self._quota, key=self._quota.__getitem__)
        self._quota[chosen] -= sum(one.plan.mps for one in self.senders.values())
        return chosen

    def _enqueue(self, row: Row, number: int, now: float) -> None:
        row.since = now
        self._order += 1
        heappush(self._lanes[number] if number else self._shared, (row.rank, self._order, row))

    # ------------------------------------------------------------ out

    def _deal(self, now: float) -> None:
        offers = {number: offer for number, sender in self.senders.items() if (offer := self._offer(sender, now))}
        for number, offer in offers.items():
            self._give(self._lanes[number], [offer], now)
        if self._shared and offers:
            able = [Able(one.id, 1.0, one.plan.mps) for one in self.senders.values() if one.id in offers]
            trickles = self._restraint.of(_POOL, able) if self._restraint else {}
            for number, offer in offers.items():
                offer.trickles = trickles.get(number)
            self._give(self._shared, list(offers.values()), now)
        self._spread.note(offers.values())

    def _offer(self, sender: Sender, now: float) -> Offer | None:
        room = sender.room(now, adaptive=self.adaptive)
        slots = min(sender.bucket.slots(now, HORIZON), room) if room > 0 else 0
        if slots <= 0:
            return None
        link = LinkOffer(sender.id, room, Bucket(None), idle=sender.flights.in_flight == 0)
        return Offer(
            sender.id, room, sender.bucket, link, self._spread.place(sender.id), 1.0, idle=link.idle, slots=slots
        )

    def _give(self, heap: _Heap, offers: Sequence[Offer], now: float) -> None:
        room = sum(min(offer.room, offer.slots) for offer in offers)
        head = [heappop(heap) for _ in range(min(room, len(heap)))]
        restrained = any(offer.trickles for offer in offers)
        rows = [entry[2] for entry in head]
        dealt = deal(rows, offers, now, HORIZON, (lambda _: _COUNTRY) if restrained else None)
        gone = set()
        for one in dealt:
            gone.add(one.place)
            sender = self.senders[one.offer.sender_id]
            sender.flights.started(1)
            sender.left[int(one.departure)] += 1
            sender.answers.append((one.departure + LATENCY, one.departure, rows[one.place]))
        if dealt:
            self._fair.claimed(max(rows[one.place].rank for one in dealt))
        for place, entry in enumerate(head):
            if place not in gone:
                heappush(heap, entry)

    def _leave_lanes(self, now: float) -> None:
        """Rows that wait for a sender which is stopped go to another: a retry at once, else after the grace."""
        for number, lane in self._lanes.items():
            if not self.senders[number].flights.stopped or not lane:
                continue
            moved = [entry for entry in lane if entry[2].tried or entry[2].since <= now - GRACE]
            able = [one for one in self.senders.values() if not one.flights.stopped]
            if moved and able:
                gone = {entry[1] for entry in moved}
                self._lanes[number] = sorted(entry for entry in lane if entry[1] not in gone)
                for _, _, row in moved:
                    self._enqueue(row, self._instead(row, able, now), now)

    def _instead(self, row: Row, able: Sequence[Sender], now: float) -> int:
        used = {one.sender_id for one in row.tried}
        untried = [one for one in able if one.id not in used] or able
        if row.tried or self.choosing is Choosing.SPREAD:
            return self._first_free(untried, row, now)
        seats = [seat for seat in self._seats if not self.senders[seat.sender_id].flights.stopped]
        seat = preferred(Preference.STICKY, row.recipient, _COUNTRY, seats)
        return seat.sender_id if seat is not None else 0

    # ------------------------------------------------------------ back

    def _hear(self, sender: Sender, now: float) -> None:
        """What the carrier has answered by now."""
        good = bad = 0
        slot = self._counting.of(Route(sender.id, _COUNTRY)).slot(now)
        while sender.answers and sender.answers[0][0] <= now:
            at, left, row = sender.answers.popleft()
            if sender.refuses(left):
                bad += 1
                self.refused[int(at)] += 1
                self._after_refusal(row, sender, now)
            else:
                good += 1
                self.taken.append(Taken(left, row.born, row.flow, row.kind, sender.id, row.recipient))
        slot.taken += good
        slot.refused += bad
        if self.adaptive:
            sender.flights.faulted(bad, now)
            sender.flights.accepted(good, now)
        else:
            sender.flights.ended(good + bad)

    def _after_refusal(self, row: Row, sender: Sender, now: float) -> None:
        row.tried.append(Tried(Channel.SMS, sender.id, sender.id, _FAULTED, _REFUSED.failure, _REFUSED.rule))
        used = {one.sender_id for one in row.tried}
        untried = [one for one in self.senders.values() if one.id not in used]
        facts = MessageFacts(
            created_at=row.born,
            deadline=row.born + VALIDITY,
            plan=(Channel.SMS,),
            attempts=tuple(row.tried),
            untried=bool(untried),
            untried_elsewhere=bool(untried),
        )
        outcome = OutcomeFacts(len(row.tried) - 1, _REFUSED)
        decision = next_step(facts, outcome, policy_for(row.kind), now)
        if isinstance(decision, Later):
            self._postpone(decision.at, decision.sender_id, row)
        elif isinstance(decision, Failover):
            self._postpone(decision.at, self._first_free(untried, row, now), row)
        else:
            assert isinstance(decision, End), decision
            self.failed += 1

    def _postpone(self, at: float, number: int, row: Row) -> None:
        self._order += 1
        heappush(self._later, (at, self._order, number, row))

    def _first_free(self, untried: Sequence[Sender], row: Row, now: float) -> int:
        """Whoever would get to it first, as failover chooses."""

        def ready(one: Sender) -> tuple[float, int]:
            stopped = one.flights.stopped_until if self.adaptive else -inf
            ahead = len(self._lanes[one.id]) / one.plan.mps
            return max(one.bucket.free_at(now), stopped) + ahead, hash((row.recipient, one.id)) % 97

        return min(untried, key=ready).id

    # ------------------------------------------------------------ health

    def _judge(self, now: float) -> None:
        groups = {number: [frozenset(self.senders)] for number in self.senders}
        judged = judge_all(self._counting, groups, self._standings, now)
        self._standings = {route: one.standing for route, one in judged.items() if one.standing != Standing()}
        shares = {route.sender_id: {_COUNTRY: one.share} for route, one in self._standings.items() if one.share < 1.0}
        self._restraint.restrain(shares)
        self.restrained_at.append((now, len(shares)))
