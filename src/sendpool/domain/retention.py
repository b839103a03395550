"""How long is ago: time counts towards retention only while the server ran and its clock went on as clocks do.

A clock that is set forward, or a server that starts with one years ahead, looks exactly like a server that was off
for years. Time that nobody has lived through therefore makes nothing old: what was young before stays for its days.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

#: Microseconds by which the clock may be ahead of the time that has passed: stopped and started again, or stepped.
TOLERANCE = 300_000_000


class Span(NamedTuple):
    """Time without a break, in microseconds since 1970."""

    began_at: int
    ended_at: int

    def goes_on(self, now: int, passed: int | None) -> bool:
        """Whether *now* is still in it. *passed*: microseconds since its end; None: nobody knows, it was before us."""
        ahead = now - self.ended_at - (passed or 0)
        return self.ended_at <= now and ahead <= TOLERANCE


def lived_through(spans: Iterable[Span], keep: int) -> int | None:
    """The moment since which *keep* microseconds were lived through: what ended before it is old enough to go.

    *spans* come newest first. None: the server has not run for that long in all. Where the clock was set back, what
    was stamped in its future stays until that time has come.
    """
    earliest = None
    for span in spans:
        lived = span.ended_at - span.began_at
        if lived >= keep:
            reached = span.ended_at - keep
            return reached if earliest is None else min(reached, earliest)
        keep -= lived
        earliest = span.began_at if earliest is None else min(span.began_at, earliest)
    return None
