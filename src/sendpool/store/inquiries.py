"""Attempts of which the carrier is to be asked, should nobody report on them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sendpool.store.database import Bulk, Query, Script

#: (connection, message, n, the carrier's id, when to ask).
InquiryRow = tuple[int, int, int, str, int]


class Inquiry(msgspec.Struct, array_like=True, gc=False):
    """An attempt whose time to be asked for has come."""

    attempt_id: int
    carrier_id: str
    #: How often it was asked for already.
    asked: int
    due_at: int
    #: Of the attempt; None: it is gone, or is another connection's by now.
    state: int | None


def note_inquiries(rows: Sequence[InquiryRow]) -> Script[None]:
    """Remember to ask, once for each attempt."""
    if rows:
        yield Bulk(
            "INSERT INTO inquiry (attempt_id, connection_id, carrier_id, due_at, asked)"
            " SELECT message_id * 64 + n, connection_id, carrier_id, due_at, 0 FROM v WHERE true"
            " ON CONFLICT DO NOTHING",
            (
                *(("connection_id", "bigint"), ("message_id", "bigint"), ("n", "int")),
                *(("carrier_id", "text"), ("due_at", "bigint")),
            ),
            rows,
        )


def due_inquiries(connection_id: int, now: int, limit: int) -> Script[list[Inquiry]]:
    """What a connection's carrier may be asked for now, the most overdue first."""
    rows: list[Inquiry] = yield Query(
        "FROM (SELECT * FROM inquiry WHERE connection_id = ? AND due_at <= ? ORDER BY due_at LIMIT ?) i"
        " LEFT JOIN attempt a ON a.id = i.attempt_id AND a.connection_id = i.connection_id ORDER BY i.due_at",
        (connection_id, now, limit),
        ("i.attempt_id", "i.carrier_id", "i.asked", "i.due_at", "a.state"),
        Inquiry,
    )
    return rows


def put_off(rows: Sequence[tuple[int, int]]) -> Script[None]:
    """Ask again at another time: (attempt, when)."""
    if rows:
        yield Bulk(
            "UPDATE inquiry SET due_at = v.due_at, asked = inquiry.asked + 1 FROM v"
            " WHERE inquiry.attempt_id = v.attempt_id",
            (("attempt_id", "bigint"), ("due_at", "bigint")),
            rows,
        )


def forget_inquiries(attempt_ids: Sequence[int]) -> Script[None]:
    """Ask for these no more."""
    if attempt_ids:
        yield Bulk(
            "DELETE FROM inquiry WHERE attempt_id IN (SELECT attempt_id FROM v)",
            (("attempt_id", "bigint"),),
            [(key,) for key in attempt_ids],
        )
