"""Notices: what is told of a sender, a connection or a receipt, and not of a message. Rare: never one per message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import insert

from sendpool.domain.event_types import NOTICE_EVENT
from sendpool.store.database import Query, Script
from sendpool.store.outbox import write_events
from sendpool.store.sink_tables import notice


class Notice(NamedTuple):
    """Something to tell: `type` is a name in `domain.event_types.NOTICES`, `subject` what it is about.

    `at` is microseconds since 1970.
    """

    account_id: int
    type: str
    subject: str
    data: Mapping[str, str]
    at: int


def subject_of(key: int) -> int:
    """The subject of a notice's event: below nought, for those above are keys of messages."""
    return -key


def write_notices(notices: Sequence[Notice]) -> Script[None]:
    """Keep notices, each with its event."""
    for one in notices:
        values = {**one._asdict(), "data": msgspec.json.encode(one.data).decode(), "created_at": one.at}
        del values["at"]
        rows = yield insert(notice).values(**values).returning(notice.c.id)
        yield from write_events([(subject_of(rows[0][0]), NOTICE_EVENT, None, one.at)])


def old_notices(before: int, limit: int) -> Script[tuple[int, int] | None]:
    """The keys of the first and the last of the oldest *limit* notices from before a moment; None: there are none."""
    rows = yield Query(
        "SELECT min(id), max(id) FROM (SELECT id FROM notice WHERE created_at < ? ORDER BY id LIMIT ?) n",
        (before, limit),
    )
    return None if rows[0][0] is None else tuple(rows[0])


def remove_notices(first: int, last: int) -> Script[int]:
    """Remove the notices with keys from *first* to *last*, and their events. Brings how many went."""
    # The last position stays, so that none is given twice.
    yield Query(
        f"DELETE FROM event WHERE subject_id BETWEEN ? AND ? AND number = {NOTICE_EVENT}"
        " AND position < (SELECT max(position) FROM event)",
        (subject_of(last), subject_of(first)),
    )
    removed: int = yield Query("DELETE FROM notice WHERE id BETWEEN ? AND ?", (first, last))
    return removed
