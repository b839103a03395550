"""What a sender's messages to one country met lately: counted in slots of time, never kept one by one.

Pure: the time is an argument, monotonic seconds.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from math import log
from typing import NamedTuple

#: Seconds of one slot, and of the longest look back over what is old enough to be judged.
SLOT = 10.0
WINDOW = 300.0
#: Seconds looked back at least, so that one bad moment is not all there is.
SHORTEST_WINDOW = 30.0
#: Seconds to wait for a receipt before it counts as lost, at least and at most: between them twice the peers' p95.
SHORTEST_PATIENCE, LONGEST_PATIENCE = 10.0, 300.0
#: Messages of one slot whose receipt is watched; of more than that a part tells as much.
WATCHED = 300
#: Routes that are counted; the one that was quiet longest goes first.
ROUTES = 5_000
#: Seconds after which delays of receipts are half forgotten, and wholly after as many again.
_GENERATION = 60.0
#: Delays are counted in classes, each this much longer than the one before, from `_FIRST` seconds up.
_FIRST, _GROWTH, _CLASSES = 0.1, 1.4, 28


class Route(NamedTuple):
    """A sender and a country that it sends to (`pipeline.countries` says which it is)."""

    sender_id: int
    country: str


class Slot:
    """What became of the messages that one route was given in a few seconds."""

    __slots__ = ("began", "failed", "refused", "taken", "told", "watched")

    def __init__(self, began: float) -> None:
        self.began = began
        #: Messages that the carrier took; refused for a fault of the route; reported as failed for such a fault.
        self.taken = 0
        self.refused = 0
        self.failed = 0
        #: Messages whose receipt is watched, or cannot come; and those of them that have one.
        self.watched = 0
        self.told = 0


class Watch:
    """Messages of one route that were taken in the same moment: shared by all whose receipts are awaited."""

    __slots__ = ("at", "sender_id", "slot", "vitals")

    def __init__(self, vitals: Vitals, slot: Slot, at: float, sender_id: int) -> None:
        self.vitals = vitals
        self.sender_id = sender_id
        self.slot = slot
        self.at = at

    def told(self, n: int, now: float) -> None:
        """Receipts of *n* of them came at *now*."""
        self.slot.told += n
        self.vitals.delays.add(now - self.at, n)

    def failed(self, n: int) -> None:
        """So many of their receipts told of a fault of the route."""
        self.slot.failed += n

    def unwatch(self, n: int = 1) -> None:
        """Nobody will hear of *n* of them, for a reason that is ours."""
        self.slot.watched = max(self.slot.told, self.slot.watched - n)


class Delays:
    """How long receipts took, lately."""

    __slots__ = ("_before", "_began", "_now")

    def __init__(self) -> None:
        self._now = [0] * _CLASSES
        self._before = [0] * _CLASSES
        self._began = 0.0

    def add(self, delay: float, n: int) -> None:
        """Count *n* receipts that took so many seconds."""
        self._now[_class_of(delay)] += n

    def turn(self, now: float) -> None:
        """Forget what is old."""
        if now - self._began >= _GENERATION:
            quiet = now - self._began >= 2 * _GENERATION
            self._before = [0] * _CLASSES if quiet else self._now
            self._now, self._began = [0] * _CLASSES, now

    def counts(self) -> list[int]:
        """Receipts by class of delay."""
        return [a + b for a, b in zip(self._now, self._before, strict=True)]


def _class_of(delay: float) -> int:
    return min(_CLASSES - 1, int(log(delay / _FIRST, _GROWTH)) + 1) if delay > _FIRST else 0


def p95(counts: Sequence[float]) -> float | None:
    """The delay in seconds that 95 of 100 receipts do not exceed; None where there are none."""
    left = sum(counts) * 0.95
    if not left:
        return None
    for place, n in enumerate(counts):
        left -= n
        if left <= 0:
            return float(_FIRST * _GROWTH**place)
    return float(_FIRST * _GROWTH ** (len(counts) - 1))


class Figures(NamedTuple):
    """A route's last minutes, as they are compared with its peers'."""

    #: Messages with an outcome, but for those that say nothing about the route; faults of the route among them.
    tried: int
    faults: int
    #: Messages old enough to have a receipt, and those without one.
    watched: int
    lost: int
    #: Receipts by class of delay.
    delays: Sequence[int]

    @property
    def fault_share(self) -> float:
        """Faults among what was tried."""
        return self.faults / self.tried if self.tried else 0.0

    @property
    def loss_share(self) -> float:
        """Messages without a receipt among those that should have one."""
        return self.lost / self.watched if self.watched else 0.0


class Vitals:
    """One route's slots, newest last, and the delays of its receipts."""

    __slots__ = ("delays", "slots")

    def __init__(self) -> None:
        self.slots: deque[Slot] = deque()
        self.delays = Delays()

    def slot(self, now: float) -> Slot:
        """The slot of this moment."""
        if not self.slots or now >= self.slots[-1].began + SLOT:
            self.slots.append(Slot(now - now % SLOT))
            while self.slots[0].began < now - WINDOW - LONGEST_PATIENCE - 2 * SLOT:
                self.slots.popleft()
        return self.slots[-1]

    def figures(self, now: float, patience: float, enough: int) -> Figures:
        """The last minutes: back to where *enough* messages are in them, at least half a minute, at most five.

        A receipt that has not come after *patience* seconds is lost.
        """
        tried, faults = _look_back(self._outcomes(), now, enough)
        ripe = ((s.began, s.watched, s.watched - s.told) for s in self.slots if s.began + SLOT + patience <= now)
        watched, lost = _look_back(ripe, now - patience, enough)
        return Figures(tried, faults, watched, lost, self.delays.counts())

    def _outcomes(self) -> Iterable[tuple[float, int, int]]:
        return ((s.began, s.taken + s.refused, s.refused + s.failed) for s in self.slots)


def _look_back(slots: Iterable[tuple[float, int, int]], now: float, enough: int) -> tuple[int, int]:
    total = bad = 0
    for began, n, part in reversed(list(slots)):
        age = now - began
        if age > WINDOW or (total >= enough and age > SHORTEST_WINDOW):
            break
        total += n
        bad += part
    return total, bad


class Counting:
    """Every route's vitals, as many as are kept."""

    def __init__(self) -> None:
        self.routes: OrderedDict[Route, Vitals] = OrderedDict()
        #: Senders of which any receipt has come: one that never has any is not blamed for none.
        self.reporting: set[int] = set()

    def of(self, route: Route) -> Vitals:
        """A route's vitals, new or known."""
        vitals = self.routes.get(route)
        if vitals is None:
            vitals = self.routes[route] = Vitals()
            if len(self.routes) > ROUTES:
                self.routes.popitem(last=False)
        else:
            self.routes.move_to_end(route)
        return vitals

    def forget(self, senders: Iterable[int]) -> None:
        """Senders that are no more."""
        gone = set(senders)
        for route in [route for route in self.routes if route.sender_id in gone]:
            del self.routes[route]
        self.reporting -= gone
