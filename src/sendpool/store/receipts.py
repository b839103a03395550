"""Carrier ids of segments, and the receipts that name them: matched in sets, kept where nothing matches yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from sendpool.store.database import Bulk, Query, Script

#: (connection, carrier id, message, n, part); part 0 (`WHOLE`): the id names all parts.
SegmentRow = tuple[int, str, int, int, int]
WHOLE = 0


class Match(msgspec.Struct, array_like=True, gc=False):
    """A receipt (by its place in what was asked) and the attempt that it speaks of, as it stands now."""

    place: int
    part: int
    message_id: int
    n: int
    state: int
    marks: int
    sender_id: int
    connection_id: int
    segments: int
    operation_id: int
    message_state: int
    ambiguous: int
    attempts: int
    step: int
    bound: int | None
    parts_delivered: int
    parts_failed: int
    #: The step that the attempt was a try of; `step` is the message's present one.
    tried_step: int
    started_at: int
    #: Whether its message is over though it is still SENT; noted by whoever knows its deadline.
    closed: bool = False


def insert_segments(rows: Sequence[SegmentRow]) -> Script[None]:
    """Remember by which id the carrier knows each segment. The same id again, for the same segment, is no news."""
    if rows:
        yield Bulk(
            "INSERT INTO segment (connection_id, carrier_id, attempt_id, part) SELECT connection_id, carrier_id,"
            " message_id * 64 + n, part FROM v WHERE true"
            " ON CONFLICT DO NOTHING",
            _SEGMENT,
            rows,
            alike=True,
        )


_SEGMENT = (
    ("connection_id", "bigint"),
    ("carrier_id", "text"),
    ("message_id", "bigint"),
    ("n", "int"),
    ("part", "int"),
)


def insert_fenced_segments(rows: Sequence[SegmentRow], epoch: int) -> Script[None]:
    """The same for a tenure that is over: only of attempts that it started, for numbers are used again."""
    yield Bulk(
        "INSERT INTO segment (connection_id, carrier_id, attempt_id, part) SELECT v.connection_id, v.carrier_id, a.id,"
        " v.part FROM v JOIN attempt a ON a.id = v.message_id * 64 + v.n AND a.connection_id = v.connection_id AND"
        f" a.epoch = {int(epoch)} WHERE true ON CONFLICT DO NOTHING",
        _SEGMENT,
        rows,
    )


def match(connection_id: int, carrier_ids: Sequence[str]) -> Script[list[Match]]:
    """The attempts that these carrier ids belong to. Carriers use ids again: the newest message comes first."""
    rows: list[Match] = yield Bulk(
        "FROM v JOIN segment s ON s.connection_id = v.connection_id AND s.carrier_id = v.carrier_id"
        " JOIN attempt a ON a.id = s.attempt_id JOIN message m ON m.id = s.attempt_id >> 6"
        " ORDER BY v.place, s.attempt_id DESC",
        (("place", "int"), ("connection_id", "bigint"), ("carrier_id", "text")),
        [(place, connection_id, carrier_id) for place, carrier_id in enumerate(carrier_ids)],
        (
            "v.place",
            "s.part",
            "a.id >> 6",
            "a.id & 63",
            "a.state",
            "a.marks",
            "a.sender_id",
            "a.connection_id",
            "a.segments",
            "m.operation_id",
            "m.state",
            "m.ambiguous",
            "m.attempts",
            "m.step",
            "m.sender_id",
            "a.parts_delivered",
            "a.parts_failed",
            "a.step",
            "a.started_at",
        ),
        Match,
    )
    return rows


def mark_parts(rows: Sequence[tuple[int, int, int, int]]) -> Script[None]:
    """Write what receipts have said so far of a long message's parts: (message, n, delivered bits, failed bits)."""
    yield Bulk(
        "UPDATE attempt SET parts_delivered = v.delivered, parts_failed = v.failed FROM v"
        " WHERE attempt.id = v.message_id * 64 + v.n",
        (("message_id", "bigint"), ("n", "int"), ("delivered", "bigint"), ("failed", "bigint")),
        rows,
    )


class ParkedRow(NamedTuple):
    """A receipt that matches nothing yet."""

    connection_id: int
    carrier_id: str
    state: int
    failure: str | None
    code: str
    received_at: int
    rule: str = ""
    #: Who sent, who received and when it was submitted, as the carrier wrote them; "" where it did not.
    sender: str = ""
    recipient: str = ""
    submitted: str = ""


#: What a parked receipt is read as, its key first.
PARKED = ("id", "connection_id", "carrier_id", "state", "failure", "code", "rule", "sender", "recipient", "submitted")


def park(rows: Sequence[ParkedRow]) -> Script[None]:
    """Keep receipts that match nothing yet."""
    yield Bulk(
        "INSERT INTO receipt (connection_id, carrier_id, state, failure, code, received_at, rule, sender, recipient,"
        " submitted) SELECT * FROM v",
        (
            ("connection_id", "bigint"),
            ("carrier_id", "text"),
            ("state", "int"),
            ("failure", "text"),
            ("code", "text"),
            ("at", "bigint"),
            ("rule", "text"),
            ("sender", "text"),
            ("recipient", "text"),
            ("submitted", "text"),
        ),
        rows,
    )


def any_parked() -> Script[bool]:
    """Whether a receipt waits for its segment at all: where none does, new ids need not look."""
    rows = yield Query("SELECT EXISTS (SELECT 1 FROM receipt)")
    return bool(rows[0][0])


def parked_for(keys: Sequence[tuple[int, str]]) -> Script[list[Any]]:
    """Parked receipts (`PARKED`) for these (connection, carrier id)."""
    rows: list[Any] = yield Bulk(
        "FROM v JOIN receipt r ON r.connection_id = v.connection_id AND r.carrier_id = v.carrier_id ORDER BY r.id",
        (("connection_id", "bigint"), ("carrier_id", "text")),
        keys,
        tuple(f"r.{name}" for name in PARKED),
    )
    return rows


def unpark(ids: Sequence[int]) -> Script[None]:
    """Drop parked receipts that have found their segment."""
    yield Bulk("DELETE FROM receipt WHERE id IN (SELECT id FROM v)", (("id", "bigint"),), [(key,) for key in ids])


def oldest_parked(limit: int) -> Script[list[Any]]:
    """Parked receipts, oldest first, for the periodic second look."""
    rows: list[Any] = yield Query(
        "FROM receipt ORDER BY id LIMIT ?",
        (limit,),
        PARKED,
    )
    return rows
