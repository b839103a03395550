"""Strays: find out what receipts are about whose id nobody knows, and tell of those that belong to nobody.

Where a link or this process broke between a submit and its answer, the carrier's id is lost; the receipt comes all the
same. `domain.strays` says which attempt it is about, if that leaves no doubt.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial

import structlog

from sendpool.domain.message import at_step
from sendpool.domain.states import AttemptState
from sendpool.domain.strays import Doubt, Found, Stray, place
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.settle import Changes, settle_parked
from sendpool.store.database import Script
from sendpool.store.notices import Notice, write_notices
from sendpool.store.receipts import SegmentRow, insert_segments
from sendpool.store.strays import DoubtRow, StrayRow, doubts, latest_parked, parked_now, parked_since, strays

log = structlog.get_logger()

#: Seconds that an answer with the receipt's id may take to come after all.
GRACE = 10.0
#: Seconds after which a receipt that belongs to nobody is told of.
TOLD_AFTER = 60.0
#: Receipts, and attempts of unknown fate, that one look compares; seconds that attempts may be back.
STRAYS, MOST_DOUBTS, BACK = 1_000, 20_000, 3 * 86_400.0
UNMATCHED = "sendpool.receipt.unmatched"


class StrayKeeper:
    """Looks through the receipts that wait, some at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._after = 0
        #: The latest receipt that was told of; None: nothing is known of an earlier run yet.
        self._told: int | None = None

    async def look(self) -> None:
        """Compare the next receipts with the attempts that they may be about."""
        engine = self._engine
        now = engine.clock.wall()
        waiting = await engine.database.read(parked_now())
        if waiting:
            await self._place(now)
        await self._tell(now, waiting)

    async def _place(self, now: int) -> None:
        database = self._engine.database
        rows = await database.read(strays(self._after, now - int(GRACE * 1e6), STRAYS))
        self._after = rows[-1].id if len(rows) == STRAYS else 0
        if not rows:
            return
        keys = {row.connection_id for row in rows}
        open_ones = await database.read(doubts(sorted(keys), now - int(BACK * 1e6), MOST_DOUBTS))
        segments = sorted(set(placed(rows, open_ones)))
        if segments:
            await self._engine.settle(partial(_adopt, segments=segments))
            self._engine.metrics.placed(len(segments))
            log.info("receipts of unknown ids were told by their addresses", receipts=len(segments))

    async def _tell(self, now: int, waiting: int) -> None:
        """Tell once of receipts that have waited long enough to belong to nobody."""
        before = now - int(TOLD_AFTER * 1e6)
        if self._told is None:
            self._told = await self._engine.database.read(latest_parked(before)) if waiting else 0
            return
        found = await self._engine.database.read(parked_since(self._told, before)) if waiting else []
        if found:
            await self._engine.settle(partial(_tell, found=found, links=self._names()))
            self._told = max(latest for *_, latest in found)

    def _names(self) -> dict[int, str]:
        return {key: link.name for key, link in self._engine.sending.links.items()}


def placed(rows: Sequence[StrayRow], open_ones: Iterable[DoubtRow]) -> list[SegmentRow]:
    """The segments that these receipts turn out to name."""
    by_connection: dict[int, list[Stray]] = defaultdict(list)
    for row in rows:
        stray = Stray(row.id, row.carrier_id, row.sender, row.recipient, row.submitted)
        by_connection[row.connection_id].append(stray)
    there: dict[int, list[Doubt]] = defaultdict(list)
    for one in open_ones:
        there[one.connection_id].append(_doubt(one))
    return [_segment(key, found) for key, those in by_connection.items() for found in place(those, there.get(key, ()))]


def _doubt(row: DoubtRow) -> Doubt:
    heard = row.parts_delivered | row.parts_failed
    silent = tuple(part for part in range(1, row.segments + 1) if not heard >> part - 1 & 1)
    recipient = at_step(row.address, row.step) if row.address else ""
    unknown = row.state == AttemptState.AMBIGUOUS
    return Doubt(row.message_id, row.n, row.sender, recipient, row.started_at / 1e6, silent, unknown)


def _segment(connection_id: int, found: Found) -> SegmentRow:
    return connection_id, found.stray.carrier_id, found.doubt.message_id, found.doubt.n, found.part


def _adopt(changes: Changes, segments: Sequence[SegmentRow]) -> Script[None]:
    """From now on these ids are known, and what waits for them is settled as any receipt is."""
    yield from insert_segments(segments)
    yield from settle_parked(segments, changes)


def _tell(changes: Changes, found: Sequence[tuple[int, int, int, int]], links: dict[int, str]) -> Script[None]:
    yield from write_notices(
        [
            Notice(account_id, UNMATCHED, links.get(key, str(key)), {"count": str(count)}, changes.now)
            for key, account_id, count, _ in found
        ]
    )
