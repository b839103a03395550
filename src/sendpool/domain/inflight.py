"""How many messages a sender may have in flight, so that one which fails fastest does not pull most ("no black hole").

The limit starts at 10, grows with acceptances, halves with each fault of the route, and five faults without an
acceptance between stop the sender for a while; then one message probes it (design §4). Pure: it reads no clock.
"""

from __future__ import annotations

from math import inf

from sendpool.domain.failures import ROUTE_FAULTS, FailureClass

__all__ = ["ROUTE_FAULTS", "Flights", "is_firm", "is_route_fault"]

#: Messages in flight until the first acceptance, and again after a probe was accepted.
FIRST_LIMIT = 10
#: Faults without an acceptance between them that stop a sender.
FAULTS_TO_STOP = 5
#: Seconds of the first stop; each failed probe doubles it, up to the longest: where the fault may pass by itself, and
#: where somebody has to do something about it (failover notes, rows 5 and 7 to 9).
FIRST_STOP = 30.0
LONGEST_STOP = 300.0
LONGEST_FIRM_STOP = 3600.0


def is_route_fault(failure: FailureClass) -> bool:
    """Whether a refusal of this class counts against the route: TRANSIENT, SENDER and ACCOUNT.

    What is wrong with the recipient, the content or the pace says nothing about the route. `Unavailable`, and
    `Uncertain` together with a lost link, count as well; that is the caller's to see.
    """
    return failure in ROUTE_FAULTS


def is_firm(failure: FailureClass) -> bool:
    """Whether a fault of the route stays until somebody does something: the sender or the account is not let."""
    return failure in (FailureClass.SENDER, FailureClass.ACCOUNT)


class Flights:
    """The messages in flight through one sender.

    Every message reported by `started` is reported once more, by exactly one of `accepted`, `faulted` and `ended`.
    Where one batch brings both, report faults before acceptances: an acceptance lifts a stop. An outcome that comes
    after the message was reported (a late response) is not reported again.
    """

    __slots__ = ("_faults", "_limit", "_probing", "_stops", "_widest", "in_flight", "stopped_until")

    def __init__(self) -> None:
        #: Messages started and not answered yet.
        self.in_flight = 0
        #: While now is before it the sender takes nothing; -inf when it is not stopped. Afterwards it is probed.
        self.stopped_until = -inf
        self._limit = FIRST_LIMIT
        self._faults = 0
        self._stops = 0
        self._probing = False
        self._widest = FIRST_LIMIT

    @property
    def stopped(self) -> bool:
        """Whether faults have stopped the sender and no acceptance has lifted that yet; a probe may be under way."""
        return self._stops > 0

    @property
    def limit(self) -> int:
        """Messages that may be in flight, the window apart."""
        return 1 if self._stops else self._limit

    def room(self, now: float, window: int) -> int:
        """Return how many more messages may start at *now*, where the connection's window would allow *window*."""
        if now < self.stopped_until:
            return 0
        self._widest = max(window, FIRST_LIMIT)
        return max(0, min(self.limit, window) - self.in_flight)

    def started(self, n: int) -> None:
        """Count *n* messages that start now; no more than `room` gave."""
        self.in_flight += n
        self._probing = self._stops > 0

    def accepted(self, n: int, now: float) -> None:
        """Count *n* acceptances: the limit grows by as many (so it doubles with each full window), a stop is lifted."""
        del now
        if n <= 0:
            return
        self._leave(n)
        if self._stops:
            self._stops = 0
            self.stopped_until = -inf
            self._probing = False
            self._limit = FIRST_LIMIT
        self._faults = 0
        self._limit = min(self._limit + n, self._widest)

    def faulted(self, n: int, now: float, *, firm: bool = False) -> None:
        """Count *n* faults of the route: each halves the limit, the fifth in a row stops the sender.

        *firm*: the last one will not pass by itself (`is_firm`), so that probes may become rare.
        """
        if n <= 0:
            return
        self._leave(n)
        if self._stops:
            # Answers to what was in flight before the stop say nothing new; a failed probe does.
            if self._probing:
                self._stop(now, firm)
            return
        self._limit = max(1, self._limit >> min(n, 32))
        self._faults += n
        if self._faults >= FAULTS_TO_STOP:
            self._stop(now, firm)

    def ended(self, n: int) -> None:
        """Count *n* messages that say nothing about the route: refused for themselves, throttled, of unknown fate."""
        self._leave(n)

    def lift(self) -> None:
        """Forget faults and stops: the connection was reconfigured or bound anew. What is in flight stays counted."""
        self.stopped_until = -inf
        self._limit = FIRST_LIMIT
        self._faults = self._stops = 0
        self._probing = False

    def _leave(self, n: int) -> None:
        self.in_flight = max(0, self.in_flight - n)

    def _stop(self, now: float, firm: bool) -> None:
        longest = LONGEST_FIRM_STOP if firm else LONGEST_STOP
        self.stopped_until = now + min(longest, FIRST_STOP * 2.0 ** min(self._stops, 16))
        self._stops += 1
        self._faults = 0
        self._probing = False
