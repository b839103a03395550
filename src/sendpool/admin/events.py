"""`events`: what happened, how far sinks have come, and what is offered to them once more."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec

from sendpool.admin.context import Arguments, Context, instant
from sendpool.admin.protocol import CommandRefused
from sendpool.domain import ids
from sendpool.domain.event_types import KINDS
from sendpool.pipeline.notify.tell import Teller
from sendpool.store.admin_log import record
from sendpool.store.database import Script
from sendpool.store.deliveries import Run, dead_runs, positions_between, replay, sink_states
from sendpool.store.feed import feed_page, newest_position, operation_key
from sendpool.store.sinks import sink_key


class ListEvents(Arguments, frozen=True, kw_only=True):
    """`events list`."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100
    #: Only events after the one with this position.
    after: Annotated[int, msgspec.Meta(ge=0)] = 0


class ListSinks(Arguments, frozen=True, kw_only=True):
    """`events sinks`."""


class ListDead(Arguments, frozen=True, kw_only=True):
    """`events dead`."""

    #: None: of every sink.
    sink: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100


class Replay(Arguments, frozen=True, kw_only=True):
    """`events replay`."""

    sink: str
    #: RFC 3339; None: from the first that is kept, to the last.
    start: str | None = None
    end: str | None = None
    #: Only these types; none: those that the sink is subscribed to.
    types: tuple[str, ...] = ()
    #: Only of this operation.
    operation: str | None = None


def show_events(ask: ListEvents, context: Context) -> Script[list[dict[str, Any]]]:
    """Events of every account, oldest first, each with its position and as it is handed over (CloudEvents)."""
    rows = yield from feed_page(ask.after, ask.limit)
    told = yield from Teller().tell(rows)
    return [{"position": one.position, "event": msgspec.json.decode(one.body)} for one in told]


def show_sinks(ask: ListSinks, context: Context) -> Script[list[dict[str, Any]]]:
    """How every sink stands."""
    rows = yield from sink_states()
    names = ("sid", "accountSid", "status", "behind", "waiting", "dead", "error")
    return [dict(zip(names, row, strict=True)) for row in rows]


def show_dead(ask: ListDead, context: Context) -> Script[list[dict[str, Any]]]:
    """Runs of events that were given up."""
    key = None if ask.sink is None else (yield from _known(ask.sink))
    rows = yield from dead_runs(key, ask.limit)
    return [
        {"first": run.first, "last": run.last, "since": instant(run.since), "tries": run.tries, "error": run.error}
        for run in rows
    ]


def replay_events(ask: Replay, context: Context) -> Script[dict[str, Any]]:
    """Offer events to a sink once more, whether it took them or not; they have the ids that they had."""
    key = yield from _known(ask.sink)
    for name in ask.types:
        if name not in KINDS:
            raise CommandRefused(f"there is no type of event {name[:60]}; GET /v1/Types lists those there are")
    first, last = yield from positions_between(microseconds(ask.start), microseconds(ask.end))
    last = min(last, (yield from newest_position()))
    if not first or last < first:
        raise CommandRefused("no event that is still kept happened then")
    only: dict[str, Any] = {}
    if ask.types:
        only["types"] = list(ask.types)
    if ask.operation is not None:
        only["operation"] = yield from _operation(ask.operation)
    run = Run(sink_id=key, first=first, last=last, only=only or None, since=context.now, next_at=context.now)
    yield from replay(run)
    yield from record(context.now, context.actor, "events.replayed", ask.sink, first=first, last=last)
    return {"sink": ask.sink, "first": first, "last": last}


def _known(sid: str) -> Script[int]:
    key = yield from sink_key(sid)
    if key is None:
        raise CommandRefused(f"there is no sink {sid[:64]}; `sendpool events sinks` shows those there are")
    return key


def _operation(text: str) -> Script[int]:
    uid = ids.parse_operation(text)
    key = None if uid is None else (yield from operation_key(uid))
    if key is None:
        raise CommandRefused(f"there is no operation {text[:64]}")
    return key


def microseconds(text: str | None) -> int | None:
    """A time as microseconds since 1970. Raises CommandRefused."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CommandRefused(f"{text[:40]} is no time; write it like 2026-11-26T09:30:00Z") from None
    if found.tzinfo is None:
        raise CommandRefused(f"{text[:40]} has no time zone; put Z at its end for UTC")
    return int(found.timestamp() * 1e6)
