"""Leave a channel that did not get to a message within the time that its policy stays there: on to the next one.

`wait` does so for attempts that are open; this is for rows that no sender of the channel has taken, because its
connection is down or others were first. Nothing has left, so there is nothing to take back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

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


class Timed(NamedTuple):
    """A queue whose rows may have been there too long, and the shortest time that a policy gives them, in seconds."""

    queue_id: int
    channel: Channel
    budget: float


def timed_queues(book: QueueBook, roster: Roster) -> list[Timed]:
    """The queues with rows on a channel that policies time, in pools with another channel to go on with."""
    found = []
    for queue_id, key in book.keys.items():
        pool, channel = roster.pools.get(key.pool_id), Channel(key.channel)
        if not book.waiting(queue_id) or key.lane == ASKING or pool is None or channel not in OTP_BUDGETS:
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
        standing = (yield from load_standing(row.message_id for row in rows)) if rows else {}
        past = yield from load_past_of_several(rows)
        moved = []
        for row in rows:
            message = standing[row.message_id]
            budget = policy_of(message, bench).budget(queue.channel)
            later = later_steps(message, past.get(row.message_id, ()), bench.roster, message.pool_id)
            if budget is None or not later or row.due + int(budget * 1e6) > bench.now:
                continue
            channel = LETTER_CHANNEL[message.plan[later[0]]]
            make_due(message, channel, None, bench.now / 1e6, row.rank, changes, bench, later[0])
            changes.steps.append((row.message_id, later[0], TOO_LONG))
            moved.append((queue.queue_id, row.rank, row.message_id))
        yield from remove(moved)
