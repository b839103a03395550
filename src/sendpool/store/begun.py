"""Attempts are started, and those without a result found: a journal of what each commit started, in rows that go soon.

An index on the attempts' state would do the same, and would cost PostgreSQL more than all else that it does to them: an
update that touches a column of any index writes every index of its table anew (docs/adr/0032).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from sendpool.domain.states import AttemptState
from sendpool.store.database import Bulk, Query, Script

_STARTED = f"a.state = {int(AttemptState.STARTED)}"
_KEYS = (("id", "bigint"),)
#: Keys of attempts that one statement looks up.
_AT_ONCE = 10_000
#: Rows, and attempts, of which one look asks whether they may be forgotten.
_ROWS, _ATTEMPTS = 100, 5_000

_decode = msgspec.json.Decoder(list[int]).decode


class NewAttempt(NamedTuple):
    """An attempt that is about to leave."""

    message_id: int
    n: int
    sender_id: int
    connection_id: int
    channel: str
    segments: int
    reference: int
    scene: int | None
    at: int
    #: Of the message's plan.
    step: int = 0
    #: Of the tenure of its connection.
    epoch: int = 0


class BegunAttempt(msgspec.Struct, array_like=True, gc=False):
    """An attempt that was begun and has no result."""

    message_id: int
    n: int
    connection_id: int
    #: The connection's type ("smpp").
    kind: str
    operation_id: int
    #: The operation's, in hex.
    uid: str


class Entry(NamedTuple):
    """A row of the journal."""

    id: int
    #: Keys of attempts.
    attempts: list[int]


def start_attempts(attempts: Sequence[NewAttempt]) -> Script[None]:
    """Make attempts durable before their bytes leave. A withdrawn attempt's number is used again."""
    if attempts:
        yield Bulk(
            "INSERT INTO attempt (id, sender_id, connection_id, channel, state, segments, reference, marks,"
            " scene, started_at, updated_at, step, epoch) SELECT message_id * 64 + n, sender_id, connection_id,"
            f" channel, {int(AttemptState.STARTED)}, segments, reference, 0, scene, at, at, step, epoch FROM v"
            " WHERE true ON CONFLICT (id) DO UPDATE SET sender_id = excluded.sender_id, connection_id ="
            f" excluded.connection_id, channel = excluded.channel, state = {int(AttemptState.STARTED)}, segments ="
            " excluded.segments, reference = excluded.reference, scene = excluded.scene, started_at ="
            " excluded.started_at, updated_at = excluded.updated_at, step = excluded.step, epoch = excluded.epoch,"
            " failure = NULL, code = NULL, rule = NULL, next = NULL, marks = attempt.marks & 7"
            f" WHERE attempt.state = {int(AttemptState.WITHDRAWN)}",
            (
                ("message_id", "bigint"),
                ("n", "int"),
                ("sender_id", "bigint"),
                ("connection_id", "bigint"),
                ("channel", "text"),
                ("segments", "int"),
                ("reference", "int"),
                ("scene", "bigint"),
                ("at", "bigint"),
                ("step", "int"),
                ("epoch", "bigint"),
            ),
            attempts,
            alike=True,
        )
        yield from note_begun([row[0] * 64 + row[1] for row in attempts])


def note_begun(attempts: Collection[int]) -> Script[None]:
    """Note the keys of attempts in the commit that starts them."""
    if attempts:
        yield Query("INSERT INTO begun (attempts) VALUES (?)", (msgspec.json.encode(attempts).decode(),))


def started(what: Sequence[str], joins: str = "", condition: str = "", row: type[Any] = list) -> Script[list[Any]]:
    """*what* of every attempt *a* without a result, in the order of their keys."""
    every = sorted({key for entry in (yield from _entries()) for key in entry.attempts})
    found: list[Any] = []
    for begin in range(0, len(every), _AT_ONCE):
        found += yield Bulk(
            f"FROM v JOIN attempt a ON a.id = v.id{joins} WHERE {_STARTED}{condition} ORDER BY a.id",
            _KEYS,
            [(key,) for key in every[begin : begin + _AT_ONCE]],
            what,
            row,
        )
    return found


