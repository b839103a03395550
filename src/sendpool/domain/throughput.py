"""How fast a sender or a connection may go: token buckets counted in segments, by theoretical time arithmetic.

A bucket is the generic cell rate algorithm (GCRA): one number, the time at which it would be full again. A departure
may lie in the future; the caller claims a row up to 50 ms before its time and writes it at it, so a late wake-up loses
nothing and a segment never leaves early. All times are monotonic seconds given by the caller; costs are segments.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

#: A carrier's throttle answer without a time: seconds of the first pause, and of the longest (doubling between).
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
#: The rate after a throttle answer, as a share of what it was; never under `LOWEST_SHARE` of the nominal rate.
THROTTLED_SHARE = 0.5
LOWEST_SHARE = 0.05
#: The share of the nominal rate that comes back in each second without a throttle answer.
REGAIN_PER_SECOND = 0.05
#: Seconds before the end of a horizon that count as the end itself: far under any socket's precision.
_ROUNDING = 1e-9


def default_burst(mps: float) -> float:
    """Return the segments that may leave at once where none are configured: 50 ms of *mps*, at least one."""
    return max(1.0, 0.05 * mps)


class BucketState(NamedTuple):
    """A bucket's condition relative to one moment, so that another process can go on with it."""

    #: Seconds until the bucket is full again; 0 when it is.
    full_in: float
    #: Seconds that a pause still lasts; 0 when there is none.
    paused_for: float
    #: The share of the nominal rate allowed now; 1.0 normally.
    share: float
    #: Pauses that the carrier has asked for in a row; 0 normally.
    pauses: int


