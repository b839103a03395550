"""Upkeep: what a round of the sweep does. Each step is part of a commit and gathers changes as settlements do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sendpool.domain.decision import Trigger
from sendpool.domain.states import MessageState
from sendpool.pipeline.decide import ASK_QUEUE, LAPSED, UNANSWERED, expire
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.fence import Fence
from sendpool.pipeline.leave import Laid, Timed, leave_channels, release
from sendpool.pipeline.replan import relane, replan
from sendpool.pipeline.settle import Ask, Changes, settle_receipts, told_again
from sendpool.store.database import Script
from sendpool.store.idempotency import forget_keys
from sendpool.store.limits import Learned, forget_counts, release_held, save_learned
from sendpool.store.queue import QueueRow, due_later, overdue_in_lane, remove, remove_later
from sendpool.store.receipts import unpark
from sendpool.store.schedule import Beginning, begin_messages, begin_operations, release_chunks, still_waiting
from sendpool.store.upkeep import Lingering, overdue_operations, parked_that_match, queued_messages, rows_in

Step = Callable[[Changes], Script[Any]]

#: Rows that one step looks at.
AT_ONCE = 1_000
#: Rows of single senders' lanes that one round looks at, over all lanes.
MOST_REPLANNED = 3_000


def as_keeper(step: Step, fence: Fence, epoch: int, changes: Changes) -> Script[None]:
    """Carry out a step unless another process has taken over what is done once for all."""
    if epoch in (yield from fence.held([epoch])):
        yield from step(changes)


def begin(
    changes: Changes, rows: Sequence[QueueRow], due: Sequence[Beginning], chunks: Sequence[tuple[int, int]]
) -> Script[None]:
    """Messages whose time has come, and chunks (operation, due) of them, are queued; those after quiet hours anew."""
    waiting = (yield from still_waiting([one.message_id for one in due])) if due else {}
    scheduled = {key for key, state in waiting.items() if state is MessageState.SCHEDULED}
    released = (yield from release_chunks(chunks)) if chunks else {}
    begun = Counter(one.operation_id for one in due if one.message_id in scheduled)
    begun.update(released)
    yield from begin_operations(begun, changes.now)
    yield from begin_messages(list(scheduled), changes.now)
    if due:
        yield from remove_later([(one.due, one.message_id) for one in due])
    changes.due += [row for row in rows if row[2] in waiting]
    for operation_id, messages in begun.items():
        changes.deltas[operation_id]["scheduled"] -= messages
        changes.deltas[operation_id]["queued"] += messages


def promote(changes: Changes, engine: Engine, first: int) -> Script[int]:
    """Rows whose time has come again, of those from *first* on, join their queues, at the rank that they had."""
    held = []
    rows = yield from due_later(changes.now, AT_ONCE, first)
    if rows:
        yield from remove_later([(due, message_id) for due, message_id, *_ in rows])
    for due, message_id, queue_id, rank, cost, since in rows:
        if queue_id == ASK_QUEUE:
            trigger = Trigger.LAPSED if cost == LAPSED else Trigger.TIME_OVER
            changes.asks.append(Ask(message_id, rank, trigger, unanswered=cost == UNANSWERED))
        elif since is not None:
            held.append(Laid(queue_id, rank, message_id, cost, since))
        else:
            changes.due.append((queue_id, rank, message_id, cost, due))
    if held:
        yield from release(held, engine.committing.bench(changes.now), changes)
    return len(rows)


def match_again(changes: Changes) -> Script[None]:
    """Receipts that were parked in the very moment in which their segment was stored."""
    rows = yield from parked_that_match(AT_ONCE)
    if rows:
        yield from unpark([row[0] for row in rows])
        yield from settle_receipts([told_again(row) for row in rows], changes)


def end_overdue(changes: Changes, engine: Engine) -> Script[None]:
    """Messages that wait after their deadline end, by name and with an event, not as late texts."""
    operations = yield from overdue_operations(changes.now, 100)
    engine.expander.hurry(key for key, _, unexpanded in operations if unexpanded)
    left = AT_ONCE
    for key, total, _ in operations:
        found = yield from queued_messages(key, total, left)
        yield from expire(found, changes)
        left -= len(found)
        if left <= 0:
            return


def keep_learned(changes: Changes, learned: Mapping[str, Learned]) -> Script[None]:
    """What throttle answers have taught outlives a restart."""
    yield from save_learned(learned)


def look_at_held(changes: Changes) -> Script[None]:
    """Who may send has changed: rows that limits hold have their chance again."""
    yield from release_held(changes.now)


def forget_old_counts(changes: Changes) -> Script[None]:
    """What lasting limits look back on no more goes."""
    yield from forget_counts(changes.now)


def forget_old_keys(changes: Changes) -> Script[None]:
    """Keys of requests are free again after a day."""
    yield from forget_keys(changes.now, AT_ONCE)


def end_orphans(changes: Changes, queue_ids: list[int]) -> Script[None]:
    """Messages of a deleted pool whose last sender has gone."""
    rows = yield from rows_in(queue_ids, AT_ONCE)
    yield from expire([message_id for _, _, message_id in rows], changes, orphaned=True)
    # Nobody is left to claim them, so they go here; else the next round would find the same ones again.
    yield from remove(rows)


def end_lingering(changes: Changes, rows: list[Lingering]) -> Script[None]:
    """Rows that no sender takes, because it is gone or down, leave when their message has ended or its time is over."""
    yield from expire([row.message_id for row in rows if row.open], changes)
    yield from remove([row[:3] for row in rows])


def leave_lanes(changes: Changes, engine: Engine, lanes: list[tuple[int, float]]) -> Script[None]:
    """Rows that one sender has kept waiting for longer than their grace go to another, if there is one."""
    bench = engine.committing.bench(changes.now)
    left = MOST_REPLANNED
    for queue_id, grace in lanes:
        before, first = changes.now - int(grace * 1e6), engine.book.heads.first_of(queue_id)
        rows = yield from overdue_in_lane(queue_id, before, min(left, AT_ONCE), first)
        moved = yield from replan(rows, bench, changes)
        yield from remove([(queue_id, row.rank, row.message_id) for row in moved])
        left -= len(rows)
        if left <= 0:
            return


def leave_stuck(changes: Changes, engine: Engine, queue_ids: list[int]) -> Script[None]:
    """Rows in lanes that nobody takes, since senders or rules have changed, go to those that are theirs now."""
    bench = engine.committing.bench(changes.now)
    for queue_id in queue_ids:
        rows = yield from overdue_in_lane(queue_id, changes.now + 1, AT_ONCE, engine.book.heads.first_of(queue_id))
        moved = yield from relane(rows, bench, changes)
        yield from remove([(queue_id, row.rank, row.message_id) for row in moved])


def leave_timed(changes: Changes, engine: Engine, queues: list[Timed]) -> Script[None]:
    """Rows that their channel has had for longer than its share of their time go to the next channel."""
    yield from leave_channels(queues, engine.committing.bench(changes.now), changes)
