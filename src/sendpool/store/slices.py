"""Which part of a list is wanted: a range of creation times, a place to go on from, and how many rows.

Lists go from newest to oldest by uid, which is a UUIDv7. A place is the uid of the last row that was given, so
a page costs the same wherever it stands, and rows that appear meanwhile shift nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Select, Table

#: Microseconds between an operation's uid and its creation time, at most: they are taken one after the other.
_SLACK = 60_000_000


class Slice(NamedTuple):
    """The rows created in [start, end) whose uid is below `before`, at most `limit`. Times are microseconds."""

    limit: int
    before: bytes | None = None
    start: int | None = None
    end: int | None = None

    def applied_to(self, statement: Select[Any], table: Table) -> Select[Any]:
        """The statement over *table* (which has `uid` and `created_at`) with this range, order and limit."""
        if self.before is not None:
            statement = statement.where(table.c.uid < self.before)
        if self.start is not None:
            statement = statement.where(table.c.created_at >= self.start)
        if self.end is not None:
            statement = statement.where(table.c.created_at < self.end)
        return statement.order_by(table.c.uid.desc()).limit(self.limit)


def created_between(start: int | None, end: int | None) -> tuple[str, list[Any]]:
    """Operations created in [start, end), as SQL over `o` and its values.

    A uid begins with the time when it was made, so a range of uids keeps the walk near the range of times.
    """
    sql = ""
    values: list[Any] = []
    if start is not None:
        sql += " AND o.uid >= ? AND o.created_at >= ?"
        values += [_first_uid(start - _SLACK), start]
    if end is not None:
        sql += " AND o.uid < ? AND o.created_at < ?"
        values += [_first_uid(end + _SLACK), end]
    return sql, values


def _first_uid(microseconds: int) -> bytes:
    """The lowest uid that can be made at this time."""
    return min(max(microseconds // 1_000, 0), (1 << 48) - 1).to_bytes(6, "big") + bytes(10)
