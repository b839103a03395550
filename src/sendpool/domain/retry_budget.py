"""No storm of retries: on each channel they are a fifth of the first attempts of the minute, and the rest waits.

One-time passwords go on all the same: late they would be of no use (failover notes, section 5). Pure: the time is an
argument, monotonic seconds.
"""

from __future__ import annotations

from sendpool.domain.message import Category
from sendpool.domain.sender import Channel

#: Seconds of one budget, its share of the first attempts, and what there is in it at least: with few messages a fifth
#: of them would be nothing.
PERIOD, SHARE, AT_LEAST = 60.0, 0.2, 120


class _Spent:
    """One channel's period: first attempts of the last and of this one, and retries given to this and later ones."""

    __slots__ = ("before", "first", "number", "retries")

    def __init__(self, number: int) -> None:
        self.number = number
        self.before = 0
        self.first = 0
        #: By the number of the period.
        self.retries: dict[int, int] = {}

    def turn(self, number: int) -> None:
        """Go on to a later period."""
        if number > self.number:
            self.before = self.first if number == self.number + 1 else 0
            self.first, self.number = 0, number
            self.retries = {key: n for key, n in self.retries.items() if key >= number}

    @property
    def budget(self) -> int:
        """Retries of one period: by the busier of the last two, so that it does not begin with nothing."""
        return max(AT_LEAST, int(SHARE * max(self.before, self.first)))


class RetryBudget:
    """What retries there may be, by channel: first attempts add to it, decisions take from it."""

    def __init__(self) -> None:
        self._spent: dict[Channel, _Spent] = {}

    def began(self, channel: Channel, n: int, now: float) -> None:
        """Count *n* first attempts."""
        self._of(channel, now).first += n

    def wait(self, channel: Channel, category: Category, at: float, now: float) -> float:
        """Take one retry that is wanted at *at*; brings how many seconds later it may be, 0 nearly always.

        What does not fit goes to the next period in which there is room, spread over it.
        """
        spent = self._of(channel, now)
        number = max(int(at // PERIOD), spent.number)
        if category is Category.OTP:
            spent.retries[number] = spent.retries.get(number, 0) + 1
            return 0.0
        wanted = number
        while spent.retries.get(number, 0) >= spent.budget:
            number += 1
        taken = spent.retries[number] = spent.retries.get(number, 0) + 1
        if number == wanted:
            return 0.0
        return (number + taken / (spent.budget + 1)) * PERIOD - at

    def _of(self, channel: Channel, now: float) -> _Spent:
        number = int(now // PERIOD)
        spent = self._spent.get(channel)
        if spent is None:
            spent = self._spent[channel] = _Spent(number)
        spent.turn(number)
        return spent
