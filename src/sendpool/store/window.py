"""Which numbers are heard, and who wrote to them last: by this a closed window is known ahead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sendpool.domain.retention import Span
from sendpool.domain.window import Heard
from sendpool.store.database import Bulk, Query, Script

_SENDER = (("sender_id", "bigint"),)
_HEARD = (("since_at", "bigint"), ("last_at", "bigint"), ("unplaced_at", "bigint"))
_FIELDS = tuple(name for name, _ in _HEARD)


class Writer(NamedTuple):
    """A person who may have written over a channel, and the account that was written to."""

    account_id: int
    space: str
    address: str


def load_heard(sender_ids: Iterable[int], *, lock: bool = False) -> Script[dict[int, Heard]]:
    """What is heard of these senders; *lock*: until the end of the transaction, to be written."""
    rows = yield Bulk(
        f"FROM v JOIN window_hearing h ON h.sender_id = v.sender_id{' /*shared FOR UPDATE OF h*/' if lock else ''}",
        _SENDER,
        [(key,) for key in sorted(set(sender_ids))],
        ("h.sender_id", *(f"h.{name}" for name in _FIELDS)),
    )
    return {row[0]: Heard(*row[1:]) for row in rows}


def write_heard(heard: Mapping[int, Heard]) -> Script[None]:
    """Keep what is heard of senders, each in place of what was."""
    yield Bulk(
        f"INSERT INTO window_hearing (sender_id, {', '.join(_FIELDS)}) SELECT * FROM v WHERE true"
        f" ON CONFLICT (sender_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _FIELDS)}",
        (*_SENDER, *_HEARD),
        sorted((key, *one) for key, one in heard.items()),
    )


def load_writers(writers: Iterable[Writer]) -> Script[dict[tuple[Writer, int], int]]:
    """When each of these last wrote to each of our senders, in microseconds since 1970."""
    rows = yield Bulk(
        "FROM v JOIN session s ON s.account_id = v.account_id AND s.space = v.space AND s.address = v.address",
        (("account_id", "bigint"), ("space", "text"), ("address", "text")),
        sorted(set(writers)),
        ("s.account_id", "s.space", "s.address", "s.sender_id", "s.last_at"),
    )
    return {(Writer(*row[:3]), row[3]): row[4] for row in rows}


def latest_uptime() -> Script[Span | None]:
    """The latest time in which a server ran on this database."""
    rows = yield Query("SELECT began_at, ended_at FROM uptime ORDER BY id DESC LIMIT 1")
    return Span(*rows[0]) if rows else None
