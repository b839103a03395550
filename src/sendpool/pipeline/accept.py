"""Accept: a checked request becomes an operation and its messages, durable and due, before the client is answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import uuid_utils

from sendpool.domain import ids
from sendpool.domain.consent import Person
from sendpool.domain.dealing import step_cost
from sendpool.domain.fairness import FairClock, flow_of, step_of
from sendpool.domain.message import LETTER_CHANNEL, STEP_LETTER, at_step
from sendpool.domain.pool import Pool
from sendpool.domain.request import (
    AccountOrigin,
    AddressOrigin,
    PoolOrigin,
    Recipient,
    SendRequest,
)
from sendpool.domain.sender import Channel
from sendpool.domain.states import OperationState
from sendpool.pipeline.acceptance import Acceptance, Waiter
from sendpool.pipeline.alike import Alike, kind_of, note
from sendpool.pipeline.book import ANYONE, ASKING, QueueBook
from sendpool.pipeline.consent import OPTED_OUT, SAID, Willing, everybody, without
from sendpool.pipeline.lanes import Lanes, common_entry, entry
from sendpool.pipeline.numbers import Numbers
from sendpool.pipeline.render import Readings
from sendpool.pipeline.resolve import Addressed, Plans, Resolved, as_named, resolve
from sendpool.pipeline.roster import Roster
from sendpool.store.chunks import NewChunk, Share, mix_text
from sendpool.store.messages import (
    NewMessage,
    NewOperation,
)
from sendpool.store.queue import QueueRow
from sendpool.store.schedule import Beginning, ScheduledRow

#: Recipients up to which a request becomes rows at once; a larger one is kept in chunks and expanded when near.
AT_ONCE = 500
CHUNK = 1_000


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
        done: Waiter,
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
            return self._small(request, alike, at, done)
        request = as_named(request, self.roster) if request.kind == "email" else request
        willing = without(request, readings, opted_out) if opted_out else everybody(request, readings)
        found = resolve(willing.request, self.roster, at, willing.readings)
        if willing.left_out and request.kind == "email":
            # Emails count no recipients without a message: theirs ends where it begins.
            ended = [(_mail(recipient), OPTED_OUT) for _, recipient in willing.left_out]
            found = found._replace(failed=[*found.failed, *ended])
        pool, plans, _, _, addressed, dues, failed = found
        content = request.content
        alive = len(addressed)
        total = alive + len(failed)
        operation_id = self.take_ids(total)
        chunked = alive > AT_ONCE
        not_yet = [due for due in dues if due]
        operation = _new_operation(operation_id, request, found, at)
        if kind is not None:
            note(kind, found, operation.origin, self.roster)
        errors = _errors(willing, plans, operation_id, at) if total < len(request.recipients) else ()
        letters_used = frozenset(recipient[2][0] for recipient in addressed)
        # Behind all others, so that what is kept in chunks has its keys in a row.
        born_failed = [
            (NewMessage(operation_id + alive + i, operation_id, *recipient[:4], at), code)
            for i, (recipient, code) in enumerate(failed)
        ]
        own = _own(operation_id + alive, [recipient for recipient, _ in failed])
        if chunked:
            chunks = self._chunks(pool.id, operation_id, addressed, dues)
            stored = ((), (), chunks, errors, letters_used, content, done, (), ())
            return Acceptance(operation, *stored, own, born_failed)
        rows = [NewMessage(operation_id + i, operation_id, *recipient[:4], at) for i, recipient in enumerate(addressed)]
        now = alive - len(not_yet)
        due = self._due(operation, rows[:now])
        later = self._later(operation, rows[now:], not_yet)
        own += _own(operation_id, addressed)
        whole = (rows[:now], due, (), errors, letters_used, content, done, rows[now:], later)
        return Acceptance(operation, *whole, own, born_failed)

    def _small(self, request: SendRequest, alike: Alike, at: int, done: Waiter) -> Acceptance:
        """The same for one plain text to one number, of a kind that was met before."""
        operation_id = self.take_ids(1)
        operation, message = alike.rows(request, operation_id, ids.clear(uuid_utils.uuid7().bytes), at)
        letter = alike.plan[0]
        flow = flow_of(operation_id, 1, alike.category, request.priority)
        step = Due(letter, message.address, step_cost(letter, message.segments), operation_id, at)
        due = self.place(alike.pool_id, flow, [step])
        return Acceptance(operation, [message], due, (), (), frozenset(letter), request.content, done)

    def _chunks(
        self, pool_id: int, operation_id: int, addressed: Sequence[Addressed], dues: Sequence[int]
    ) -> list[NewChunk]:
        rows = iter(addressed)
        first = operation_id
        chunks = []
        for due, size in _portions(len(addressed), dues):
            part = list(islice(rows, size))
            mix = self._mix(pool_id, part)
            letters = "".join(sorted({one.letter for one in mix}))
            body = msgspec.json.encode(part).decode()
            cost = sum(one.cost for one in mix)
            chunks.append(NewChunk(operation_id, first, size, body, due, cost, letters, mix_text(mix)))
            first += size
        return chunks

    def _mix(self, pool_id: int, part: Sequence[Addressed]) -> list[Share]:
        """What a chunk is made of: channels of first steps, and lanes where there are several."""
        messages: Counter[tuple[str, str]] = Counter()
        costs: Counter[tuple[str, str]] = Counter()
        bound: dict[str, Lanes | None] = {}
        for letter in {recipient[2][0] for recipient in part}:
            lanes = self.roster.lanes(pool_id, LETTER_CHANNEL[letter])
            bound[letter] = lanes if lanes.bound else None
        if any(bound.values()):
            kinds = Counter([(_class(r, bound), r[3]) for r in part])
        else:
            kinds = Counter([((r[2][0], ANYONE), r[3]) for r in part])
        for ((letter, lane), segments), number in kinds.items():
            messages[letter, lane] += number
            costs[letter, lane] += number * step_cost(letter, segments)
        return [Share(*key, number, costs[key]) for key, number in messages.items()]

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


def _new_operation(operation_id: int, request: SendRequest, found: Resolved, at: int) -> NewOperation:
    """The operation that a request becomes, by what it comes to."""
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
        alive if alive > AT_ONCE else 0,
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


def _class(recipient: Addressed, bound: Mapping[str, Lanes | None]) -> tuple[str, str]:
    """The channel's letter and the lane in which a recipient's message begins."""
    letter = recipient[2][0]
    lanes = bound[letter]
    return letter, ANYONE if lanes is None else lanes.class_of(at_step(recipient[0], 0))


def _portions(total: int, dues: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(due, recipients) of each chunk: those of one due time together, at most `CHUNK` of them."""
    groups = [(due, len(list(same))) for due, same in groupby(dues)] if dues else [(0, total)]
    for due, number in groups:
        for start in range(0, number, CHUNK):
            yield due, min(CHUNK, number - start)


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


def _mail(recipient: Recipient) -> Addressed:
    letter = STEP_LETTER[Channel.EMAIL]
    return recipient.address, recipient.space, letter, 1, recipient.variables, recipient.name
