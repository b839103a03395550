"""Listen whether receipts still come, sender by sender: where they do not, time moves no message to another channel.

What is judged by is what health counts (`pulse`), in memory. What was found is kept in the store where it changes: a
restart knows that receipts are broken, or that they came as they should, and so do nodes that have not the sender's
connection.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

import structlog

from sendpool.domain import ids
from sendpool.domain.hearing import Hearing, hear, is_worth_keeping
from sendpool.domain.vitals import LONGEST_PATIENCE, SHORTEST_PATIENCE, Counting, p95
from sendpool.pipeline.roster import Roster
from sendpool.store.database import Script
from sendpool.store.hearing import HearingRow, write_hearings
from sendpool.store.notices import Notice

log = structlog.get_logger()

BROKEN, MENDED = "sendpool.receipts.broken", "sendpool.receipts.mended"
#: Messages after which no older ones are looked at, but for those of the last half minute.
LOOK_BACK = 60


class Listener:
    """What is heard of each sender. Lives on the event loop."""

    def __init__(self, wall: Callable[[], int]) -> None:
        """*wall* brings the microseconds since 1970."""
        self._wall = wall
        self.hearings: dict[int, Hearing] = {}
        #: What of it the store has.
        self._kept: dict[int, Hearing] = {}
        #: Senders that another node listens to.
        self._others: set[int] = set()
        #: Seconds that a sender's receipts are waited for, as long as any came.
        self._patience: dict[int, float] = {}

    def says_nothing(self, sender_id: int, started_at: int) -> bool:
        """Whether the silence about an attempt that was started then (microseconds) means nothing."""
        hearing = self.hearings.get(sender_id)
        return hearing is not None and hearing.says_nothing(started_at / 1e6)

    @property
    def broken(self) -> int:
        """Senders that this process listens to and whose receipts do not come."""
        return sum(1 for sender_id, one in self.hearings.items() if one.broken and sender_id not in self._others)

    def recall(self, rows: Iterable[HearingRow], mine: Callable[[int], bool]) -> None:
        """Take over what is kept: of a sender that is *mine* to listen to only where nothing was heard of it here."""
        for sender_id, *times in rows:
            kept = self._kept[sender_id] = Hearing(*(None if at is None else at / 1e6 for at in times))
            if not mine(sender_id):
                self._others.add(sender_id)
                self.hearings[sender_id] = kept
            else:
                self._others.discard(sender_id)
                self.hearings.setdefault(sender_id, kept)

    def unkept(self) -> dict[int, Hearing]:
        """What the store has not, of senders that this process listens to."""
        return {
            sender_id: one
            for sender_id, one in self.hearings.items()
            if sender_id not in self._others and is_worth_keeping(self._kept.get(sender_id, Hearing()), one)
        }

    def kept(self, hearings: dict[int, Hearing]) -> None:
        """The store has these."""
        self._kept.update(hearings)

    def once(self, counting: Counting, roster: Roster, moment: float, mine: Callable[[int], bool]) -> list[Notice]:
        """One round at *moment* (monotonic seconds) over senders that are *mine*; brings what is to be told."""
        watched, lost = self._figures(counting, moment)
        now, told = self._wall(), []
        for sender_id, n in watched.items():
            if not mine(sender_id):
                continue
            self._others.discard(sender_id)
            before = self.hearings.get(sender_id, Hearing())
            after = self.hearings[sender_id] = hear(n, lost[sender_id], before, now / 1e6)
            sender = roster.senders.get(sender_id)
            if after.broken is not before.broken and sender is not None:
                log.warning("receipts of a sender changed", sender=sender.address, broken=after.broken)
                data = {"state": "broken" if after.broken else "mended", "count": str(lost[sender_id])}
                subject = ids.encode(ids.SENDER, sender.uid)
                told.append(Notice(sender.account_id, BROKEN if after.broken else MENDED, subject, data, now))
        return told

    def forget(self, senders: Iterable[int]) -> None:
        """Senders that are no more."""
        for sender_id in senders:
            self.hearings.pop(sender_id, None)
            self._kept.pop(sender_id, None)
            self._others.discard(sender_id)
            self._patience.pop(sender_id, None)

    def _figures(self, counting: Counting, moment: float) -> tuple[Counter[int], Counter[int]]:
        """By sender, over all countries: messages old enough to have a receipt, and those without one."""
        delays: dict[int, list[int]] = defaultdict(list)
        for route, vitals in counting.routes.items():
            counts = vitals.delays.counts()
            mine = delays[route.sender_id]
            delays[route.sender_id] = [a + b for a, b in zip(mine, counts, strict=True)] if mine else counts
        for sender_id, counts in delays.items():
            if (delay := p95(counts)) is not None:
                self._patience[sender_id] = min(LONGEST_PATIENCE, max(SHORTEST_PATIENCE, 2 * delay))
        watched, lost = Counter[int](), Counter[int]()
        for route, vitals in counting.routes.items():
            patience = self._patience.get(route.sender_id, SHORTEST_PATIENCE)
            figures = vitals.figures(moment, patience, LOOK_BACK)
            watched[route.sender_id] += figures.watched
            lost[route.sender_id] += figures.lost
        return watched, lost


def keep(hearings: dict[int, Hearing], now: int) -> Script[None]:
    """Write what is heard of senders."""
    rows: Sequence[HearingRow] = [HearingRow(key, *map(_microseconds, one)) for key, one in hearings.items()]
    yield from write_hearings(rows, now)


def _microseconds(at: float | None) -> int | None:
    return None if at is None else round(at * 1e6)
