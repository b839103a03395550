"""How much an unhealthy sender still gets of a country's messages: a part of its share, and one now and then.

Not silence: without a message nobody would learn that it is well again. Pure: the time is an argument, monotonic
seconds.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Seconds after which it gets a message however small its part is.
CANARY = 5.0
#: A whole message but for what adding up parts is off by, and what is saved up at most.
_ONE, _MOST = 1.0 - 1e-9, 2.0


class Trickle:
    """The part of one sender in one country. It saves up less than two messages."""

    __slots__ = ("_next_at", "_saved", "closed", "part")

    def __init__(self, part: float = 0.0) -> None:
        #: Nothing at all: a carrier has said that it may not send there.
        self.closed = False
        #: What it gets of each message to the country: its usual share, times what its health leaves of that.
        self.part = part
        self._saved = 0.0
        self._next_at = 0.0

    def passed(self) -> None:
        """A message to the country was given to somebody."""
        self._saved = min(_MOST, self._saved + self.part)

    def may_take(self, now: float) -> bool:
        """Whether the next message may be its own."""
        return not self.closed and (self._saved >= _ONE or now >= self._next_at)

    def take(self, now: float) -> None:
        """It takes one."""
        self._saved = max(0.0, self._saved - 1.0)
        self._next_at = now + CANARY


#: By country.
Trickles = Mapping[str, Trickle]
