"""What clients read of message and email operations. Reads only, and a bounded amount of work for each page."""

from __future__ import annotations

from typing import NamedTuple

from sendpool.domain.outlook import Queued
from sendpool.domain.states import OperationState
from sendpool.store.database import Query, Script
from sendpool.store.slices import Slice, created_between

#: Operations that one page looks at before it gives up and comes back short, with the place to go on from.
SCAN = 20_000
#: Operations that one statement looks at after the first.
_STEP = 5_000


class OperationRow(NamedTuple):
    """An operation with its counters, which are its present state. Times are microseconds since 1970."""

    uid: bytes
    state: int
    total: int
    recipients: int
    attempts: int
    unaddressable: int
    scheduled: int
    queued: int
    sent: int
    delivered: int
    read: int
    undelivered: int
    failed: int
    canceled: int
    created_at: int
    updated_at: int
    id: int
    pool_id: int
    category: str
    priority: str
    scheduled_for: int | None
    #: Since when it is paused, and why; None: it is not.
    paused_at: int | None
    paused_filtered: int | None
    paused_answers: int | None
    paused_code: str | None
    paused_rule: str | None

    def waits(self) -> Queued:
        """What of it waits."""
        waiting = (self.total, self.queued, self.scheduled, self.scheduled_for)
        return Queued(self.id, self.pool_id, self.category, self.priority, *waiting)


class OperationPage(NamedTuple):
    """Operations, newest first, and the uid to go on from: None when there are no more."""

    rows: list[OperationRow]
    next: bytes | None


_PAUSE = {f"paused_{name}": f"p.{name}" for name in ("at", "filtered", "answers", "code", "rule")}
_OPERATION_COLUMNS = ", ".join(_PAUSE.get(name, f"o.{name}") for name in OperationRow._fields)
_OPERATIONS = (
    "counted_operation o LEFT JOIN operation_pause p ON p.operation_id = o.id AND p.released_at IS NULL"
    f" AND o.state IN ({OperationState.SCHEDULED:d}, {OperationState.PROCESSING:d})"
)


def fetch_operation(account_id: int, uid: bytes, *, emails: bool = False) -> Script[OperationRow | None]:
    """One operation of an account with its counters, or None. *emails*: one that made emails, else any but those.

    That of an inbound message is found too, which lists leave out.
    """
    kind = "= 'email'" if emails else "<> 'email'"
    rows = yield Query(
        f"SELECT {_OPERATION_COLUMNS} FROM {_OPERATIONS} WHERE o.uid = ? AND o.account_id = ? AND o.kind {kind}",
        (uid, account_id),
    )
    return OperationRow(*rows[0]) if rows else None


def list_operations(
    account_id: int, part: Slice, state: OperationState | None = None, *, kind: str = "message"
) -> Script[OperationPage]:
    """Operations of one kind of an account, newest first. Like messages, a page gives up after a bounded walk."""
    rows: list[OperationRow] = []
    before = part.before
    scanned, window = 0, part.limit + 1
    while True:
        sql, values = created_between(part.start, part.end)
        if before is not None:
            sql += " AND o.uid < ?"
            values.append(before)
        walked = yield Query(
            f"SELECT o.uid FROM operation o WHERE o.account_id = ?{sql} ORDER BY o.uid DESC LIMIT ?",
            (account_id, *values, window),
        )
        if not walked:
            return OperationPage(rows, None)
        last, count = walked[-1][0], len(walked)
        if state is not None:
            sql += " AND o.state = ?"
            values.append(int(state))
        found = yield Query(
            f"SELECT {_OPERATION_COLUMNS} FROM {_OPERATIONS} WHERE o.account_id = ? AND o.kind = ?{sql}"
            " AND o.uid >= ? ORDER BY o.uid DESC LIMIT ?",
            (account_id, kind, *values, last, part.limit + 1 - len(rows)),
        )
        rows += [OperationRow(*row) for row in found]
        if len(rows) > part.limit:
            return OperationPage(rows[: part.limit], rows[part.limit - 1].uid)
        if count < window:
            return OperationPage(rows, None)
        before, scanned, window = last, scanned + count, _STEP
        if scanned >= SCAN:
            return OperationPage(rows, before)
