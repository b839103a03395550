"""When a server ran on this database, and its clock went on as clocks do."""

from __future__ import annotations

from sendpool.domain.retention import Span
from sendpool.store.database import Query, Script


def latest_spans(limit: int) -> Script[list[tuple[int, Span]]]:
    """(key, span) of the times in which a server ran on this database, newest first."""
    rows = yield Query("SELECT id, began_at, ended_at FROM uptime ORDER BY id DESC LIMIT ?", (limit,))
    return [(key, Span(began_at, ended_at)) for key, began_at, ended_at in rows]


def write_span(key: int, span: Span, forget: int) -> Script[None]:
    """Write a span, new or longer than before, and forget those up to key *forget*."""
    yield Query(
        "INSERT INTO uptime (id, began_at, ended_at) VALUES (?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at",
        (key, *span),
    )
    yield Query("DELETE FROM uptime WHERE id <= ?", (forget,))
