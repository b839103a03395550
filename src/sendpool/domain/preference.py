"""Which of the senders that may take a message should: always the same one, the nearest one, the best tier. Pure.

*Sticky* is a weighted rendezvous hash: each sender draws a score for each recipient, and the highest takes it. So when
a sender leaves, only its own recipients move, and one that joins takes from the others only what it then keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from hashlib import blake2b
from math import log
from typing import NamedTuple

_ONES = (1 << 64) - 1
#: Odd multipliers of a 64-bit finalizer (the ones of splitmix64): each input bit moves half of the output's.
_MIX_1, _MIX_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


class Preference(StrEnum):
    """How a pool chooses among its senders."""

    #: Whoever is free first; among those, who has served least for its weight.
    SPREAD = "spread"
    #: A recipient always gets the same sender, as long as it is there.
    STICKY = "sticky"
    #: The sender nearest to the recipient: of its area code, else of its country.
    MATCH = "match"


class Seat(NamedTuple):
    """A member of a pool as a choice sees it."""

    sender_id: int
    #: What `number_of` makes of its lasting name.
    number: int
    weight: float = 1.0
    tier: int = 0
    country: str = ""
    #: The beginning of the numbers of its area code; "" for none.
    area: str = ""


def number_of(name: bytes) -> int:
    """64 evenly spread bits that a name always gives."""
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big")


def _score(recipient: int, seat: int) -> int:
    mixed = (recipient ^ seat) * _MIX_1 & _ONES
    mixed = (mixed ^ mixed >> 31) * _MIX_2 & _ONES
    return mixed ^ mixed >> 32


def rendezvous(recipient: str, seats: Sequence[Seat]) -> Seat:
    """The seat (of at least one) that a recipient always gets; each gets recipients in proportion to its weight."""
    number = number_of(recipient.encode())
    first = seats[0].weight
    if all(seat.weight == first for seat in seats):
        # The same seat as below, without a logarithm for each.
        return max(seats, key=lambda seat: _score(number, seat.number))
    return max(seats, key=lambda seat: -seat.weight / log((_score(number, seat.number) + 0.5) / (_ONES + 1)))


def closeness(seat: Seat, address: str, country: str) -> int:
    """How near a sender is to a recipient: 2 in its area code, 1 in its country, else 0."""
    if seat.area and address.startswith(seat.area):
        return 2
    return int(bool(seat.country) and seat.country == country)


def nearest(address: str, country: str, seats: Sequence[Seat]) -> Sequence[Seat]:
    """Those of the seats that nobody is nearer than."""
    by_distance: dict[int, list[Seat]] = {}
    for seat in seats:
        by_distance.setdefault(closeness(seat, address, country), []).append(seat)
    return by_distance[max(by_distance)] if by_distance else seats


def best_tier(seats: Sequence[Seat]) -> Sequence[Seat]:
    """The seats of the best tier, which is the lowest number."""
    best = min((seat.tier for seat in seats), default=0)
    return [seat for seat in seats if seat.tier == best]


def preferred(preference: Preference, address: str, country: str, seats: Sequence[Seat]) -> Seat | None:
    """The one of these seats that should take a message; None: any of them.

    Matching leaves it to any where all are equally near, and else draws among the nearest as sticky does.
    """
    if preference is Preference.SPREAD or len(seats) < 2:
        return None
    if preference is Preference.STICKY:
        return rendezvous(address, seats)
    near = nearest(address, country, seats)
    return None if len(near) == len(seats) else rendezvous(address, near)


def in_time(seats: Iterable[Seat], ready: Mapping[int, float], latest: float) -> list[Seat]:
    """Those of the best tier in which anybody is ready no later than *latest*; all, where nobody is in any.

    *ready* is when each sender could take the message, in seconds. This is what a tier means: a lower one is used only
    while no higher one can take the message in time.
    """
    seats = list(seats)
    soon = [seat for seat in seats if ready[seat.sender_id] <= latest]
    return list(best_tier(soon)) if soon else seats


def spare(waiting: float, paces: Sequence[float], grace: float) -> list[float]:
    """How many of *waiting* segments each tier (the best first) may take now, where the tiers above it have these
    *paces* (segments a second; 0 for one that is not there): what those cannot take within *grace* seconds.
    """
    left: list[float] = []
    above = 0.0
    for pace in paces:
        left.append(max(0.0, waiting - above * grace) if left else waiting)
        above += pace
    return left
