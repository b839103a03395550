"""A pool without a database: the real acceptor, expander and fair clocks; rows in memory, taken as claims take them."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

import msgspec

from sendpool.domain.dealing import step_cost
from sendpool.domain.destinations import Destinations
from sendpool.domain.fallback_share import FallbackFlows
from sendpool.domain.message import LETTER_CHANNEL, Category, Content
from sendpool.domain.pool import Choice, Member, Pool
from sendpool.domain.request import PoolOrigin, Recipient, SendRequest
from sendpool.domain.sender import Channel, Sender
from sendpool.pipeline.accept import Acceptor
from sendpool.pipeline.acceptance import Acceptance
from sendpool.pipeline.book import QueueBook
from sendpool.pipeline.expand import Expander, Gone
from sendpool.pipeline.roster import Roster
from sendpool.store.chunks import Expansion, Placed, Run

POOL = 1
#: Seconds between two claims.
TICK = 0.05


class Waiting(NamedTuple):
    """A row."""

    rank: int
    message_id: int
    operation_id: int
    #: Letter of the first step.
    letter: str
    address: str


class Left(NamedTuple):
    """A row that was taken, and when."""

    at: float
    row: Waiting
    sender_id: int


class PoolInMemory:
    """One pool whose senders take what is first of what they may, at their own pace."""

    def __init__(self, *senders: tuple[Channel, float, Destinations], window: int = 0) -> None:
        """*window*: what may be on its way at once; a claim of that size takes turns."""
        made = [
            Sender(
                id=n,
                uid=bytes([n]) * 16,
                account_id=1,
                connection_id=n,
                channel=channel,
                address=f"+4479000000{n:02}",
                mps=mps,
                destinations=destinations,
            )
            for n, (channel, mps, destinations) in enumerate(senders, 1)
        ]
        members = tuple(Member(sender_id=one.id) for one in made)
        reach = (Channel.RCS, Channel.SMS)
        self.pool = Pool(id=POOL, uid=b"p" * 16, account_id=1, members=members, choice=Choice(reach=reach))
        self.book = QueueBook()
        self.acceptor = Acceptor(self.book, lambda: 1)
        self.acceptor.roster = Roster(made, [self.pool])
        self.acceptor.numbers.endless()
        self.expander = Expander(self.acceptor)
        self.expander.window = lambda _pool_id, _channel: window
        self.fallbacks = FallbackFlows()
        self.now = 0.0
        self._loop = asyncio.new_event_loop()
        self._loop.close()
        self.left: list[Left] = []
        #: How many, by operation and letter.
        self.counts: Counter[tuple[int, str]] = Counter()
        self._queues: dict[int, list[Waiting]] = defaultdict(list)
        self._credit: dict[int, float] = defaultdict(float)
        self._bodies: dict[int, list[list[str]]] = {}
        #: Senders that are down.
        self.down: set[int] = set()

    def send(self, recipients: Sequence[tuple[str, str]], category: Category = Category.BULK) -> Acceptance:
        """Accept a request to (address, space) of each."""
        request = SendRequest(
            account_id=1,
            origin=PoolOrigin(self.pool.uid),
            recipients=[Recipient(*one) for one in recipients],
            content=Content(text="Hello"),
            category=category,
        )
        made = self.acceptor.prepare(request, asyncio.Future(loop=self._loop))
        messages = {message.id: message for message in made.messages}
        for queue_id, rank, key, *_ in made.rows:
            self._add(queue_id, Waiting(rank, key, made.operation.id, messages[key].plan[0], messages[key].address))
        for chunk in made.chunks:
            self._bodies[chunk.first_id] = msgspec.json.decode(chunk.body)
        self.expander.accepted(made)
        return made

    def fall_back(self, row: Waiting, channel: Channel, category: Category) -> None:
        """Begin another step of a message, as after a refusal."""
        queue_id = self.acceptor.queue(POOL, channel.value[0], row.address)
        clock, lag = self.acceptor.fair_clock(POOL, channel), self.acceptor.lag(POOL, channel, queue_id)
        cost = step_cost(channel.value[0], 1)
        rank = self.fallbacks.rank((POOL, channel), category, cost, clock.virtual, queue_id, lag)
        self._add(queue_id, row._replace(rank=rank))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / TICK)):
            self.tick()

    def tick(self) -> list[Left]:
        """Expand what may be, and let every sender take what it can until the next claim; brings what left."""
        while expansions := self.expander.next():
            for one in expansions:
                self._expand(one)
        before = len(self.left)
        for sender in self.acceptor.roster.senders.values():
            if sender.id not in self.down:
                self._serve(sender)
        self.now += TICK
        return self.left[before:]

    def waiting(self) -> Counter[tuple[int, str]]:
        """Rows that wait, by operation and letter."""
        return Counter((row.operation_id, row.letter) for rows in self._queues.values() for row in rows)

    def _add(self, queue_id: int, row: Waiting) -> None:
        heappush(self._queues[queue_id], row)
        self.book.add(queue_id, 1)

    def _expand(self, one: Expansion) -> None:
        turns = {letter: 1 if one.place is not None else run.turn for letter, run in one.runs.items()}
        ranks = {letter: _ranks(run._replace(turn=turns[letter])) for letter, run in one.runs.items()}
        placed: dict[int, Placed] = {}
        for n, (address, _, plan, *_) in enumerate(self._bodies.pop(one.first_id)):
            rank, queue_id = next(ranks[plan[0]]), one.runs[plan[0]].queue_id
            if one.place is not None:
                queue_id, rank = one.place(plan[0], address, rank)
            heappush(self._queues[queue_id], Waiting(rank, one.first_id + n, one.operation_id, plan[0], address))
            rows, lowest = placed.get(queue_id, (0, rank))
            placed[queue_id] = Placed(rows + 1, min(rank, lowest))
        self.expander.expanded(one, one.messages, placed if one.place is not None else {})

    def _serve(self, sender: Sender) -> None:
        lanes, clock = self.acceptor.roster.lanes(POOL, sender.channel), self.acceptor.fair_clock(POOL, sender.channel)
        # Who waits for work saves up no more than one claim's worth.
        self._credit[sender.id] = min(self._credit[sender.id], 1.0) + sender.mps * TICK
        mine = [
            queue_id
            for queue_id, lane in self.book.lanes_of(POOL, sender.channel)
            if (takers := lanes.takers(lane)) is None or sender.id in takers
        ]
        while self._credit[sender.id] >= 1 and (ready := [key for key in mine if self._queues[key]]):
            queue_id = min(ready, key=lambda key: self._queues[key][0])
            rows = self._queues[queue_id]
            row = heappop(rows)
            self._credit[sender.id] -= 1
            self.left.append(Left(self.now, row, sender.id))
            self.counts[row.operation_id, row.letter] += 1
            clock.claimed(row.rank)
            if lanes.takers(self.book.keys[queue_id].lane) is not None:
                clock.stands(queue_id, max(row.rank, rows[0].rank if rows else 0))
            self.book.took(queue_id, 1, emptied=not rows)
            if not rows:
                clock.emptied(queue_id)
            self.gone(row)

    def gone(self, row: Waiting) -> None:
        """A row has been started."""
        self.expander.gone({row.operation_id: 1})
        self.expander.moved([Gone(row.operation_id, row.letter, row.address)])

    def of(self, operation: Acceptance, channel: Channel) -> int:
        """How many have left of an operation on the channel of its first step."""
        return self.counts[operation.operation.id, channel.value[0]]


def _ranks(run: Run) -> Iterator[int]:
    return (run.start + n // run.turn * run.turn * run.step for n in count())


def channel_of(row: Waiting) -> Channel:
    """Of its first step."""
    return LETTER_CHANNEL[row.letter]


def numbers(number: int, spaces: str, prefix: str = "+4477") -> list[tuple[str, str]]:
    """So many recipients whose spaces follow each other as in *spaces*."""
    return [(f"{prefix}{n:08}", spaces[n % len(spaces)]) for n in range(number)]


def by_channel(rows: Mapping[tuple[int, str], int], operation: Acceptance, channel: Channel) -> int:
    """Rows of an operation that wait on a channel."""
    return rows.get((operation.operation.id, channel.value[0]), 0)
