"""How long to wait before the next try to connect."""

from __future__ import annotations

from collections.abc import Callable

#: A link that was bound for so many seconds was a good one: its end starts the waiting anew.
GOOD_LINK = 60.0


class Backoff:
    """Doubling waits with full jitter, so that many clients of a centre that restarts do not come back at once."""

    def __init__(self, first: float, last: float, random: Callable[[], float]) -> None:
        self._first = first
        self._last = last
        self._random = random
        self._ceiling = first

    def wait(self, *, bound_for: float = 0.0, at_least: float = 0.0) -> float:
        """Seconds to wait after a link that was bound for *bound_for* seconds (0: never), but *at_least* so many."""
        if bound_for >= GOOD_LINK:
            self._ceiling = self._first
        seconds = self._random() * self._ceiling
        self._ceiling = min(self._ceiling * 2, self._last)
        return at_least + seconds
