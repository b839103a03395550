"""Plan anew what waits where nobody gets to it: in one sender's lane for longer than the grace, or in a lane that
nobody takes any more. It goes to another sender, to the next channel, or ends with the reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sendpool.domain.explanation import DESERTED
from sendpool.domain.message import LETTER_CHANNEL, at_step
from sendpool.domain.sender import Channel, Sender
from sendpool.domain.states import MessageState
from sendpool.pipeline.book import QueueBook
from sendpool.pipeline.countries import destination_of
from sendpool.pipeline.decide import Bench, expire, first_to_take, later_steps, make_due, untried
from sendpool.pipeline.lanes import why_nobody
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.settle import Changes
from sendpool.store.attempts import PastAttempt, load_past
from sendpool.store.database import Script
from sendpool.store.messages import Standing, load_standing
from sendpool.store.queue import DueRow

#: Seconds by which another sender has to be sooner: for less nobody leaves the sender that should have a message.
SOONER = 1.0
#: The rules of messages that end because nobody may send to their country, by their codes.
RULES = {21408: "sendpool/country", 21612: "sendpool/destination", 30034: "sendpool/campaign"}


def replan(rows: Sequence[DueRow], bench: Bench, changes: Changes) -> Script[list[DueRow]]:
    """Give rows that one sender has kept waiting to another that has not tried them; returns those that left its lane.

    *rows* are the first of one lane. Where its sender has left the pool and no other is left on the channel, they go on
    as after a failure: with the next channel, or they end.
    """
    keys = [row.message_id for row in rows]
    standing = (yield from load_standing(keys)) if keys else {}
    past = (yield from load_past(keys)) if keys else {}
    moved = []
    stranded = []
    ahead = 0
    for row in rows:
        message = standing[row.message_id]
        lane = int(bench.book.keys[row.queue_id].lane)
        channel = Channel(bench.book.keys[row.queue_id].channel)
        tries = past.get(row.message_id, ())
        others = [one for one in untried(message, channel, tries, bench) if one.id != lane]
        gone = all(sender.id != lane for sender, _ in bench.roster.members(message.pool_id, channel))
        ready = {one.id: _would_take(one, message, channel, bench) for one in others}
        own = _own_turn(row, lane, ahead, bench)
        free = others if gone else [one for one in others if ready[one.id] + SOONER < own]
        if free:
            chosen = _choose(free, ready, message, channel, bench)
            queue_id = bench.book.number(message.pool_id, channel, str(chosen.id))
            changes.due.append((queue_id, row.rank, row.message_id, row.cost, bench.now))
        elif gone and not leave_channel(message, tries, row, changes, bench):
            stranded.append(row.message_id)
        if free or gone:
            moved.append(row)
        else:
            ahead += row.cost
    yield from expire(stranded, changes, orphaned=True)
    return moved


def _would_take(sender: Sender, message: Standing, channel: Channel, bench: Bench) -> float:
    return bench.would_take(sender, bench.book.number(message.pool_id, channel, str(sender.id)))


def _own_turn(row: DueRow, sender_id: int, ahead: int, bench: Bench) -> float:
    """When the lane's own sender would get to a row that has *ahead* segments before it.

    Where it says "soon" and the row has waited for long, half of that is believed instead: its window may be full.
    """
    sender = bench.roster.senders.get(sender_id)
    pace = sender.mps if sender is not None else 1.0
    waited = (bench.now - row.due) / 1e6
    return max(bench.free_at(sender_id) + ahead / pace, bench.moment + waited / 2)


def _choose(
    free: Sequence[Sender], ready: Mapping[int, float], message: Standing, channel: Channel, bench: Bench
) -> Sender:
    """The one that the pool's preference names among those that are in time, else who would be first."""
    lanes = bench.roster.lanes(message.pool_id, channel)
    latest = bench.moment + lanes.choice.grace
    soon = {one.id for one in free if ready[one.id] <= latest}
    seat = lanes.pick(at_step(message.address, message.step), soon)
    if seat is None:
        return first_to_take(free, message, channel, bench)
    bench.given[seat.sender_id] += 1
    return bench.roster.senders[seat.sender_id]


def relane(rows: Sequence[DueRow], bench: Bench, changes: Changes) -> Script[list[DueRow]]:
    """Move rows of a lane that nobody takes to the one that is theirs today; where nobody may send to them, to the next
    channel, or they end with the reason. Returns those that left.
    """
    keys = [row.message_id for row in rows]
    standing = (yield from load_standing(keys)) if keys else {}
    past = (yield from load_past(keys)) if keys else {}
    ended: dict[int, list[int]] = defaultdict(list)
    for row in rows:
        message = standing[row.message_id]
        channel = Channel(bench.book.keys[row.queue_id].channel)
        address = at_step(message.address, message.step)
        lanes = bench.roster.lanes(message.pool_id, channel)
        if lanes.serves(address):
            queue_id = bench.book.number(message.pool_id, channel, lanes.lane(address))
            changes.due.append((queue_id, row.rank, row.message_id, row.cost, bench.now))
        elif not leave_channel(message, past.get(row.message_id, ()), row, changes, bench):
            code, _ = why_nobody(destination_of(address), [lanes])
            ended[code].append(row.message_id)
    for code, message_ids in ended.items():
        yield from expire(message_ids, changes, rule=RULES[code])
    return list(rows)


def leave_channel(
    message: Standing,
    past: Sequence[PastAttempt],
    row: DueRow,
    changes: Changes,
    bench: Bench,
    *,
    noted: str = DESERTED,
) -> bool:
    """Make a message due on the first later step that has senders, and note why. False: there is none."""
    later = later_steps(message, past, bench.roster, message.pool_id)
    if not later or message.state not in (MessageState.QUEUED, MessageState.SENT):
        return False
    channel = LETTER_CHANNEL[message.plan[later[0]]]
    make_due(message, channel, None, bench.now / 1e6, row.rank, changes, bench, later[0])
    changes.steps.append((message.message_id, later[0], noted))
    return True


def stuck_lanes(book: QueueBook, roster: Roster) -> list[int]:
    """Queues with rows that nobody takes although the pool has senders on the channel."""
    return [
        book.number(pool_id, channel, key.lane)
        for pool_id, channel, keys in book.pools()
        for key in keys
        if roster.lanes(pool_id, channel).is_stuck(key.lane)
    ]


class Sooner:
    """Whether somebody else of a pool would get to what waits in one sender's lane; asked before rows are read."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._first: dict[tuple[int, Channel], list[tuple[float, int]]] = {}

    def than(self, sender_id: int, pool_id: int, channel: Channel, waiting: int) -> bool:
        """*waiting* rows stand in the lane of this sender."""
        two = self._first.get((pool_id, channel))
        if two is None:
            two = self._first[pool_id, channel] = self._first_two(pool_id, channel)
        other = next((at for at, key in two if key != sender_id), None)
        sender = self._bench.roster.senders.get(sender_id)
        if other is None or sender is None:
            return sender is None
        return other + SOONER < self._bench.free_at(sender_id) + waiting / sender.mps

    def _first_two(self, pool_id: int, channel: Channel) -> list[tuple[float, int]]:
        bench = self._bench
        times = (
            (bench.would_take(sender, bench.book.number(pool_id, channel, str(sender.id))), sender.id)
            for sender, _ in bench.roster.members(pool_id, channel)
        )
        return sorted(times)[:2]