class Bucket:
    """The throughput of one sender or one connection: at most *burst* segments at once, then *mps* a second.

    In any window of L seconds at most `mps * L + max(burst, longest message)` segments depart. A message longer than
    the burst starts when the bucket is full and pays afterwards. *mps* None is unlimited, *burst* None is
    `default_burst(mps)`. A new bucket is full. Raises ValueError for a rate not above zero or a burst under one.
    """

    __slots__ = (
        "_burst",
        "_burst_time",
        "_ceiling",
        "_full",
        "_interval",
        "_last",
        "_mps",
        "_pauses",
        "_resumed_share",
        "_share",
        "paused_until",
    )

    def __init__(self, mps: float | None, burst: float | None = None) -> None:
        #: Nothing departs before it; -inf when never paused.
        self.paused_until = -inf
        #: When the bucket is full again, and the latest departure taken.
        self._full = -inf
        self._last = -inf
        #: Pauses in a row; above zero the rate may still be on its way back up, from `_resumed_share`.
        self._pauses = 0
        self._share = self._resumed_share = 1.0
        #: The share that the carrier's load allows.
        self._ceiling = 1.0
        self._configure(mps, burst)

    def _configure(self, mps: float | None, burst: float | None) -> None:
        if mps is not None and not 0 < mps < inf:
            raise ValueError(f"throughput {mps} must be above zero; leave it out for no limit")
        if burst is not None and not 1 <= burst < inf:
            raise ValueError(f"burst {burst} must be at least one segment")
        self._mps = mps
        self._burst = 1.0 if mps is None else burst or default_burst(mps)
        self._apply_rate()

    def _apply_rate(self) -> None:
        # No interval marks the unlimited bucket: its messages cost no time.
        self._interval = 0.0 if self._mps is None else 1.0 / (self._mps * min(self._share, self._ceiling))
        self._burst_time = self._burst * self._interval

    @property
    def mps(self) -> float | None:
        """The nominal segments a second; None: unlimited."""
        return self._mps

    @property
    def burst(self) -> float:
        """Segments that may depart at once when the bucket is full."""
        return self._burst

    def rate(self, now: float) -> float:
        """Return the segments a second allowed at *now*: under nominal after a throttle answer or under load, inf if
        unlimited.
        """
        if self._pauses:
            self._regain(now)
        return inf if self._mps is None else self._mps * min(self._share, self._ceiling)

    def _regain(self, now: float) -> None:
        """Raise the rate for the time since the pause."""
        quiet = now - self.paused_until
        if quiet <= 0:
            return
        share = min(1.0, self._resumed_share + REGAIN_PER_SECOND * quiet)
        if share > self._share:
            self._change_share(share, now)
        if share >= 1.0:
            self._pauses = 0

    def free_at(self, now: float) -> float:
        """Return the earliest departure of a message of one segment, at or after *now*, without taking it."""
        return self.earliest(1, now)

    def earliest(self, cost: int, now: float) -> float:
        """Return the earliest departure of a message of *cost* segments, at or after *now*, without taking it."""
        if self._pauses:
            self._regain(now)
        if not self._interval:
            return max(now, self.paused_until)
        slack = self._burst_time - cost * self._interval
        return max(now, self._full - slack if slack > 0 else self._full, self.paused_until)

    def slots(self, now: float, horizon: float) -> int:
        """Return how many segments may depart no later than *now* + *horizon*, as messages of one segment each.

        Unlimited buckets answer a million: the window in flight bounds them. Claim rows whose costs add up to this.
        """
        first = self.earliest(1, now)
        left = now + horizon - first + _ROUNDING
        if left < 0:
            return 0
        if not self._interval:
            return 1_000_000
        # After the first departure the bucket owes; each further one waits for an interval, less what it still holds.
        held = self._burst_time - max(self._full - first, 0.0)
        return max(1, int((left + held) / self._interval))

    def take(self, cost: int, now: float) -> float:
        """Take *cost* segments and return their departure: *now*, or later if the bucket must fill first."""
        if self._pauses:
            self._regain(now)
        spent = cost * self._interval
        if not spent:
            return max(now, self.paused_until)
        full = self._full
        slack = self._burst_time - spent
        depart = max(now, full - slack if slack > 0 else full, self.paused_until)
        self._full = max(full, depart) + spent
        self._last = max(self._last, depart)
        return depart

    def take_at(self, cost: int, depart: float) -> None:
        """Take *cost* segments that depart at *depart*, which `earliest` allowed."""
        if self._interval:
            self._full = max(self._full, depart) + cost * self._interval
            self._last = max(self._last, depart)

    def _slack_of_one(self) -> float:
        """Seconds before it is full at which one segment may depart."""
        return max(0.0, self._burst_time - self._interval)

    def _took(self, full: float, last: float) -> None:
        """Segments were taken, the last of them departs at *last*; at *full* it is full again."""
        if self._interval:
            self._full, self._last = full, max(self._last, last)

    def pause(self, now: float, retry_after: float | None = None) -> None:
        """Obey a carrier's throttle answer: no departure for *retry_after* seconds, then half the rate and a slow ramp.

        Without a time the pause is 1 s, doubled by each throttle answer on the ramp, up to 30 s (jitter is the
        caller's). Afterwards 5 % of the nominal rate come back each second (SMPP practice). Answers that arrive during
        a pause belong to what was in flight before it: they only lengthen it, if they name a later time.
        """
        if now < self.paused_until:
            self.paused_until = max(self.paused_until, now + (retry_after or 0.0))
            return
        if self._pauses:
            self._regain(now)
        wait = retry_after or min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**self._pauses)
        self._pauses = min(self._pauses + 1, 16)
        self.paused_until = now + wait
        self._resumed_share = max(LOWEST_SHARE, self._share * THROTTLED_SHARE)
        self._change_share(self._resumed_share, now)
        # One segment opens the ramp, not a burst.
        self._full = max(self._full, self.paused_until + self._burst_time - self._interval)

    def ease(self, share: float, now: float) -> None:
        """Go no faster than at *share* of the nominal rate, but at `LOWEST_SHARE` at least, until told otherwise.

        It is what a carrier says of its load. What is owed stays owed; the ramp after a throttle answer goes on below.
        """
        ceiling = min(1.0, max(LOWEST_SHARE, share))
        if ceiling != self._ceiling:
            before, self._ceiling = self._interval, ceiling
            self._apply_rate()
            self._stretch(before, now)

    def _change_share(self, share: float, now: float) -> None:
        """Go on at *share* of the nominal rate; the segments owed stay the same and are paid at the new rate."""
        before = self._interval
        self._share = share
        self._apply_rate()
        self._stretch(before, now)

    def _stretch(self, before: float, now: float) -> None:
        # The bucket owes nothing for the time up to its last departure, so only what lies beyond is stretched.
        pivot = max(now, self._last)
        if before and self._full > pivot:
            self._full = pivot + (self._full - pivot) * (self._interval / before)

    def resize(self, mps: float | None, burst: float | None, now: float) -> None:
        """Take over a changed configuration: what is owed stays owed, and a larger burst fills at the new rate.

        Raises ValueError as the constructor does; the bucket is then unchanged.
        """
        interval, size = self._interval, self._burst
        self._configure(mps, burst)
        if not self._interval:
            return
        if not interval:
            self.empty(now)
            return
        self._stretch(interval, now)
        pivot = max(now, self._last)
        # A bucket that grows holds its old burst and no more. One that shrinks keeps what it owes: a message longer
        # than the new burst would otherwise start on credit that the larger burst had not given.
        self._full = max(self._full, pivot) + max(0.0, self._burst - size) * self._interval

    def empty(self, now: float, debt: float = 0.0) -> None:
        """Start without a segment and owing *debt* more: after an unclean end nobody knows what left just before it.

        The debt is one longest message. It may under-use the limit once, and never exceeds it.
        """
        if self._interval:
            self._full = max(self._full, now + self._burst_time + debt * self._interval)

    def begin_at(self, rate: float | None, now: float, wait: float = 0.0) -> None:
        """Begin no faster than *rate* segments a second, after *wait* seconds: what a throttle answer has taught.

        The rate comes back as after that answer.
        """
        self.paused_until = max(self.paused_until, now + wait)
        self._pauses = max(1, self._pauses)
        if self._mps is not None and rate is not None:
            self._resumed_share = min(self._share, max(LOWEST_SHARE, rate / self._mps))
            self._change_share(self._resumed_share, now)

    def state(self, now: float) -> BucketState:
        """Return the condition at *now*, to be handed over to another process."""
        if self._pauses:
            self._regain(now)
        share = 1.0 if self._mps is None else self._share
        return BucketState(
            full_in=max(self._full - now, 0.0),
            paused_for=max(self.paused_until - now, 0.0),
            share=share,
            pauses=self._pauses,
        )

    def restore(self, state: BucketState, now: float) -> None:
        """Go on from a condition handed over; *now* is this process's clock at or after the hand-over."""
        self._full = self._last = now + state.full_in
        self._pauses = state.pauses
        self._share = self._resumed_share = min(1.0, max(LOWEST_SHARE, state.share))
        self.paused_until = now + state.paused_for if state.pauses else -inf
        self._apply_rate()


