"""Leave a channel that did not get to a message within the time that its policy stays there: on to the next one.

`wait` does so for attempts that are open; this is for rows that no sender of the channel has taken, because its
connection is down or others were first. Nothing has left, so there is nothing to take back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from sendpool.domain.explanation import TOO_LONG
from sendpool.domain.message import LETTER_CHANNEL
from sendpool.domain.policy import OTP_BUDGETS
from sendpool.domain.sender import Channel
from sendpool.pipeline.book import ASKING, QueueBook
from sendpool.pipeline.decide import Bench, later_steps, make_due, policy_of
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.settle import Changes
from sendpool.store.attempts import load_past_of_several
from sendpool.store.database import Script
from sendpool.store.messages import load_standing
from sendpool.store.queue import overdue_in_lane, remove

#: Rows that are looked at in one round and queue. What is urgent stands near the head.
AT_ONCE = 1_000


class _Waiting(Protocol):
    @property
    def message_id(self) -> int:
        """The message."""

    @property
    def rank(self) -> int:
        """Its place in the queue."""

    @property
    def due(self) -> int:
        """Since when it has waited on the channel, in microseconds since 1970."""


R = TypeVar("R", bound=_Waiting)


class Laid(NamedTuple):
    """A row that was laid aside by a limit, as it goes back to its queue."""

    queue_id: int
    rank: int
    message_id: int
    cost: int
    #: Since when it has waited on its channel.
    due: int


class Timed(NamedTuple):
    """A queue whose rows may have been there too long, and the shortest time that a policy gives them, in seconds."""

    queue_id: int
    channel: Channel
    budget: float


def timed_queues(queue_ids: Iterable[int], book: QueueBook, roster: Roster) -> list[Timed]:
    """Those of these queues that are of a channel which policies time, in pools with another channel to go on with."""
    found = []
    for queue_id in queue_ids:
        key = book.keys.get(queue_id)
        pool = roster.pools.get(key.pool_id) if key is not None else None
        if key is None or pool is None or key.lane == ASKING or (channel := Channel(key.channel)) not in OTP_BUDGETS:
            continue
        after = pool.rules.fallback_after if pool.rules else None
        if len(roster.channels(pool.id)) > 1:
            found.append(Timed(queue_id, channel, OTP_BUDGETS[channel] if after is None else after))
    return found


def leave_channels(queues: Iterable[Timed], bench: Bench, changes: Changes) -> Script[None]:
    """Move the rows of these queues whose time there is over to the next step of their plan that has senders."""
    for queue in queues:
        before, first = bench.now - int(queue.budget * 1e6), bench.book.heads.first_of(queue.queue_id)
        rows = yield from overdue_in_lane(queue.queue_id, before, AT_ONCE, first)
        moved = yield from _move(rows, queue.channel, bench, changes)
        yield from remove([(queue.queue_id, row.rank, row.message_id) for row in moved])


def release(rows: Sequence[Laid], bench: Bench, changes: Changes) -> Script[None]:
    """Rows that a limit has held go back to their queues, or on to the next channel where their time is over."""
    timed = {queue.queue_id: queue for queue in timed_queues({row.queue_id for row in rows}, bench.book, bench.roster)}
    gone: set[int] = set()
    for queue_id, queue in timed.items():
        before = bench.now - int(queue.budget * 1e6)
        over = [row for row in rows if row.queue_id == queue_id and row.due <= before]
        gone |= {row.message_id for row in (yield from _move(over, queue.channel, bench, changes))}
    changes.due += [row for row in rows if row.message_id not in gone]


def _move(rows: Sequence[R], channel: Channel, bench: Bench, changes: Changes) -> Script[list[R]]:
    """Make those due on their next channel whose time on this one is over; returns them."""
    standing = (yield from load_standing(row.message_id for row in rows)) if rows else {}
    past = yield from load_past_of_several(standing.values())
    moved = []
    for row in rows:
        message = standing[row.message_id]
        budget = policy_of(message, bench).budget(channel)
        later = later_steps(message, past.get(row.message_id, ()), bench.roster, message.pool_id)
        if budget is None or not later or row.due + int(budget * 1e6) > bench.now:
            continue
        make_due(
            message, LETTER_CHANNEL[message.plan[later[0]]], None, bench.now / 1e6, row.rank, changes, bench, later[0]
        )
        changes.steps.append((row.message_id, later[0], TOO_LONG))
        moved.append(row)
    return moved
