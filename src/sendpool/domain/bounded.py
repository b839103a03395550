"""Deal due rows where named scopes or lasting limits bound a sender: what a limit refuses does not hold up the rest.

`dealing.deal` is for everybody else, and costs them nothing for this. The same rules hold: rows in their order, who is
free first takes first. A row that is too early for a sender keeps that sender for itself, so that short messages do not
overtake a long one for ever; a row that a limit refuses is passed by.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush, heapreplace
from typing import NamedTuple

from sendpool.domain.dealing import Dealt, LinkOffer, Offer, due_trickle, hold_back
from sendpool.domain.reasons import Reason
from sendpool.domain.scopes import Bounds, Moment
from sendpool.domain.throughput import Bucket
from sendpool.domain.trickle import Trickles


class BoundOffer(Offer):
    """The offer of a sender that more than its own bucket and its connection's bounds."""

    __slots__ = ("bounds",)

    def __init__(
        self,
        sender_id: int,
        room: int,
        bucket: Bucket,
        link: LinkOffer,
        served: float,
        weight: float,
        bounds: Bounds,
        *,
        idle: bool,
        slots: int | None = None,
        trickles: Trickles | None = None,
    ) -> None:
        super().__init__(sender_id, room, bucket, link, served, weight, idle=idle, slots=slots, trickles=trickles)
        self.bounds = bounds

    def fits(self, cost: int, now: float, latest: float) -> bool:
        """As for any offer, and its time by every named scope is near."""
        return super().fits(cost, now, latest) and (cost == 1 or self.bounds.earliest(cost, now) <= latest)

    def free_at(self, now: float) -> float:
        """The earliest departure of its next segment."""
        return max(super().free_at(now), self.bounds.earliest(1, now))

    def earliest(self, cost: int, now: float) -> float:
        """The earliest departure of a message of *cost* segments."""
        own = max(self.bucket.earliest(cost, now), self.link.bucket.earliest(cost, now))
        return max(own, self.bounds.earliest(cost, now))

    def take(self, cost: int, now: float) -> float:
        """Reserve *cost* segments of every pace but the named scopes', which `Bounds.take` does."""
        return super().take(cost, self.earliest(cost, now))


class Asked(NamedTuple):
    """A row as the limits see it."""

    cost: int
    recipient: str
    #: Of the recipient.
    country: str = ""


class Held(NamedTuple):
    """Row number `place` has to wait, whoever might take it, until that time (monotonic seconds)."""

    place: int
    reason: Reason
    until: float


class Refusals(NamedTuple):
    """Row number `place` is refused by everybody who was asked: why, and by whose limits."""

    place: int
    by: Sequence[tuple[Reason, Bounds]]


class Outcome(NamedTuple):
    """What became of the rows that were looked at; those in neither list stay where they are."""

    dealt: list[Dealt]
    refused: list[Refusals]


def deal_bounded(
    rows: Sequence[Asked], offers: Iterable[Offer], moment: Moment, horizon: float, *, all_in: bool
) -> Outcome:
    """Deal rows to the senders that can take them no later than the horizon.

    *all_in*: nobody but the offers could take any of them; only then a row counts as refused.
    """
    table = _Table([offer for offer in offers if offer.open], moment, horizon, all_in=all_in)
    for place, row in enumerate(rows):
        if not table.heap:
            break
        table.place_row(place, row)
    return Outcome(table.dealt, table.refused)


def hold(rows: Sequence[Asked], refused: Iterable[Refusals], moment: Moment) -> list[Held]:
    """Say until when those of *rows* have to wait that everybody refuses; each behind those before it."""
    held = []
    for place, by in refused:
        recipient, cost = rows[place].recipient, rows[place].cost
        times = [bounds.free_again(reason, recipient, cost, moment) for reason, bounds in by]
        until = min(times)
        reason, bounds = by[times.index(until)]
        bounds.promise(reason, recipient, until, moment)
        held.append(Held(place, reason, until))
    return held


_Entry = tuple[float, float, int, Offer]


class _Table:
    """The senders still at the table, who is free first on top."""

    def __init__(self, offers: Sequence[Offer], moment: Moment, horizon: float, *, all_in: bool) -> None:
        self.moment = moment
        self.latest = moment.now + horizon
        self.dealt: list[Dealt] = []
        self.refused: list[Refusals] = []
        #: Whether everybody who could take a row is still at the table.
        self.all_in = all_in
        self.heap: list[_Entry] = [self._entry(i, offer) for i, offer in enumerate(offers)]
        heapify(self.heap)
        self._restrained = [offer for offer in offers if offer.trickles]
        self._weight = sum(offer.weight for offer in offers)

    def _entry(self, i: int, offer: Offer) -> _Entry:
        return max(offer.free_at(self.moment.now), self.moment.now), offer.served, i, offer

    def place_row(self, place: int, row: Asked) -> None:
        """Give one row to somebody, or note that all refuse it, or pass it by."""
        held_back = [one for one in self._restrained if one.trickles and row.country in one.trickles]
        overdue = due_trickle(held_back, row.country, row.cost, self.moment.now, self.latest)
        if overdue is not None and self._refusal(overdue, row) is None:
            self._take(place, row, overdue, held_back)
            return
        refused: list[tuple[_Entry, Reason]] = []
        unwell: list[_Entry] = []
        now = self.moment.now
        while self.heap:
            free_at, served, i, offer = self.heap[0]
            if free_at > self.latest or not offer.open:
                self._leave()
                continue
            # A connection's or scope's bucket is shared: another sender's departure may have moved this one's time.
            if offer.free_at(now) > free_at or offer.served > served:
                heapreplace(self.heap, self._entry(i, offer))
                continue
            if not offer.fits(row.cost, now, self.latest):
                self._leave()
                continue
            if not offer.may_take(row.country, now):
                unwell.append(heappop(self.heap))
                continue
            reason = self._refusal(offer, row)
            if reason is not None:
                refused.append((heappop(self.heap), reason))
                continue
            self._take(place, row, offer, held_back)
            heapreplace(self.heap, self._entry(i, offer))
            break
        else:
            if not unwell:
                self._note(place, refused)
        for entry in (*unwell, *(entry for entry, _ in refused)):
            heappush(self.heap, entry)

    def _leave(self) -> None:
        heappop(self.heap)
        self.all_in = False

    def _refusal(self, offer: Offer, row: Asked) -> Reason | None:
        if not isinstance(offer, BoundOffer) or not offer.bounds.choosy:
            return None
        at = offer.earliest(row.cost, self.moment.now)
        return offer.bounds.refuses(row.recipient, row.cost, at, self.moment)

    def _take(self, place: int, row: Asked, offer: Offer, held_back: Sequence[Offer]) -> None:
        departure = offer.take(row.cost, self.moment.now)
        if isinstance(offer, BoundOffer):
            offer.bounds.take(row.recipient, row.cost, departure, self.moment)
        if held_back:
            hold_back(held_back, offer, row.country, row.cost, self._weight, self.moment.now)
        self.dealt.append(Dealt(place, offer, departure))

    def _note(self, place: int, refused: Sequence[tuple[_Entry, Reason]]) -> None:
        if self.all_in and refused:
            by = [(reason, offer.bounds) for (*_, offer), reason in refused if isinstance(offer, BoundOffer)]
            self.refused.append(Refusals(place, by))
