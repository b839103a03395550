"""Who changed what, when: a row in the transaction of each change to accounts, keys, pools and connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import msgspec
from sqlalchemy import insert, select

from sendpool.store.database import Script
from sendpool.store.tables import admin_log

T = TypeVar("T")

#: Who changes things by the configuration or by a command; by the API it is the sid that the request came with.
CONFIGURATION = "configuration"
COMMAND_LINE = "command line"


class LogRow(NamedTuple):
    """One change. `at` is microseconds since 1970, `detail` JSON without secrets."""

    id: int
    at: int
    actor: str
    action: str
    subject: str
    detail: str


_COLUMNS = tuple(admin_log.c[name] for name in LogRow._fields)


def record(now: int, actor: str, action: str, subject: str, **detail: Any) -> Script[None]:
    """Note a change: *actor* did *action* ("account.created") to *subject* (a public id). Never secrets."""
    values = {"at": now, "actor": actor, "action": action, "subject": subject}
    yield insert(admin_log).values(**values, detail=msgspec.json.encode(detail).decode())


def noting(
    change: Script[T], now: int, actor: str, action: str, subject: Callable[[T], str], **detail: Any
) -> Script[T]:
    """Carry out a change and note it, unless it brings nothing true: then there was nothing to change."""
    brought = yield from change
    if brought:
        yield from record(now, actor, action, subject(brought), **detail)
    return brought


def list_log(limit: int, subject: str | None = None, before: int | None = None) -> Script[list[LogRow]]:
    """Changes, newest first: only those to *subject*, only those with a lower id than *before*."""
    statement = select(*_COLUMNS).order_by(admin_log.c.id.desc()).limit(limit)
    if subject is not None:
        statement = statement.where(admin_log.c.subject == subject)
    if before is not None:
        statement = statement.where(admin_log.c.id < before)
    rows = yield statement
    return [LogRow(*row) for row in rows]
