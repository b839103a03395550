"""Who can send: senders, pools and members as they stand, in memory, replaced whole when they change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from sendpool.domain.destinations import EVERYWHERE, Countries
from sendpool.domain.email_content import domain_of
from sendpool.domain.pool import Member, Pool
from sendpool.domain.sender import Channel, Sender
from sendpool.pipeline.countries import area_of, country_of
from sendpool.pipeline.lanes import Lanes
from sendpool.store.database import Script
from sendpool.store.roster import load_countries, load_pools, load_senders

if TYPE_CHECKING:
    from sendpool.pipeline.alike import Alike, Kind
    from sendpool.pipeline.resolve import Plans


class Roster:
    """One consistent picture of senders and pools. Never changed: a new one takes its place."""

    def __init__(
        self,
        senders: Iterable[Sender] = (),
        pools: Iterable[Pool] = (),
        countries: Mapping[int, Countries] | None = None,
    ) -> None:
        """*countries* are those of accounts that do not send everywhere."""
        self.senders = {sender.id: sender for sender in senders}
        self.pools = {pool.id: pool for pool in pools}
        self._countries = countries or {}
        self._lanes: dict[tuple[int, Channel], Lanes] = {}
        self._channels: dict[int, frozenset[Channel]] = {}
        self._connections: dict[tuple[int, Channel], frozenset[int]] = {}
        self._throughputs: dict[tuple[int, Channel], float] = {}
        self._sharing: dict[int, frozenset[int]] = {}
        self._members: dict[tuple[int, Channel], tuple[tuple[Sender, Member], ...]] = {}
        #: Plans of kinds of requests, as `resolve` finds them.
        self.plans: dict[Hashable, Plans] = {}
        #: What small requests of one kind come to.
        self.alike: dict[Kind, Alike] = {}

    @cached_property
    def pool_by_uid(self) -> dict[bytes, Pool]:
        """Pools that can be named, by uid."""
        return {pool.uid: pool for pool in self.pools.values() if not pool.deleted and not pool.hidden}

    @cached_property
    def sender_by_uid(self) -> dict[bytes, Sender]:
        """Senders by uid."""
        return {sender.uid: sender for sender in self.senders.values()}

    @cached_property
    def sender_by_address(self) -> dict[tuple[int, Channel, str], Sender]:
        """Senders by (account, channel, address)."""
        return {(sender.account_id, sender.channel, sender.address): sender for sender in self.senders.values()}

    @cached_property
    def sender_by_domain(self) -> dict[tuple[int, str], Sender]:
        """Senders of whole domains by (account, domain); of several of one domain the first that is active."""
        whole = [sender for sender in self.senders.values() if sender.whole_domain]
        whole.sort(key=lambda one: (one.active, -one.id))
        return {(one.account_id, domain_of(one.address)): one for one in whole}

    @cached_property
    def hidden_by_sender(self) -> dict[int, Pool]:
        """The hidden pool that stands for a single sender, by the sender's key."""
        return {
            pool.members[0].sender_id: pool
            for pool in self.pools.values()
            if pool.hidden and not pool.everyone and pool.members
        }

    @cached_property
    def hidden_by_account(self) -> dict[int, Pool]:
        """The hidden pool that stands for all senders of an account, by the account's key."""
        return {pool.account_id: pool for pool in self.pools.values() if pool.everyone}

    @cached_property
    def _pools_of(self) -> dict[int, list[int]]:
        """The pools that each sender is in, by key."""
        found: dict[int, list[int]] = defaultdict(list)
        for pool in self.pools.values():
            for channel in self.channels(pool.id):
                for sender, _ in self.members(pool.id, channel):
                    found[sender.id].append(pool.id)
        return found

    def sharing(self, pool_id: int) -> frozenset[int]:
        """The other pools in which a sender of this one is, too."""
        found = self._sharing.get(pool_id)
        if found is None:
            mine = (sender.id for channel in self.channels(pool_id) for sender, _ in self.members(pool_id, channel))
            found = frozenset(other for sender_id in mine for other in self._pools_of[sender_id]) - {pool_id}
            self._sharing[pool_id] = found
        return found

    def members(self, pool_id: int, channel: Channel) -> tuple[tuple[Sender, Member], ...]:
        """The active senders of a pool on one channel."""
        key = (pool_id, channel)
        found = self._members.get(key)
        if found is None:
            found = self._members[key] = tuple(self._find_members(pool_id, channel))
        return found

    def _find_members(self, pool_id: int, channel: Channel) -> Iterable[tuple[Sender, Member]]:
        pool = self.pools.get(pool_id)
        if pool is None:
            return
        members: Iterable[Member] = pool.members
        if pool.everyone:
            members = [Member(sender_id=s.id) for s in self.senders.values() if s.account_id == pool.account_id]
        for member in members:
            sender = self.senders.get(member.sender_id)
            if sender is not None and sender.active and sender.channel is channel:
                yield sender, member

    def connections(self, pool_id: int, channel: Channel) -> frozenset[int]:
        """The connections of a pool's senders on one channel: few, however many senders there are."""
        key = (pool_id, channel)
        found = self._connections.get(key)
        if found is None:
            members = self.members(pool_id, channel)
            found = self._connections[key] = frozenset(sender.connection_id for sender, _ in members)
        return found

    def throughput(self, pool_id: int, channel: Channel) -> float:
        """Segments per second of all active senders of a pool on one channel."""
        key = (pool_id, channel)
        found = self._throughputs.get(key)
        if found is None:
            found = self._throughputs[key] = sum(sender.mps for sender, _ in self.members(pool_id, channel))
        return found

    def lanes(self, pool_id: int, channel: Channel) -> Lanes:
        """How the senders of a pool on one channel are chosen."""
        key = (pool_id, channel)
        found = self._lanes.get(key)
        if found is None:
            pool = self.pools.get(pool_id)
            account = EVERYWHERE if pool is None else self._countries.get(pool.account_id, EVERYWHERE)
            found = self._lanes[key] = Lanes(pool, self.members(pool_id, channel), account)
        return found

    def channels(self, pool_id: int) -> frozenset[Channel]:
        """The channels on which a pool has an active sender."""
        found = self._channels.get(pool_id)
        if found is None:
            found = frozenset(channel for channel in Channel if self.members(pool_id, channel))
            self._channels[pool_id] = found
        return found


def load_roster() -> Script[Roster]:
    """Read the roster as it stands."""
    senders = yield from load_senders()
    pools = yield from load_pools()
    countries = yield from load_countries()
    return Roster(map(_placed, senders), pools, countries)


def _placed(sender: Sender) -> Sender:
    """The same with what its address tells of where it is."""
    told = sender.destinations
    country, area = told.country or country_of(sender.address), area_of(sender.address)
    if (country, area) == (told.country, told.area):
        return sender
    return msgspec.structs.replace(sender, destinations=msgspec.structs.replace(told, country=country, area=area))
