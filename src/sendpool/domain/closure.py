"""A carrier that refuses the account refuses every sender behind the connection: they stop together, with one probe.

The connection's account may lack credit or be suspended, which passes when somebody pays; or our settings for it are
wrong (credentials, types of service), which nothing but other settings mends (failover notes, rows 9 and 10; design
§11). Pure: the time is an argument, monotonic seconds.
"""

from __future__ import annotations

from math import inf

from sendpool.domain.failures import FailureClass
from sendpool.domain.inflight import is_route_fault

#: Refusals of the account without an acceptance between them that stop all its senders: some carriers answer so for
#: what is wrong with one message.
REFUSALS_TO_STOP = 5
#: Seconds until the first probe of an account; each that fails doubles them, up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 300.0, 3600.0
#: Seconds between probes where our own settings were refused.
CONFIGURED_PAUSE = 900.0


def is_of_account(failure: FailureClass) -> bool:
    """Whether a refusal is meant for all senders behind a connection."""
    return failure is FailureClass.ACCOUNT


def is_senders_fault(failure: FailureClass, scope: str) -> bool:
    """Whether a refusal counts against the one sender: a fault of the route that is not all its connection's.

    Nor is it where the sender may not send to one country.
    """
    return is_route_fault(failure) and not is_of_account(failure) and scope != "sender_country"


class Closure:
    """Whether a carrier lets the account of one connection send. Segments in flight are for the caller to count."""

    __slots__ = ("_pauses", "_refusals", "of_settings", "until")

    def __init__(self) -> None:
        #: While now is before it nothing starts; -inf when it is open. Afterwards there is one probe at a time.
        self.until = -inf
        #: Our own settings were refused.
        self.of_settings = False
        self._refusals = 0
        self._pauses = 0

    @property
    def closed(self) -> bool:
        """Whether refusals have stopped it and no acceptance has lifted that yet; a probe may be under way."""
        return self._pauses > 0

    def room(self, now: float, in_flight: int, room: int) -> int:
        """How many of *room* segments may start at *now*."""
        if not self._pauses:
            return room
        return 0 if now < self.until or in_flight else min(1, room)

    def refused(self, n: int, now: float, *, of_settings: bool = False) -> None:
        """Count *n* refusals of the account: the fifth in a row closes it, and so does each probe that fails."""
        if n <= 0 or now < self.until:
            return  # What was in flight when it was closed says nothing new.
        self._refusals += n
        if not self._pauses and self._refusals < REFUSALS_TO_STOP:
            return
        self.of_settings = of_settings
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._pauses, 16))
        self.until = now + (CONFIGURED_PAUSE if of_settings else pause)
        self._pauses += 1
        self._refusals = 0

    def accepted(self) -> bool:
        """A carrier took something: it is open. Brings whether that is new."""
        was_closed = self.closed
        self.until, self.of_settings = -inf, False
        self._refusals = self._pauses = 0
        return was_closed
