"""Operations that are paused since what they say was refused as spam too often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sendpool.domain.states import OperationState
from sendpool.store.database import Bulk, Query, Script

#: Why a row of `later` is held, where its operation is paused.
HELD = "operation_paused"


class Pause(NamedTuple):
    """Why an operation is paused. Times are microseconds since 1970."""

    operation_id: int
    at: int
    #: So many of so many answers were filtered; the last of them with this code of a carrier and row of the table.
    filtered: int
    answers: int
    code: str
    rule: str


class PausedRow(NamedTuple):
    """A paused operation as commands show it."""

    account_sid: str
    uid: bytes
    kind: str
    queued: int
    scheduled: int
    pause: Pause


_OPEN = f"o.state IN ({OperationState.SCHEDULED:d}, {OperationState.PROCESSING:d})"


def pause_operation(pause: Pause) -> Script[tuple[int, bytes, str] | None]:
    """Pause an operation that has something left; brings its account, uid and kind. None: it has not, or is paused."""
    rows = yield Query(
        f"SELECT o.account_id, o.uid, o.kind FROM counted_operation o WHERE o.id = ? AND {_OPEN}"
        " AND o.queued + o.scheduled > 0 AND NOT EXISTS (SELECT 1 FROM operation_pause p WHERE p.operation_id = o.id"
        " AND p.released_at IS NULL)",
        (pause.operation_id,),
    )
    if not rows:
        return None
    yield Bulk(
        "INSERT INTO operation_pause (operation_id, at, filtered, answers, code, rule) SELECT * FROM v WHERE true"
        " ON CONFLICT (operation_id) DO UPDATE SET at = excluded.at, filtered = excluded.filtered,"
        " answers = excluded.answers, code = excluded.code, rule = excluded.rule, released_at = NULL",
        (
            *(("operation_id", "bigint"), ("at", "bigint"), ("filtered", "int"), ("answers", "int")),
            *(("code", "text"), ("rule", "text")),
        ),
        [pause],
    )
    return tuple(rows[0])


def release_operation(account_id: int | None, uid: bytes, now: int, kind: str | None = None) -> Script[int | None]:
    """Let an operation of an account (None: of any) go on. Brings its key, or None: there is none.

    One that is not paused goes on anyway.
    """
    sql, values = "SELECT id FROM operation WHERE uid = ? AND kind <> 'inbound'", [uid]
    for column, value in (("account_id", account_id), ("kind", kind)):
        if value is not None:
            sql += f" AND {column} = ?"
            values.append(value)  # type: ignore[arg-type]
    rows = yield Query(sql, values)
    if not rows:
        return None
    key: int = rows[0][0]
    yield Query("UPDATE operation_pause SET released_at = ? WHERE operation_id = ? AND released_at IS NULL", (now, key))
    return key


def paused_operations() -> Script[list[tuple[int, int]]]:
    """(key, total) of the operations that are paused and not over."""
    rows = yield Query(
        f"FROM operation_pause p JOIN operation o ON o.id = p.operation_id WHERE p.released_at IS NULL AND {_OPEN}",
        (),
        ("o.id", "o.total"),
    )
    return [(row[0], row[1]) for row in rows]


def list_paused(account_id: int | None) -> Script[list[PausedRow]]:
    """Paused operations of an account, or of all, the latest first."""
    rows = yield Query(
        "SELECT a.sid, o.uid, o.kind, o.queued, o.scheduled, p.operation_id, p.at, p.filtered, p.answers, p.code,"
        " p.rule FROM operation_pause p JOIN counted_operation o ON o.id = p.operation_id"
        " JOIN account a ON a.id = o.account_id"
        f" WHERE p.released_at IS NULL AND {_OPEN}{'' if account_id is None else ' AND o.account_id = ?'}"
        " ORDER BY p.at DESC",
        () if account_id is None else (account_id,),
    )
    return [PausedRow(row[0], row[1], row[2], row[3], row[4], Pause(*row[5:])) for row in rows]


def hold_rows(rows: Sequence[tuple[int, int, int, int]]) -> Script[None]:
    """Keep rows (deadline, message, queue, cost) of paused operations.

    Without a rank: when they go on, they are behind what waits then, however long ago they were accepted.
    """
    if rows:
        yield Bulk(
            "INSERT INTO later (due, message_id, queue_id, cost, held)"
            f" SELECT due, message_id, queue_id, cost, '{HELD}' FROM v",
            (("due", "bigint"), ("message_id", "bigint"), ("queue_id", "bigint"), ("cost", "int")),
            rows,
        )


def give_back(operations: Sequence[tuple[int, int]], now: int) -> Script[None]:
    """Make what is held of these operations (key, total) due."""
    for key, total in operations:
        yield Query(
            f"UPDATE later SET due = ?, held = NULL WHERE held = '{HELD}' AND message_id BETWEEN ? AND ?",
            (now, key, key + total - 1),
        )
