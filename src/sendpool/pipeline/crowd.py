"""Small requests of one kind that come together are accepted together: what they add to a commit is one thing.

Callers that send one message at a time and wait for its answer make most of what a server does for each message. What
a front hands over in one turn is mostly of one kind (`alike`), so that all of it hangs on a few values.
"""

from __future__ import annotations

from collections.abc import Sequence

from sendpool.domain.message import Content
from sendpool.domain.outlook import Queued
from sendpool.domain.request import Accepted
from sendpool.domain.tuples import maker
from sendpool.pipeline.waiter import Waiter
from sendpool.store.chunks import NewChunk
from sendpool.store.messages import Context, NewMessage, NewOperation
from sendpool.store.queue import QueueRow
from sendpool.store.schedule import ScheduledRow

_accepted_of, _context_of = maker(Accepted), maker(Context)


class Crowd:
    """What several such requests add to a commit, and who waits for them: like an `Acceptance` of many operations.

    Each has one message, which is due at once and says the same to everybody.
    """

    __slots__ = ("contents", "done", "messages", "operations", "rows")

    # What larger requests have besides.
    chunks: Sequence[NewChunk] = ()
    errors: Sequence[tuple[int, int, str, str, int, str, int]] = ()
    scheduled: Sequence[NewMessage] = ()
    later: Sequence[ScheduledRow] = ()
    own: Sequence[tuple[int, str | None, str | None]] = ()
    born_failed: Sequence[tuple[NewMessage, int]] = ()

    def __init__(
        self,
        operations: Sequence[NewOperation],
        messages: Sequence[NewMessage],
        rows: Sequence[QueueRow],
        contents: Sequence[Content],
        done: Waiter[Sequence[Accepted]],
    ) -> None:
        self.operations = operations
        self.messages = messages
        self.rows = rows
        self.contents = contents
        self.done = done

    @property
    def account_id(self) -> int:
        """Whose they are."""
        return self.operations[0].account_id

    @property
    def total(self) -> int:
        """How many messages they add."""
        return len(self.operations)

    def accepted(self) -> list[Accepted]:
        """What their clients may rely on. All wait as the first does."""
        first = self.operations[0]
        queued = Queued(first.id, first.pool_id, first.category, first.priority, 1, 1, 0, None)
        return [_accepted_of((one.uid, one.id, queued, None)) for one in self.operations]

    def contexts(self) -> dict[int, Context]:
        """What sending needs to know of each operation, by its key, without reading it again."""
        new = self.operations[0]
        shared = (new.account_id, new.pool_id, new.category, new.deadline, new.validity)
        return {
            one.id: _context_of((one.id, *shared, one.uid.hex(), new.at, content, one.tags, False))
            for one, content in zip(self.operations, self.contents, strict=True)
        }
