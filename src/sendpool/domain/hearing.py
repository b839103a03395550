"""Whether a sender's receipts still come: where they suddenly stop, silence says nothing about its messages.

Without this, one lost webhook would send everything twice (failover notes, section 4, sanity switch). Pure: the time is
an argument, seconds.
"""

from __future__ import annotations

from typing import NamedTuple

#: Messages that a judgement needs; and one that receipts come again.
ENOUGH, ENOUGH_AGAIN = 20, 5
#: The share of messages without a receipt below which receipts come as they should, above which they are broken, and
#: below which they come again.
USUAL, BROKEN, MENDED = 0.1, 0.5, 0.25
#: Seconds for which it is remembered that receipts came as they should.
REMEMBERED = 86_400.0
#: Seconds by which that is told more precisely where it is kept.
KEPT_EVERY = 3_600.0
#: Seconds before the break was seen from which silence says nothing any more: what it was judged by.
BEFORE = 300.0


class Hearing(NamedTuple):
    """What is heard of one sender's messages."""

    #: When receipts last came as they should; None: never yet.
    usual_at: float | None = None
    #: The last time that they were broken; it goes on until it has an end.
    broken_at: float | None = None
    mended_at: float | None = None

    @property
    def broken(self) -> bool:
        """Whether receipts do not come now."""
        return self.broken_at is not None and self.mended_at is None

    def says_nothing(self, began: float) -> bool:
        """Whether it means nothing that a message sent at *began* has no receipt."""
        if self.broken_at is None or self.mended_at is None:
            return self.broken
        return self.broken_at - BEFORE <= began <= self.mended_at


def is_worth_keeping(kept: Hearing, now: Hearing) -> bool:
    """Whether what is heard differs from what was kept by more than a little: rarely, while receipts come."""
    if kept[1:] != now[1:]:
        return True
    return now.usual_at is not None and (kept.usual_at is None or now.usual_at - kept.usual_at >= KEPT_EVERY)


def hear(watched: int, lost: int, hearing: Hearing, now: float) -> Hearing:
    """Judge by the last minutes' messages that are old enough to have a receipt, and those of them without one."""
    if hearing.broken:
        again = watched >= ENOUGH_AGAIN and lost <= MENDED * watched
        return hearing._replace(mended_at=now) if again else hearing
    if watched < ENOUGH:
        return hearing
    if lost < USUAL * watched:
        return hearing._replace(usual_at=now)
    usual = hearing.usual_at is not None and now - hearing.usual_at <= REMEMBERED
    return Hearing(hearing.usual_at, now) if usual and lost > BROKEN * watched else hearing
