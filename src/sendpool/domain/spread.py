"""Where the senders of a pool stand on a channel: what each has been given, for its weight.

Start-time fair queueing (Goyal, Vin, Cheng 1996) with senders as its flows: who has been given least goes first among
those that are free. Pure: it reads no clock.
"""

from __future__ import annotations

from collections.abc import Iterable

from sendpool.domain.dealing import Offer


class Spread:
    """The places of a pool's senders on one channel: segments given to each over its weight."""

    __slots__ = ("_places", "_virtual")

    def __init__(self) -> None:
        self._places: dict[int, float] = {}
        #: The highest place from which anybody has been given something.
        self._virtual = 0.0

    def place(self, sender_id: int) -> float:
        """Where a sender stands. One that is new, was away or had no room does not catch up: it is level with who was
        given something last.
        """
        return max(self._places.get(sender_id, 0.0), self._virtual)

    def note(self, offers: Iterable[Offer], level: float | None = None) -> None:
        """Keep what a claim has given to those whom it had an offer from.

        *level*: the lowest place among them before the claim, where there are others who were not asked. These keep
        what they are behind by: their turn comes.
        """
        for offer in offers:
            if offer.gave_from is not None:
                self._places[offer.sender_id] = offer.served
                self._virtual = max(self._virtual, offer.gave_from if level is None else level)
