"""What accepted requests add to a commit, and how that is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from sendpool.domain.dealing import step_cost
from sendpool.domain.message import Content
from sendpool.domain.outlook import Queued
from sendpool.domain.request import Accepted
from sendpool.domain.states import MessageState
from sendpool.pipeline.crowd import Crowd
from sendpool.pipeline.waiter import Waiter
from sendpool.store.chunks import NewChunk, insert_chunks
from sendpool.store.database import Script
from sendpool.store.idempotency import Key, keep_key
from sendpool.store.messages import (
    Context,
    NewMessage,
    NewOperation,
    insert_errors,
    insert_failed,
    insert_messages,
    insert_operations,
    note_own,
)
from sendpool.store.queue import QueueRow, enqueue
from sendpool.store.schedule import ScheduledRow, schedule_messages


class Acceptance(NamedTuple):
    """What one request adds to a commit, and who waits for it."""

    operation: NewOperation
    messages: Sequence[NewMessage]
    rows: Sequence[QueueRow]
    chunks: Sequence[NewChunk]
    errors: Sequence[tuple[int, int, str, str, int, str, int]]
    content: Content
    done: Waiter[Accepted]
    #: Messages that are not due yet, and their rows.
    scheduled: Sequence[NewMessage] = ()
    later: Sequence[ScheduledRow] = ()
    #: (message, variables as JSON, name) of those messages whose recipients bring any.
    own: Sequence[tuple[int, str | None, str | None]] = ()
    #: Messages that end where they begin, each with its error.
    born_failed: Sequence[tuple[NewMessage, int]] = ()

    @property
    def operations(self) -> Sequence[NewOperation]:
        """The one that the request becomes."""
        return (self.operation,)

    @property
    def account_id(self) -> int:
        """Whose it is."""
        return self.operation.account_id

    @property
    def total(self) -> int:
        """How many messages it adds."""
        return self.operation.total

    def firsts(self) -> Iterator[tuple[str, int]]:
        """The letter of the first step, and what an attempt at it costs, of each message that is not born failed."""
        for message in (*self.messages, *self.scheduled):
            yield message.plan[0], step_cost(message.plan[0], message.segments)
        for body in [chunk.body for chunk in self.chunks]:
            for recipient in msgspec.json.decode(body):
                yield recipient[2][0], step_cost(recipient[2][0], recipient[3])

    def accepted(self) -> Accepted:
        """What the client may rely on."""
        new = self.operation
        queued = new.total - new.scheduled - new.failed
        waits = (new.total, queued, new.scheduled, new.scheduled_for)
        return Accepted(new.uid, new.id, Queued(new.id, new.pool_id, new.category, new.priority, *waits))

    def contexts(self) -> dict[int, Context]:
        """What sending needs to know of the operation, by its key, without reading it again."""
        new = self.operation
        said = (new.id, new.account_id, new.pool_id, new.category, new.deadline, new.validity)
        return {new.id: Context.of((*said, new.uid.hex(), new.at), self.content, new.tags)}


def insert_acceptances(acceptances: Sequence[Acceptance | Crowd]) -> Script[None]:
    """Write everything that accepted requests add, in a few statements for all of them together."""
    yield from insert_operations([operation for one in acceptances for operation in one.operations])
    messages = [message for one in acceptances for message in one.messages]
    if messages:
        yield from insert_messages(messages)
        yield from enqueue([row for one in acceptances for row in one.rows])
    scheduled = [message for one in acceptances for message in one.scheduled]
    if scheduled:
        yield from insert_messages(scheduled, MessageState.SCHEDULED)
        yield from schedule_messages([row for one in acceptances for row in one.later])
    yield from insert_failed([failed for one in acceptances for failed in one.born_failed])
    yield from note_own([own for one in acceptances for own in one.own])
    chunks = [chunk for one in acceptances for chunk in one.chunks]
    if chunks:
        yield from insert_chunks(chunks)
    errors = [error for one in acceptances for error in one.errors]
    if errors:
        yield from insert_errors(errors)


def insert_keyed(acceptance: Acceptance, key: Key, now: int) -> Script[None]:
    """Write one accepted request with its key. Raises `KeyTaken`, which must undo it."""
    yield from keep_key(key, acceptance.operation.uid, now)
    yield from insert_acceptances([acceptance])
