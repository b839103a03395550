"""Up to where the feed of events is complete, where several processes write.

Positions are drawn before the commit, so an event may appear behind one that a reader has already passed. Readers
therefore stop at the feed's end. It is moved by whoever keeps it: to the last position drawn at a moment, as soon as no
transaction that was writing then is left. An event costs nothing for that, and positions stay what they are when the
database is dumped and restored.
"""

from __future__ import annotations

from typing import NamedTuple

from sendpool.store.database import Query, Script

#: To be put behind the condition of a query of `event`: only what no earlier one can join any more.
VISIBLE = "position <= coalesce((SELECT upto FROM feed), 9223372036854775807)"

#: Transactions in this database that may have written: each has a number from its very beginning (`store.postgres`).
_WRITERS = (
    "SELECT DISTINCT l.pid || '/' || l.virtualtransaction FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
    " WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted AND a.datname = current_database()"
    " AND l.pid <> pg_backend_pid()"
)


class Sighting(NamedTuple):
    """The last position drawn at a moment, and who was writing then and is not yet known to have ended."""

    last: int
    writers: frozenset[str]


def open_feed(*, shared: bool) -> Script[None]:
    """Let readers stop at the feed's end, or see everything where one process writes alone."""
    if shared:
        yield Query(
            "INSERT INTO feed (id, upto) SELECT 1, coalesce(max(position), 0) FROM event ON CONFLICT DO NOTHING"
        )
    else:
        yield Query("DELETE FROM feed")


def advance(earlier: Sighting | None) -> Script[Sighting | None]:
    """Move the end as far as it can be moved. Brings what to look at again; None: nobody else is writing.

    Safe in any number of processes: it never moves back, and each moves it only to where it may be.
    """
    # First the position: whoever draws a later one after this may begin at any time.
    rows = yield Query("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM event_position_seq")
    last = int(rows[0][0])
    writers = frozenset([row[0] for row in (yield Query(_WRITERS))])
    if earlier is not None and not earlier.writers & writers:
        yield from _move(earlier.last)
        earlier = None
    if not writers:
        yield from _move(last)
        return None
    if earlier is None:
        return Sighting(last, writers)
    return Sighting(earlier.last, earlier.writers & writers)


def _move(upto: int) -> Script[None]:
    yield Query("UPDATE feed SET upto = ? WHERE upto < ?", (upto, upto))


def is_behind() -> Script[bool]:
    """Whether anything waits for the keeper: deltas of counters, or events behind the end."""
    rows = yield Query(
        "SELECT EXISTS (SELECT 1 FROM operation_delta) OR (SELECT upto FROM feed) <"
        " (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM event_position_seq)"
    )
    return bool(rows[0][0])
