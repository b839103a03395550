"""Operations and messages: written in sets, changed only from the state they are expected in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from sendpool.domain.event_types import OPERATION_EVENT
from sendpool.domain.message import Content, has_markup
from sendpool.domain.states import MessageState, OperationState
from sendpool.store.database import Bulk, Query, Script
from sendpool.store.outbox import write_events

#: The counter that a message in this state is counted in (design §5: present-state counters).
COUNTER: dict[int, str] = {
    MessageState.SCHEDULED: "scheduled",
    MessageState.QUEUED: "queued",
    MessageState.SENT: "sent",
    MessageState.DELIVERED: "delivered",
    MessageState.READ: "read",
    MessageState.UNDELIVERED: "undelivered",
    MessageState.FAILED: "failed",
    MessageState.CANCELED: "canceled",
}


class NewOperation(NamedTuple):
    """One accepted operation, as its row is born. `queued` messages may still be in chunks (`unexpanded`)."""

    id: int
    uid: bytes
    account_id: int
    kind: str
    state: OperationState
    pool_id: int
    category: str
    total: int
    unexpanded: int
    recipients: int
    unaddressable: int
    deadline: int
    at: int
    content: str
    tags: str
    origin: str
    validity: int
    #: Those of its messages that are not due yet, chunks included, and when the first of them is.
    scheduled: int = 0
    scheduled_for: int | None = None
    #: Those of its messages that have nothing to say: they end where they begin.
    failed: int = 0
    #: "low", "normal" or "high".
    priority: str = "normal"


class NewMessage(NamedTuple):
    """One message, as its row is born: due at once in its first step's queue."""

    id: int
    operation_id: int
    address: str
    space: str
    plan: str
    segments: int
    at: int


class Standing(msgspec.Struct, array_like=True, gc=False):
    """A message that a decision is made about, with what its operation says."""

    message_id: int
    state: int
    plan: str
    step: int
    segments: int
    attempts: int
    address: str
    operation_id: int
    pool_id: int
    category: str
    deadline: int
    #: When its time began: when it was accepted, or due.
    created_at: int
    account_id: int


class MessageChange(NamedTuple):
    """A message moves from `expected` to `state` (which may be the same, for what else changed)."""

    id: int
    expected: int
    state: int
    sender_id: int | None
    attempts: int
    step: int
    ambiguous: int
    error_code: int | None = None


def insert_operations(operations: Sequence[NewOperation]) -> Script[None]:
    """Write operations, their contents and the event that each begins with."""
    yield Bulk(
        "INSERT INTO operation (id, uid, account_id, kind, state, pool_id, category, total, unexpanded, recipients,"
        " attempts, unaddressable, scheduled, queued, sent, delivered, read, undelivered, failed, canceled, deadline,"
        " created_at, updated_at, scheduled_for, priority) SELECT id, uid, account_id, kind, state, pool_id, category,"
        " total, unexpanded, recipients, 0, unaddressable, scheduled, queued, 0, 0, 0, 0, failed, 0, deadline, at, at,"
        " scheduled_for, priority FROM v",
        _OPERATION,
        [
            (
                *operation[:11],
                operation.scheduled,
                operation.total - operation.scheduled - operation.failed if operation.kind != "inbound" else 0,
                operation.failed,
                *operation[11:13],
                operation.scheduled_for,
                operation.priority,
            )
            for operation in operations
        ],
    )
    yield Bulk(
        "INSERT INTO operation_content (operation_id, content, tags, origin, validity) SELECT * FROM v",
        (("id", "bigint"), ("content", "text"), ("tags", "text"), ("origin", "text"), ("validity", "bigint")),
        [(operation.id, *operation[13:17]) for operation in operations],
    )
    events = [
        (operation.id, OPERATION_EVENT + state, None, operation.at)
        for operation in operations
        if operation.kind != "inbound"
        for state in _passed(operation.state)
    ]
    yield from write_events(events)


def _passed(state: OperationState) -> tuple[OperationState, ...]:
    """The states an operation has been through at birth: one without any message is completed at once."""
    if state is OperationState.COMPLETED:
        return (OperationState.PROCESSING, OperationState.COMPLETED)
    return (state,)


