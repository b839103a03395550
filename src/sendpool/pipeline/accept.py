"""Accept: a checked request becomes an operation and its messages, durable and due, before the client is answered."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import uuid_utils

from sendpool.domain import ids
from sendpool.domain.consent import Person
from sendpool.domain.dealing import step_cost
from sendpool.domain.fairness import FairClock, flow_of, step_of
from sendpool.domain.message import LETTER_CHANNEL, at_step
from sendpool.domain.pool import Pool
from sendpool.domain.request import Accepted, AccountOrigin, AddressOrigin, PoolOrigin, SendRequest
from sendpool.domain.sender import Channel
from sendpool.domain.states import OperationState
from sendpool.domain.tuples import maker
from sendpool.pipeline.acceptance import Acceptance
from sendpool.pipeline.alike import Alike, kind_of, note
from sendpool.pipeline.book import ANYONE, ASKING, QueueBook
from sendpool.pipeline.consent import OPTED_OUT, SAID, Willing
from sendpool.pipeline.crowd import Crowd
from sendpool.pipeline.draft import Draft, Part, draft
from sendpool.pipeline.lanes import common_entry, entry
from sendpool.pipeline.numbers import Numbers
from sendpool.pipeline.render import Readings
from sendpool.pipeline.resolve import Addressed, Plans
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.waiter import Waiter
from sendpool.store.chunks import NewChunk, mix_text
from sendpool.store.messages import (
    NewMessage,
    NewOperation,
)
from sendpool.store.queue import QueueRow
from sendpool.store.schedule import Beginning, ScheduledRow


class Due(NamedTuple):
    """A step of a message that becomes due: what its rank and queue hang on."""

    letter: str
    address: str
    #: Segments.
    cost: int
    #: Of the message.
    key: int
    #: Microseconds since 1970.
    at: int


_due_of = maker(Due)

#: The key of an operation's flow and its weight (`fairness.flow_of`).
Flow = tuple[Hashable, float]


class Acceptor:
    """Turns requests into acceptances. Lives on the event loop; its integers and ranks come from memory."""

    def __init__(self, book: QueueBook, clock: Callable[[], int]) -> None:
        self.book = book
        self.roster = Roster()
        self.numbers = Numbers()
        self._clocks: dict[tuple[int, Channel], FairClock] = {}
        self._now = clock

    def fair_clock(self, pool_id: int, channel: Channel) -> FairClock:
        """The virtual clock of a pool on a channel."""
        found = self._clocks.get((pool_id, channel))
        if found is None:
            found = self._clocks[pool_id, channel] = FairClock()
        return found

    def fair_clocks(self, pool_id: int) -> dict[Channel, FairClock]:
        """Those of all channels of a pool on which anything was ever due."""
        return {channel: clock for (pool, channel), clock in self._clocks.items() if pool == pool_id}

    def lag(self, pool_id: int, channel: Channel, queue_id: int) -> int:
        """By how much a queue is behind the virtual time of its channel: none that every sender of the pool takes.

        Safe on the writer's thread.
        """
        clock = self.fair_clock(pool_id, channel)
        if not clock.has_lanes:
            return 0
        lanes = self.roster.lanes(pool_id, channel)
        takers = lanes.takers(self.book.keys[queue_id].lane)
        if not takers:
            return 0
        if self.book.waiting(queue_id):
            return clock.lag(queue_id)
        clock.emptied(queue_id)
        waiting = [(other, lanes.takers(lane)) for other, lane in self.book.lanes_of(pool_id, channel)]
        return clock.lag(queue_id, [other for other, some in waiting if some is not None and some & takers])

    def level(self, first: Mapping[int, int]) -> None:
        """Know at which rank the first row of each queue waits in the store; no clock is behind all of them then."""
        lowest: dict[tuple[int, Channel], int] = {}
        for queue_id, rank in first.items():
            key = self.book.keys.get(queue_id)
            if key is None:
                continue
            line = (key.pool_id, Channel(key.channel))
            lowest[line] = min(rank, lowest.get(line, rank))
            if key.lane not in (ANYONE, ASKING):
                self.fair_clock(*line).stands(queue_id, rank)
        for line, rank in lowest.items():
            self.fair_clock(*line).claimed(rank)

    def rehearsing(self) -> Acceptor:
        """One that prepares requests in the same way and leaves no trace: keys, ranks and queues are thrown away."""
        other = Acceptor(QueueBook(), self._now)
        other.book.asks = self.book.asks
        other.roster = self.roster
        other.numbers.endless()
        return other

    def take_ids(self, number: int) -> int:
        """The first of *number* integer keys in a row, at least one. Raises `OutOfNumbers`."""
        return self.numbers.take(max(1, number))

    def prepare(
        self,
        request: SendRequest,
        done: Waiter[Accepted],
        readings: Readings | None = None,
        opted_out: set[Person] | None = None,
    ) -> Acceptance:
        """Resolve who may send and what is due. Raises `Refused` when the origin cannot be used, and `OutOfNumbers`.

        *readings* says how a personal request reads for each of its recipients; *opted_out* are those among them who
        are not to be sent to.
        """
        at = self._now() if readings is None else readings.at
        kind = kind_of(request) if readings is None and not opted_out else None
        if kind is not None and (alike := self.roster.alike.get(kind)) is not None:
            operations, messages, rows = self._small([request], alike, at)
            return Acceptance(operations[0], messages, rows, (), (), request.content, done)
        made = draft(request, self.roster, at, readings, opted_out)
        acceptance = self.number(made, done)
        if kind is not None:
            note(kind, made.found, acceptance.operation.origin, self.roster)
        return acceptance

    def together(self, requests: Sequence[SendRequest], alike: Alike, done: Waiter[Sequence[Accepted]]) -> Crowd:
        """The same of small requests that come to the same, *alike*, of one account. Raises `OutOfNumbers`."""
        operations, messages, rows = self._small(requests, alike, self._now())
        return Crowd(operations, messages, rows, [request.content for request in requests], done)

    def number(self, made: Draft, done: Waiter[Accepted]) -> Acceptance:
        """Give a draft its keys, and the rows of what is due their queues and ranks. Raises `OutOfNumbers`."""
        request, found, at = made.request, made.found, made.at
        addressed, dues, failed = found.addressed, found.dues, found.failed
        alive = len(addressed)
        total = alive + len(failed)
        operation_id = self.take_ids(total)
        not_yet = [due for due in dues if due]
        operation = _new_operation(operation_id, made)
        few = total < len(request.recipients)
        errors = _errors(made.willing, found.plans, operation_id, at) if few else ()
        # Behind all others, so that what is kept in chunks has its keys in a row.
        born_failed = [
            (NewMessage(operation_id + alive + i, operation_id, *recipient[:4], at), code)
            for i, (recipient, code) in enumerate(failed)
        ]
        own = _own(operation_id + alive, [recipient for recipient, _ in failed])
        if made.parts:
            chunks = _chunks(operation_id, made.parts)
            stored = ((), (), chunks, errors, request.content, done, (), ())
            return Acceptance(operation, *stored, own, born_failed)
        rows = [NewMessage(operation_id + i, operation_id, *recipient[:4], at) for i, recipient in enumerate(addressed)]
        now = alive - len(not_yet)
        due = self._due(operation, rows[:now])
        later = self._later(operation, rows[now:], not_yet)
        own += _own(operation_id, addressed)
        whole = (rows[:now], due, (), errors, request.content, done, rows[now:], later)
        return Acceptance(operation, *whole, own, born_failed)

    def _small(
        self, requests: Sequence[SendRequest], alike: Alike, at: int
    ) -> tuple[list[NewOperation], list[NewMessage], list[QueueRow]]:
        """Operations, messages and rows of small requests, of a kind that was met before."""
        first = self.take_ids(len(requests))
        messages = alike.messages(requests, first, at)
        letter = alike.plan[0]
        flow = flow_of(first, 1, alike.category, requests[0].priority)
        due = [_due_of((letter, one.address, step_cost(letter, one.segments), one.id, at)) for one in messages]
        return alike.operations(requests, first, at), messages, self._place(alike.pool_id, letter, flow, due)

    # ------------------------------------------------------------ when it is due

    def _due(self, operation: NewOperation, messages: Sequence[NewMessage]) -> list[QueueRow]:
        flow = flow_of(operation.id, operation.total, operation.category, operation.priority)
        steps = [
            Due(m.plan[0], at_step(m.address, 0), step_cost(m.plan[0], m.segments), m.id, operation.at)
            for m in messages
        ]
        return self.place(operation.pool_id, flow, steps)

    def place(self, pool_id: int, flow: Flow, due: Sequence[Due]) -> list[QueueRow]:
        """The queues and ranks of messages of one flow of a pool that become due."""
        if len(due) == 1:
            return self._place(pool_id, due[0].letter, flow, due)
        rows: list[QueueRow] = []
        for letter in dict.fromkeys([one.letter for one in due]):
            rows += self._place(pool_id, letter, flow, [one for one in due if one.letter == letter])
        return rows

    def _place(self, pool_id: int, letter: str, flow: Flow, due: Sequence[Due]) -> list[QueueRow]:
        channel = LETTER_CHANNEL[letter]
        clock, (key, weight) = self.fair_clock(pool_id, channel), flow
        ranks = clock.admit_each(key, [one.cost for one in due], weight)
        common = self.common_queue(pool_id, letter)
        if common is not None:
            return [(common, rank, one.key, one.cost, one.at) for one, rank in zip(due, ranks, strict=True)]
        rows = []
        for one, rank in zip(due, ranks, strict=True):
            queue_id = self.queue(pool_id, letter, one.address)
            lag = self.lag(pool_id, channel, queue_id)
            moved = clock.in_lane(key, queue_id, rank, lag, step_of(one.cost, weight))
            clock.begins(queue_id, moved)
            rows.append((queue_id, moved, one.key, one.cost, one.at))
        return rows

    def _later(
        self, operation: NewOperation, messages: Sequence[NewMessage], dues: Sequence[int]
    ) -> list[ScheduledRow]:
        """Rows that get their rank when they are due."""
        return [
            (
                due,
                m.id,
                self.queue(operation.pool_id, m.plan[0], at_step(m.address, 0)),
                None,
                step_cost(m.plan[0], m.segments),
            )
            for m, due in zip(messages, dues, strict=True)
        ]

    def queue(self, pool_id: int, letter: str, address: str) -> int:
        """The queue in which a step of a pool's messages begins to wait."""
        channel = LETTER_CHANNEL[letter]
        return entry(self.book, self.roster.lanes(pool_id, channel), pool_id, channel, address)

    def common_queue(self, pool_id: int, letter: str) -> int | None:
        """The same where it is one queue for all addresses; None: it hangs on them."""
        channel = LETTER_CHANNEL[letter]
        return common_entry(self.book, self.roster.lanes(pool_id, channel), pool_id, channel)

    def begin(self, due: Sequence[Beginning]) -> list[QueueRow]:
        """Give messages whose time has come now, for the first time or after quiet hours, their queues and ranks."""
        rows: list[QueueRow] = []
        for operation_id, of_one in groupby(due, lambda one: one.operation_id):
            messages = list(of_one)
            first = messages[0]
            flow = flow_of(operation_id, first.total, first.category, first.priority)
            steps = [Due(m.letter, at_step(m.address, m.step), m.cost, m.message_id, m.due) for m in messages]
            rows += self.place(first.pool_id, flow, steps)
        return rows


