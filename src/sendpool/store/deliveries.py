"""How far sinks have come: their positions, and runs of events that they did not take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import delete, insert, select, update

from sendpool.domain.delivery import SinkStatus
from sendpool.store.database import Query, Script
from sendpool.store.sink_tables import sink, undelivered


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run of events that a sink did not take. Positions include both ends, times are microseconds since 1970."""

    #: 0: it is new.
    id: int = 0
    sink_id: int
    #: None: the events of every lane.
    lane: int | None = None
    first: int
    last: int
    #: Only some of them: {"types": [...], "operation": key}.
    only: Mapping[str, Any] | None = None
    tries: int = 0
    since: int
    next_at: int
    error: str = ""
    dead: bool = False


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of events, to be made durable in one commit."""

    #: By sink: everything up to there was taken, or is in a run.
    positions: Mapping[int, int] = {}
    #: New ones, and those whose id is known with what has changed.
    runs: Sequence[Run] = ()
    #: Runs that were taken in the end.
    done: Sequence[int] = ()
    #: By sink.
    statuses: Mapping[int, str] = {}


def save_progress(progress: Progress, now: int) -> Script[None]:
    """Make progress durable. A position never goes back."""
    for sink_id, position in progress.positions.items():
        yield Query("UPDATE sink SET position = ? WHERE id = ? AND position < ?", (position, sink_id, position))
    for run in progress.runs:
        yield from _save_run(run)
    if progress.done:
        yield delete(undelivered).where(undelivered.c.id.in_(progress.done))
    for sink_id, status in progress.statuses.items():
        there = (sink.c.id == sink_id) & sink.c.deleted_at.is_(None) & (sink.c.status != SinkStatus.VALIDATING.value)
        yield update(sink).where(there).values(status=status, updated_at=now)


def _save_run(run: Run) -> Script[None]:
    values = msgspec.structs.asdict(run)
    del values["id"]
    values["only"] = None if run.only is None else msgspec.json.encode(run.only).decode()
    values["dead"] = int(run.dead)
    if run.id:
        yield update(undelivered).where(undelivered.c.id == run.id).values(**values)
    elif not (yield from _joined(run)):
        yield insert(undelivered).values(**values)


def _joined(run: Run) -> Script[bool]:
    """Let a run of given-up events grow, where one ends just before: a sink that is down for days makes few rows."""
    if not run.dead or run.lane is not None or run.only is not None:
        return False
    columns = undelivered.c
    rows = yield (
        update(undelivered)
        .where(columns.sink_id == run.sink_id, columns.dead == 1, columns.lane.is_(None), columns.only.is_(None))
        .where(columns.last == run.first - 1)
        .values(last=run.last, error=run.error)
        .returning(columns.id)
    )
    return bool(rows)


_COLUMNS = tuple(undelivered.c[name] for name in Run.__struct_fields__)


def _run(row: Sequence[Any]) -> Run:
    values = dict(zip(Run.__struct_fields__, row, strict=True))
    values["only"] = None if values["only"] is None else msgspec.json.decode(values["only"])
    values["dead"] = bool(values["dead"])
    return Run(**values)


def due_runs(sink_id: int, now: int, limit: int) -> Script[list[Run]]:
    """Runs that are to be offered again by now, those that wait longest first."""
    rows = yield (
        select(*_COLUMNS)
        .where(undelivered.c.sink_id == sink_id, undelivered.c.dead == 0, undelivered.c.next_at <= now)
        .order_by(undelivered.c.next_at, undelivered.c.id)
        .limit(limit)
    )
    return [_run(row) for row in rows]


def sinks_with_due_runs(now: int) -> Script[list[int]]:
    """The keys of sinks that have a run to be offered again by now."""
    rows = yield Query("SELECT DISTINCT sink_id FROM undelivered WHERE dead = 0 AND next_at <= ?", (now,))
    return [row[0] for row in rows]


class SinkState(NamedTuple):
    """How a sink stands, for operators."""

    sid: str
    account_sid: str
    status: str
    #: Events that happened since the last that it took.
    behind: int
    #: Runs that are offered again, and events at most in runs that were given up.
    waiting: int
    dead: int
    #: Why the last was not taken.
    error: str | None


def sink_states() -> Script[list[SinkState]]:
    """How every sink stands."""
    rows = yield Query(
        "SELECT s.sid, a.sid, s.status, (SELECT coalesce(max(position), 0) FROM event) - s.position,"
        " (SELECT count(*) FROM undelivered u WHERE u.sink_id = s.id AND u.dead = 0),"
        " (SELECT coalesce(sum(u.last - u.first + 1), 0) FROM undelivered u WHERE u.sink_id = s.id AND u.dead = 1),"
        " (SELECT u.error FROM undelivered u WHERE u.sink_id = s.id ORDER BY u.id DESC LIMIT 1)"
        " FROM sink s JOIN account a ON a.id = s.account_id WHERE s.deleted_at IS NULL ORDER BY s.id"
    )
    return [SinkState(row[0], row[1], row[2], max(0, row[3]), row[4], int(row[5]), row[6]) for row in rows]


class SinkLag(NamedTuple):
    """How far a sink that is subscribed is behind."""

    sid: str
    #: Events at most in runs that were given up.
    dead: int
    #: When the oldest event happened that it has not taken, and that was not given up (microseconds since 1970); None:
    #: there is none.
    oldest: int | None


def sink_lags() -> Script[list[SinkLag]]:
    """How far each sink with a subscription is behind. Events behind its position count for a moment, also those that
    it does not want: its position passes them as they are read.
    """
    rows = yield Query(
        "SELECT k.sid, (SELECT coalesce(sum(u.last - u.first + 1), 0) FROM undelivered u WHERE u.sink_id = k.id"
        " AND u.dead = 1), (SELECT min(u.since) FROM undelivered u WHERE u.sink_id = k.id AND u.dead = 0),"
        " (SELECT e.created_at FROM event e WHERE e.position > k.position ORDER BY e.position LIMIT 1)"
        " FROM sink k WHERE k.deleted_at IS NULL AND EXISTS (SELECT 1 FROM subscription p WHERE p.sink_id = k.id"
        " AND p.deleted_at IS NULL)"
    )
    return [SinkLag(row[0], int(row[1]), min((at for at in row[2:] if at is not None), default=None)) for row in rows]


def dead_runs(sink_id: int | None, limit: int) -> Script[list[Run]]:
    """Runs that were given up, oldest first."""
    statement = select(*_COLUMNS).where(undelivered.c.dead == 1).order_by(undelivered.c.id).limit(limit)
    if sink_id is not None:
        statement = statement.where(undelivered.c.sink_id == sink_id)
    rows = yield statement
    return [_run(row) for row in rows]


def positions_between(start: int | None, end: int | None) -> Script[tuple[int, int]]:
    """The positions of the first event from *start* on and of the last before *end* (microseconds since 1970).

    The second is below the first where there is none. Times ascend with positions but for jumps of the clock.
    """
    rows = yield Query(
        "SELECT coalesce((SELECT min(position) FROM event WHERE created_at >= ?), 0),"
        " coalesce((SELECT max(position) FROM event WHERE created_at < ?), -1)",
        (start or 0, end if end is not None else 2**62),
    )
    return int(rows[0][0]), int(rows[0][1])


def replay(run: Run) -> Script[None]:
    """Offer events to a sink once more; runs of them that were given up, and lie within, are not kept any longer."""
    if run.only is None:
        yield delete(undelivered).where(
            undelivered.c.sink_id == run.sink_id,
            undelivered.c.dead == 1,
            undelivered.c.first >= run.first,
            undelivered.c.last <= run.last,
        )
    yield from _save_run(run)
