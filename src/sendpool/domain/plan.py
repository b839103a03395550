"""The steps of a message: over which channel to which address of its recipient, in order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from sendpool.domain.message import STEP_LETTER
from sendpool.domain.routing import plan
from sendpool.domain.sender import AddressSpace, Channel

#: By the letter that rows and requests have for it.
SPACES = {space[0]: space for space in AddressSpace}
_LAST = 1 << 62


class Steps(NamedTuple):
    """What a recipient's addresses allow: a channel's letter for each step, and which of the addresses it goes to."""

    letters: str
    places: tuple[int, ...]


def steps(
    spaces: str,
    available: Collection[Channel],
    filter_in: Collection[Channel] | None = None,
    priority: Mapping[Channel, int] | None = None,
    reach: Sequence[Channel] | None = None,
    served: Callable[[Channel, int], bool] | None = None,
) -> Steps:
    """The steps over all addresses of a recipient, whose address spaces are *spaces* ("PWE"); none: unaddressable.

    *priority* orders the channels first; then the addresses go in the order in which they were given, each over the
    channels that reach it. *reach* is that of `routing.plan`; *served* says whether anybody on a channel may send to
    the address at a place (None: somebody may).
    """
    found = [
        (channel, place)
        for place, letter in enumerate(spaces)
        for channel in plan(SPACES[letter], available, filter_in, priority, reach)
        if served is None or served(channel, place)
    ]
    if priority:
        found.sort(key=lambda step: priority.get(step[0], _LAST))
    return Steps("".join(STEP_LETTER[channel] for channel, _ in found), tuple(place for _, place in found))


def along(steps: Steps, addresses: str, spaces: str) -> tuple[str, str]:
    """A recipient's addresses and their spaces as a message keeps them: that of each step, or one where all have it."""
    parts = addresses.split(" ")
    places = set(steps.places)
    if len(places) == 1:
        place = places.pop()
        return parts[place], spaces[place]
    return " ".join(parts[place] for place in steps.places), "".join(spaces[place] for place in steps.places)
