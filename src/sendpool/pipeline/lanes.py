"""The lanes of a pool on one channel: who may take which rows, and where a row waits.

A lane is a rule that is resolved against today's members: anybody; a country, which those take who may send there; or
one sender, who should have the row and gets it unless the grace is over first. So a sender that joins takes what waits
already, one that leaves strands nothing, and no claim scans past rows that it may not take.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property

from sendpool.domain.destinations import EVERYWHERE, Countries, exclusion, is_bound
from sendpool.domain.pool import Choice, Member, Pool
from sendpool.domain.preference import Preference, Seat, best_tier, number_of, preferred, rendezvous
from sendpool.domain.reasons import Reason, Remark
from sendpool.domain.sender import Channel, Sender
from sendpool.pipeline.book import ANYONE, ASKING, QueueBook, is_one_senders
from sendpool.pipeline.countries import destination_of

_USUAL = Choice()
#: The codes for a recipient whom nobody may send to for the sake of its country.
BARRED, NO_SENDER_THERE, UNREGISTERED = 21408, 21612, 30034


def is_country(lane: str) -> bool:
    """Whether a lane is that of a country."""
    return lane.isalpha()


class Lanes:
    """One picture of a pool's members on a channel. Never changed: another roster brings another."""

    def __init__(
        self, pool: Pool | None, members: Sequence[tuple[Sender, Member]], account: Countries = EVERYWHERE
    ) -> None:
        """*account* are the countries that the pool's account sends to."""
        self.choice = pool.choice if pool is not None else _USUAL
        self._account = account
        self._members = members
        #: Whether a member does not send everywhere: rows then wait by country.
        self.bound = any(is_bound(sender) for sender, _ in members)
        #: Whether not everybody can be sent to.
        self.restricted = self.bound or not (account.everywhere and self.choice.countries.everywhere)
        #: Whether every row waits in the lane of anybody.
        self.plain = not self.bound and (self.choice.preference is Preference.SPREAD or len(members) < 2)
        self._by_country: dict[str, tuple[Seat, ...]] = {}
        self._takers: dict[str, frozenset[int] | None] = {}

    @cached_property
    def seats(self) -> tuple[Seat, ...]:
        """Every member, as choices see them."""
        return tuple(
            Seat(
                sender.id,
                number_of(sender.uid),
                member.weight,
                member.tier,
                sender.destinations.country,
                sender.destinations.area,
            )
            for sender, member in self._members
        )

    @cached_property
    def tiers(self) -> tuple[int, ...]:
        """The tiers that there are, the best first."""
        return tuple(sorted({member.tier for _, member in self._members}))

    @cached_property
    def tier_of(self) -> dict[int, int]:
        """The tier of each sender."""
        return {sender.id: member.tier for sender, member in self._members}

    def barred(self, country: str) -> Remark | None:
        """Why the pool or its account sends nothing to a country; None: it does."""
        if self.choice.countries.hold(country) and self._account.hold(country):
            return None
        return Remark(Reason.NOT_IN_COUNTRY, about=country)

    def exclusions(self, country: str) -> dict[int, Remark]:
        """Why each of those senders may not send to a country who may not."""
        barred = self.barred(country)
        remarks = ((sender.id, barred or exclusion(sender, country)) for sender, _ in self._members)
        return {sender_id: remark for sender_id, remark in remarks if remark is not None}

    def fit(self, country: str) -> tuple[Seat, ...]:
        """Who may send to a country."""
        if not self.restricted:
            return self.seats
        found = self._by_country.get(country)
        if found is None:
            excluded = self.exclusions(country)
            found = tuple(seat for seat in self.seats if seat.sender_id not in excluded)
            self._by_country[country] = found
        return found

    def serves(self, address: str) -> bool:
        """Whether anybody may send to an address."""
        return bool(self._members) and (not self.restricted or bool(self.fit(destination_of(address))))

    def may(self, sender_id: int, address: str) -> bool:
        """Whether a sender may send to an address."""
        return not self.restricted or any(seat.sender_id == sender_id for seat in self.fit(destination_of(address)))

    def class_of(self, address: str) -> str:
        """The lane of an address where no single sender should have it."""
        return destination_of(address) if self.bound else ANYONE

    def lane(self, address: str, able: Collection[int] | None = None) -> str:
        """Where a row for an address waits; *able* are the senders that reach it, where that is known (None: all)."""
        if self.plain and able is None:
            return ANYONE
        seat = self.pick(address, able)
        if seat is not None:
            return str(seat.sender_id)
        if able is not None and not self._claiming(address) <= set(able):
            fitting = [seat for seat in self.fit(destination_of(address)) if seat.sender_id in able]
            if fitting:
                return str(rendezvous(address, fitting).sender_id)
        return self.class_of(address)

    def _claiming(self, address: str) -> frozenset[int]:
        """Everybody who takes rows of the class of an address."""
        return frozenset(seat.sender_id for seat in self.fit(destination_of(address)))

    def pick(self, address: str, able: Collection[int] | None = None) -> Seat | None:
        """The one sender of the best tier, out of those *able*, that should have a message; None: any of them."""
        if self.choice.preference is Preference.SPREAD:
            return None
        country = destination_of(address)
        fitting = self.fit(country)
        if able is not None:
            fitting = tuple(seat for seat in fitting if seat.sender_id in able)
        if len(fitting) < 2:
            return None
        best = best_tier(fitting)
        if len(best) == 1:
            # A tier waits for its only sender by itself, and lets others in when that cannot take it in time.
            return None
        return preferred(self.choice.preference, address, country, best)

    def takers(self, lane: str) -> frozenset[int] | None:
        """The senders that take rows of a lane; None: every member."""
        if lane == ANYONE and not self.bound:
            return None
        found = self._takers.get(lane)
        if found is None:
            found = self._takers[lane] = self._find_takers(lane)
        return found

    def _find_takers(self, lane: str) -> frozenset[int]:
        if lane == ANYONE:
            # A member that does not send everywhere takes rows only where it is seen that it may.
            return frozenset(sender.id for sender, _ in self._members if not is_bound(sender))
        if is_country(lane):
            return frozenset(sender.id for sender, _ in self._members if exclusion(sender, lane) is None)
        if is_one_senders(lane):
            return frozenset(sender.id for sender, _ in self._members if str(sender.id) == lane)
        return frozenset()

    def is_stuck(self, lane: str) -> bool:
        """Whether nobody takes a lane's rows although the pool has senders: they have to be planned anew."""
        return bool(self._members) and (lane == ANYONE or is_country(lane)) and self.takers(lane) == frozenset()


def why_nobody(country: str, lanes: Collection[Lanes]) -> tuple[int, str]:
    """The code and the reason why nobody sends to a country."""
    if any(one.barred(country) for one in lanes):
        return BARRED, f"this pool or account does not send to {country}; its countries say so"
    remarks = [remark for one in lanes for remark in one.exclusions(country).values()]
    if any(remark.reason is Reason.UNREGISTERED for remark in remarks):
        return UNREGISTERED, f"no sender of this pool has a registered campaign for {country}"
    return NO_SENDER_THERE, f"no sender of this pool may send to {country}"


def entry(book: QueueBook, lanes: Lanes, pool_id: int, channel: Channel, address: str) -> int:
    """The queue in which a message for this address begins a step on a channel of a pool."""
    return book.number(pool_id, channel, ASKING if book.asks(pool_id, channel) else lanes.lane(address))


def common_entry(book: QueueBook, lanes: Lanes, pool_id: int, channel: Channel) -> int | None:
    """The same where it is one queue for all addresses; None: it hangs on them."""
    if book.asks(pool_id, channel):
        return book.number(pool_id, channel, ASKING)
    return book.number(pool_id, channel, ANYONE) if lanes.plain else None