def take_nested(inner: Bucket, outer: Bucket, cost: int, now: float) -> float:
    """Take *cost* segments from a sender's bucket and its connection's; return the departure that both allow."""
    if not outer._interval and outer.paused_until <= now:
        return inner.take(cost, now)
    depart = max(inner.earliest(cost, now), outer.earliest(cost, now))
    inner.take_at(cost, depart)
    outer.take_at(cost, depart)
    return depart


def take_nested_singles(inner: Bucket, outer: Bucket, count: int, now: float, latest: float) -> list[float]:
    """`take_nested` of one segment *count* times; the first departure behind *latest* is the last. The departures.

    In one go, since a claim takes hundreds: what `Bucket.earliest` and `take_at` do, in local variables.
    """
    for bucket in (inner, outer):
        if bucket._pauses:
            bucket._regain(now)
    soonest = max(now, inner.paused_until, outer.paused_until)
    full, spent, slack = inner._full, inner._interval, inner._slack_of_one()
    outer_full, outer_spent, outer_slack = outer._full, outer._interval, outer._slack_of_one()
    departures: list[float] = []
    for _ in range(count):
        depart = full - slack
        if depart < outer_full - outer_slack:
            depart = outer_full - outer_slack
        if depart < soonest:
            depart = soonest
        departures.append(depart)
        if full < depart:
            full = depart
        if outer_full < depart:
            outer_full = depart
        full += spent
        outer_full += outer_spent
        if depart > latest:
            break
    if departures:
        inner._took(full, departures[-1])
        outer._took(outer_full, departures[-1])
    return departures


def slots_nested(inner: Bucket, outer_left: int, now: float, horizon: float) -> int:
    """Return a sender's segments within the horizon, where its connection has *outer_left* left for all its senders.

    Ask the connection once (`outer.slots`), then give each of its senders what is left and subtract what it gets.
    """
    return min(inner.slots(now, horizon), outer_left) if outer_left > 0 else 0
