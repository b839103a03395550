"""What was accepted for later: found when it is due, and queued then, in sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from sendpool.domain.event_types import OPERATION_EVENT
from sendpool.domain.states import MessageState, OperationState
from sendpool.store.database import Bulk, Query, Script
from sendpool.store.locks import lock_messages, lock_operation
from sendpool.store.queue import EVER, postpone

#: (due, message, queue of its first step, None, cost): a row of `later` that has never been due.
ScheduledRow = tuple[int, int, int, None, int]


class Beginning(msgspec.Struct, array_like=True, gc=False):
    """A message whose time has come (it was scheduled, or a quiet hour is over), with what rank and queue depend on."""

    due: int
    message_id: int
    #: Letter of its present step.
    letter: str
    cost: int
    operation_id: int
    pool_id: int
    category: str
    #: Messages of its operation.
    total: int
    address: str
    step: int
    #: Of its operation.
    priority: str = "normal"


def schedule_messages(rows: Sequence[ScheduledRow]) -> Script[None]:
    """Note when messages are due, and keep their rows until then."""
    if rows:
        yield Bulk(
            "UPDATE message SET scheduled_for = v.due FROM v WHERE message.id = v.id",
            (("due", "bigint"), ("id", "bigint")),
            [row[:2] for row in rows],
        )
        yield from postpone(rows)


def due_scheduled(now: int, limit: int, first: int = EVER) -> Script[list[Beginning]]:
    """Messages without a rank whose time has come, earliest first. None is due before *first*."""
    rows: list[Beginning] = yield Query(
        "FROM (SELECT * FROM later WHERE due >= ? AND due <= ? AND rank IS NULL ORDER BY due, message_id LIMIT ?) l"
        " JOIN message m ON m.id = l.message_id JOIN operation o ON o.id = m.operation_id"
        " ORDER BY l.due, l.message_id",
        (first, now, limit),
        (
            "l.due",
            "m.id",
            "substr(m.plan, m.step + 1, 1)",
            "l.cost",
            "o.id",
            "o.pool_id",
            "o.category",
            "o.total",
            "m.address",
            "m.step",
            "o.priority",
        ),
        Beginning,
    )
    return rows


def still_waiting(message_ids: Iterable[int]) -> Script[dict[int, MessageState]]:
    """Those of these messages that are to be sent still, with their states, which are this transaction's to change."""
    waiting = (MessageState.SCHEDULED, MessageState.QUEUED, MessageState.SENT)
    message_ids = list(message_ids)
    yield from lock_messages(message_ids)
    rows = yield Bulk(
        f"FROM v JOIN message m ON m.id = v.id WHERE m.state IN ({', '.join(f'{state:d}' for state in waiting)})",
        (("id", "bigint"),),
        [(key,) for key in message_ids],
        ("m.id", "m.state"),
    )
    return {key: MessageState(state) for key, state in rows}


def begin_messages(message_ids: Sequence[int], now: int) -> Script[None]:
    """Make SCHEDULED messages QUEUED, each with its event."""
    if message_ids:
        rows = [(key, now) for key in message_ids]
        names = (("id", "bigint"), ("at", "bigint"))
        yield Bulk(
            f"UPDATE message SET state = {MessageState.QUEUED:d}, updated_at = v.at FROM v WHERE message.id = v.id",
            names,
            rows,
        )
        yield Bulk(
            f"INSERT INTO event (subject_id, number, created_at) SELECT id, {MessageState.QUEUED:d}, at FROM v",
            names,
            rows,
        )


def begin_operations(operation_ids: Iterable[int], now: int) -> Script[None]:
    """Make SCHEDULED operations PROCESSING, each with its event; those that are already stay as they are."""
    rows = [(key, now) for key in operation_ids]
    if rows:
        names = (("id", "bigint"), ("at", "bigint"))
        yield Bulk(
            f"INSERT INTO event (subject_id, number, created_at) SELECT o.id, {OPERATION_EVENT} +"
            f" {OperationState.PROCESSING:d}, v.at FROM v JOIN operation o ON o.id = v.id"
            f" WHERE o.state = {OperationState.SCHEDULED:d}",
            names,
            rows,
        )
        yield Bulk(
            f"UPDATE operation SET state = {OperationState.PROCESSING:d} FROM v WHERE operation.id = v.id"
            f" AND operation.state = {OperationState.SCHEDULED:d}",
            names,
            rows,
        )


def release_chunks(keys: Sequence[tuple[int, int]]) -> Script[dict[int, int]]:
    """Let the chunks of these (operation, due) become rows; brings their messages by operation."""
    names = (("operation_id", "bigint"), ("due", "bigint"))
    for operation_id in sorted({key[0] for key in keys}):
        yield from lock_operation(operation_id)
    found = yield Bulk(
        "FROM v JOIN chunk c ON c.operation_id = v.operation_id AND c.due = v.due",
        names,
        keys,
        ("c.operation_id", "c.count"),
    )
    yield Bulk(
        "UPDATE chunk SET due = -chunk.due FROM v WHERE chunk.operation_id = v.operation_id AND chunk.due = v.due",
        names,
        keys,
    )
    messages: dict[int, int] = {}
    for operation_id, count in found:
        messages[operation_id] = messages.get(operation_id, 0) + count
    return messages
