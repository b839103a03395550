"""Which senders could reach a human, the best first. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from sendpool.domain.routing import plan
from sendpool.domain.sender import AddressSpace, Channel

T = TypeVar("T")

#: Pairs that one answer names.
MOST_PAIRS = 10
_LAST = 1 << 62


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

    *filter_in* and *priority* are those of a send (`routing.plan`). Priority orders the channels first; then the
    addresses go in the order in which they were given, each over the channels that reach it.
    """
    available = {channel for channel, found in senders.items() if found}
    steps = [
        (channel, place)
        for place, space in enumerate(spaces)
        for channel in plan(space, available, filter_in, priority)
    ]
    if priority:
        steps.sort(key=lambda step: priority.get(step[0], _LAST))
    pairs = (Pair(one, place, rank) for rank, (channel, place) in enumerate(steps) for one in senders[channel])
    return list(islice(pairs, MOST_PAIRS))
