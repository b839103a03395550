"""How many requests a second an account may make. In memory: a restart forgives."""

from __future__ import annotations

import time
from collections.abc import Callable

from sendpool.domain.throughput import Bucket


class RequestRates:
    """A bucket of requests for each account: *burst* at once, then *rate* a second. No rate: no limit."""

    def __init__(
        self, rate: float | None = None, burst: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        # A second's worth: who sends evenly never notices, however the network bunches it.
        self._burst = burst or max(1.0, rate or 1.0)
        self._clock = clock
        self._buckets: dict[int, Bucket] = {}

    @property
    def limited(self) -> bool:
        """Whether there is a limit at all."""
        return self._rate is not None

    def wait(self, account_id: int) -> float:
        """Seconds until this account's next turn; 0: it has just taken one. Who comes too early loses no turn by it."""
        if self._rate is None:
            return 0.0
        bucket = self._buckets.get(account_id)
        if bucket is None:
            bucket = self._buckets[account_id] = Bucket(self._rate, self._burst)
        now = self._clock()
        turn = bucket.earliest(1, now)
        if turn > now:
            return turn - now
        bucket.take_at(1, now)
        return 0.0
