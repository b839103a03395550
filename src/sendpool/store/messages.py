"""Operations, messages and attempts: written in sets, changed only from the state they are expected in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from sendpool.domain.message import Content
from sendpool.domain.states import AttemptState, MessageState, OperationState
from sendpool.store.database import Bulk, Query, Script
from sendpool.store.outbox import OPERATION_EVENT, write_events

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


class NewMessage(NamedTuple):
    """One message, as its row is born: due at once in its first step's queue."""

    id: int
    operation_id: int
    address: str
    space: str
    plan: str
    segments: int
    at: int


class OpenAttempt(msgspec.Struct, array_like=True, gc=False):
    """An attempt and its message as they stand now, before something is decided about them."""

    message_id: int
    n: int
    state: int
    marks: int
    sender_id: int
    connection_id: int
    segments: int
    operation_id: int
    message_state: int
    ambiguous: int
    attempts: int
    step: int
    #: The sender that the message names so far, or None.
    bound: int | None


class PastAttempt(msgspec.Struct, array_like=True, gc=False):
    """What a decision needs to know of an attempt made so far."""

    message_id: int
    n: int
    sender_id: int
    connection_id: int
    channel: str
    state: int
    marks: int
    failure: str | None
    code: str | None
    rule: str | None
    #: What was decided last about it ("failover/7"), or None.
    next: str | None
    started_at: int
    carrier_id: str | None
    #: The step of the message's plan that it was a try of.
    step: int


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


