"""Restore: what waited when a copy was made may have left since, so its fate is unknown, as after a crash (promise I4).

Each row that is due gets an attempt that was begun and has no result. The next start finds these as it finds what a
crash leaves behind: they are AMBIGUOUS, and what happens next is their policy's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sendpool.domain.message import LETTER_CHANNEL
from sendpool.domain.sender import Channel, Sender
from sendpool.pipeline.book import QueueBook
from sendpool.pipeline.roster import Roster, load_roster
from sendpool.pipeline.settle import Changes
from sendpool.pipeline.upkeep import begin
from sendpool.store.admin_log import COMMAND_LINE, record
from sendpool.store.begun import NewAttempt, start_attempts
from sendpool.store.chunks import Expansion, Run, expand_chunk
from sendpool.store.counters import count
from sendpool.store.database import Database, Script
from sendpool.store.queue import all_queues, enqueue, insert_queues, remove, remove_later
from sendpool.store.restoring import Unsent, due_again, due_chunks, first_letters, waiting_rows
from sendpool.store.schedule import Beginning, due_scheduled
from sendpool.store.walks import Place

#: Rows of one commit, and chunks.
AT_ONCE, CHUNKS = 1_000, 5


class Restorer:
    """Puts everything that is due in doubt, some at a time; where it is cut short, it may be run again."""

    def __init__(self, database: Database, now: int) -> None:
        """*now* is microseconds since 1970."""
        self._database = database
        self._now = now
        self._book = QueueBook()
        self._roster = Roster()

    async def run(self) -> tuple[int, int]:
        """How many messages are in doubt now; and how many wait on, since nobody could have sent them."""
        self._roster = await self._database.read(load_roster())
        self._book.load(await self._database.read(all_queues()))
        while await self._database.write(self._expand()):
            pass
        while due := await self._database.read(due_scheduled(self._now, AT_ONCE)):
            await self._database.write(self._begin(due))
        while await self._database.write(self._enqueue_again()):
            pass
        doubtful = left = 0
        place: Place | None = Place()
        while place is not None:
            rows, place = await self._database.read(waiting_rows(place, AT_ONCE))
            taken = await self._database.write(self._doubt(rows))
            doubtful, left = doubtful + taken, left + sum(row.open for row in rows) - taken
        await self._database.write(record(self._now, COMMAND_LINE, "database.restored", "", ambiguous=doubtful))
        return doubtful, left

    # ------------------------------------------------------------ everything that is due waits in a queue

    def _expand(self) -> Script[int]:
        rows = yield from due_chunks(self._now, CHUNKS)
        held = sorted({(row[0], row[3]) for row in rows if row[3] > 0})
        if held:
            changes = Changes(self._now)
            yield from begin(changes, (), (), held)
            yield from changes.write()
            yield from count(changes.deltas, self._now)
        for operation_id, first_id, number, _, pool_id, letters in rows:
            if letters is None:
                letters = yield from first_letters(operation_id, first_id)
            runs = {letter: Run(self._book.number(pool_id, LETTER_CHANNEL[letter]), 0, 0) for letter in letters}
            yield from insert_queues(self._book.unsaved())
            yield from expand_chunk(Expansion(operation_id, first_id, number, (), runs), self._now)
        return len(rows)

    def _begin(self, due: Sequence[Beginning]) -> Script[None]:
        rows = [
            (self._book.number(one.pool_id, LETTER_CHANNEL[one.letter]), 0, one.message_id, one.cost, one.due)
            for one in due
        ]
        changes = Changes(self._now)
        yield from insert_queues(self._book.unsaved())
        yield from begin(changes, rows, due, ())
        yield from changes.write()
        yield from count(changes.deltas, self._now)

    def _enqueue_again(self) -> Script[int]:
        rows = yield from due_again(self._now, AT_ONCE)
        if rows:
            yield from remove_later([(due, message_id) for due, message_id, *_ in rows])
            yield from enqueue([(queue_id, rank, key, cost, due) for due, key, queue_id, rank, cost in rows])
        return len(rows)

    # ------------------------------------------------------------ and has perhaps been sent

    def _doubt(self, rows: Sequence[Unsent]) -> Script[int]:
        senders = {queue_id: self._sender(queue_id) for queue_id in {row.queue_id for row in rows}}
        sent = [row for row in rows if row.open and senders[row.queue_id] is not None]
        yield from start_attempts([_begun(row, senders, self._now) for row in sent])
        over = [row for row in rows if not row.open]
        yield from remove([row[:3] for row in (*sent, *over)])
        return len(sent)

    def _sender(self, queue_id: int) -> Sender | None:
        """The sender whom a queue is for, else one of those that could have taken its rows."""
        key = self._book.keys[queue_id]
        if key.lane.isdigit() and (known := self._roster.senders.get(int(key.lane))) is not None:
            return known
        members = self._roster.members(key.pool_id, Channel(key.channel))
        return min((sender for sender, _ in members), key=lambda sender: sender.id, default=None)


def _begun(row: Unsent, senders: Mapping[int, Sender | None], now: int) -> NewAttempt:
    sender = senders[row.queue_id]
    assert sender is not None
    key = (row.message_id, row.attempts + 1, sender.id, sender.connection_id, sender.channel.value)
    return NewAttempt(*key, row.cost, 0, None, now, row.step)
