"""Ask ahead who can take a channel that not every phone has (RCS), so that no claim and no attempt is wasted.

Rows that need an answer wait in a lane of their own, which no sender claims. This loop reads their addresses, asks
the connection for all of them at once, remembers the answers, and moves the rows: to the senders of the channel, or
to the next step. Nothing here holds up a commit or another pool.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING

import structlog

from sendpool.connectors.base import KnowsCapabilities
from sendpool.domain.dealing import step_cost
from sendpool.domain.message import LETTER_CHANNEL
from sendpool.domain.sender import Channel
from sendpool.pipeline.book import QueueBook
from sendpool.pipeline.decide import expire
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.settle import Changes
from sendpool.store.database import Script
from sendpool.store.queue import AskingRow, enqueue, head_addresses, remove, take_step

if TYPE_CHECKING:
    from sendpool.pipeline.engine import Engine

log = structlog.get_logger()

#: Addresses in one look-up and rows in one commit.
AT_ONCE = 500
#: Rows that one commit moves: more, and other pools' messages wait for it.
IN_A_COMMIT = 250
#: Seconds after which a look-up counts as unanswered.
PATIENCE = 5.0
#: Seconds before rows are looked at again whose verdicts could not be stored.
AFTER_FAILURE = 0.5
NOT_REACHABLE = "rcs/404"


class CapabilityLoop:
    """Sorts the rows that wait for an answer. One look-up at a time per queue, all queues side by side."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._task: asyncio.Task[None] | None = None
        self._busy: dict[int, asyncio.Task[None]] = {}

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
                if queue_id not in self._busy:
                    task = asyncio.get_running_loop().create_task(self._work_off(queue_id))
                    self._busy[queue_id] = task
                    task.add_done_callback(partial(self._ended, queue_id))

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
            reachable = await self._reachable(key.pool_id, Channel(key.channel), [row.address for row in rows])
            steps = next_steps(rows, reachable, key.pool_id, engine.roster)
            for start in range(0, len(rows), IN_A_COMMIT):
                part = slice(start, start + IN_A_COMMIT)
                await engine.settle(partial(sort_rows, queue_id, rows[part], steps[part], engine.book))
            engine.book.took(queue_id, len(rows), emptied=False)
            stay = sum(row.step == step for row, step in zip(rows, steps, strict=True))
            engine.book.add(engine.book.number(key.pool_id, Channel(key.channel)), stay)
            engine.wake()
            engine.expander.gone(
                Counter(row.operation_id for row, step in zip(rows, steps, strict=True) if step is None)
            )

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

    async def _reachable(self, pool_id: int, channel: Channel, addresses: Sequence[str]) -> set[str]:
        """Those of the addresses that some sender of the pool reaches."""
        found: set[str] = set()
        for sender, _ in self._engine.roster.members(pool_id, channel):
            connection_id = sender.connection_id
            link = self._engine.sending.links.get(connection_id)
            if link is None or not link.asks:
                return set(addresses)  # A connection that cannot be asked is tried.
            known = self._engine.reach
            unknown = [a for a in dict.fromkeys(addresses) if known.ask(connection_id, a) is None]
            if unknown:
                answers = await self._look_up(link.connector, unknown, sender.address)
                for address in unknown:
                    known.learn(connection_id, address, reachable=answers.get(address))
            found.update(address for address in addresses if known.ask(connection_id, address))
        return found

    async def _look_up(self, connector: object, addresses: list[str], sender: str) -> dict[str, bool | None]:
        assert isinstance(connector, KnowsCapabilities)
        try:
            async with asyncio.timeout(PATIENCE):
                return dict(await connector.capabilities(addresses, sender))
        except TimeoutError:
            return {}


def _nothing(_: Changes) -> Script[None]:
    """A stage that only waits for its commit."""
    yield from ()


def next_steps(rows: Sequence[AskingRow], reachable: Collection[str], pool_id: int, roster: Roster) -> list[int | None]:
    """The step of its plan that each row goes on with: its present one where its phone has that channel, else the
    first later one that has senders. None: there is none.
    """

    def later(row: AskingRow) -> int | None:
        steps = range(row.step + 1, len(row.plan))
        return next((i for i in steps if roster.members(pool_id, LETTER_CHANNEL[row.plan[i]])), None)

    return [row.step if row.address in reachable else later(row) for row in rows]


def sort_rows(
    queue_id: int, rows: Sequence[AskingRow], steps: Sequence[int | None], book: QueueBook, changes: Changes
) -> Script[None]:
    """Move *rows* of a queue to the senders of their steps; those without a step end.

    They are named one by one: rows of other operations, which nobody has asked about, may have come in between.
    """
    pool_id = book.keys[queue_id].pool_id
    staying = [row for row, step in zip(rows, steps, strict=True) if step == row.step]
    leaving = [(row, step) for row, step in zip(rows, steps, strict=True) if step != row.step]
    yield from remove([(queue_id, row.rank, row.message_id) for row in rows])
    target = book.number(pool_id, Channel(book.keys[queue_id].channel))
    yield from enqueue([(target, row.rank, row.message_id, row.cost, row.due) for row in staying])
    moved: list[tuple[int, int]] = []
    for row, step in leaving:
        if step is not None:
            letter = row.plan[step]
            queue = book.entry(pool_id, LETTER_CHANNEL[letter])
            changes.due.append((queue, row.rank, row.message_id, step_cost(letter, row.segments), row.due))
            moved.append((row.message_id, step))
    if moved:
        yield from take_step(moved)
    yield from expire([row.message_id for row, step in leaving if step is None], changes, rule=NOT_REACHABLE)
