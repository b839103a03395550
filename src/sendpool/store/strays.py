"""Receipts whose id nobody knows, and the attempts that one of them may be about."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

import msgspec

from sendpool.domain.failures import FailureClass
from sendpool.domain.states import AttemptState
from sendpool.store.begun import started
from sendpool.store.database import Query, Script


class StrayRow(msgspec.Struct, array_like=True, gc=False):
    """A parked receipt that says between whom it was."""

    id: int
    connection_id: int
    carrier_id: str
    sender: str
    recipient: str
    submitted: str


class DoubtRow(msgspec.Struct, array_like=True, gc=False):
    """An attempt without a result, or of unknown fate."""

    message_id: int
    n: int
    connection_id: int
    state: int
    started_at: int
    segments: int
    parts_delivered: int
    parts_failed: int
    step: int
    #: The sender's address; the recipient's, or one for each step.
    sender: str
    address: str


def strays(after: int, before: int, limit: int) -> Script[list[StrayRow]]:
    """Parked receipts behind key *after* that came before a moment, in order."""
    rows: list[StrayRow] = yield Query(
        "FROM receipt WHERE id > ? AND received_at <= ? AND recipient <> '' AND carrier_id <> '' ORDER BY id LIMIT ?",
        (after, before, limit),
        ("id", "connection_id", "carrier_id", "sender", "recipient", "submitted"),
        StrayRow,
    )
    return rows


def doubts(connections: Iterable[int], since: int, limit: int) -> Script[list[DoubtRow]]:
    """Attempts over these connections that have no result or are of unknown fate, started after *since*; newest first.

    More than *limit* of unknown fate is too much to tell apart: then the oldest are left out.
    """
    keys = ", ".join(str(int(key)) for key in connections)
    among = f"a.connection_id IN ({keys}) AND a.started_at > {int(since)}"
    rows = yield from started(_OF_DOUBT, _AND_PARTIES, f" AND {among}", DoubtRow)
    found = sorted(rows, key=attrgetter("started_at"), reverse=True)[:limit]
    found += yield Query(
        f"FROM (SELECT * FROM attempt a WHERE {_IN_DOUBT} AND {among} ORDER BY started_at DESC LIMIT ?) a"
        f"{_AND_PARTIES}",
        (limit,),
        _OF_DOUBT,
        DoubtRow,
    )
    return found


#: The failure is what the index goes by: it is that of every AMBIGUOUS attempt, and of some that were.
_IN_DOUBT = f"failure = '{FailureClass.AMBIGUOUS}' AND state = {AttemptState.AMBIGUOUS:d}"
_AND_PARTIES = " JOIN message m ON m.id = a.id >> 6 JOIN sender s ON s.id = a.sender_id"
_OF_DOUBT = (
    "m.id",
    "a.id & 63",
    "a.connection_id",
    "a.state",
    "a.started_at",
    "a.segments",
    "a.parts_delivered",
    "a.parts_failed",
    "a.step",
    "s.address",
    "m.address",
)


def parked_now() -> Script[int]:
    """How many receipts wait for a segment that is not known."""
    rows = yield Query("SELECT count(*) FROM receipt")
    return int(rows[0][0])


def latest_parked(before: int) -> Script[int]:
    """The key of the latest parked receipt that came before a moment; 0: there is none."""
    rows = yield Query("SELECT coalesce(max(id), 0) FROM receipt WHERE received_at <= ?", (before,))
    return int(rows[0][0])


def parked_since(after: int, before: int) -> Script[list[tuple[int, int, int, int]]]:
    """(connection, its account, how many, the highest key) of receipts behind *after* that came before a moment."""
    rows = yield Query(
        "SELECT r.connection_id, c.account_id, count(*), max(r.id) FROM receipt r JOIN connection c"
        " ON c.id = r.connection_id WHERE r.id > ? AND r.received_at <= ? GROUP BY r.connection_id, c.account_id",
        (after, before),
    )
    return [(int(a), int(b), int(c), int(d)) for a, b, c, d in rows]
