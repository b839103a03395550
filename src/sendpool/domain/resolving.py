"""Which senders could reach a human, the best first. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from sendpool.domain.message import LETTER_CHANNEL
from sendpool.domain.plan import steps
from sendpool.domain.sender import AddressSpace, Channel

T = TypeVar("T")

#: Pairs that one answer names.
MOST_PAIRS = 10


class Pair(NamedTuple, Generic[T]):
    """A sender, the address that it would send to (by its place), and how soon its turn would come: 0 is first.

    Pairs of one priority take turns: they are one channel to one address.
    """

    sender: T
    place: int
    priority: int


def resolve(
    spaces: Sequence[AddressSpace],
    senders: Mapping[Channel, Sequence[T]],
    filter_in: Collection[Channel] | None = None,
    priority: Mapping[Channel, int] | None = None,
) -> list[Pair[T]]:
    """The best pairs of *senders* and the addresses of one human, which lie in *spaces*.

    They come in the order in which a message to these addresses would try them; *filter_in* and *priority* are those
    of a send.
    """
    available = {channel for channel, found in senders.items() if found}
    letters, places = steps("".join(space[0] for space in spaces), available, filter_in, priority)
    pairs = (
        Pair(one, place, rank)
        for rank, (letter, place) in enumerate(zip(letters, places, strict=True))
        for one in senders[LETTER_CHANNEL[letter]]
    )
    return list(islice(pairs, MOST_PAIRS))
