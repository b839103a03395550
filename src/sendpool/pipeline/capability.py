"""Ask ahead who can take a channel that not every phone has (RCS), so that no claim and no attempt is wasted.

Rows that need an answer wait in a lane of their own, which no sender claims. This loop reads their addresses, asks
the connection for all of them at once, remembers the answers, and moves the rows: to the senders of the channel, or
to the next step. Nothing here holds up a commit or another pool.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import structlog

from sendpool.connectors.base import KnowsCapabilities
from sendpool.domain.dealing import step_cost
from sendpool.domain.explanation import UNREACHED
from sendpool.domain.fairness import flow_of
from sendpool.domain.message import at_step
from sendpool.domain.sender import Channel, Sender
from sendpool.pipeline.accept import Due
from sendpool.pipeline.book import QueueBook
from sendpool.pipeline.countries import destination_of
from sendpool.pipeline.decide import expire, later_steps
from sendpool.pipeline.lanes import Lanes
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.settle import Changes
from sendpool.store.attempts import PastAttempt, load_past_of_several
from sendpool.store.database import Script
from sendpool.store.messages import load_flow_facts
from sendpool.store.queue import AskingRow, QueueRow, enqueue, head_addresses, remove, still_there, take_step

if TYPE_CHECKING:
    from sendpool.pipeline.engine import Engine
from sendpool.pipeline.expand import Gone

log = structlog.get_logger()

#: Addresses in one look-up and rows in one commit.
AT_ONCE = 200
#: Rows that one commit moves: more, and other pools' messages wait for it.
IN_A_COMMIT = 100
#: Seconds after which a look-up counts as unanswered.
PATIENCE = 5.0
#: Seconds before rows are looked at again whose verdicts could not be stored.
AFTER_FAILURE = 0.5
NOT_REACHABLE = "rcs/404"


#: A row, the step that it goes on with (None: it ends), and its lane where that is its present one.
Turn = tuple[AskingRow, int | None, str | None]


class CapabilityLoop:
    """Sorts the rows that wait for an answer. One look-up at a time per queue, all queues side by side."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._task: asyncio.Task[None] | None = None
        self._busy: dict[int, asyncio.Task[None]] = {}
        #: Look-ups under way, by sender and address: whoever wants the same waits for the same answer.
        self._asked: dict[tuple[int, str], asyncio.Task[None]] = {}

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="capability")

    async def stop(self) -> None:
        """Stop looking; what waits, waits."""
        tasks = [task for task in (self._task, *self._busy.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        asking = self._engine.book.asking
        while True:
            await asking.wait()
            asking.clear()
            for queue_id in self._engine.book.asked():
                if queue_id not in self._busy and self._is_ours(queue_id):
                    task = asyncio.get_running_loop().create_task(self._work_off(queue_id))
                    self._busy[queue_id] = task
                    task.add_done_callback(partial(self._ended, queue_id))

    def _is_ours(self, queue_id: int) -> bool:
        """Whether this process sorts a queue: the one that has the first connection that can be asked."""
        key, sending = self._engine.book.keys[queue_id], self._engine.sending
        members = self._engine.roster.members(key.pool_id, Channel(key.channel))
        able = {sender.connection_id for sender, _ in members if sending.can_ask(sender.connection_id)}
        return not self._engine.fence.leaves_to(min(able, default=0))

    def _ended(self, queue_id: int, task: asyncio.Task[None]) -> None:
        self._busy.pop(queue_id, None)
        if task.cancelled():
            return
        book = self._engine.book
        if (error := task.exception()) is not None:
            log.error("capability look-up failed", error=str(error))
            asyncio.get_running_loop().call_later(AFTER_FAILURE, book.asking.set)
        elif book.waiting(queue_id):
            # Rows that came while it was about to end found it busy.
            book.asking.set()

    async def _work_off(self, queue_id: int) -> None:
        engine = self._engine
        key = engine.book.keys[queue_id]
        while engine.book.waiting(queue_id):
            rows = await self._rows(queue_id)
            if not rows:
                continue
            lanes = await self._lanes(key.pool_id, Channel(key.channel), rows)
            several = any(" " in row.address for row in rows)
            past = await engine.database.read(load_past_of_several(rows)) if several else {}
            steps = next_steps(rows, lanes, past, key.pool_id, engine.roster)
            turns = list(zip(rows, steps, lanes, strict=True))
            moves = await self._moves(key.pool_id, turns)
            for start in range(0, len(rows), IN_A_COMMIT):
                await engine.settle(
                    partial(sort_rows, queue_id, turns[start : start + IN_A_COMMIT], moves, engine.book)
                )
            engine.book.took(queue_id, len(rows), emptied=False)
            for lane, stay in Counter(lane for lane in lanes if lane is not None).items():
                engine.book.add(engine.book.number(key.pool_id, Channel(key.channel), lane), stay)
            engine.wake()
            engine.expander.gone(Counter(row.operation_id for row, step, _ in turns if step is None))
            away = [row for row, _, lane in turns if lane is None and not row.step]
            engine.expander.moved(Gone(row.operation_id, row.plan[0], row.address) for row in away)

    async def _moves(self, pool_id: int, turns: Sequence[Turn]) -> dict[int, QueueRow]:
        """Where messages wait that go on with another channel, which has a virtual time of its own; by message."""
        moving = [(row, step) for row, step, lane in turns if lane is None and step is not None]
        if not moving:
            return {}
        flows = await self._engine.database.read(load_flow_facts({row.operation_id for row, _ in moving}))
        found: list[QueueRow] = []
        for flow in flows:
            due = [_due(row, step) for row, step in moving if row.operation_id == flow.id]
            found += self._engine.acceptor.place(pool_id, flow_of(*flow), due)
        return {row[2]: row for row in found}

    async def _rows(self, queue_id: int) -> list[AskingRow]:
        """The next rows of a queue. Where there are none, the book forgets those that it thought were there."""
        engine = self._engine
        rows = await engine.database.read(head_addresses(queue_id, AT_ONCE))
        if not rows:
            # The book hears of a request before its commit: look again after that, and forget no later ones.
            waiting = engine.book.waiting(queue_id)
            await engine.settle(_nothing)
            rows = await engine.database.read(head_addresses(queue_id, AT_ONCE))
            if not rows:
                engine.book.add(queue_id, -waiting)
        return rows

    async def _lanes(self, pool_id: int, channel: Channel, rows: Sequence[AskingRow]) -> list[str | None]:
        """The lane in which each row goes on on its channel; None: no sender of the pool reaches its address there."""
        addresses = list(dict.fromkeys(at_step(row.address, row.step) for row in rows))
        lanes = self._engine.roster.lanes(pool_id, channel)
        members = [sender for sender, _ in self._engine.roster.members(pool_id, channel)]
        fitting = {one.id: [address for address in addresses if lanes.may(one.id, address)] for one in members}
        await asyncio.gather(*(self._ask_about(sender, fitting[sender.id]) for sender in members))
        return [self._lane(lanes, at_step(row.address, row.step)) for row in rows]

    def _lane(self, lanes: Lanes, address: str) -> str | None:
        """The lane of an address: anybody's where all reach it, else that of one who does. None: nobody does."""
        reaches = self._engine.sending.reaches
        able = {seat.sender_id for seat in lanes.fit(destination_of(address)) if reaches(seat.sender_id, address)}
        return lanes.lane(address, able) if able else None

    async def _ask_about(self, sender: Sender, addresses: Sequence[str]) -> None:
        """Know of each address whether this sender reaches it. A connection that cannot be asked is tried."""
        link = self._engine.sending.links.get(sender.connection_id)
        if link is None or not link.asks:
            return
        known, asked = self._engine.reach, self._asked
        unknown = [address for address in addresses if known.ask(sender.id, address) is None]
        looks = {asked[sender.id, address] for address in unknown if (sender.id, address) in asked}
        fresh = [address for address in unknown if (sender.id, address) not in asked]
        if fresh:
            look = asyncio.get_running_loop().create_task(self._learn(link.connector, sender, fresh))
            asked.update(dict.fromkeys([(sender.id, address) for address in fresh], look))
            looks.add(look)
        await asyncio.gather(*looks)

    async def _learn(self, connector: object, sender: Sender, addresses: list[str]) -> None:
        answers = await self._look_up(connector, addresses, sender.address)
        for address in addresses:
            self._engine.reach.learn(sender.id, address, reachable=answers.get(address))
            del self._asked[sender.id, address]

    async def _look_up(self, connector: object, addresses: list[str], sender: str) -> dict[str, bool | None]:
        assert isinstance(connector, KnowsCapabilities)
        try:
            async with asyncio.timeout(PATIENCE):
                return dict(await connector.capabilities(addresses, sender))
        except TimeoutError:
            return {}


def _due(row: AskingRow, step: int) -> Due:
    letter = row.plan[step]
    return Due(letter, at_step(row.address, step), step_cost(letter, row.segments), row.message_id, row.due)


def _nothing(_: Changes) -> Script[None]:
    """A stage that only waits for its commit."""
    yield from ()


def next_steps(
    rows: Sequence[AskingRow],
    lanes: Sequence[str | None],
    past: Mapping[int, Sequence[PastAttempt]],
    pool_id: int,
    roster: Roster,
) -> list[int | None]:
    """The step of its plan that each row goes on with: its present one where it has a lane there, else the first later
    one that has senders. None: there is none.
    """

    def later(row: AskingRow) -> int | None:
        return next(iter(later_steps(row, past.get(row.message_id, ()), roster, pool_id)), None)

    return [later(row) if lane is None else row.step for row, lane in zip(rows, lanes, strict=True)]


def sort_rows(
    queue_id: int, turns: Sequence[Turn], moves: Mapping[int, QueueRow], book: QueueBook, changes: Changes
) -> Script[None]:
    """Move rows of a queue to the senders of their steps, *moves* to those of later ones; those without a step end.

    They are named one by one: rows of other operations, which nobody has asked about, may have come in between.
    """
    pool_id, channel = book.keys[queue_id].pool_id, Channel(book.keys[queue_id].channel)
    rows = [(queue_id, row.rank, row.message_id) for row, _, _ in turns]
    there = yield from still_there(rows)
    turns = [turn for turn in turns if turn[0].message_id in there]
    yield from remove(rows if len(turns) == len(rows) else [row for row in rows if row[2] in there])
    numbers = {lane: book.number(pool_id, channel, lane) for _, _, lane in turns if lane is not None}
    entering = [
        (numbers[lane], row.rank, row.message_id, row.cost, row.due) for row, _, lane in turns if lane is not None
    ]
    book.heads.entered(entering)
    yield from enqueue(entering)
    moved: list[tuple[int, int, str]] = []
    for row, step, lane in turns:
        if lane is None and step is not None:
            changes.due.append(moves[row.message_id])
            moved.append((row.message_id, step, UNREACHED))
    if moved:
        yield from take_step(moved)
    yield from expire([row.message_id for row, step, _ in turns if step is None], changes, rule=NOT_REACHABLE)
