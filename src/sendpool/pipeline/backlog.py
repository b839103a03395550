"""How many messages of each account wait, scheduled ones included, and the most that may.

Counted in the database every few seconds; in between, what is accepted is added and nothing is taken off. So the
figure is never too low, and soon right again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

#: Seconds after which a client that was refused may try again.
RETRY_AFTER = 10.0
#: Messages that may wait where no setting says otherwise.
MOST = 10_000_000


class QueueFull(Exception):
    """An account has as many messages waiting as it may. It says what to do."""


class Backlog:
    """Lives on the event loop."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        #: Whether somebody was refused since the last count.
        self.refused = False
        self._counted: Mapping[int, int] = {}
        #: Accepted since the last count began, and on their way into the database.
        self._stored: Counter[int] = Counter()
        self._pending: Counter[int] = Counter()

    def waiting(self, account_id: int) -> int:
        """How many messages of an account wait: what is sure, or a little more."""
        return self._counted.get(account_id, 0) + self._stored[account_id] + self._pending[account_id]

    def admit(self, account_id: int) -> None:
        """Return if an account may send more. Raises `QueueFull`.

        The request that reaches the limit may pass it: else one that is larger than the limit could never be sent.
        """
        waiting = self.waiting(account_id)
        if waiting >= self.most:
            self.refused = True
            raise QueueFull(
                f"{waiting:,} messages of this account wait to be sent, and {self.most:,} may (server.max_queued);"
                " cancel what is no longer wanted, or send more slowly"
            )

    def has_room(self, account_id: int, requests: int) -> bool:
        """Whether so many requests of one message each may come, one after the other."""
        return self.waiting(account_id) + requests <= self.most

    def taken(self, account_id: int, messages: int) -> None:
        """So many are on their way into the database."""
        self._pending[account_id] += messages

    def stored(self, account_id: int, messages: int) -> None:
        """They are there."""
        self._pending[account_id] -= messages
        self._stored[account_id] += messages

    def dropped(self, account_id: int, messages: int) -> None:
        """They are not, and will not be."""
        self._pending[account_id] -= messages

    def mark(self) -> Counter[int]:
        """What has been stored when a count begins, to be handed over with what it finds."""
        return self._stored.copy()

    def counted(self, found: Mapping[int, int], mark: Counter[int]) -> None:
        """Take over what a count has found by account."""
        self._counted = found
        # What was stored while it ran may be in it or not, so it counts once more until the next one.
        self._stored -= mark
        self.refused = False
