"""Which senders could reach a human, the best first. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar

from sendpool.domain.message import LETTER_CHANNEL
from sendpool.domain.plan import steps
from sendpool.domain.sender import AddressSpace, Channel

T = TypeVar("T")

#: Pairs that one answer names.
MOST_PAIRS = 10


class Question(NamedTuple):
    """Who could reach a human at these addresses."""

    recipients: Sequence[tuple[str, AddressSpace]]
    #: A pool's uid, senders by channel and address, or None: all of the account.
    source: bytes | Sequence[tuple[Channel, str]] | None = None
    #: As of a send.
    filter_in: frozenset[Channel] | None = None
    priority: Mapping[Channel, int] = MappingProxyType({})


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
    reach: Sequence[Channel] | None = None,
    may: Callable[[T, Channel, int], bool] = lambda _sender, _channel, _place: True,
) -> list[Pair[T]]:
    """The best pairs of *senders* and the addresses of one human, which lie in *spaces*.

    They come in the order in which a message to these addresses would try them; *filter_in* and *priority* are those
    of a send, *reach* is that of a pool (`plan.steps`). *may* says whether a sender on a channel sends to the one at
    a place.
    """
    available = {channel for channel, found in senders.items() if found}

    def served(channel: Channel, place: int) -> bool:
        return any(may(one, channel, place) for one in senders[channel])

    letters, places = steps("".join(space[0] for space in spaces), available, filter_in, priority, reach, served)
    pairs = (
        Pair(one, place, rank)
        for rank, (letter, place) in enumerate(zip(letters, places, strict=True))
        for channel in (LETTER_CHANNEL[letter],)
        for one in senders[channel]
        if may(one, channel, place)
    )
    return list(islice(pairs, MOST_PAIRS))
