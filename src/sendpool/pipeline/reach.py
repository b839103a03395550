"""Who is reachable on a channel that not every phone has: answers in memory, each with its time.

They come from asking ahead, where a connection can be asked, and from what carriers refuse, on any channel.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

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
        #: Whether anybody was ever said not to be reachable: as long as nobody was, no message need be looked at.
        self.refusals = False
        self._known: OrderedDict[tuple[int, str], tuple[bool | None, float]] = OrderedDict()

    def learn(self, sender_id: int, address: str, *, reachable: bool | None, lasting: float | None = None) -> None:
        """Remember an answer, or what a refusal has shown, for *lasting* seconds or as long as is usual. None: nobody
        could say, so assume the best.
        """
        if lasting is None:
            lasting = UNSAID_FOR if reachable is None else REACHABLE_FOR if reachable else UNREACHABLE_FOR
        self.refusals = self.refusals or reachable is False
        self._known[sender_id, address] = (reachable, self._clock() + lasting)
        self._known.move_to_end((sender_id, address))
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def ask(self, sender_id: int, address: str) -> bool | None:
        """Whether an address is reachable; None: not known, or not any more."""
        known = self._known.get((sender_id, address))
        return known[0] is not False if known is not None and known[1] > self._clock() else None

    def nobody(self, sender_ids: Iterable[int], address: str) -> bool:
        """Whether an address is known to be reachable by none of these senders."""
        # Nearly always the first one answers.
        return all(self.ask(sender_id, address) is False for sender_id in sender_ids)

    def is_assumed(self, sender_id: int, address: str) -> bool:
        """Whether an address only counts as reachable because nobody could say."""
        known = self._known.get((sender_id, address))
        return known is not None and known[0] is None and known[1] > self._clock()
