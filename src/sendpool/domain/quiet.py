"""Quiet hours: when a pool sends nothing to a recipient, by the recipient's own clock. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from sendpool.domain.message import Category

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
#: Times that zones may push the opening on in turn. Where there is no common one, the last of them counts.
_ROUNDS = 4


def minute_of(text: str) -> int:
    """The minute of the day that "21:30" is. Raises ValueError for anything else."""
    found = _TIME_OF_DAY.fullmatch(text)
    if found is None:
        raise ValueError('expected a time of day such as "21:30"')
    return int(found[1]) * 60 + int(found[2])


class QuietHours(msgspec.Struct, frozen=True, kw_only=True):
    """From `start` to `end` of every day nothing is sent; minutes since midnight, over midnight where `end` is less.

    Where a number may be in several time zones, it has to be loud in all of them.
    """

    start: int
    end: int
    #: Messages that go out all the same.
    exempt: frozenset[Category] = frozenset({Category.OTP})

    def opens_at(self, zones: tuple[str, ...], now: int) -> int:
        """When a recipient in these time zones may be sent to: *now* or later, in microseconds since 1970.

        A zone that nobody knows counts as UTC.
        """
        # A minute starts for everybody at once: no zone of today is off by less.
        return max(now, _opens_at(self.start, self.end, zones, now // 60_000_000))

    def covers(self, minute: int) -> bool:
        """Whether a minute of the day is quiet."""
        if self.start <= self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


@lru_cache(maxsize=8192)
def _opens_at(start: int, end: int, zones: tuple[str, ...], minute: int) -> int:
    hours = QuietHours(start=start, end=end)
    opening = at = _EPOCH + minute * _MINUTE
    for _ in range(_ROUNDS):
        opening = max((_next_loud(hours, zone, at) for zone in zones or ("UTC",)), default=at)
        if opening == at:
            break
        at = opening
    return (opening - _EPOCH) // timedelta(microseconds=1)


def _next_loud(hours: QuietHours, zone: str, at: datetime) -> datetime:
    """The first minute from *at* on that is not quiet in a zone."""
    try:
        place = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        place = ZoneInfo("UTC")
    local = at.astimezone(place)
    minute = local.hour * 60 + local.minute
    if not hours.covers(minute):
        return at
    # By the clock on the wall, so that a night in which it is changed ends at the same hour.
    end = datetime.combine(local.date(), datetime.min.time(), place) + timedelta(minutes=hours.end)
    opening = (end if minute < hours.end else end + timedelta(days=1)).astimezone(UTC)
    return max(opening, at + _MINUTE)
