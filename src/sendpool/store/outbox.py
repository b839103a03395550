"""Events: written in the transaction of the change that they tell of. `feed` reads them."""

from __future__ import annotations

from collections.abc import Sequence

from sendpool.store.database import Bulk, Script

#: (subject, number, error code or None, at). The sender is that of attempt `number // 16`.
EventRow = tuple[int, int, int | None, int]


def write_events(events: Sequence[EventRow]) -> Script[None]:
    """Write events. One that is already there is the same one: a subject's numbers are unique."""
    if events:
        yield Bulk(
            "INSERT INTO event (subject_id, number, error_code, created_at) SELECT * FROM v WHERE true"
            " ON CONFLICT DO NOTHING",
            (
                ("subject_id", "bigint"),
                ("number", "int"),
                ("error_code", "int"),
                ("at", "bigint"),
            ),
            events,
            alike=True,
        )
