"""Hold: rows that a limit refuses are laid aside until its time comes, or until their time on the channel is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

from sendpool.domain.bounded import Held
from sendpool.domain.message import Category
from sendpool.domain.policy import PoolRules, policy_for
from sendpool.domain.scopes import Moment
from sendpool.domain.sender import Channel
from sendpool.store.database import Script
from sendpool.store.limits import hold
from sendpool.store.messages import Context
from sendpool.store.queue import DueRow

#: Microseconds after which a row that a limit holds and whose time on the channel is over is looked at again: nobody of
#: the next channel was there.
NEXT_CHANNEL_AGAIN = 5_000_000


def hold_limited(
    rows: Sequence[DueRow],
    held: Sequence[Held],
    channel: Channel,
    rules: PoolRules | None,
    contexts: Mapping[int, Context],
    moment: Moment,
) -> Script[None]:
    """Lay aside those of *rows* that are *held*, at their ranks. *rules* are their pool's."""
    now, wall = moment
    found = []
    for one in held:
        row = rows[one.place]
        # Up: a microsecond early, the limit would refuse it again.
        due = wall + 1 + ceil((one.until - now) * 1e6)
        over = _over_at(row, channel, rules, contexts[row.operation_id])
        if over is not None:
            due = min(due, over if over > wall else wall + NEXT_CHANNEL_AGAIN)
        found.append((due, row.message_id, row.queue_id, row.rank, row.cost, one.reason.value, row.due))
    yield from hold(found)


def _over_at(row: DueRow, channel: Channel, rules: PoolRules | None, context: Context) -> int | None:
    """When a row's time on its channel is over, in microseconds since 1970; None where it stays."""
    if row.step + 1 >= len(row.plan):
        return None
    budget = policy_for(Category(context.category), rules).budget(channel)
    return None if budget is None else row.due + int(budget * 1e6)
