"""Feel the pulse: count what each route's messages meet, from outcomes and receipts, in memory and per batch.

A batch gives a sample of at most `SAMPLE` acceptances, each standing for as many as were passed over; faults are
counted one by one. Nothing here looks at a database, and what is kept is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sendpool.connectors.base import Receipt, ReceiptState
from sendpool.domain.failures import ROUTE_FAULTS
from sendpool.domain.vitals import WATCHED, Counting, Route, Watch
from sendpool.pipeline.countries import NOWHERE, country_of
from sendpool.pipeline.links import Link

#: Acceptances of one batch that are looked at one by one.
SAMPLE = 64
#: How the rules of what no carrier said begin.
_OURS = "sendpool/"
#: Receipts that tell of no end.
_UNDER_WAY = (ReceiptState.PROGRESS, ReceiptState.UNKNOWN)

#: A message that was taken: its sender, its recipient's address, the carrier's id of it.
Taken = tuple[int, str, str]


class Pulse:
    """Counts for health. Lives on the event loop."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.counting = Counting()
        self._clock = clock

    @staticmethod
    def step(outcomes: int) -> int:
        """Every how many-th acceptance of a batch is to be looked at."""
        return outcomes // SAMPLE + 1

    def taken(self, link: Link, sample: Sequence[Taken], each: int, now: float) -> None:
        """Acceptances, each of which stands for *each*; their receipts are awaited."""
        watches: dict[Route, Watch] = {}
        for sender_id, address, carrier_id in sample:
            route = Route(sender_id, country_of(address))
            watch = watches.get(route) or self._begin(watches, route, now)
            slot = watch.slot
            slot.taken += each
            if route.country is not NOWHERE and slot.watched < WATCHED:
                slot.watched += 1
                link.watch(carrier_id, watch)

    def doubtful(self, sender_id: int, address: str, now: float, link: Link | None = None, name: str = "") -> None:
        """A message of unknown fate: nobody has failed it, but if no receipt comes it counts as lost."""
        route = Route(sender_id, country_of(address))
        vitals = self.counting.of(route)
        slot = vitals.slot(now)
        slot.taken += 1
        if route.country is not NOWHERE and slot.watched < WATCHED:
            slot.watched += 1
            if link is not None and name:
                link.watch(name, Watch(vitals, slot, now, sender_id))

    def refused(self, sender_id: int, address: str, now: float) -> None:
        """A submit was refused for a fault of the route."""
        self.counting.of(Route(sender_id, country_of(address))).slot(now).refused += 1

    def receipts(self, link: Link, receipts: Iterable[Receipt]) -> None:
        """Receipts came. Whichever ends a message answers for it; a class of the route counts against the route."""
        watched = link.watched
        told: dict[Watch, int] = {}
        for receipt in receipts:
            if receipt.carrier_id not in watched:
                continue
            # What we found ourselves (that we took it back, say) is no sign that receipts come.
            if receipt.state not in _UNDER_WAY and not receipt.rule.startswith(_OURS):
                watch = watched.pop(receipt.carrier_id)
                told[watch] = told.get(watch, 0) + 1
                if receipt.failure in ROUTE_FAULTS:
                    watch.failed(1)
        if told:
            now = self._clock()
            for watch, n in told.items():
                watch.told(n, now)
                self.counting.reporting.add(watch.sender_id)

    def _begin(self, watches: dict[Route, Watch], route: Route, now: float) -> Watch:
        vitals = self.counting.of(route)
        watch = watches[route] = Watch(vitals, vitals.slot(now), now, route.sender_id)
        return watch
