"""Who is reachable on a channel that not every phone has: answers in memory, each with its time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

#: Seconds that an answer holds: a phone that has RCS keeps it, one without may get it (RCS practice: 24 h and 6 h).
REACHABLE_FOR = 86_400.0
UNREACHABLE_FOR = 21_600.0
#: Seconds that "nobody could say" holds: the message goes out by RCS with a short validity, and the next one asks.
UNSAID_FOR = 30.0
#: Answers kept in memory.
REMEMBERED = 200_000


class Reachability:
    """Who is reachable by which sender, as far as we were told and as long as that holds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: OrderedDict[tuple[int, str], tuple[bool | None, float]] = OrderedDict()

    def learn(self, sender_id: int, address: str, *, reachable: bool | None) -> None:
        """Remember an answer, or what a refused submit has shown. None: nobody could say, so assume the best."""
        lasting = UNSAID_FOR if reachable is None else REACHABLE_FOR if reachable else UNREACHABLE_FOR
        self._known[sender_id, address] = (reachable, self._clock() + lasting)
        self._known.move_to_end((sender_id, address))
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def ask(self, sender_id: int, address: str) -> bool | None:
        """Whether an address is reachable; None: not known, or not any more."""
        known = self._known.get((sender_id, address))
        return known[0] is not False if known is not None and known[1] > self._clock() else None

    def is_assumed(self, sender_id: int, address: str) -> bool:
        """Whether an address only counts as reachable because nobody could say."""
        known = self._known.get((sender_id, address))
        return known is not None and known[0] is None and known[1] > self._clock()
