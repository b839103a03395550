"""The quarantine: addresses that carriers call unknown, and the attempts that may show that they are not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from sendpool.domain.quarantine import Entry, Place
from sendpool.domain.states import OPEN_ATTEMPTS, AttemptState
from sendpool.store.database import Bulk, Query, Script

#: Entries read, or rows removed, at a time.
PAGE, _AT_ONCE = 50_000, 1_000
_PLACE = (("account_id", "bigint"), ("address", "text"), ("channel", "text"))
_COLUMNS = (
    *("q.account_id", "q.address", "q.channel", "q.first_connection", "q.first_rule", "q.first_at", "q.until"),
    *("q.second_connection", "q.second_rule", "q.held_at", "q.invalid"),
)
_SAME = "q.account_id = v.account_id AND q.address = v.address"
_DELIVERED = f"({int(AttemptState.DELIVERED)}, {int(AttemptState.READ)})"
_OPEN = f"({', '.join(str(int(state)) for state in sorted(OPEN_ATTEMPTS))})"


def _entry(row: Sequence[Any]) -> Entry:
    return Entry(Place(*row[:3]), *row[3:])._replace(invalid=bool(row[10]))


def load_entries(places: Iterable[Place]) -> Script[dict[Place, Entry]]:
    """The entries of these places, old ones too."""
    rows = yield Bulk(
        f"FROM v JOIN quarantine q ON {_SAME} AND q.channel = v.channel", _PLACE, sorted(set(places)), _COLUMNS
    )
    return {(one := _entry(row)).place: one for row in rows}


def write_entries(entries: Iterable[Entry]) -> Script[None]:
    """Write entries in place of those there are."""
    rows = [(*one.place, *one[1:8], int(one.invalid)) for one in sorted(entries)]
    if rows:
        yield Bulk(
            "INSERT INTO quarantine (account_id, address, channel, first_connection, first_rule, first_at, until,"
            " second_connection, second_rule, held_at, invalid) SELECT * FROM v WHERE true"
            " ON CONFLICT (account_id, address, channel) DO UPDATE SET first_connection = excluded.first_connection,"
            " first_rule = excluded.first_rule, first_at = excluded.first_at, until = excluded.until,"
            " second_connection = excluded.second_connection, second_rule = excluded.second_rule,"
            " held_at = excluded.held_at, invalid = excluded.invalid",
            (
                *_PLACE,
                *(("first_connection", "bigint"), ("first_rule", "text"), ("first_at", "bigint"), ("until", "bigint")),
                *(("second_connection", "bigint"), ("second_rule", "text"), ("held_at", "bigint")),
                ("invalid", "int"),
            ),
            rows,
        )


def find_entries(places: Iterable[Place], now: int) -> Script[dict[Place, bool]]:
    """Those of these places that something is known against; True: nothing is to be sent there.

    An invalid number is so on every channel.
    """
    rows = yield Bulk(
        f"FROM v JOIN quarantine q ON {_SAME} AND (q.channel = v.channel OR q.invalid = 1) WHERE q.until > {int(now)}",
        _PLACE,
        sorted(set(places)),
        ("v.account_id", "v.address", "v.channel", "q.held_at"),
    )
    found: dict[Place, bool] = {}
    for *place, held_at in rows:
        key = Place(*place)
        found[key] = found.get(key, False) or held_at is not None
    return found


def note_trials(trials: Iterable[tuple[int, Place]]) -> Script[None]:
    """Remember attempts (message * 64 + n) to suspected places: their delivery clears them."""
    rows = [(attempt_id, *place) for attempt_id, place in trials]
    if rows:
        yield Bulk(
            "INSERT INTO quarantine_trial (attempt_id, account_id, address, channel) SELECT * FROM v WHERE true"
            " ON CONFLICT DO NOTHING",
            (("attempt_id", "bigint"), *_PLACE),
            rows,
        )


class Trial(NamedTuple):
    """An attempt to a suspected place that has ended, or is not kept any more."""

    attempt_id: int
    place: Place
    delivered: bool


def ended_trials(limit: int) -> Script[list[Trial]]:
    """Trials of which it is known how they ended."""
    rows = yield Query(
        "FROM quarantine_trial t LEFT JOIN attempt a ON a.id = t.attempt_id"
        f" WHERE a.id IS NULL OR a.state NOT IN {_OPEN} ORDER BY t.attempt_id LIMIT ?",
        (limit,),
        ("t.attempt_id", "t.account_id", "t.address", "t.channel", f"CASE WHEN a.state IN {_DELIVERED} THEN 1 END"),
    )
    return [Trial(row[0], Place(*row[1:4]), bool(row[4])) for row in rows]


def settle_trials(trials: Sequence[Trial]) -> Script[None]:
    """Forget these trials; where one was delivered, somebody is there after all."""
    yield from remove_places([one.place for one in trials if one.delivered])
    yield Bulk(
        "DELETE FROM quarantine_trial WHERE attempt_id IN (SELECT attempt_id FROM v)",
        (("attempt_id", "bigint"),),
        [(one.attempt_id,) for one in trials],
    )


def remove_places(places: Collection[Place]) -> Script[int]:
    """Remove what is known against these places. Brings how many entries went."""
    if not places:
        return 0
    gone: int = yield Bulk(
        "DELETE FROM quarantine WHERE (account_id, address, channel) IN (SELECT account_id, address, channel FROM v)",
        _PLACE,
        sorted(set(places)),
    )
    return gone


def forget_old_entries(now: int) -> Script[None]:
    """Remove entries whose time is over."""
    yield Query(
        "DELETE FROM quarantine WHERE (account_id, address, channel) IN (SELECT account_id, address, channel"
        " FROM quarantine WHERE until <= ? ORDER BY until LIMIT ?)",
        (now, _AT_ONCE),
    )


def all_places(after: Place) -> Script[list[Place]]:
    """The next `PAGE` places behind one."""
    rows = yield Query(
        "FROM quarantine WHERE (account_id, address, channel) > (?, ?, ?)"
        " ORDER BY account_id, address, channel LIMIT ?",
        (*after, PAGE),
        ("account_id", "address", "channel"),
    )
    return [Place(*row) for row in rows]


def newer_places(after: int) -> Script[list[Place]]:
    """Places that were first suspected after a moment."""
    rows = yield Query("FROM quarantine WHERE first_at > ?", (after,), ("account_id", "address", "channel"))
    return [Place(*row) for row in rows]


def count_entries() -> Script[tuple[int, int]]:
    """How many entries there are, and how many of them hold."""
    rows = yield Query("SELECT count(*), count(held_at) FROM quarantine")
    return rows[0][0], rows[0][1]


class Wanted(NamedTuple):
    """Which entries of an account are meant; None: whatever it is."""

    account_id: int
    address: str | None = None
    connection_id: int | None = None
    #: Suspected or held at or after that moment.
    since: int | None = None

    def where(self) -> tuple[str, list[object]]:
        """The same as SQL."""
        terms: list[tuple[str, list[object]]] = [("account_id = ?", [self.account_id])]
        if self.address is not None:
            terms.append(("address = ?", [self.address]))
        if self.connection_id is not None:
            terms.append(("(first_connection = ? OR second_connection = ?)", [self.connection_id] * 2))
        if self.since is not None:
            terms.append(("(first_at >= ? OR held_at >= ?)", [self.since] * 2))
        return " AND ".join(term for term, _ in terms), [one for _, values in terms for one in values]


def list_entries(wanted: Wanted, limit: int, *, held: bool) -> Script[list[Entry]]:
    """Entries, the newest first; *held*: only of those to whom nothing is sent."""
    where, values = wanted.where()
    rows = yield Query(
        f"FROM quarantine q WHERE {where}{' AND held_at IS NOT NULL' if held else ''}"
        " ORDER BY coalesce(held_at, first_at) DESC, address, channel LIMIT ?",
        (*values, limit),
        _COLUMNS,
    )
    return [_entry(row) for row in rows]


def remove_entries(wanted: Wanted) -> Script[int]:
    """Remove entries. Brings how many went."""
    where, values = wanted.where()
    gone: int = yield Query(f"DELETE FROM quarantine WHERE {where}", values)
    return gone
