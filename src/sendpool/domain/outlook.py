"""When an operation will be complete, as far as one can tell now. Pure: it is given paces and what waits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import NamedTuple


class Queued(NamedTuple):
    """An operation that is not complete: what of it waits, and on what its turn depends."""

    id: int
    pool_id: int
    category: str
    priority: str
    #: Messages in all, those that wait, and those that are not due yet.
    total: int
    queued: int
    scheduled: int
    #: When the first of those is due (microseconds since 1970).
    scheduled_for: int | None


class Shared(NamedTuple):
    """What senders share: how fast they may be together (segments a second), and how much may still leave."""

    senders: frozenset[int]
    mps: float = inf
    left: float = inf


def share(paces: Mapping[int, float], shared: Sequence[Shared]) -> dict[int, float]:
    """What is left of each sender's pace where some share a limit: each gets the same part of what it could do alone.

    Exact where limits are nested in each other; where they cross, never more than all of them allow.
    """
    left = dict(paces)
    for limit in sorted(shared, key=_narrow):
        together = sum(left.get(sender, 0.0) for sender in limit.senders)
        if together > limit.mps:
            for sender in limit.senders & left.keys():
                left[sender] *= limit.mps / together
    return left


def _narrow(limit: Shared) -> int:
    return len(limit.senders)


def seconds(segments: float, paces: Mapping[int, float], capped: Iterable[Shared]) -> float | None:
    """Seconds until *segments* have left at these paces; None where nobody is there, or the limits end before that.

    Of *capped*, only what may still leave counts: who reaches its limit stops there.
    """
    pace = sum(paces.values())
    caps = [
        (sum(paces.get(sender, 0.0) for sender in limit.senders), limit.left) for limit in capped if limit.left < inf
    ]
    # Who reaches its limit first drops out first.
    for rate, left in sorted((cap for cap in caps if cap[0] > 0), key=lambda cap: cap[1] / cap[0]):
        if pace <= 0 or rate * segments / pace <= left:
            break
        segments, pace = segments - left, pace - rate
    return segments / pace if pace > 1e-9 else None
