"""Settlement without an engine's loop or clock: a test starts attempts and says what became of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from sendpool.connectors.base import Receipt
from sendpool.domain.decision import Trigger
from sendpool.domain.message import LETTER_CHANNEL
from sendpool.domain.policy import PoolRules
from sendpool.domain.pool import Member, Pool
from sendpool.domain.sender import Channel, Sender
from sendpool.domain.states import AttemptState, MessageState
from sendpool.metrics import Metrics
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.settle import Ask, Changes, Result, Told, settle_receipts, settle_results
from sendpool.store.begun import NewAttempt, start_attempts
from sendpool.store.database import Query, Script
from sendpool.store.messages import NewMessage, insert_messages, insert_operations
from sendpool.store.queue import enqueue, insert_queues, remove
from sendpool.store.receipts import insert_segments
from sendpool.store.sqlite import connect, transact
from sendpool.testing.invariants import contradictions
from sendpool.testing.store_rows import AT, operation

T = TypeVar("T")


class Ledger:
    """Settlement without engine or clock: a file on which a test starts attempts and says what became of them."""

    def __init__(
        self,
        path: Path,
        members: Mapping[Channel, Sequence[tuple[int, int]]],
        rules: PoolRules | None = None,
    ) -> None:
        """*members*: (sender, connection) on each channel of pool 7."""
        self.connection = connect(path)
        # Nothing here is about power cuts.
        self.connection.execute("PRAGMA synchronous=OFF")
        senders = [
            Sender(
                id=sender_id,
                uid=sender_id.to_bytes(16, "big"),
                account_id=1,
                connection_id=connection_id,
                channel=channel,
                address=f"+{sender_id}",
                mps=10.0,
            )
            for channel, pairs in members.items()
            for sender_id, connection_id in pairs
        ]
        pool = Pool(
            id=7, uid=bytes(16), account_id=1, members=tuple(Member(sender_id=one.id) for one in senders), rules=rules
        )
        self.roster = Roster(senders, [pool])
        self.now = AT
        self.engine = Engine(cast(Any, None), Metrics(), Clock(lambda: self.now / 1e6, lambda: self.now))
        self.engine.use_roster(self.roster)
        self.book = self.engine.book

    def run(self, script: Script[T]) -> T:
        """Run a script in a transaction of its own."""
        return transact(self.connection, script)

    def accept(
        self,
        first: int,
        total: int = 1,
        *,
        plan: str = "S",
        segments: int = 1,
        category: str = "",
        validity: int = 172_800,
    ) -> None:
        """An operation whose messages wait in the queue of their first step."""
        queue_id = self.book.number(7, LETTER_CHANNEL[plan[0]])

        def script() -> Script[None]:
            new = operation(first, total)._replace(deadline=AT + validity * 1_000_000)
            yield from insert_operations([new._replace(category=category or new.category)])
            keys = range(first, first + total)
            new_messages = [NewMessage(key, first, f"+4477{key}", "P", plan, segments, AT) for key in keys]
            yield from insert_messages(new_messages)
            yield from insert_queues(self.book.unsaved())
            yield from enqueue([(queue_id, 10 * (key - first), key, segments, AT) for key in keys])

        self.run(script())

    def start(self, message_id: int, n: int = 1, sender_id: int = 1, *, parts: int = 1) -> None:
        """An attempt leaves: its row goes, and the carrier's ids are known at once ("message.n.part")."""
        sender = self.roster.senders[sender_id]

        def script() -> Script[None]:
            rows = yield Query("SELECT queue_id, rank, message_id FROM outq WHERE message_id = ?", (message_id,))
            yield from remove([tuple(row) for row in rows])
            yield Query("DELETE FROM later WHERE message_id = ? AND queue_id <> 0", (message_id,))
            key = (message_id, n, sender_id, sender.connection_id, sender.channel.value)
            yield from start_attempts([NewAttempt(*key, parts, 0, None, self.now)])
            names = [
                (sender.connection_id, f"{message_id}.{n}.{part}", message_id, n, part) for part in range(1, parts + 1)
            ]
            yield from insert_segments(names)

        self.run(script())

    def settle(self, stage: Callable[[Changes], Script[Any]]) -> None:
        """Run one stage with the decisions that follow from it, as the engine does; nothing may be wrong after it."""

        def script() -> Script[list[str]]:
            yield from self.engine.committing.settled(stage)
            yield from insert_queues(self.book.unsaved())
            return (yield from contradictions())

        assert self.run(script()) == []

    def results(self, *results: Result) -> None:
        """What became of submits, in one batch."""
        self.settle(functools.partial(settle_results, results))

    def receipts(self, *receipts: Receipt, connection_id: int = 1) -> None:
        """What a carrier says later, in one batch."""
        self.settle(functools.partial(settle_receipts, [Told(connection_id, one) for one in receipts]))

    def ask(self, message_id: int, n: int, trigger: Trigger, rule: str = "") -> None:
        """A wait for an attempt is over, or its carrier said something that decides nothing by itself."""

        def stage(changes: Changes) -> Script[None]:
            changes.asks.append(Ask(message_id, n, trigger, rule))
            yield from ()

        self.settle(stage)

    def rows(self, sql: str, *args: Any) -> list[Any]:
        """What a statement brings."""
        rows: list[Any] = self.connection.execute(sql, args).fetchall()
        return rows

    def message(self, key: int) -> MessageState:
        """Where a message stands."""
        return MessageState(self.rows("SELECT state FROM message WHERE id = ?", key)[0][0])

    def attempt(self, key: int, n: int = 1) -> AttemptState:
        """Where an attempt stands."""
        return AttemptState(self.rows("SELECT state FROM attempt WHERE id = ?", key * 64 + n)[0][0])

    def events(self, key: int) -> list[int]:
        """The numbers of a message's events."""
        found = self.rows("SELECT number FROM event WHERE subject_id = ? AND number < 1024 ORDER BY position", key)
        return [row[0] for row in found]

    def waits(self, key: int) -> list[tuple[str, str, int]]:
        """Where a message waits: (channel, lane, microseconds from now until it is due)."""
        rows = self.rows(
            "SELECT q.channel, q.lane, w.due FROM (SELECT queue_id, message_id, due FROM outq UNION ALL"
            " SELECT queue_id, message_id, due FROM later) w JOIN queue q ON q.id = w.queue_id WHERE w.message_id = ?",
            key,
        )
        return [(channel, lane, max(0, due - self.now)) for channel, lane, due in rows]

    def close(self) -> None:
        """Close the file."""
        self.connection.close()
