"""Compare each sender with its peers, country by country: one round of judgements. Pure: the time is an argument."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from sendpool.domain.health import ENOUGH_OF_A_TRICKLE, HEALTHY, USUAL, Peers, Standing, Thresholds, judge
from sendpool.domain.vitals import Counting, Figures, Route, Vitals

#: Senders that stand in for each other: the members of a pool on one channel.
Group = frozenset[int]
_NOBODYS: Mapping[int, Thresholds] = MappingProxyType({})


class Judged(NamedTuple):
    """How a route stands, and what that is judged by."""

    standing: Standing
    own: Figures
    peers: Peers


def judge_all(
    counting: Counting,
    groups: Mapping[int, Sequence[Group]],
    standings: Mapping[Route, Standing],
    now: float,
    thresholds: Mapping[int, Thresholds] = _NOBODYS,
) -> dict[Route, Judged]:
    """Judge every route that is counted or stands badly. *groups* are those that a sender belongs to, *thresholds* are
    by sender, where they are not the usual ones.

    A route that nobody stands in for has no peers, and is healthy.
    """
    by_country: dict[str, dict[int, Vitals]] = defaultdict(dict)
    for route, vitals in counting.routes.items():
        by_country[route.country][route.sender_id] = vitals
    for route in standings:
        if route not in counting.routes:
            by_country[route.country][route.sender_id] = Vitals()
    judged: dict[Route, Judged] = {}
    for country, senders in by_country.items():
        there = _Country(country, senders, groups, standings, thresholds, counting.reporting, now)
        judged.update((Route(sender_id, country), there.judge(sender_id)) for sender_id in senders)
    return judged


class _Sums:
    """What the members of a group add up to, so that each one's peers are the sums without it."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self.tried = self.watched = 0
        self.fault_share = self.loss_share = 0.0

    def add_delays(self, counts: Sequence[int]) -> None:
        self.delays = [a + b for a, b in zip(self.delays, counts, strict=True)] if self.delays else list(counts)

    def add(self, own: Figures, *, reports: bool) -> None:
        if own.tried >= ENOUGH_OF_A_TRICKLE:
            self.tried += 1
            self.fault_share += own.fault_share
        if reports and own.watched >= ENOUGH_OF_A_TRICKLE:
            self.watched += 1
            self.loss_share += own.loss_share


class _Country:
    """One country's part of a round."""

    def __init__(
        self,
        country: str,
        senders: Mapping[int, Vitals],
        groups: Mapping[int, Sequence[Group]],
        standings: Mapping[Route, Standing],
        thresholds: Mapping[int, Thresholds],
        reporting: set[int],
        now: float,
    ) -> None:
        self._groups, self._reporting, self._now = groups, reporting, now
        self._thresholds = thresholds
        self._standings = {one: standings.get(Route(one, country), HEALTHY) for one in senders}
        self._sums: dict[Group, _Sums] = defaultdict(_Sums)
        self._delays: dict[int, list[int]] = {}
        for one, vitals in senders.items():
            vitals.delays.turn(now)
            self._delays[one] = vitals.delays.counts()
            for group in groups.get(one, ()):
                self._sums[group].add_delays(self._delays[one])
        self._figures = {one: self._figures_of(one, vitals) for one, vitals in senders.items()}
        for one, own in self._figures.items():
            for group in groups.get(one, ()):
                self._sums[group].add(own, reports=one in reporting)

    def _figures_of(self, sender_id: int, vitals: Vitals) -> Figures:
        patience = Peers(0, 0.0, 0.0, self._peers_delays(sender_id)).patience
        look_back = self._standings[sender_id].look_back(self._thresholds.get(sender_id, USUAL))
        return vitals.figures(self._now, patience, look_back)

    def _peers_delays(self, sender_id: int) -> Sequence[float]:
        own = self._delays[sender_id]
        sums = [self._sums[group].delays for group in self._groups.get(sender_id, ())]
        return [sum(counts) - len(sums) * own[place] for place, counts in enumerate(zip(*sums, strict=True))]

    def judge(self, sender_id: int) -> Judged:
        own, reports = self._figures[sender_id], sender_id in self._reporting
        mine = _Sums()
        mine.add(own, reports=reports)
        sums = [self._sums[group] for group in self._groups.get(sender_id, ())]
        tried, fault_share = _mean((one.tried - mine.tried, one.fault_share - mine.fault_share) for one in sums)
        watched, loss_share = _mean((one.watched - mine.watched, one.loss_share - mine.loss_share) for one in sums)
        # Of what nothing is known among the peers nobody can be worse.
        peers = Peers(
            max(tried, watched),
            fault_share if tried else 1.0,
            loss_share if watched else 1.0,
            self._peers_delays(sender_id),
        )
        by = self._thresholds.get(sender_id, USUAL)
        return Judged(judge(own, peers, self._standings[sender_id], self._now, reports=reports, by=by), own, peers)


def _mean(parts: Iterable[tuple[int, float]]) -> tuple[int, float]:
    """(senders, mean share) over all groups; who is a peer in two of them counts twice."""
    known = list(parts)
    n = sum(part[0] for part in known)
    return n, max(0.0, sum(part[1] for part in known) / n) if n else 0.0