def _chunks(operation_id: int, parts: Sequence[Part]) -> list[NewChunk]:
    first = operation_id
    chunks = []
    for due, size, body, mix in parts:
        letters = "".join(sorted({one.letter for one in mix}))
        cost = sum(one.cost for one in mix)
        chunks.append(NewChunk(operation_id, first, size, body, due, cost, letters, mix_text(mix)))
        first += size
    return chunks


def _new_operation(operation_id: int, made: Draft) -> NewOperation:
    """The operation that a request becomes, by what it comes to."""
    request, found, at = made.request, made.found, made.at
    alive = len(found.addressed)
    total = alive + len(found.failed)
    not_yet = [due for due in found.dues if due]
    return NewOperation(
        operation_id,
        ids.clear(uuid_utils.uuid7().bytes),
        request.account_id,
        request.kind,
        _first_state(alive, len(not_yet)),
        found.pool.id,
        found.category.value,
        total,
        alive if made.parts else 0,
        len(request.recipients),
        len(request.recipients) - total,
        max(not_yet, default=at) + found.validity * 1_000_000,
        at,
        msgspec.json.encode(request.content).decode(),
        msgspec.json.encode(request.tags).decode(),
        _origin(request, found.pool),
        found.validity,
        len(not_yet),
        min(not_yet, default=None),
        len(found.failed),
        request.priority,
    )


