"""`events`: what happened, in the order of commits."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from sendpool.admin.context import Arguments, Context
from sendpool.pipeline.tell import told
from sendpool.store.database import Script
from sendpool.store.outbox import list_events


class ListEvents(Arguments, frozen=True, kw_only=True):
    """`events list`."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100
    #: Only events after the one with this position.
    after: Annotated[int, msgspec.Meta(ge=0)] = 0


def show_events(ask: ListEvents, context: Context) -> Script[list[dict[str, Any]]]:
    """Events of every account, oldest first, each with its position and as it is handed over (CloudEvents)."""
    rows = yield from list_events(ask.after, ask.limit)
    return [{"position": row.position, "event": msgspec.to_builtins(told(row))} for row in rows]
