"""`limits`: how fast everybody may be, what throttle answers have taught, and what is used up."""

from __future__ import annotations

from typing import Any

from sendpool.admin.context import Arguments, Context, instant
from sendpool.domain.limits import Day, Tally
from sendpool.store import limits
from sendpool.store.database import Script
from sendpool.store.limits import Limited


class ShowLimits(Arguments, frozen=True, kw_only=True):
    """`limits`."""


def show_limits(ask: ShowLimits, context: Context) -> Script[list[dict[str, Any]]]:
    """Every sender, connection and named scope with its limits, as the server last stored them."""
    rows = yield from limits.list_limited()
    used = yield from limits.load_segments([row.scope for row in rows if row.daily_limit])
    contacts = yield from limits.count_contacts(context.now)
    return [_shown(row, used.get(row.scope, {}), contacts.get(row.scope, 0), context.now) for row in rows]


def _shown(row: Limited, used: dict[int, int], contacts: int, now: int) -> dict[str, Any]:
    kind, _, name = row.scope.partition(":")
    shown: dict[str, Any] = {
        "kind": kind,
        "name": row.name or name,
        "mps": row.mps,
        "learnedMps": row.learned_mps,
        "throttles": row.throttles or 0,
        "throttledAt": instant(row.throttled_at),
        "pausedUntil": instant(row.paused_until) if row.paused_until and row.paused_until > now else None,
        "dailyLimit": row.daily_limit,
        "usedToday": None,
        "resetsAt": None,
        "recipientLimit": row.recipient_limit,
        "recipients": contacts if row.recipient_limit else None,
        "pairSeconds": row.pair_seconds,
        "pairBurst": row.pair_burst,
    }
    if row.daily_limit:
        day = Day(row.scope, row.daily_limit, row.day_zone, Tally())
        day.load(used)
        shown |= {"usedToday": day.used(now), "resetsAt": instant(day.resets_at(now))}
    return shown