def _own(operation_id: int, addressed: Sequence[Addressed]) -> list[tuple[int, str | None, str | None]]:
    """(message, variables as JSON, name) of those that have any."""
    if not addressed or len(addressed[0]) == 4:
        return []
    return [
        (operation_id + i, msgspec.json.encode(one[4]).decode() if one[4] else None, one[5])
        for i, one in enumerate(addressed)
        if len(one) == 6 and (one[4] or one[5])
    ]


def _first_state(total: int, scheduled: int) -> OperationState:
    """The state in which an operation begins: nobody to send to, nothing due yet, or under way."""
    if not total:
        return OperationState.COMPLETED
    return OperationState.SCHEDULED if scheduled == total else OperationState.PROCESSING


def _origin(request: SendRequest, pool: Pool) -> str:
    origin = request.origin
    if isinstance(origin, PoolOrigin):
        kind = "pool"
    elif isinstance(origin, AccountOrigin):
        kind = "account"
    else:
        kind = "address" if isinstance(origin, AddressOrigin) else "sender"
    told: dict[str, Any] = {"kind": kind, "pool": pool.uid.hex()}
    if mailbox := request.content.modules.get(Channel.EMAIL, {}).get("fromAddress"):
        # Another one of its sender's domain than the sender's own; it is shown also once the content is deleted.
        told["mailbox"] = mailbox
    if isinstance(origin, PoolOrigin) and origin.filter_in is not None:
        # For explanations: nobody could tell afterwards why a channel was left out.
        told["only"] = sorted(origin.filter_in)
    return msgspec.json.encode(told).decode()


def _errors(
    willing: Willing, plans: Plans, operation_id: int, at: int
) -> list[tuple[int, int, str, str, int, str, int]]:
    """Why recipients got no message: nobody reaches them, or they have opted out."""
    kept = zip(willing.positions, willing.request.recipients, strict=True)
    unreached = [(position, r, *plans.refusal(r)) for position, r in kept if not plans.of(r)]
    stopped = [(position, r, OPTED_OUT, SAID) for position, r in willing.left_out]
    return [
        (operation_id, position, r.address, r.space, code, reason, at)
        for position, r, code, reason in sorted(unreached + stopped, key=itemgetter(0))
    ]
