"""Attempts: read with their messages, and moved only from the state that they are expected in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from sendpool.domain.states import AttemptState
from sendpool.store.database import Bulk, Script


class OpenAttempt(msgspec.Struct, array_like=True, gc=False):
    """An attempt and its message as they stand now, before something is decided about them."""

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
    #: The sender that the message names so far, or None.
    bound: int | None
    #: Of the tenure under which it was started.
    epoch: int = 0


class PastAttempt(msgspec.Struct, array_like=True, gc=False):
    """What a decision needs to know of an attempt made so far."""

    message_id: int
    n: int
    sender_id: int
    connection_id: int
    channel: str
    state: int
    marks: int
    failure: str | None
    code: str | None
    rule: str | None
    #: What was decided last about it ("failover/7"), or None.
    next: str | None
    started_at: int
    carrier_id: str | None
    #: The step of the message's plan that it was a try of.
    step: int


class AttemptChange(NamedTuple):
    """An attempt moves from `expected` to `state`, and why."""

    message_id: int
    n: int
    expected: int
    state: AttemptState
    marks: int
    failure: str | None = None
    code: str | None = None
    rule: str | None = None
    table_version: int | None = None
    next: str | None = None


def load_attempts(keys: Sequence[tuple[int, int]]) -> Script[list[OpenAttempt]]:
    """Attempts by (message, n) with their messages. Those that do not exist are left out."""
    rows: list[OpenAttempt] = yield Bulk(
        "FROM v JOIN attempt a ON a.id = v.message_id * 64 + v.n JOIN message m ON m.id = v.message_id",
        (("message_id", "bigint"), ("n", "int")),
        keys,
        _OPEN_ATTEMPT,
        OpenAttempt,
    )
    return rows


_OPEN_ATTEMPT = (
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
    "a.epoch",
)


def load_past(message_ids: Iterable[int]) -> Script[dict[int, list[PastAttempt]]]:
    """Every attempt made so far of these messages, in order, by message."""
    rows = yield Bulk(
        "FROM v JOIN attempt a ON a.id BETWEEN v.id * 64 AND v.id * 64 + 63 ORDER BY a.id",
        (("id", "bigint"),),
        [(key,) for key in message_ids],
        (
            "a.id >> 6",
            "a.id & 63",
            "a.sender_id",
            "a.connection_id",
            "a.channel",
            "a.state",
            "a.marks",
            "a.failure",
            "a.code",
            "a.rule",
            "a.next",
            "a.started_at",
            "a.carrier_id",
            "a.step",
        ),
        PastAttempt,
    )
    past: dict[int, list[PastAttempt]] = {}
    for row in rows:
        past.setdefault(row.message_id, []).append(row)
    return past


class _Addressed(Protocol):
    message_id: int
    address: str


def load_past_of_several(rows: Iterable[_Addressed]) -> Script[dict[int, list[PastAttempt]]]:
    """Every attempt made so far of those messages that have several addresses."""
    several = [row.message_id for row in rows if " " in row.address]
    return (yield from load_past(several)) if several else {}


def change_attempts(changes: Sequence[AttemptChange], now: int) -> Script[None]:
    """Move attempts; one that is no longer in its expected state stays as it is."""
    plain = [(c[0], c[1], int(c[2]), int(c[3]), c[4], now) for c in changes if c.failure is None]
    if plain:
        yield Bulk(
            "UPDATE attempt SET state = v.state, marks = v.marks, updated_at = v.at FROM v"
            " WHERE attempt.id = v.message_id * 64 + v.n AND attempt.state = v.expected",
            _ATTEMPT_CHANGE,
            plain,
        )
    failed = [(c[0], c[1], int(c[2]), int(c[3]), c[4], now, *c[5:]) for c in changes if c.failure is not None]
    if failed:
        yield Bulk(
            "UPDATE attempt SET state = v.state, marks = v.marks, updated_at = v.at, failure = v.failure,"
            " code = v.code, rule = v.rule, table_version = v.table_version, next = v.next FROM v"
            " WHERE attempt.id = v.message_id * 64 + v.n AND attempt.state = v.expected",
            (
                *_ATTEMPT_CHANGE,
                ("failure", "text"),
                ("code", "text"),
                ("rule", "text"),
                ("table_version", "int"),
                ("next", "text"),
            ),
            failed,
        )


_ATTEMPT_CHANGE = (
    ("message_id", "bigint"),
    ("n", "int"),
    ("expected", "int"),
    ("state", "int"),
    ("marks", "int"),
    ("at", "bigint"),
)


def note_carrier_ids(rows: Sequence[tuple[int, int, str]]) -> Script[None]:
    """Remember (message, n, carrier id) of attempts that may have to be taken back."""
    if rows:
        yield Bulk(
            "UPDATE attempt SET carrier_id = v.carrier_id FROM v WHERE attempt.id = v.message_id * 64 + v.n",
            (("message_id", "bigint"), ("n", "int"), ("carrier_id", "text")),
            rows,
        )


def note_decisions(rows: Sequence[tuple[int, int, int, str]]) -> Script[None]:
    """Write what was decided about attempts whose state stays: (message, n, marks to add, decision)."""
    if rows:
        yield Bulk(
            "UPDATE attempt SET marks = attempt.marks | v.marks, next = v.next FROM v"
            " WHERE attempt.id = v.message_id * 64 + v.n",
            (("message_id", "bigint"), ("n", "int"), ("marks", "int"), ("next", "text")),
            rows,
        )


def load_revokes(keys: Sequence[tuple[int, int]]) -> Script[list[tuple[int, int, int, int, str, str, int]]]:
    """(message, n, connection, sender, carrier id, addresses, step) of attempts by (message, n), to take them back."""
    rows = yield Bulk(
        "FROM v JOIN attempt a ON a.id = v.message_id * 64 + v.n JOIN message m ON m.id = v.message_id"
        " WHERE a.carrier_id IS NOT NULL",
        (("message_id", "bigint"), ("n", "int")),
        keys,
        ("v.message_id", "v.n", "a.connection_id", "a.sender_id", "a.carrier_id", "m.address", "a.step"),
    )
    return [tuple(row) for row in rows]


def mark_attempts(keys: Sequence[tuple[int, int]], mark: int) -> Script[None]:
    """Add a mark to attempts (message, n) that were just started."""
    if keys:
        yield Bulk(
            f"UPDATE attempt SET marks = attempt.marks | {mark} FROM v WHERE attempt.id = v.message_id * 64 + v.n",
            (("message_id", "bigint"), ("n", "int")),
            keys,
        )
