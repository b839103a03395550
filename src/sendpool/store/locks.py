"""Locks for what is read, judged and then written, where several processes write one database.

Messages are locked in the order of their keys. Whoever has a message's lock may judge and write its attempts too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sendpool.store.database import Bulk, Lock, Query, Script

_KEY = (("id", "bigint"),)


def lock_messages(message_ids: Iterable[int]) -> Script[None]:
    """Have these messages to oneself until the end of the transaction."""
    rows = [(key,) for key in message_ids]
    if rows:
        yield Lock(
            Bulk("SELECT id FROM message WHERE id IN (SELECT id FROM v) ORDER BY id FOR NO KEY UPDATE", _KEY, rows)
        )


def lock_between(first: int, last: int) -> Script[None]:
    """The same for a run of keys, both ends included."""
    yield Lock(
        Query("SELECT id FROM message WHERE id BETWEEN ? AND ? ORDER BY id FOR NO KEY UPDATE", (first, last)),
    )


def lock_reported(connection_id: int, carrier_ids: Sequence[str]) -> Script[None]:
    """The same for the messages that these carrier ids belong to."""
    yield Lock(
        Bulk(
            "SELECT id FROM message WHERE id IN (SELECT s.attempt_id >> 6 FROM v JOIN segment s ON"
            " s.connection_id = v.connection_id AND s.carrier_id = v.carrier_id) ORDER BY id FOR NO KEY UPDATE",
            (("connection_id", "bigint"), ("carrier_id", "text")),
            [(connection_id, carrier_id) for carrier_id in carrier_ids],
        )
    )


def lock_operation(operation_id: int) -> Script[None]:
    """Have an operation, and its chunks with it, to oneself. Its messages are locked after it, never before."""
    yield Lock(Query("SELECT id FROM operation WHERE id = ? FOR NO KEY UPDATE", (operation_id,)))


def alone(what: str) -> Script[None]:
    """Let no other process do the same thing until the end of the transaction. *what* names it."""
    yield Lock(Query("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", (what,)))