def insert_messages(messages: Sequence[NewMessage], state: MessageState = MessageState.QUEUED) -> Script[None]:
    """Write messages and the event that each begins with; one that is only SCHEDULED gets it when it is queued."""
    yield Bulk(
        "INSERT INTO message (id, operation_id, state, address, space, plan, step, attempts, segments, ambiguous,"
        f" updated_at) SELECT id, operation_id, {int(state)}, address, space, plan, 0, 0, segments, 0, at FROM v",
        _MESSAGE,
        messages,
    )
    if state is MessageState.SCHEDULED:
        return
    yield Bulk(
        f"INSERT INTO event (subject_id, number, created_at) SELECT id, {int(state)}, at FROM v",
        (("id", "bigint"), ("at", "bigint")),
        [(message.id, message.at) for message in messages],
    )


def insert_failed(messages: Sequence[tuple[NewMessage, int]]) -> Script[None]:
    """Write messages that end where they begin, each with its error: they have one state, so one event."""
    if messages:
        yield from insert_messages([message for message, _ in messages], MessageState.FAILED)
        yield Bulk(
            "UPDATE message SET error_code = v.error_code FROM v WHERE message.id = v.id",
            (("id", "bigint"), ("error_code", "int")),
            [(message.id, code) for message, code in messages],
        )


def note_own(rows: Sequence[tuple[int, str | None, str | None]]) -> Script[None]:
    """Write what recipients bring of their own: (message, variables as JSON, name)."""
    if rows:
        yield Bulk(
            "UPDATE message SET variables = v.variables, name = v.name FROM v WHERE message.id = v.id",
            (("id", "bigint"), ("variables", "text"), ("name", "text")),
            rows,
        )


_OPERATION = (
    ("id", "bigint"),
    ("uid", "bytea"),
    ("account_id", "bigint"),
    ("kind", "text"),
    ("state", "int"),
    ("pool_id", "bigint"),
    ("category", "text"),
    ("total", "int"),
    ("unexpanded", "int"),
    ("recipients", "int"),
    ("unaddressable", "int"),
    ("scheduled", "int"),
    ("queued", "int"),
    ("failed", "int"),
    ("deadline", "bigint"),
    ("at", "bigint"),
    ("scheduled_for", "bigint"),
    ("priority", "text"),
)
_MESSAGE = (
    ("id", "bigint"),
    ("operation_id", "bigint"),
    ("address", "text"),
    ("space", "text"),
    ("plan", "text"),
    ("segments", "int"),
    ("at", "bigint"),
)


def insert_errors(rows: Sequence[tuple[int, int, str, str, int, str, int]]) -> Script[None]:
    """Write (operation, position, address, space, code, reason, at) of recipients that nobody can reach."""
    yield Bulk(
        "INSERT INTO operation_error (operation_id, position, address, space, code, reason, created_at)"
        " SELECT * FROM v",
        (
            ("operation_id", "bigint"),
            ("position", "int"),
            ("address", "text"),
            ("space", "text"),
            ("code", "int"),
            ("reason", "text"),
            ("at", "bigint"),
        ),
        rows,
    )


def load_standing(message_ids: Iterable[int]) -> Script[dict[int, Standing]]:
    """Messages with what their operations say, by key."""
    rows = yield Bulk(
        "FROM v JOIN message m ON m.id = v.id JOIN operation o ON o.id = m.operation_id",
        (("id", "bigint"),),
        [(key,) for key in message_ids],
        (
            "m.id",
            "m.state",
            "m.plan",
            "m.step",
            "m.segments",
            "m.attempts",
            "m.address",
            "o.id",
            "o.pool_id",
            "o.category",
            "o.deadline",
            "coalesce(m.scheduled_for, o.created_at)",
            "o.account_id",
        ),
        Standing,
    )
    return {row.message_id: row for row in rows}


def load_deadlines(operation_ids: Iterable[int]) -> Script[dict[int, int]]:
    """Until when operations may send, by key."""
    rows = yield Bulk(
        "FROM v JOIN operation o ON o.id = v.id",
        (("id", "bigint"),),
        [(key,) for key in operation_ids],
        ("o.id", "o.deadline"),
    )
    return dict(rows)


