"""What lasting limits have counted: segments by scope and day, first contacts of 24 hours; and what throttles taught.

A scope is named by its key: "sender:12", "connection:3", "scope:campaign-x".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sendpool.domain.limits import GUARD, WINDOW, Contact
from sendpool.store.database import Bulk, Query, Script
from sendpool.store.pauses import HELD

#: Rows that one call removes.
_AT_ONCE = 10_000


def add_segments(segments: Mapping[tuple[str, int], int]) -> Script[None]:
    """Count segments by (scope, start of the day); a negative number takes some back."""
    rows = [(*key, number) for key, number in segments.items() if number]
    if rows:
        yield Bulk(
            "INSERT INTO scope_day (scope, day, used) SELECT * FROM v WHERE true"
            " ON CONFLICT (scope, day) DO UPDATE SET used = scope_day.used + excluded.used",
            (("scope", "text"), ("day", "bigint"), ("used", "bigint")),
            rows,
        )


def add_contacts(contacts: Sequence[Contact]) -> Script[None]:
    """Note first contacts; one that counted before and counts no more is a first one again."""
    if contacts:
        # One statement may not touch a row twice: of several contacts of one recipient the last one counts.
        rows = {contact[:2]: contact for contact in contacts}
        yield Bulk(
            "INSERT INTO scope_contact (scope, recipient, at) SELECT * FROM v WHERE true"
            " ON CONFLICT (scope, recipient) DO UPDATE SET at = excluded.at",
            (("scope", "text"), ("recipient", "text"), ("at", "bigint")),
            list(rows.values()),
        )


def load_segments(scopes: Iterable[str]) -> Script[dict[str, dict[int, int]]]:
    """Segments of these scopes by the start of each day that is kept."""
    rows = yield Bulk(
        "FROM v JOIN scope_day d ON d.scope = v.scope",
        (("scope", "text"),),
        [(scope,) for scope in scopes],
        ("d.scope", "d.day", "d.used"),
    )
    found: dict[str, dict[int, int]] = {}
    for scope, day, used in rows:
        found.setdefault(scope, {})[day] = used
    return found


def load_contacts(scopes: Iterable[str], now: int) -> Script[dict[str, list[tuple[int, str]]]]:
    """(when, recipient) of first contacts of these scopes that may still count."""
    rows = yield Bulk(
        f"FROM v JOIN scope_contact c ON c.scope = v.scope WHERE c.at > {int(now - WINDOW - GUARD)}",
        (("scope", "text"),),
        [(scope,) for scope in scopes],
        ("c.scope", "c.at", "c.recipient"),
    )
    found: dict[str, list[tuple[int, str]]] = {}
    for scope, at, recipient in rows:
        found.setdefault(scope, []).append((at, recipient))
    return found


def forget_counts(now: int) -> Script[None]:
    """Remove what counts no more: contacts of more than a day ago, days of more than three days ago."""
    old = now - WINDOW - 2 * GUARD
    yield Query(
        "DELETE FROM scope_contact WHERE (scope, recipient) IN"
        " (SELECT scope, recipient FROM scope_contact WHERE at < ? ORDER BY at LIMIT ?)",
        (old, _AT_ONCE),
    )
    yield Query("DELETE FROM scope_day WHERE day < ?", (now - 4 * WINDOW,))


class Learned(NamedTuple):
    """What a carrier's throttle answers have said about a scope."""

    #: Segments a second with which it went on afterwards.
    mps: float | None
    #: When the last one came, and until when it paused the scope.
    at: int
    paused_until: int
    #: How many there were that paused it.
    throttles: int


def load_learned() -> Script[dict[str, Learned]]:
    """Everything that was learned, by scope."""
    rows = yield Query("SELECT scope, mps, at, paused_until, throttles FROM scope_learned")
    return {scope: Learned(*rest) for scope, *rest in rows}


