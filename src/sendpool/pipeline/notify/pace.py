"""Pace: how long events are let gather before they are read, so that many go together and the last ones do not wait."""

from __future__ import annotations

from sendpool.domain.delivery import LINGER


class Pace:
    """At a quiet time events go at once; while more and more come, every `LINGER` seconds; and when no more come."""

    def __init__(self) -> None:
        self._gone, self._seen = 0, 0
        self._at = -LINGER

    def lets_go(self, newest: int, now: float) -> bool:
        """Whether the events up to the *newest* position may be read *now* (monotonic seconds), and were not before."""
        no_more, self._seen = newest == self._seen, newest
        if newest == self._gone or not (no_more or now >= self._at + LINGER):
            return False
        self._gone, self._at = newest, now
        return True
