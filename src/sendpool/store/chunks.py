"""Recipients of large operations that are not rows yet, and how they become messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sendpool.domain.dealing import step_cost
from sendpool.domain.message import at_step
from sendpool.domain.states import MessageState
from sendpool.store.database import Bulk, Query, Script
from sendpool.store.locks import lock_operation
from sendpool.store.queue import enqueue


class NewChunk(NamedTuple):
    """Recipients that become messages when their turn is near."""

    operation_id: int
    first_id: int
    recipients: int
    body: str
    due: int
    #: What the first attempts of all of them cost, in segments.
    cost: int
    #: First letters of their plans, each once.
    letters: str


def insert_chunks(rows: Sequence[NewChunk]) -> Script[None]:
    """Write chunks."""
    yield Bulk(
        "INSERT INTO chunk (operation_id, first_id, count, body, due, cost, letters) SELECT * FROM v",
        (
            ("operation_id", "bigint"),
            ("first_id", "bigint"),
            ("count", "int"),
            ("body", "text"),
            ("due", "bigint"),
            ("cost", "int"),
            ("letters", "text"),
        ),
        rows,
    )


class Expansion(NamedTuple):
    """The next chunk of an operation and where its rows go. `step` is the rank's distance between two rows."""

    operation_id: int
    first_id: int
    messages: int
    #: Segments of the whole chunk.
    cost: int
    start: int
    step: int
    #: Queue by first letter of the plan.
    queues: Mapping[str, int]
    #: The queue by first letter and address, where it hangs on the address; None: `queues` says all.
    place: Callable[[str, str], int] | None = None


def rows_from_chunks(state: MessageState) -> str:
    """The statement that makes messages of chunks `c`, up to its WHERE; its first value is the time."""
    return (
        "INSERT INTO message (id, operation_id, state, address, space, plan, step, attempts, segments, ambiguous,"
        f" updated_at, scheduled_for, variables, name) SELECT c.first_id + j.key, c.operation_id, {int(state)},"
        " json_extract(j.value, '$[0]'), json_extract(j.value, '$[1]'), json_extract(j.value, '$[2]'), 0, 0,"
        " CAST(json_extract(j.value, '$[3]') AS INTEGER), 0, ?, nullif(abs(c.due), 0), json_extract(j.value, '$[4]'),"
        " json_extract(j.value, '$[5]') FROM chunk c, json_each(c.body) j"
    )


def expand_chunk(expansion: Expansion, now: int) -> Script[tuple[int, Mapping[int, int]]]:
    """Turn one chunk into messages, queue rows and events without touching a row in Python.

    Brings the count. Only where the queue hangs on the address each row is looked at; how many went into each queue
    comes with it then.
    """
    key = (expansion.operation_id, expansion.first_id)
    yield from lock_operation(expansion.operation_id)
    found = yield Query("SELECT count FROM chunk WHERE operation_id = ? AND first_id = ?", key)
    if not found:
        return 0, {}
    count = int(found[0][0])
    last = expansion.first_id + count - 1
    yield Query(
        f"{rows_from_chunks(MessageState.QUEUED)} WHERE c.operation_id = ? AND c.first_id = ?",
        (now, *key),
    )
    queued: Mapping[int, int] = {}
    if expansion.place is None:
        yield from _enqueue(expansion, last, now)
    else:
        queued = yield from _enqueue_each(expansion, expansion.place, last, now)
    yield Query(
        f"INSERT INTO event (subject_id, number, created_at) SELECT id, {int(MessageState.QUEUED)}, ?"
        " FROM message WHERE id BETWEEN ? AND ?",
        (now, expansion.first_id, last),
    )
    yield Query("DELETE FROM chunk WHERE operation_id = ? AND first_id = ?", key)
    yield Query(
        "UPDATE operation SET unexpanded = unexpanded - ? WHERE id = ?",
        (count, expansion.operation_id),
    )
    return count, queued


def _enqueue_each(
    expansion: Expansion, place: Callable[[str, str], int], last: int, now: int
) -> Script[Mapping[int, int]]:
    rows = yield Query(
        "SELECT id, plan, address, segments FROM message WHERE id BETWEEN ? AND ? ORDER BY id",
        (expansion.first_id, last),
    )
    due = [
        (
            place(plan[0], at_step(address, 0)),
            expansion.start + (key - expansion.first_id) * expansion.step,
            key,
            step_cost(plan[0], segments),
            now,
        )
        for key, plan, address, segments in rows
    ]
    yield from enqueue(due)
    return Counter(row[0] for row in due)


def _enqueue(expansion: Expansion, last: int, now: int) -> Script[None]:
    cases = " ".join("WHEN ? THEN ?" for _ in expansion.queues)
    yield Query(
        f"INSERT INTO outq (queue_id, rank, message_id, cost, due) SELECT CASE substr(plan, 1, 1) {cases} END,"
        " ? + (id - ?) * ?, id, CASE substr(plan, 1, 1) WHEN 'S' THEN segments ELSE 1 END, ?"
        " FROM message WHERE id BETWEEN ? AND ?",
        (
            *(part for pair in expansion.queues.items() for part in pair),
            expansion.start,
            expansion.first_id,
            expansion.step,
            now,
            expansion.first_id,
            last,
        ),
    )


def expanding_operations() -> Script[list[Any]]:
    """Every operation with chunks left: (operation, pool, category, total, deadline, priority), oldest first."""
    rows: list[Any] = yield Query(
        "FROM operation WHERE id IN (SELECT operation_id FROM chunk) AND unexpanded > 0 ORDER BY id",
        (),
        ("id", "pool_id", "category", "total", "deadline", "priority"),
    )
    return rows


def rows_due(operation_ids: Sequence[int]) -> Script[dict[int, int]]:
    """How many messages of these operations are QUEUED as rows, by their counters."""
    rows = yield Bulk(
        "FROM v JOIN operation o ON o.id = v.id",
        (("id", "bigint"),),
        [(key,) for key in operation_ids],
        ("o.id", "o.queued - o.unexpanded"),
    )
    return dict(rows)


def chunks_of(operation_id: int) -> Script[tuple[str, list[tuple[int, int, int, int]]]]:
    """First letters of plans, and (first message, count, segments in all, due) of the chunks an operation has left."""
    rows = yield Query(
        f"SELECT first_id, count, coalesce(cost, {_COST}), due, letters FROM chunk WHERE operation_id = ?"
        " ORDER BY first_id",
        (operation_id,),
    )
    letters = {letter for row in rows for letter in row[4] or ""}
    if any(row[4] is None for row in rows):
        found = yield Query(
            "SELECT DISTINCT substr(json_extract(j.value, '$[2]'), 1, 1) FROM chunk c, json_each(c.body) j"
            " WHERE c.operation_id = ? AND c.letters IS NULL",
            (operation_id,),
        )
        letters |= {row[0] for row in found}
    return "".join(sorted(letters)), [tuple(row[:4]) for row in rows]


#: What a chunk costs that does not say so itself, as an earlier version has left it: millions are read for long.
_COST = "(SELECT sum(CAST(json_extract(value, '$[3]') AS INTEGER)) FROM json_each(body))"
