"""What is heard of senders: whether their receipts come. Written when that changes, so that a restart and other nodes
know of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sendpool.store.database import Bulk, Query, Script

#: How long a sender is remembered whose receipts were well when it was last heard of, in microseconds.
REMEMBERED = 30 * 86_400_000_000


class HearingRow(NamedTuple):
    """When a sender's receipts last came as they should, when they broke and came again: microseconds since 1970."""

    sender_id: int
    usual_at: int | None
    broken_at: int | None
    mended_at: int | None


def load_hearings() -> Script[list[HearingRow]]:
    """Everything that is kept."""
    rows = yield Query("SELECT sender_id, usual_at, broken_at, mended_at FROM sender_hearing")
    return [HearingRow(*row) for row in rows]


def write_hearings(rows: Sequence[HearingRow], now: int) -> Script[None]:
    """Keep what is heard of senders, each in place of the earlier; what is long past goes."""
    if not rows:
        return
    yield Bulk(
        "INSERT INTO sender_hearing (sender_id, usual_at, broken_at, mended_at, updated_at) SELECT * FROM v"
        " WHERE true ON CONFLICT (sender_id) DO UPDATE SET usual_at = excluded.usual_at,"
        " broken_at = excluded.broken_at, mended_at = excluded.mended_at, updated_at = excluded.updated_at",
        tuple((name, "bigint") for name in (*HearingRow._fields, "updated_at")),
        [(*row, now) for row in rows],
    )
    yield Query(
        "DELETE FROM sender_hearing WHERE updated_at < ? AND (broken_at IS NULL OR mended_at IS NOT NULL)",
        (now - REMEMBERED,),
    )
