"""Messages whose answer is missing, so that an event which names one proves that it got in."""

from __future__ import annotations

from sendpool.connectors.base import AttemptKey

#: Attempts of unknown fate that are remembered, the latest.
REMEMBERED = 10_000


class Doubts:
    """By message id: what is on its way, and what was given up as uncertain."""

    def __init__(self) -> None:
        self._flying: dict[str, bool] = {}
        self._uncertain: dict[str, AttemptKey] = {}

    def started(self, message_id: str) -> None:
        """A message is about to leave."""
        self._flying[message_id] = False

    def proven(self, message_id: str) -> bool:
        """Whether an event has named a message that is on its way."""
        return self._flying.get(message_id, False)

    def ended(self, message_id: str) -> bool:
        """Its answer is here, or no more will be awaited. True: an event has named it meanwhile."""
        return self._flying.pop(message_id, False)

    def uncertain(self, message_id: str, attempt: AttemptKey) -> None:
        """Nobody knows what became of it."""
        self._uncertain[message_id] = attempt
        if len(self._uncertain) > REMEMBERED:
            del self._uncertain[next(iter(self._uncertain))]

    def heard_of(self, message_id: str) -> AttemptKey | None:
        """An event names a message. Returns its attempt if that counted as uncertain: now it is settled."""
        if message_id in self._flying:
            self._flying[message_id] = True
        return self._uncertain.pop(message_id, None)
