"""Recipients of large operations that are not rows yet, and how they become messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

import msgspec

from sendpool.domain.dealing import step_cost
from sendpool.domain.message import at_step
from sendpool.domain.states import MessageState
from sendpool.store.database import Bulk, Query, Script
from sendpool.store.locks import lock_operation
from sendpool.store.queue import enqueue


class Share(NamedTuple):
    """What of a chunk begins on one channel in one lane."""

    #: Of the channel.
    letter: str
    lane: str
    messages: int
    #: Segments of their first attempts.
    cost: int


def mix_text(mix: Sequence[Share]) -> str:
    """What a chunk is made of as it is kept: [letter, lane, messages, segments] of each share, as JSON."""
    return msgspec.json.encode(mix).decode()


def read_mix(text: str | None, letters: str, messages: int, cost: int) -> tuple[Share, ...]:
    """What a chunk is made of; where it does not say so, as an earlier version has left it, all letters alike."""
    if text:
        return tuple(Share(*one) for one in msgspec.json.decode(text))
    return tuple(Share(letter, "", -(-messages // len(letters)), cost // len(letters)) for letter in letters)


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
    #: What it is made of (`mix_text`).
    mix: str | None = None


def insert_chunks(rows: Sequence[NewChunk]) -> Script[None]:
    """Write chunks."""
    yield Bulk(
        "INSERT INTO chunk (operation_id, first_id, count, body, due, cost, letters, mix) SELECT * FROM v",
        (
            ("operation_id", "bigint"),
            ("first_id", "bigint"),
            ("count", "int"),
            ("body", "text"),
            ("due", "bigint"),
            ("cost", "int"),
            ("letters", "text"),
            ("mix", "text"),
        ),
        rows,
    )


class Run(NamedTuple):
    """Where the rows of a chunk go that begin on one channel: row i of them (from 0) at `start + i * step`.

    With a *turn* of more than one, so many neighbours stand where the first of them does.
    """

    #: 0: it hangs on the address.
    queue_id: int
    start: int
    step: int
    turn: int = 1


class Placed(NamedTuple):
    """What went into one queue."""

    rows: int
    #: The lowest rank.
    lowest: int


class Expansion(NamedTuple):
    """The next chunk of an operation and where its rows go."""

    operation_id: int
    first_id: int
    messages: int
    #: What it is made of.
    mix: Sequence[Share]
    #: By first letter of the plan.
    runs: Mapping[str, Run]
    #: (queue, rank) by first letter, address and the rank by its run, where the queue hangs on the address; None: the
    #: runs say all.
    place: Callable[[str, str, int], tuple[int, int]] | None = None

    def lowest(self, placed: Mapping[int, Placed]) -> Iterator[tuple[int, int]]:
        """(queue, lowest rank) of where its rows go, those included whose address told."""
        for run in self.runs.values():
            if run.queue_id and self.place is None:
                yield run.queue_id, run.start
        for queue_id, one in placed.items():
            yield queue_id, one.lowest

    @property
    def queues(self) -> list[int]:
        """Where all go, if none hangs on the address."""
        return [run.queue_id for run in self.runs.values()] if self.place is None else []


#: An expansion, how many rows came of it, and what went where if that hung on addresses.
Expanded = tuple[Expansion, int, Mapping[int, Placed]]


def rows_from_chunks(state: MessageState) -> str:
    """The statement that makes messages of chunks `c`, up to its WHERE; its first value is the time."""
    return (
        "INSERT INTO message (id, operation_id, state, address, space, plan, step, attempts, segments, ambiguous,"
        f" updated_at, scheduled_for, variables, name) SELECT c.first_id + j.key, c.operation_id, {int(state)},"
        " json_extract(j.value, '$[0]'), json_extract(j.value, '$[1]'), json_extract(j.value, '$[2]'), 0, 0,"
        " CAST(json_extract(j.value, '$[3]') AS INTEGER), 0, ?, nullif(abs(c.due), 0), json_extract(j.value, '$[4]'),"
        " json_extract(j.value, '$[5]') FROM chunk c, json_each(c.body) j"
    )


def expand_chunk(expansion: Expansion, now: int) -> Script[tuple[int, Mapping[int, Placed]]]:
    """Turn one chunk into messages, queue rows and events without touching a row in Python.

    Brings the count. Only where the queue hangs on the address each row is looked at; how many went into each queue
    comes with it then.
    """
    key = (expansion.operation_id, expansion.first_id)
    yield from lock_operation(expansion.operation_id)
    found = yield Query("SELECT count FROM chunk WHERE operation_id = ? AND first_id = ?", key)
    if not found:
        return 0, {}
    messages = int(found[0][0])
    last = expansion.first_id + messages - 1
    yield Query(
        f"{rows_from_chunks(MessageState.QUEUED)} WHERE c.operation_id = ? AND c.first_id = ?",
        (now, *key),
    )
    queued: Mapping[int, Placed] = {}
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
        (messages, expansion.operation_id),
    )
    return messages, queued


def _enqueue_each(
    expansion: Expansion, place: Callable[[str, str, int], tuple[int, int]], last: int, now: int
) -> Script[Mapping[int, Placed]]:
    rows = yield Query(
        "SELECT id, plan, address, segments FROM message WHERE id BETWEEN ? AND ? ORDER BY id",
        (expansion.first_id, last),
    )
    ranks = {letter: count(run.start, run.step) for letter, run in expansion.runs.items()}
    due = [
        (*place(plan[0], at_step(address, 0), next(ranks[plan[0]])), key, step_cost(plan[0], segments), now)
        for key, plan, address, segments in rows
    ]
    yield from enqueue(due)
    rows_in = Counter(row[0] for row in due)
    lowest: dict[int, int] = {}
    for queue_id, rank, *_ in due:
        lowest[queue_id] = min(rank, lowest.get(queue_id, rank))
    return {queue_id: Placed(number, lowest[queue_id]) for queue_id, number in rows_in.items()}


_SEGMENTS = "CASE substr(plan, 1, 1) WHEN 'S' THEN segments ELSE 1 END"


def _enqueue(expansion: Expansion, last: int, now: int) -> Script[None]:
    rows = (expansion.first_id, last)
    if len(expansion.runs) == 1:
        (run,) = expansion.runs.values()
        yield Query(
            "INSERT INTO outq (queue_id, rank, message_id, cost, due)"
            f" SELECT ?, ? + (id - ?) / ? * ?, id, {_SEGMENTS}, ? FROM message WHERE id BETWEEN ? AND ?",
            (run.queue_id, run.start, expansion.first_id, run.turn, run.turn * run.step, now, *rows),
        )
        return
    for letter, run in expansion.runs.items():
        yield Query(
            "INSERT INTO outq (queue_id, rank, message_id, cost, due) SELECT ?, ? + (row_number() OVER (ORDER BY id) -"
            f" 1) / ? * ?, id, {_SEGMENTS}, ? FROM message WHERE id BETWEEN ? AND ? AND substr(plan, 1, 1) = ?",
            (run.queue_id, run.start, run.turn, run.turn * run.step, now, *rows, letter),
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


class Chunk(NamedTuple):
    """A chunk that is to become rows, without its recipients."""

    first_id: int
    messages: int
    #: When they are to become rows; not above 0: as soon as it is their turn.
    due: int
    mix: Sequence[Share]

    @property
    def cost(self) -> int:
        """Segments of the first attempts of all of it."""
        return sum(one.cost for one in self.mix)


def chunks_of(operation_id: int) -> Script[list[Chunk]]:
    """The chunks that an operation has left, in order."""
    rows = yield Query(
        f"SELECT first_id, count, coalesce(cost, {_COST}), due, letters, mix FROM chunk WHERE operation_id = ?"
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
    known = "".join(sorted(letters))
    return [Chunk(row[0], row[1], row[3], read_mix(row[5], row[4] or known, row[1], row[2])) for row in rows]


#: What a chunk costs that does not say so itself, as an earlier version has left it: millions are read for long.
_COST = "(SELECT sum(CAST(json_extract(value, '$[3]') AS INTEGER)) FROM json_each(body))"