def started_attempts(
    limit: int, connections: Iterable[int] | None = None, before: int = 0
) -> Script[list[BegunAttempt]]:
    """Attempts that were begun and have no result: after a crash, those of unknown fate.

    With *connections*, only those of these, begun by earlier owners of them than that of epoch *before*.
    """
    which = "" if connections is None else f" AND {_of_earlier_owners(connections, before)}"
    rows = yield from started(
        ("a.id >> 6", "a.id & 63", "a.connection_id", "coalesce(c.type, '')", "o.id", "hex(o.uid)"),
        " LEFT JOIN connection c ON c.id = a.connection_id JOIN message m ON m.id = a.id >> 6"
        " JOIN operation o ON o.id = m.operation_id",
        which,
        BegunAttempt,
    )
    return rows[:limit]


def begun_without_note(connections: Iterable[int], before: int) -> Script[list[int]]:
    """Keys of the same attempts, whoever began them: also a process of a version that noted nothing. Reads the whole
    table of attempts.
    """
    rows = yield Query(f"SELECT a.id FROM attempt a WHERE {_STARTED} AND {_of_earlier_owners(connections, before)}")
    return [row[0] for row in rows]


def _of_earlier_owners(connections: Iterable[int], before: int) -> str:
    keys = ", ".join(str(int(key)) for key in connections)
    return f"a.connection_id IN ({keys}) AND a.epoch < {int(before)}"


def in_flight_by(column: str) -> Script[dict[int, int]]:
    """How many attempts are between their start and their result, by `connection_id` or `sender_id`."""
    rows = yield from started((f"a.{column}",))
    return dict(Counter(key for (key,) in rows))


# ---------------------------------------------------------------- forgetting


def newest_entry() -> Script[int]:
    """The latest row's key; 0: there is none."""
    rows = yield Query("SELECT coalesce(max(id), 0) FROM begun")
    return int(rows[0][0])


def next_entries(after: int, upto: int) -> Script[tuple[list[int], int]]:
    """Of the next rows, those that are to be forgotten, as none of their attempts is without a result any more; and the
    last row that was looked at, *upto* where there are no more.
    """
    entries = yield from _entries(after, upto, _ROWS)
    looked_at = _first_of(entries)
    keys = [(key,) for entry in looked_at for key in entry.attempts]
    rows = yield Bulk(f"FROM v JOIN attempt a ON a.id = v.id WHERE {_STARTED}", _KEYS, keys, ("a.id",))
    open_ones = {row[0] for row in rows}
    over = [entry.id for entry in looked_at if open_ones.isdisjoint(entry.attempts)]
    return over, upto if len(looked_at) == len(entries) < _ROWS else looked_at[-1].id


def _first_of(entries: Sequence[Entry]) -> list[Entry]:
    """As many as one look takes."""
    taken: list[Entry] = []
    left = _ATTEMPTS
    for entry in entries:
        if left <= 0:
            break
        left -= len(entry.attempts)
        taken.append(entry)
    return taken


def forget_entries(ids: Sequence[int]) -> Script[None]:
    """Take rows away."""
    yield Bulk("DELETE FROM begun WHERE id IN (SELECT id FROM v)", _KEYS, [(key,) for key in ids])


def _entries(after: int = 0, upto: int = 2**62, limit: int = 2**62) -> Script[list[Entry]]:
    """Rows behind *after*, in order."""
    rows = yield Query(
        "SELECT id, attempts FROM begun WHERE id > ? AND id <= ? ORDER BY id LIMIT ?", (after, upto, limit)
    )
    return [Entry(key, _decode(attempts)) for key, attempts in rows]