class AttemptChange(NamedTuple):
    """An attempt moves from `expected` to `state`, and why."""

    message_id: int
    n: int
    expected: int
    state: AttemptState
    marks: int
    failure: str | None = None
    code: str | None = None
    rule: str | None = None
    table_version: int | None = None
    next: str | None = None


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
        " created_at, updated_at, scheduled_for) SELECT id, uid, account_id, kind, state, pool_id, category, total,"
        " unexpanded, recipients, 0, unaddressable, scheduled, queued, 0, 0, 0, 0, failed, 0, deadline, at, at,"
        " scheduled_for FROM v",
        _OPERATION,
        [
            (
                *operation[:11],
                operation.scheduled,
                operation.total - operation.scheduled - operation.failed if operation.kind != "inbound" else 0,
                operation.failed,
                *operation[11:13],
                operation.scheduled_for,
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


def insert_chunks(rows: Sequence[tuple[int, int, int, str, int]]) -> Script[None]:
    """Write (operation, first message, count, body, due): recipients that become messages when their turn is near."""
    yield Bulk(
        "INSERT INTO chunk (operation_id, first_id, count, body, due) SELECT * FROM v",
        (("operation_id", "bigint"), ("first_id", "bigint"), ("count", "int"), ("body", "text"), ("due", "bigint")),
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


def rows_from_chunks(state: MessageState) -> str:
    """The statement that makes messages of chunks `c`, up to its WHERE; its first value is the time."""
    return (
        "INSERT INTO message (id, operation_id, state, address, space, plan, step, attempts, segments, ambiguous,"
        f" updated_at, scheduled_for, variables, name) SELECT c.first_id + j.key, c.operation_id, {int(state)},"
        " json_extract(j.value, '$[0]'), json_extract(j.value, '$[1]'), json_extract(j.value, '$[2]'), 0, 0,"
        " CAST(json_extract(j.value, '$[3]') AS INTEGER), 0, ?, nullif(abs(c.due), 0), json_extract(j.value, '$[4]'),"
        " json_extract(j.value, '$[5]') FROM chunk c, json_each(c.body) j"
    )


def expand_chunk(expansion: Expansion, now: int) -> Script[int]:
    """Turn one chunk into messages, queue rows and events without touching a row in Python. Brings the count."""
    key = (expansion.operation_id, expansion.first_id)
    found = yield Query("SELECT count FROM chunk WHERE operation_id = ? AND first_id = ?", key)
    if not found:
        return 0
    count = int(found[0][0])
    last = expansion.first_id + count - 1
    yield Query(
        f"{rows_from_chunks(MessageState.QUEUED)} WHERE c.operation_id = ? AND c.first_id = ?",
        (now, *key),
    )
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
    return count


def load_attempts(keys: Sequence[tuple[int, int]]) -> Script[list[OpenAttempt]]:
    """Attempts by (message, n) with their messages. Those that do not exist are left out."""
    rows: list[OpenAttempt] = yield Bulk(
        "FROM v JOIN attempt a ON a.id = v.message_id * 64 + v.n JOIN message m ON m.id = v.message_id",
        (("message_id", "bigint"), ("n", "int")),
        keys,
        _OPEN_ATTEMPT,
        OpenAttempt,
    )
    return rows


_OPEN_ATTEMPT = (
    "a.id >> 6",
    "a.id & 63",
    "a.state",
    "a.marks",
    "a.sender_id",
    "a.connection_id",
    "a.segments",
    "m.operation_id",
    "m.state",
    "m.ambiguous",
    "m.attempts",
    "m.step",
    "m.sender_id",
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


def load_past(message_ids: Iterable[int]) -> Script[dict[int, list[PastAttempt]]]:
    """Every attempt made so far of these messages, in order, by message."""
    rows = yield Bulk(
        "FROM v JOIN attempt a ON a.id BETWEEN v.id * 64 AND v.id * 64 + 63 ORDER BY a.id",
        (("id", "bigint"),),
        [(key,) for key in message_ids],
        (
            "a.id >> 6",
            "a.id & 63",
            "a.sender_id",
            "a.connection_id",
            "a.channel",
            "a.state",
            "a.marks",
            "a.failure",
            "a.code",
            "a.rule",
            "a.next",
            "a.started_at",
            "a.carrier_id",
            "a.step",
        ),
        PastAttempt,
    )
    past: dict[int, list[PastAttempt]] = {}
    for row in rows:
        past.setdefault(row.message_id, []).append(row)
    return past


class _Addressed(Protocol):
    message_id: int
    address: str


def load_past_of_several(rows: Iterable[_Addressed]) -> Script[dict[int, list[PastAttempt]]]:
    """Every attempt made so far of those messages that have several addresses."""
    several = [row.message_id for row in rows if " " in row.address]
    return (yield from load_past(several)) if several else {}


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


def started_attempts(limit: int) -> Script[list[BegunAttempt]]:
    """Attempts that were begun and have no result: after a crash, those of unknown fate."""
    rows: list[BegunAttempt] = yield Query(
        f"FROM (SELECT * FROM attempt WHERE state = {int(AttemptState.STARTED)} ORDER BY id LIMIT ?) a"
        " LEFT JOIN connection c ON c.id = a.connection_id JOIN message m ON m.id = a.id >> 6"
        " JOIN operation o ON o.id = m.operation_id",
        (limit,),
        ("a.id >> 6", "a.id & 63", "a.connection_id", "coalesce(c.type, '')", "o.id", "hex(o.uid)"),
        BegunAttempt,
    )
    return rows


def change_attempts(changes: Sequence[AttemptChange], now: int) -> Script[None]:
    """Move attempts; one that is no longer in its expected state stays as it is."""
    plain = [(c[0], c[1], int(c[2]), int(c[3]), c[4], now) for c in changes if c.failure is None]
    if plain:
        yield Bulk(
            "UPDATE attempt SET state = v.state, marks = v.marks, updated_at = v.at FROM v"
            " WHERE attempt.id = v.message_id * 64 + v.n AND attempt.state = v.expected",
            _ATTEMPT_CHANGE,
            plain,
        )
    failed = [(c[0], c[1], int(c[2]), int(c[3]), c[4], now, *c[5:]) for c in changes if c.failure is not None]
    if failed:
        yield Bulk(
            "UPDATE attempt SET state = v.state, marks = v.marks, updated_at = v.at, failure = v.failure,"
            " code = v.code, rule = v.rule, table_version = v.table_version, next = v.next FROM v"
            " WHERE attempt.id = v.message_id * 64 + v.n AND attempt.state = v.expected",
            (
                *_ATTEMPT_CHANGE,
                ("failure", "text"),
                ("code", "text"),
                ("rule", "text"),
                ("table_version", "int"),
                ("next", "text"),
            ),
            failed,
        )


_ATTEMPT_CHANGE = (
    ("message_id", "bigint"),
    ("n", "int"),
    ("expected", "int"),
    ("state", "int"),
    ("marks", "int"),
    ("at", "bigint"),
)


def note_carrier_ids(rows: Sequence[tuple[int, int, str]]) -> Script[None]:
    """Remember (message, n, carrier id) of attempts that may have to be taken back."""
    if rows:
        yield Bulk(
            "UPDATE attempt SET carrier_id = v.carrier_id FROM v WHERE attempt.id = v.message_id * 64 + v.n",
            (("message_id", "bigint"), ("n", "int"), ("carrier_id", "text")),
            rows,
        )


def note_decisions(rows: Sequence[tuple[int, int, int, str]]) -> Script[None]:
    """Write what was decided about attempts whose state stays: (message, n, marks to add, decision)."""
    if rows:
        yield Bulk(
            "UPDATE attempt SET marks = attempt.marks | v.marks, next = v.next FROM v"
            " WHERE attempt.id = v.message_id * 64 + v.n",
            (("message_id", "bigint"), ("n", "int"), ("marks", "int"), ("next", "text")),
            rows,
        )


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


#: Counter columns that a delta may touch, in the order of the statement's parameters.
_COUNTERS = ("attempts", *COUNTER.values())


def count(deltas: Mapping[int, Mapping[str, int]], now: int) -> Script[None]:
    """Add to operations' counters; an operation with nothing scheduled or queued any more is COMPLETED, or CANCELED if
    all of it was canceled, or if that was before any of it was due.
    """
    if not deltas:
        return
    sums = ", ".join(f"{name} = operation.{name} + v.{name}" for name in _COUNTERS)
    yield Bulk(
        f"UPDATE operation SET {sums}, updated_at = v.at, state = CASE WHEN operation.state <="
        f" {int(OperationState.PROCESSING)} AND operation.queued + v.queued = 0 AND operation.scheduled +"
        f" v.scheduled = 0 THEN CASE WHEN operation.state = {int(OperationState.SCHEDULED)} OR operation.canceled +"
        f" v.canceled = operation.total THEN {int(OperationState.CANCELED)} ELSE {int(OperationState.COMPLETED)} END"
        " ELSE operation.state END FROM v WHERE operation.id = v.id",
        (("id", "bigint"), *((name, "int") for name in _COUNTERS), ("at", "bigint")),
        [(key, *(delta.get(name, 0) for name in _COUNTERS), now) for key, delta in deltas.items()],
    )
    left = [(key, now) for key, delta in deltas.items() if delta.get("queued", 0) < 0 or delta.get("scheduled", 0) < 0]
    if left:
        yield Bulk(
            f"INSERT INTO event (subject_id, number, created_at) SELECT o.id, {OPERATION_EVENT} + o.state, v.at"
            f" FROM v JOIN operation o ON o.id = v.id WHERE o.state IN ({int(OperationState.COMPLETED)},"
            f" {int(OperationState.CANCELED)}) ON CONFLICT DO NOTHING",
            (("id", "bigint"), ("at", "bigint")),
            left,
        )


def next_operation_id() -> Script[int]:
    """The first integer key that no operation or message has taken."""
    rows = yield Query("SELECT id + CASE WHEN total > 1 THEN total ELSE 1 END FROM operation ORDER BY id DESC LIMIT 1")
    return int(rows[0][0]) if rows else 1


def expanding_operations() -> Script[list[Any]]:
    """Every operation with chunks left: (operation, pool, category, total, deadline), oldest first."""
    rows: list[Any] = yield Query(
        "FROM operation WHERE id IN (SELECT operation_id FROM chunk) AND unexpanded > 0 ORDER BY id",
        (),
        ("id", "pool_id", "category", "total", "deadline"),
    )
    return rows


def chunks_of(operation_id: int) -> Script[tuple[str, list[tuple[int, int, int, int]]]]:
    """First letters of plans, and (first message, count, segments in all, due) of the chunks an operation has left."""
    rows = yield Query(
        "SELECT first_id, count, (SELECT sum(CAST(json_extract(value, '$[3]') AS INTEGER)) FROM json_each(body)), due"
        " FROM chunk WHERE operation_id = ? ORDER BY first_id",
        (operation_id,),
    )
    letters = yield Query(
        "SELECT DISTINCT substr(json_extract(j.value, '$[2]'), 1, 1) FROM chunk c, json_each(c.body) j"
        " WHERE c.operation_id = ?",
        (operation_id,),
    )
    return "".join(sorted(row[0] for row in letters)), [tuple(row) for row in rows]


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
            *("hex(o.uid)", "o.created_at", "c.content"),
        ),
    )
    return [Context(*row[:-1], msgspec.json.decode(row[-1], type=Content)) for row in rows]  # type: ignore[call-arg]
