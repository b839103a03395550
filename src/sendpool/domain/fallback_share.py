"""What falls back to a channel has at most half of it while others wait there, so that an outage of RCS drowns no SMS.

Messages that fall back stand behind each other in flows of their own (see `fairness`), in place of the front of the
queue: by the virtual time of their pool, as if they had just been accepted (failover notes, section 5). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from sendpool.domain.fairness import SMALL_WEIGHT, UNIT
from sendpool.domain.message import Category

#: Weights of the flows. A one-time password goes as one that was asked for on this channel. All the others have
#: together what one campaign has, and what is no campaign has most of that.
FALLBACK_WEIGHTS: Mapping[Category, float] = {
    Category.OTP: SMALL_WEIGHT,
    Category.REPLY: SMALL_WEIGHT,
    Category.TRANSACTIONAL: 0.75,
    Category.BULK: 0.25,
}


class FallbackFlows:
    """Where the next message that falls back stands, by pool and category."""

    def __init__(self) -> None:
        self._finish: dict[tuple[int, Category], int] = {}

    def rank(self, pool_id: int, category: Category, cost: int, virtual: int) -> int:
        """Rank one message of *cost* segments; *virtual* is the pool's virtual time now."""
        key = (pool_id, category)
        start = max(virtual, self._finish.get(key, 0))
        self._finish[key] = start + int(cost * UNIT / FALLBACK_WEIGHTS[category])
        return start

    def forget(self, pool_ids: set[int]) -> None:
        """Drop what is known of all pools but these."""
        self._finish = {key: finish for key, finish in self._finish.items() if key[0] in pool_ids}
