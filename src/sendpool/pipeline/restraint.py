"""Restrain: which senders of a pool are to get little of what goes to a country, as health has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from sendpool.domain.health import TRICKLE
from sendpool.domain.reasons import Reason, Remark
from sendpool.domain.trickle import Trickle, Trickles
from sendpool.pipeline.countries import country_of
from sendpool.pipeline.links import Gate

#: The part of a pool's throughput that healthy senders must have for others to be held back: with less, messages would
#: only pile up at those few.
LEFT_AT_LEAST = 0.25
#: Seconds for which a sender gets nothing of what goes to a country that a carrier does not let it send to
#: (failover notes, row 8).
CLOSED_FOR = 3600.0


class Able(NamedTuple):
    """A sender of a pool that could send now."""

    sender_id: int
    weight: float
    mps: float


class Restraint:
    """Shares of senders that are not healthy, and what that leaves them in each pool. Lives on the event loop."""

    def __init__(self, clock: Callable[[], float], gates: Mapping[int, Gate]) -> None:
        """*gates*, by sender, are told what their health keeps from them."""
        self._clock = clock
        self._gates = gates
        self._healthy: Mapping[int, Mapping[str, float]] = {}
        #: The share that a sender is left with while it is unhealthy, where it is not the usual one.
        self.least: Mapping[int, float] = {}
        #: Until when nothing goes from a sender to a country.
        self._closed: dict[tuple[int, str], float] = {}
        self._shares: dict[int, dict[str, float]] = {}
        self._trickles: dict[tuple[int, int, str], Trickle] = {}
        #: Whether a pool takes health into account.
        self.heeds: Callable[[int], bool] = lambda _pool_id: True

    def __bool__(self) -> bool:
        return bool(self._shares)

    def close(self, sender_id: int, country: str) -> None:
        """A carrier does not let a sender send to a country: others take it, for an hour."""
        self._closed[sender_id, country] = self._clock() + CLOSED_FOR
        self.restrain(self._healthy)

    def open(self, sender_id: int) -> None:
        """Forget what carriers have said of a sender: its connection was bound anew, perhaps with other rights."""
        self._closed = {key: until for key, until in self._closed.items() if key[0] != sender_id}
        self.restrain(self._healthy)

    def restrain(self, shares: Mapping[int, Mapping[str, float]]) -> None:
        """From now on these senders get these parts of what goes to these countries, and all others everything."""
        now = self._clock()
        self._healthy = shares
        self._closed = {key: until for key, until in self._closed.items() if until > now}
        self._shares = {sender_id: dict(countries) for sender_id, countries in shares.items() if countries}
        for sender_id, country in self._closed:
            self._shares.setdefault(sender_id, {})[country] = 0.0
        for sender_id, gate in self._gates.items():
            gate.health = self._remark(sender_id)
        self._trickles = {key: one for key, one in self._trickles.items() if key[2] in self._shares.get(key[1], ())}

    def _remark(self, sender_id: int) -> Remark | None:
        countries = self._shares.get(sender_id)
        if not countries:
            return None
        reason = Reason.TRICKLE if min(countries.values()) <= self.least.get(sender_id, TRICKLE) else Reason.RECOVERING
        return Remark(reason, about=", ".join(sorted(countries)))

    def restrains(self, pool_id: int, sender_id: int, address: str) -> bool:
        """Whether a sender is to get little of what a pool sends where this address is."""
        return bool(self._shares) and country_of(address) in self._shares_in(pool_id, sender_id)

    def _shares_in(self, pool_id: int, sender_id: int) -> Mapping[str, float]:
        """What a sender is left with in a pool, by country. What carriers have closed is closed in every pool."""
        shares = self._shares.get(sender_id, {})
        if not shares or self.heeds(pool_id):
            return shares
        return {country: 0.0 for country in shares if (sender_id, country) in self._closed}

    def in_pool(self, remark: Remark, pool_id: int, sender_id: int) -> Remark:
        """What a remark about a sender's health says of it in one pool."""
        if remark.reason not in (Reason.TRICKLE, Reason.RECOVERING) or self.heeds(pool_id):
            return remark
        closed = self._shares_in(pool_id, sender_id)
        return Remark(Reason.TRICKLE, about=", ".join(sorted(closed))) if closed else Remark(Reason.READY)

    def of(self, pool_id: int, able: Sequence[Able]) -> dict[int, Trickles]:
        """The trickles of a pool's senders, where enough healthy ones are *able* to take the rest."""
        found: dict[int, dict[str, Trickle]] = {}
        shares = {one.sender_id: self._shares_in(pool_id, one.sender_id) for one in able}
        for country in {country for of_one in shares.values() for country in of_one}:
            enough = _are_enough(able, shares, country)
            others = any(country not in shares[one.sender_id] for one in able)
            if others:
                total = sum(one.weight for one in able)
                for one in able:
                    share = shares[one.sender_id].get(country)
                    # Who may not send there is kept out however few the others are.
                    if share is not None and (enough or share == 0.0):
                        part = share * one.weight / total
                        found.setdefault(one.sender_id, {})[country] = self._trickle(pool_id, one, country, part)
        return dict(found)

    def _trickle(self, pool_id: int, one: Able, country: str, part: float) -> Trickle:
        key = (pool_id, one.sender_id, country)
        trickle = self._trickles.get(key)
        if trickle is None:
            trickle = self._trickles[key] = Trickle()
        trickle.part = part
        trickle.closed = (one.sender_id, country) in self._closed
        return trickle


def _are_enough(able: Sequence[Able], shares: Mapping[int, Mapping[str, float]], country: str) -> bool:
    healthy = [one.mps for one in able if country not in shares[one.sender_id]]
    return bool(healthy) and sum(healthy) >= LEFT_AT_LEAST * sum(one.mps for one in able)


def in_country(remark: Remark, country: str) -> Remark:
    """What a remark about a sender's health says of a message to one country: the sender is ready for all others."""
    if remark.reason not in (Reason.TRICKLE, Reason.RECOVERING):
        return remark
    return remark._replace(about=country) if country in remark.about.split(", ") else Remark(Reason.READY)
