"""How senders stand in the countries in which they were worse than their peers: written when that changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select

from sendpool.store.database import Bulk, Query, Script
from sendpool.store.tables import account, connection, sender
from sendpool.store.trust_tables import sender_health

#: How long a sender that is healthy again is still shown, in microseconds.
SHOWN_FOR = 7 * 86_400_000_000


class HealthRow(NamedTuple):
    """A sender's standing in a country. Times are microseconds since 1970."""

    sender_id: int
    country: str
    #: "healthy", "unhealthy" or "returning".
    condition: str
    share: float
    symptom: str | None
    #: JSON: what it was judged by, and its peers' figures.
    figures: str
    relapses: int
    since: int
    updated_at: int


class NamedHealthRow(NamedTuple):
    """The same with what people know the sender by."""

    row: HealthRow
    sender_uid: bytes
    address: str
    channel: str
    connection: str
    account_sid: str


_NAMES = (
    ("sender_id", "bigint"),
    ("country", "text"),
    ("condition", "text"),
    ("share", "float"),
    ("symptom", "text"),
    ("figures", "text"),
    ("relapses", "int"),
    ("since", "bigint"),
    ("updated_at", "bigint"),
)
_COLUMNS = tuple(sender_health.c[name] for name in HealthRow._fields)


def write_health(rows: Sequence[HealthRow], now: int) -> Script[None]:
    """Write standings, each in place of the earlier one; what has long been healthy goes."""
    if rows:
        yield Bulk(
            f"INSERT INTO sender_health ({', '.join(HealthRow._fields)}) SELECT * FROM v WHERE true"
            " ON CONFLICT (sender_id, country) DO UPDATE SET"
            f" {', '.join(f'{name} = excluded.{name}' for name in HealthRow._fields[2:])}",
            _NAMES,
            rows,
        )
        yield Query("DELETE FROM sender_health WHERE condition = 'healthy' AND updated_at < ?", (now - SHOWN_FOR,))


def load_health() -> Script[list[HealthRow]]:
    """The standings of those that are not healthy."""
    rows = yield select(*_COLUMNS).where(sender_health.c.condition != "healthy")
    return [HealthRow(*row) for row in rows]


def list_health(account_id: int | None = None) -> Script[list[NamedHealthRow]]:
    """Every standing that is kept, of one account or of all, the latest change first."""
    statement = (
        select(*_COLUMNS, sender.c.uid, sender.c.address, sender.c.channel, connection.c.name, account.c.sid)
        .join(sender, sender.c.id == sender_health.c.sender_id)
        .join(connection, connection.c.id == sender.c.connection_id)
        .join(account, account.c.id == sender.c.account_id)
        .order_by(sender_health.c.updated_at.desc(), sender_health.c.sender_id, sender_health.c.country)
    )
    if account_id is not None:
        statement = statement.where(sender.c.account_id == account_id)
    rows = yield statement
    n = len(HealthRow._fields)
    return [NamedHealthRow(HealthRow(*row[:n]), *row[n:]) for row in rows]
