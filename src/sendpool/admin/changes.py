"""`log`: who changed accounts, keys, pools and connections, and when."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from sendpool.admin.context import Arguments, Context, instant
from sendpool.store.admin_log import list_log
from sendpool.store.database import Script


class ListLog(Arguments, frozen=True, kw_only=True):
    """`log`."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100
    #: Only changes to this: a sid or another public id.
    subject: str | None = None
    #: Only changes before the one with this number.
    before: int | None = None


def show_log(ask: ListLog, context: Context) -> Script[list[dict[str, Any]]]:
    """Changes, newest first."""
    rows = yield from list_log(ask.limit, ask.subject, ask.before)
    return [
        {
            "id": row.id,
            "at": instant(row.at),
            "actor": row.actor,
            "action": row.action,
            "subject": row.subject,
            "detail": msgspec.json.decode(row.detail),
        }
        for row in rows
    ]