def change_messages(changes: Sequence[MessageChange], now: int) -> Script[None]:
    """Move messages; one that is no longer in its expected state stays as it is."""
    yield Bulk(
        "UPDATE message SET state = v.state, sender_id = v.sender_id, attempts = v.attempts, step = v.step,"
        " ambiguous = v.ambiguous, error_code = v.error_code, updated_at = v.at FROM v"
        " WHERE message.id = v.id AND message.state = v.expected",
        (
            ("id", "bigint"),
            ("expected", "int"),
            ("state", "int"),
            ("sender_id", "bigint"),
            ("attempts", "int"),
            ("step", "int"),
            ("ambiguous", "int"),
            ("error_code", "int"),
            ("at", "bigint"),
        ),
        # The driver takes an enum's slow way, so plain integers.
        [(c[0], int(c[1]), int(c[2]), *c[3:], now) for c in changes],
    )


def next_operation_id() -> Script[int]:
    """The first integer key that no operation or message has taken."""
    rows = yield Query("SELECT id + CASE WHEN total > 1 THEN total ELSE 1 END FROM operation ORDER BY id DESC LIMIT 1")
    return int(rows[0][0]) if rows else 1


class Context(NamedTuple):
    """What sending needs to know of an operation; the same for all of its messages."""

    operation_id: int
    account_id: int
    pool_id: int
    category: str
    deadline: int
    #: Seconds.
    validity: int
    #: In hex.
    uid: str
    #: When it was accepted.
    created_at: int
    content: Content
    #: JSON by name; they may be Liquid.
    tags: str = "{}"
    #: What it says, or its tags, hangs on the recipient's variables.
    personal: bool = False

    @classmethod
    def of(cls, operation: Sequence[Any], content: Content, tags: str) -> Context:
        """One whose first fields, up to `created_at`, are *operation*."""
        return cls(*operation, content, tags, content.liquid or has_markup(tags))  # type: ignore[call-arg]


def load_names(message_ids: Iterable[int]) -> Script[dict[int, str]]:
    """The names of these messages' recipients, by message; those without one left out."""
    rows = yield Bulk(
        "FROM v JOIN message m ON m.id = v.id WHERE m.name IS NOT NULL",
        (("id", "bigint"),),
        [(key,) for key in message_ids],
        ("m.id", "m.name"),
    )
    return dict(rows)


def load_variables(message_ids: Iterable[int]) -> Script[dict[int, dict[str, str]]]:
    """The values for what their operations say, by message; those without any left out."""
    rows = yield Bulk(
        "FROM v JOIN message m ON m.id = v.id WHERE m.variables IS NOT NULL",
        (("id", "bigint"),),
        [(key,) for key in message_ids],
        ("m.id", "m.variables"),
    )
    return {key: msgspec.json.decode(values) for key, values in rows}


def load_contexts(operation_ids: Iterable[int]) -> Script[list[Context]]:
    """What sending needs to know of these operations."""
    rows = yield Bulk(
        "FROM v JOIN operation o ON o.id = v.id JOIN operation_content c ON c.operation_id = v.id",
        (("id", "bigint"),),
        [(key,) for key in operation_ids],
        (
            *("o.id", "o.account_id", "o.pool_id", "o.category", "o.deadline", "c.validity"),
            *("hex(o.uid)", "o.created_at", "c.content", "c.tags"),
        ),
    )
    return [Context.of(row[:-2], msgspec.json.decode(row[-2], type=Content), row[-1]) for row in rows]


class FlowFacts(NamedTuple):
    """What the flow of an operation in its pool hangs on."""

    id: int
    #: Messages.
    total: int
    category: str
    priority: str


def load_flow_facts(operation_ids: Iterable[int]) -> Script[list[FlowFacts]]:
    """The same of these operations."""
    rows = yield Bulk(
        "FROM v JOIN operation o ON o.id = v.id",
        (("id", "bigint"),),
        [(key,) for key in operation_ids],
        ("o.id", "o.total", "o.category", "o.priority"),
    )
    return [FlowFacts(*row) for row in rows]
