"""When to send: a moment with a zone, or one on each recipient's own clock.

Where a recipient may be in several time zones, the clock is the one that most of them show then (of equally common
ones the middle one, of two the eastern: that is the mainland of Portugal and Ecuador). Whose zone nobody knows has UTC.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,12}))?(?:([Zz])|([-+])(\d\d):(\d\d))?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
#: How far ahead anything may be scheduled, in days and in microseconds: a year, also a long one.
HORIZON_DAYS = 366
HORIZON = HORIZON_DAYS * _DAY


class Moment(NamedTuple):
    """A moment in microseconds since 1970."""

    at: int
    #: True: `at` is what the recipient's own clock shows, taken for UTC.
    local: bool = False


def parse_moment(text: str) -> Moment | None:
    """An RFC 3339 date and time, with or without its zone; None for anything else."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    try:
        # A leap second is the second after it.
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC) - _EPOCH
        offset = timedelta(hours=int(found[10] or 0), minutes=int(found[11] or 0))
    except ValueError:
        return None
    if second > 60 or offset >= timedelta(days=1) or int(found[11] or 0) > 59:
        return None
    moment += timedelta(seconds=second // 60) + (offset if found[9] == "-" else -offset)
    at = moment // timedelta(microseconds=1) + int((found[7] or "0")[:6].ljust(6, "0"))
    return Moment(at, local=found[8] is None and found[9] is None)


def intersect(moments: Sequence[Moment]) -> Moment | None:
    """The moment that all of these (at least one) are; None where two differ.

    One with a zone and one without are the same for some recipients only, so they differ.
    """
    return moments[0] if len(set(moments)) == 1 else None


def is_beyond_horizon(moment: Moment, now: int) -> bool:
    """Whether a moment is further ahead than anything may be; a local one where no clock shows it before that."""
    return moment.at > now + HORIZON + (_DAY if moment.local else 0)


def due_of(moment: Moment, zones: tuple[str, ...]) -> int:
    """When a moment is for a recipient in one of these time zones ("Europe/Madrid"), in microseconds since 1970.

    A time that the clock skips is that much later; one that it shows twice is the first.
    """
    return moment.at - _offset(zones, moment.at) if moment.local else moment.at


@lru_cache(maxsize=4096)
def _offset(zones: tuple[str, ...], clock: int) -> int:
    """What the clock of these zones is ahead of UTC when it shows *clock*, in microseconds."""
    shown = _EPOCH + timedelta(microseconds=clock)
    offsets = Counter(offset for name in zones if (offset := _offset_in(name, shown)) is not None)
    most = max(offsets.values(), default=0)
    common = sorted(offset for offset, count in offsets.items() if count == most)
    return common[len(common) // 2] if common else 0


def _offset_in(zone: str, shown: datetime) -> int | None:
    try:
        offset = shown.replace(tzinfo=ZoneInfo(zone)).utcoffset()
    except ZoneInfoNotFoundError:
        return None  # "Etc/Unknown", or a zone that is younger than this machine's tables.
    return None if offset is None else offset // timedelta(microseconds=1)
