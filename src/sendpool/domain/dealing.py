"""Give each due row to the sender that can take it now. Pure but for the buckets that it is lent."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from heapq import heapify, heappop, heapreplace
from typing import NamedTuple, Protocol, TypeVar

from sendpool.domain.message import LETTER_CHANNEL
from sendpool.domain.sender import Channel
from sendpool.domain.throughput import Bucket, take_nested, take_nested_singles
from sendpool.domain.trickle import Trickles
from sendpool.domain.tuples import maker


def step_cost(letter: str, segments: int) -> int:
    """Segments that a step of a plan costs: a text is cut into *segments* on SMS only."""
    return segments if LETTER_CHANNEL[letter] is Channel.SMS else 1


class LinkOffer:
    """What a connection can take now: `room` segments, at the pace of its own bucket."""

    __slots__ = ("bucket", "connection_id", "epoch", "idle", "room")

    def __init__(self, connection_id: int, room: int, bucket: Bucket, *, idle: bool, epoch: int = 0) -> None:
        self.connection_id = connection_id
        self.room = room
        self.bucket = bucket
        #: Nothing is in flight: a message longer than the whole window may start all the same.
        self.idle = idle
        #: Of the tenure under which it may be used.
        self.epoch = epoch


class Offer:
    """What one sender can take now: `room` segments in flight, `slots` of them at its pace.

    `served` is its place in the spread: segments given, over its weight.
    """

    __slots__ = ("bucket", "gave_from", "idle", "link", "room", "sender_id", "served", "slots", "trickles", "weight")

    def __init__(
        self,
        sender_id: int,
        room: int,
        bucket: Bucket,
        link: LinkOffer,
        served: float,
        weight: float,
        *,
        idle: bool,
        slots: int | None = None,
        trickles: Trickles | None = None,
    ) -> None:
        self.sender_id = sender_id
        self.room = room
        self.slots = room if slots is None else slots
        self.bucket = bucket
        self.link = link
        self.served = served
        #: Its place when it was given something last; None: nothing yet.
        self.gave_from: float | None = None
        self.weight = weight
        self.idle = idle
        #: Countries to which it is to send little for the sake of its health.
        self.trickles = trickles

    @property
    def open(self) -> bool:
        """Whether it can take anything at all."""
        return self.slots > 0 and self.room > 0 and self.link.room > 0

    def fits(self, cost: int, now: float, latest: float) -> bool:
        """Whether a message of *cost* segments may start: its parts have room in flight, and its time is near.

        One longer than the whole room waits until nothing is in flight.
        """
        link = self.link
        if not ((cost <= self.room or self.idle) and (cost <= link.room or (link.idle and link.room > 0))):
            return False
        return cost == 1 or max(self.bucket.earliest(cost, now), link.bucket.earliest(cost, now)) <= latest

    def may_take(self, country: str, now: float) -> bool:
        """Whether its health allows a message to a country."""
        trickle = self.trickles.get(country) if self.trickles else None
        return trickle is None or trickle.may_take(now)

    def free_at(self, now: float) -> float:
        """The earliest departure of its next segment."""
        return max(self.bucket.free_at(now), self.link.bucket.free_at(now))

    def take(self, cost: int, now: float) -> float:
        """Reserve *cost* segments; returns the departure."""
        self._give(cost, cost)
        return take_nested(self.bucket, self.link.bucket, cost, now)

    def take_singles(self, count: int, now: float, latest: float) -> list[float]:
        """Reserve one segment for each of *count* messages, or of those that fit; returns their departures.

        The first departure behind *latest* is the last.
        """
        count = min(count, self.slots, self.room, self.link.room)
        departures = take_nested_singles(self.bucket, self.link.bucket, count, now, latest) if count > 0 else []
        if departures:
            self._give(len(departures), 1)
        return departures

    def _give(self, cost: int, last: int) -> None:
        """Note that it is given messages of *cost* segments together, the *last* of them of so many."""
        self.room -= cost
        self.slots -= cost
        self.idle = False
        self.link.room -= cost
        self.link.idle = False
        self.gave_from = self.served + (cost - last) / self.weight
        self.served += cost / self.weight


class Costed(Protocol):
    """Anything that waits with a cost in segments."""

    @property
    def cost(self) -> int:
        """Segments."""


class Dealt(NamedTuple):
    """Row number `place` leaves through `offer` at `departure`."""

    place: int
    offer: Offer
    departure: float


_dealt_of = maker(Dealt)

C = TypeVar("C", bound=Costed)
_Heap = list[tuple[float, float, int, Offer]]


def deal(
    rows: Sequence[C],
    offers: Iterable[Offer],
    now: float,
    horizon: float,
    country_of: Callable[[C], str] | None = None,
) -> list[Dealt]:
    """Deal rows in their order to the senders that can take them no later than now + horizon.

    Who is free first takes first; among those free already, who has served least for its weight. Stops at the
    first row that nobody can take, so that what is dealt is a prefix of *rows* and the order of a queue holds.
    With *country_of*, senders are asked whether their health allows a row: one that is kept waiting by that holds up
    no row to another country.
    """
    latest = now + horizon
    heap = [(max(offer.free_at(now), now), offer.served, i, offer) for i, offer in enumerate(offers) if offer.open]
    if country_of is not None:
        return _deal_by_health(rows, heap, now, latest, country_of)
    if len(heap) == 1:
        return _deal_alone(rows, heap[0][-1], now, latest)
    heapify(heap)
    dealt: list[Dealt] = []
    for place, row in enumerate(rows):
        taken = _take(heap, row.cost, now, latest)
        if taken is None:
            break
        dealt.append(Dealt(place, *taken))
    return dealt


def _deal_by_health(
    rows: Sequence[C], heap: _Heap, now: float, latest: float, country_of: Callable[[C], str]
) -> list[Dealt]:
    """Deal while some sender is to get little of what goes to some country."""
    restrained = [offer for _, _, _, offer in heap if offer.trickles]
    weight = sum(offer.weight for _, _, _, offer in heap)
    heapify(heap)
    dealt: list[Dealt] = []
    waiting: set[str] = set()
    for place, row in enumerate(rows):
        if not heap:
            break
        country = country_of(row)
        if country in waiting:
            continue
        held_back = [offer for offer in restrained if offer.trickles and country in offer.trickles]
        overdue = due_trickle(held_back, country, row.cost, now, latest)
        if overdue is not None:
            taken: tuple[Offer, float] | None = (overdue, overdue.take(row.cost, now))
        else:
            taken = _take(heap, row.cost, now, latest, country)
        if taken is None:
            waiting.add(country)
            continue
        if held_back:
            hold_back(held_back, taken[0], country, row.cost, weight, now)
        dealt.append(Dealt(place, *taken))
    return dealt


def due_trickle(held_back: Sequence[Offer], country: str, cost: int, now: float, latest: float) -> Offer | None:
    """Who gets the next message to a country for the sake of its trickle, whoever's turn it is.

    By turns alone a sender that is always just behind the others would never get any, and never be seen to be well.
    """
    for offer in held_back:
        free = offer.open and offer.free_at(now) <= latest and offer.fits(cost, now, latest)
        if free and offer.may_take(country, now):
            return offer
    return None


def hold_back(held_back: Sequence[Offer], taker: Offer, country: str, cost: int, weight: float, now: float) -> None:
    """Note a message to a country in which these get little: they are not to make up for it with other countries'."""
    others = weight - sum(offer.weight for offer in held_back)
    for offer in held_back:
        assert offer.trickles is not None
        trickle = offer.trickles[country]
        trickle.passed()
        if offer is taker:
            trickle.take(now)
            # It stays level with the others: what it gets here is for its trickle to say.
            offer.served -= cost / offer.weight
        elif others > 0:
            offer.served += cost / others