def save_learned(learned: Mapping[str, Learned]) -> Script[None]:
    """Keep what was learned."""
    if learned:
        yield Bulk(
            "INSERT INTO scope_learned (scope, mps, at, paused_until, throttles) SELECT * FROM v WHERE true"
            " ON CONFLICT (scope) DO UPDATE SET mps = excluded.mps, at = excluded.at,"
            " paused_until = excluded.paused_until, throttles = excluded.throttles",
            (
                ("scope", "text"),
                ("mps", "double precision"),
                ("at", "bigint"),
                ("paused_until", "bigint"),
                ("throttles", "bigint"),
            ),
            [(scope, *one) for scope, one in learned.items()],
        )


class Declared(NamedTuple):
    """A scope with limits, as the configuration declares it."""

    scope: str
    mps: float | None
    burst: float | None
    daily_limit: int | None
    day_zone: str
    recipient_limit: int | None
    pair_seconds: float | None
    pair_burst: int | None


def replace_declared(declared: Sequence[Declared]) -> Script[None]:
    """Keep what limits there are, for those who ask; these are all."""
    yield Query("DELETE FROM scope_declared")
    if declared:
        yield Bulk(
            "INSERT INTO scope_declared (scope, mps, burst, daily_limit, day_zone, recipient_limit, pair_seconds,"
            " pair_burst) SELECT * FROM v",
            (
                ("scope", "text"),
                ("mps", "double precision"),
                ("burst", "double precision"),
                ("daily_limit", "bigint"),
                ("day_zone", "text"),
                ("recipient_limit", "bigint"),
                ("pair_seconds", "double precision"),
                ("pair_burst", "bigint"),
            ),
            declared,
        )


def hold(rows: Sequence[tuple[int, int, int, int, int, str, int]]) -> Script[None]:
    """Keep rows (due, message, queue, rank, cost, reason, since) that a limit refuses until they are due.

    *since* is when they became due on their channel.
    """
    if rows:
        yield Bulk(
            "INSERT INTO later (due, message_id, queue_id, rank, cost, held, since) SELECT * FROM v",
            (
                ("due", "bigint"),
                ("message_id", "bigint"),
                ("queue_id", "bigint"),
                ("rank", "bigint"),
                ("cost", "int"),
                ("held", "text"),
                ("since", "bigint"),
            ),
            rows,
        )


def release_held(now: int) -> Script[None]:
    """Make every row due that a limit holds: who may send has changed, so that somebody may take it now."""
    yield Query(f"UPDATE later SET due = ? WHERE held IS NOT NULL AND held <> '{HELD}' AND due > ?", (now, now))


class Limited(NamedTuple):
    """A scope with its limits and what was learned of it."""

    scope: str
    #: Its address or name; None for a named scope.
    name: str | None
    mps: float | None
    daily_limit: int | None
    day_zone: str
    recipient_limit: int | None
    pair_seconds: float | None
    pair_burst: int | None
    learned_mps: float | None
    throttled_at: int | None
    paused_until: int | None
    throttles: int | None


def list_limited() -> Script[list[Limited]]:
    """Every scope that the configuration declares, with what was learned of it: connections, named scopes, senders."""
    rows = yield Query(
        "SELECT d.scope, coalesce(s.address, c.name), d.mps, d.daily_limit, d.day_zone, d.recipient_limit,"
        " d.pair_seconds, d.pair_burst, l.mps, l.at, l.paused_until, l.throttles FROM scope_declared d"
        " LEFT JOIN scope_learned l ON l.scope = d.scope"
        " LEFT JOIN sender s ON d.scope = 'sender:' || s.id LEFT JOIN connection c ON d.scope = 'connection:' || c.id"
        " ORDER BY d.scope"
    )
    return [Limited(*row) for row in rows]


def count_contacts(now: int) -> Script[dict[str, int]]:
    """First contacts that still count, by scope."""
    rows = yield Query(
        "SELECT scope, count(*) FROM scope_contact WHERE at > ? GROUP BY scope ORDER BY scope", (now - WINDOW - GUARD,)
    )
    return dict(rows)
