"""Who goes next: start-time fair queueing on a channel of a pool, deficit round robin between the pools of a sender.

Ranks are integers: one segment at weight 1 is `UNIT`. A one-time password asked for while a campaign of a million
waits starts at the virtual time and so goes out next, without a priority flag (design §4). Pure: it reads no clock.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

#: The rank of one segment at weight 1. With 63 bits a flow of 100,000 segments a second lasts for years.
UNIT = 1 << 20
#: Seconds for which one flow may have a pool to itself.
TURN = 0.05
#: Operations of up to so many recipients share one flow per pool and category, with this weight.
SMALL_OPERATION = 10
SMALL_WEIGHT = 4.0
#: What the priority of a request multiplies its flow's weight by. Bounded, so that nobody starves.
PRIORITIES = {"low": 0.25, "normal": 1.0, "high": 4.0}
#: Flows remembered before those without information are looked for.
_MANY_FLOWS = 1024


def flow_of(operation_id: int, recipients: int, category: str, priority: str = "normal") -> tuple[Hashable, float]:
    """Return (key, weight) of an operation's flow in its pool: its own, or the category's shared one if it is small.

    Small operations of another *priority* share another flow.
    """
    factor = PRIORITIES[priority]
    if recipients > SMALL_OPERATION:
        return operation_id, factor
    return ("small", category) if factor == 1.0 else ("small", category, priority), SMALL_WEIGHT * factor


class Ranks(NamedTuple):
    """Ranks of messages of equal cost: message i (from 0) has `start + i * step`."""

    start: int
    step: int


class LaneRanks:
    """Where flows stand in lanes that lag, so that what is admitted earlier there stays behind their own rows."""

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        self._ends: dict[tuple[Hashable, Hashable], int] = {}

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._ends)

    def rank(self, flow: Hashable, lane: Hashable, rank: int, lag: int, step: int) -> int:
        """Move a row of *flow* with this *rank*, the next *step* later, ahead by the *lag* of its lane, as far as that
        goes without overtaking those that the flow has there already.
        """
        key = (flow, lane)
        moved = min(rank, max(rank - lag, self._ends.get(key, 0)))
        self._ends[key] = moved + step
        return moved

    def forget(self, at: Mapping[Hashable, int]) -> None:
        """Keep those only that are ahead of where their lanes are *at*."""
        self._ends = {key: end for key, end in self._ends.items() if end > at.get(key[1], end)}


class FairClock:
    """The virtual time of a pool on one channel, and the flows that are ahead of it.

    Each message starts at max(virtual time, its flow's finish) and moves the finish on by cost / weight. The message
    with the lowest start goes next; the virtual time is the highest start claimed so far and never falls.

    A lane that only some senders take may fall behind the others: what is claimed from it has lower starts than the
    virtual time. What joins it would wait for all that lies between, a one-time password too, so it is admitted
    earlier by the lane's `lag`.
    """

    __slots__ = ("_finish", "_in_lanes", "_lanes", "_look_at", "_weights", "virtual")

    def __init__(self, virtual: int = 0) -> None:
        #: The virtual time; after a restart the lowest rank that waits.
        self.virtual = virtual
        self._finish: dict[Hashable, int] = {}
        #: Of flows whose weight is not 1.
        self._weights: dict[Hashable, float] = {}
        self._look_at = _MANY_FLOWS
        #: How far each lane has come that some senders only take and that has not been empty since.
        self._lanes: dict[Hashable, int] = {}
        self._in_lanes = LaneRanks()

    def __len__(self) -> int:
        """Return how many flows are remembered."""
        return len(self._finish)

    def admit(self, flow: Hashable, cost: float, count: int = 1, weight: float = 1.0) -> Ranks:
        """Rank *count* messages of *cost* segments each, which become due now, behind those the flow has waiting.

        *cost* may be the mean of a chunk whose messages differ.
        """
        start = self._start(flow)
        step = step_of(cost, weight)
        self._finish[flow] = start + step * count
        if weight != 1.0:
            self._weights[flow] = weight
        return Ranks(start, step)

    def admit_each(self, flow: Hashable, costs: Sequence[int], weight: float = 1.0) -> list[int]:
        """Rank messages of different *costs* (segments), in their order, behind those the flow has waiting."""
        rank = self._start(flow)
        ranks = []
        for cost in costs:
            ranks.append(rank)
            rank += step_of(cost, weight)
        self._finish[flow] = rank
        if weight != 1.0:
            self._weights[flow] = weight
        return ranks

    def waiting(self, flow: Hashable) -> float:
        """Segments of a flow that wait, as far as ranks tell: none once the virtual time has overtaken it."""
        left = self._finish.get(flow, 0) - self.virtual
        return left * self._weights.get(flow, 1.0) / UNIT if left > 0 else 0.0

    def waiting_in_all(self) -> float:
        """Segments of all flows that wait, as far as ranks tell."""
        return sum(self.waiting(flow) for flow in self._finish)

    def before(self, flow: Hashable, weight: float, own: float, to_come: Mapping[Hashable, float]) -> float:
        """Segments that leave the pool until *own* segments of a flow, its last ones, have left; those included.

        Every flow gets its share by weight until it has nothing left. *to_come* are segments of flows that have no rank
        yet, beside those that wait.
        """
        turns = own / weight
        total = own
        for key, finish in self._finish.items():
            if key != flow and (finish > self.virtual or key in to_come):
                share = self._weights.get(key, 1.0)
                total += min(self.waiting(key) + to_come.get(key, 0.0), turns * share)
        return total

    def claimed(self, highest_start: int) -> None:
        """Move the virtual time on: *highest_start* is the highest rank of a claim. Lower ranks change nothing."""
        self.virtual = max(self.virtual, highest_start)

    def stands(self, lane: Hashable, at: int) -> None:
        """A lane has come so far: its first row that waits, or the last one that was claimed, has this rank."""
        self._lanes[lane] = max(at, self._lanes.get(lane, 0))

    def begins(self, lane: Hashable, rank: int) -> None:
        """A row joins a lane at this rank; it is the first of one that was empty."""
        self._lanes.setdefault(lane, rank)

    def emptied(self, lane: Hashable) -> None:
        """Nothing waits in a lane, so it lags no more."""
        self._lanes.pop(lane, None)

    def lag(self, lane: Hashable, beside: Iterable[Hashable] = ()) -> int:
        """By how much a lane is behind the virtual time. An empty one is as far behind as those *beside* it are, which
        the same senders take.
        """
        at = self._lanes.get(lane)
        if at is None:
            at = min((self._lanes[one] for one in beside if one in self._lanes), default=self.virtual)
        return max(0, self.virtual - at)

    @property
    def has_lanes(self) -> bool:
        """Whether any lane is known that may lag."""
        return bool(self._lanes)

    def in_lane(self, flow: Hashable, lane: Hashable, rank: int, lag: int, step: int) -> int:
        """The rank in a lane that lags of a flow's row with this *rank* by the clock, its next one a *step* later."""
        return self._in_lanes.rank(flow, lane, rank, lag, step)

    def forget(self) -> int:
        """Drop flows that the virtual time has overtaken, since they carry no information; return how many."""
        before = len(self._finish)
        self._finish = {key: finish for key, finish in self._finish.items() if finish > self.virtual}
        self._weights = {key: weight for key, weight in self._weights.items() if key in self._finish}
        self._in_lanes.forget(self._lanes)
        # Looking again only at twice the size keeps the cost of looking constant for each admission.
        self._look_at = max(_MANY_FLOWS, 2 * len(self._finish))
        return before - len(self._finish)

    def _start(self, flow: Hashable) -> int:
        if len(self._finish) >= self._look_at:
            self.forget()
        return max(self.virtual, self._finish.get(flow, 0))


def turn_of(mps: float, window: int, cost: float) -> int:
    """How many messages of *cost* segments of one flow may leave in a row, where a pool takes *mps* segments a second
    and carriers have at most *window* of them on their way.

    A row of neighbours is stored with far less work than as many messages of ten flows. Nobody notices turns that are
    over within `TURN` seconds and do not hold more than what leaves at once anyway.
    """
    return max(1, int(min(mps * TURN, window) / cost))


def step_of(cost: float, weight: float) -> int:
    """By how much a message of *cost* segments moves its flow on."""
    # A rank that stood still would let its flow go first for ever.
    return max(1, int(cost * UNIT / weight))


Key = TypeVar("Key", bound=Hashable)


class RoundRobin(Generic[Key]):
    """Shares what one sender can take between its pools: fairly over time, also when there is one slot at a time."""

    __slots__ = ("_credit",)

    def __init__(self) -> None:
        #: Slots that a pool is owed (or has had too many of); always about one slot or less.
        self._credit: dict[Key, float] = {}

    def share(
        self,
        slots: int,
        pools: Collection[Key],
        *,
        weights: Mapping[Key, float] | None = None,
        waiting: Mapping[Key, int] | None = None,
    ) -> dict[Key, int]:
        """Split *slots* over *pools*, equally or by *weights* (above zero); the sum is *slots* unless too few wait.

        *waiting* bounds what a pool can use; what it leaves goes to the others, and it is owed nothing for it.
        Name only pools in which something waits.
        """
        if len(pools) == 1:
            # Nobody to be fair to, now; what was owed was owed beside others.
            self._credit = {}
            return {key: slots if waiting is None else min(slots, waiting.get(key, 0)) for key in pools}
        given = dict.fromkeys(pools, 0)
        room = {key: slots if waiting is None else waiting.get(key, 0) for key in pools}
        share_of = {key: 1.0 if weights is None else weights[key] for key in pools}
        self._credit = {key: self._credit.get(key, 0.0) for key in pools}
        left = slots
        while left > 0 and (hungry := [key for key in pools if given[key] < room[key]]):
            left -= self._round(left, hungry, share_of, given, room)
        if waiting is not None:
            # Who has nothing more waiting saves up no claim on later slots.
            self._credit.update({key: 0.0 for key in pools if given[key] >= room[key]})
        return given

    def _round(
        self,
        slots: int,
        hungry: Sequence[Key],
        weights: Mapping[Key, float],
        given: dict[Key, int],
        room: Mapping[Key, int],
    ) -> int:
        """Hand out *slots*: whole credits first, then one each to whom most is owed. Return how many went.

        Where a pool can use no more, what it leaves is not handed out yet: another round shares it anew.
        """
        credit = self._credit
        total = sum(weights[key] for key in hungry)
        for key in hungry:
            credit[key] += slots * weights[key] / total
        left = slots
        for whole in (True, False):
            for key in sorted(hungry, key=credit.__getitem__, reverse=True):
                n = max(0, min(int(credit[key]) if whole else 1, left, room[key] - given[key]))
                given[key] += n
                credit[key] -= n
                left -= n
            if any(given[key] >= room[key] for key in hungry):
                break
        return slots - left