def _deal_alone(rows: Sequence[Costed], offer: Offer, now: float, latest: float) -> list[Dealt]:
    """Deal to the only sender there is: no choice, so no order to keep."""
    dealt: list[Dealt] = []
    if offer.free_at(now) > latest:
        return dealt
    if all(row.cost == 1 for row in rows):
        departures = offer.take_singles(len(rows), now, latest)
        return [_dealt_of((place, offer, departure)) for place, departure in enumerate(departures)]
    for place, row in enumerate(rows):
        cost = row.cost
        if not offer.open or not offer.fits(cost, now, latest):
            break
        departure = offer.take(cost, now)
        dealt.append(Dealt(place, offer, departure))
        if departure > latest:
            break  # Its slots were an estimate; what is paced beyond the horizon waits for the next claim.
    return dealt


def _take(heap: _Heap, cost: int, now: float, latest: float, country: str | None = None) -> tuple[Offer, float] | None:
    passed: _Heap = []
    found = None
    while heap:
        free_at, served, i, offer = heap[0]
        if free_at > latest or not offer.open:
            heappop(heap)
            continue
        # A connection's bucket is shared: another sender's departure may have moved this one's time.
        actual = max(offer.free_at(now), now)
        if actual > free_at or offer.served > served:
            heapreplace(heap, (actual, offer.served, i, offer))
            continue
        if not offer.fits(cost, now, latest) or (country is not None and not offer.may_take(country, now)):
            passed.append(heappop(heap))
            continue
        departure = offer.take(cost, now)
        heapreplace(heap, (max(offer.free_at(now), now), offer.served, i, offer))
        found = (offer, departure)
        break
    if passed:
        heap += passed
        heapify(heap)
    return found


class References:
    """Concatenation references (0-255), counted on per (sender, recipient).

    Two long texts that one phone receives at the same time from one sender must not share a reference
    (3GPP 23.040 §9.2.3.24.1), so they are counted for the pair and not drawn at random.
    """

    def __init__(self, capacity: int = 20_000) -> None:
        self._last: OrderedDict[tuple[int, str], int] = OrderedDict()
        self._capacity = capacity

    def next(self, sender_id: int, recipient: str, seed: int) -> int:
        """The next reference of this pair; one not seen lately starts at *seed*."""
        pair = (sender_id, recipient)
        reference = (self._last.pop(pair, seed - 1) + 1) & 0xFF
        self._last[pair] = reference
        if len(self._last) > self._capacity:
            self._last.popitem(last=False)
        return reference
