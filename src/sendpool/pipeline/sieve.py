"""Sieve: which of the rows that a claim sees may be sent now, and what keeps the others from it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from sendpool.domain.message import Category, at_step
from sendpool.domain.quarantine import Place
from sendpool.domain.quiet import QuietHours
from sendpool.domain.sender import Channel
from sendpool.domain.states import OPEN_ATTEMPTS, SETTLED_MESSAGES, AttemptState
from sendpool.pipeline.consent import Addressee, Consent
from sendpool.pipeline.quarantine import Quarantine
from sendpool.pipeline.settle import SUPERSEDED
from sendpool.pipeline.window import Shut, Watched
from sendpool.pipeline.zones import zones_of
from sendpool.store.attempts import PastAttempt, load_past
from sendpool.store.database import Script
from sendpool.store.messages import Context
from sendpool.store.queue import DueRow

_SETTLED = frozenset(int(state) for state in SETTLED_MESSAGES)
#: Attempts after which no other may begin while they stand so (promise I3); an ambiguous one is superseded by policy.
_HOLDING = frozenset(int(state) for state in (OPEN_ATTEMPTS - {AttemptState.AMBIGUOUS}) | {AttemptState.DELIVERED})


class Guards(NamedTuple):
    """Who says that somebody is not to be sent to."""

    consent: Consent
    quarantine: Quarantine
    #: Operations that are paused.
    paused: Collection[int] = ()
    #: For a pool and channel: tells of an address whether it is known that no sender reaches it. None: of nobody.
    off_channel: Callable[[int, Channel], Callable[[str], bool] | None] = lambda _pool_id, _channel: None
    #: For a pool and channel: what tells whose window is closed. None: nobody there needs an open one.
    windows: Callable[[int, Channel], Watched | None] = lambda _pool_id, _channel: None


class Sieved(NamedTuple):
    """Rows of one queue: those that may be sent, and the others by what keeps them."""

    live: list[DueRow]
    #: The attempts made so far, of the rows that are retried.
    past: Mapping[int, Sequence[PastAttempt]]
    #: Their message has ended, or has an attempt that still holds it; their time is over.
    ended: list[DueRow]
    expired: list[DueRow]
    #: Their recipients have opted out; are in quarantine on the channel; are not on it.
    stopped: list[DueRow]
    barred: list[DueRow]
    unreached: list[DueRow]
    #: Every sender of the pool would be refused, since they have not written to it.
    shut: list[DueRow]
    #: Their operations are paused.
    paused: list[DueRow]
    #: It is a quiet hour: each with when it ends (microseconds since 1970).
    quiet: list[tuple[int, DueRow]]
    #: Where those go that something is known against, by message.
    suspected: Mapping[int, Place]
    #: (message, sender) where the sender has a form that goes to who has not written to it lately, as is known.
    changed: Collection[tuple[int, int]]

    @property
    def out(self) -> list[DueRow]:
        """All that are kept from being sent."""
        quiet = [row for _, row in self.quiet]
        off = [*self.stopped, *self.barred, *self.unreached, *self.shut]
        return [*self.ended, *self.expired, *off, *self.paused, *quiet]


def sieve(
    rows: list[DueRow],
    contexts: Mapping[int, Context],
    line: tuple[int, Channel],
    quiet: QuietHours | None,
    guards: Guards,
    now: int,
) -> Script[Sieved]:
    """Sort rows of a *line*, a pool on a channel; *contexts* knows their operations, *quiet* when nothing is sent."""
    past = yield from _past(rows)
    ended, expired, live = _sort(rows, past, contexts, now)
    live, paused = _going_on(live, guards.paused) if guards.paused else (live, [])
    stopped: list[DueRow] = []
    if live and guards.consent.any_of(contexts[live[0].operation_id].account_id):
        live, stopped = yield from _willing(live, contexts, guards.consent)
    there = yield from guards.quarantine.sort(live, contexts)
    live, unreached = _on_channel(there.free, guards.off_channel(*line))
    watched = guards.windows(*line) if live else None
    seen = (yield from watched.sort(live, contexts, now)) if watched is not None else Shut(live, [])
    live, later = _loud(quiet, seen.live, contexts, now) if quiet is not None else (seen.live, [])
    off = (stopped, there.barred, unreached, seen.out)
    return Sieved(live, past, ended, expired, *off, paused, later, there.suspected, seen.changed)


def _past(rows: list[DueRow]) -> Script[dict[int, list[PastAttempt]]]:
    """The attempts made so far of the rows that are retried."""
    retried = [row.message_id for row in rows if row.attempts]
    return (yield from load_past(retried)) if retried else {}


def _sort(
    rows: list[DueRow], past: Mapping[int, Sequence[PastAttempt]], contexts: Mapping[int, Context], now: int
) -> tuple[list[DueRow], list[DueRow], list[DueRow]]:
    """Rows whose message has ended or has an attempt that still holds it; whose time is over; and the others."""
    ended: list[DueRow] = []
    expired: list[DueRow] = []
    live: list[DueRow] = []
    for row in rows:
        if row.state in _SETTLED or (row.attempts and any(_holds(one) for one in past.get(row.message_id, ()))):
            ended.append(row)
        elif now >= contexts[row.operation_id].deadline:
            expired.append(row)
        else:
            live.append(row)
    return ended, expired, live


def _holds(attempt: PastAttempt) -> bool:
    """Whether no other attempt may begin while this one stands as it does."""
    return attempt.state in _HOLDING and not attempt.marks & SUPERSEDED


def _going_on(rows: list[DueRow], paused: Collection[int]) -> tuple[list[DueRow], list[DueRow]]:
    """The rows that may go out, and those of operations that are paused."""
    return [row for row in rows if row.operation_id not in paused], [row for row in rows if row.operation_id in paused]


def _willing(
    rows: list[DueRow], contexts: Mapping[int, Context], consent: Consent
) -> Script[tuple[list[DueRow], list[DueRow]]]:
    """Rows whose recipients may be sent to, and those who have opted out since they were accepted."""
    asked = []
    for row in rows:
        context = contexts[row.operation_id]
        whose = (row.message_id, context.account_id, context.pool_id, context.category)
        asked.append(Addressee(*whose, at_step(row.address, row.step), row.plan[row.step]))
    found = yield from consent.stopped(asked)
    if not found:
        return rows, []
    return [row for row in rows if row.message_id not in found], [row for row in rows if row.message_id in found]


def _on_channel(rows: list[DueRow], is_off: Callable[[str], bool] | None) -> tuple[list[DueRow], list[DueRow]]:
    """The rows whose recipients may be on the channel, and those of whom it is known that they are not."""
    if is_off is None:
        return rows, []
    away = {row.message_id for row in rows if is_off(at_step(row.address, row.step))}
    if not away:
        return rows, []
    return [row for row in rows if row.message_id not in away], [row for row in rows if row.message_id in away]


def _loud(
    quiet: QuietHours, live: list[DueRow], contexts: Mapping[int, Context], now: int
) -> tuple[list[DueRow], list[tuple[int, DueRow]]]:
    """The rows that may go out now; and those that may not, each with when they may."""
    loud: list[DueRow] = []
    later: list[tuple[int, DueRow]] = []
    for row in live:
        category = contexts[row.operation_id].category
        # Who has just written is awake.
        exempt = category in quiet.exempt or category == Category.REPLY
        opens = now if exempt else quiet.opens_at(zones_of(at_step(row.address, row.step)), now)
        if opens > now:
            later.append((opens, row))
        else:
            loud.append(row)
    return loud, later
