"""What falls back to a channel has at most half of it while others wait there, so that an outage of RCS drowns no SMS.

Messages that fall back stand behind each other in flows of their own (see `fairness`), in place of the front of the
queue: by the virtual time of their pool there, as if they had just been accepted (failover notes, section 5). Pure.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from sendpool.domain.fairness import SMALL_WEIGHT, UNIT, LaneRanks
from sendpool.domain.message import Category
from sendpool.domain.sender import Channel

#: A pool and a channel of its.
Line = tuple[int, Channel]

#: Weights of the flows. A one-time password goes as one that was asked for on this channel. All the others have
#: together what one campaign has, and what is no campaign has most of that.
FALLBACK_WEIGHTS: Mapping[Category, float] = {
    Category.OTP: SMALL_WEIGHT,
    Category.REPLY: SMALL_WEIGHT,
    Category.TRANSACTIONAL: 0.75,
    Category.BULK: 0.25,
}


class FallbackFlows:
    """Where the next message that falls back stands, by the channel of a pool and by category."""

    def __init__(self) -> None:
        self._finish: dict[tuple[Line, Category], int] = {}
        self._in_lanes: dict[Line, LaneRanks] = {}

    def rank(self, line: Line, category: Category, cost: int, virtual: int, lane: Hashable = None, lag: int = 0) -> int:
        """Rank one message of *cost* segments; *virtual* is the channel's virtual time now, *lag* that of its lane."""
        key = (line, category)
        start = max(virtual, self._finish.get(key, 0))
        step = int(cost * UNIT / FALLBACK_WEIGHTS[category])
        self._finish[key] = start + step
        in_lanes = self._in_lanes.get(line)
        if in_lanes is None:
            in_lanes = self._in_lanes[line] = LaneRanks()
        return in_lanes.rank(category, lane, start, lag, step)

    def forget(self, pool_ids: set[int]) -> None:
        """Drop what is known of all pools but these."""
        self._finish = {key: finish for key, finish in self._finish.items() if key[0][0] in pool_ids}
        self._in_lanes = {line: ranks for line, ranks in self._in_lanes.items() if line[0] in pool_ids}
