"""The customer service window: free content reaches only who has written to the number within 24 hours. Pure.

(WhatsApp Cloud API, "Sending messages", customer service windows.) What a carrier would refuse can be known ahead, but
only where it would have been heard: that nobody has written is no knowledge while nobody listens. Times are in
microseconds since 1970.
"""

from __future__ import annotations

from typing import NamedTuple

from sendpool.domain.retention import Span
from sendpool.domain.sessions import SILENCE

#: How long a window is open after the last inbound message, and how long a number has to be heard without a break
#: before silence means anything: a window that opened before that is closed by then.
OPEN_FOR = SILENCE
#: How long a number may say nothing at all, and still count as heard.
QUIET = SILENCE
#: How long ago the server may have written down last that it runs (`uptime`, once a minute; a restart is no break).
STALE = 360_000_000
#: Countries in whose numbers WhatsApp leaves out or adds a digit (Brazil, Mexico, Argentina): who writes may have
#: another number than whom we write to.
REWRITTEN = ("+52", "+54", "+55")


class Heard(NamedTuple):
    """What is heard of a number: its statuses come the same way as what people write, so either proves the other."""

    #: Since when without a break, and when last.
    since: int
    last: int
    #: When last somebody opened a window of whom we do not know the number, or 0.
    unplaced: int = 0


def hear(before: Heard | None, now: int, *, unplaced: bool = False) -> Heard:
    """What is heard of a number once something came *now*; *unplaced*: from somebody whose number we do not know."""
    if before is None or now - before.last >= QUIET:
        before = Heard(now, now, before.unplaced if before is not None else 0)
    last = max(before.last, now)
    return Heard(before.since, last, max(before.unplaced, now) if unplaced else before.unplaced)


def knows(heard: Heard | None, up: Span | None, now: int) -> bool:
    """Whether who is not known to have written to a number has not.

    *up*: the latest time in which a server ran. After an outage of more than five minutes nothing is known for a day:
    what was written in it may still be on its way (the platform repeats itself for days).
    """
    if heard is None or up is None or now - up.ended_at > STALE:
        return False
    since = max(heard.since, heard.unplaced, up.began_at)
    return since <= now - OPEN_FOR and now - heard.last < QUIET


def is_closed(address: str, wrote_at: int | None, now: int, *, known: bool) -> bool:
    """Whether it is certain that somebody's window is closed.

    *wrote_at*: when they last wrote to the number, as far as we know; *known*: whether we would know (`knows`).
    """
    if not known:
        return False
    if wrote_at is None:
        return not address.startswith(REWRITTEN)
    return now - wrote_at >= OPEN_FOR
