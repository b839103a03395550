"""Whom to trust with messages to a country: a sender is compared with its peers there, and with nothing else.

What counts against it are faults of the route, receipts that do not come, and receipts that come late. Bad recipients,
content, opt-outs and policy filters say nothing about a route (`failures.ROUTE_FAULTS`). Where all are equally bad,
nobody is moved. Pure: the time is an argument, monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from math import sqrt
from typing import NamedTuple

from sendpool.domain.vitals import LONGEST_PATIENCE, SHORTEST_PATIENCE, Figures, p95

#: Messages that a judgement needs, and one about a sender that gets a trickle only.
ENOUGH, ENOUGH_OF_A_TRICKLE = 30, 15
#: Messages after which no older ones are looked at, alike.
LOOK_BACK, LOOK_BACK_AT_A_TRICKLE = 60, 20
#: How far a share of faults or losses must be above the peers' to be bad: so much, so many times, and so many standard
#: deviations; and below how much it is good again.
WORSE, TIMES_WORSE, DEVIATIONS, AS_GOOD = 0.2, 1.5, 3.5, 0.1
#: How far the delay of receipts must be above the peers' to be bad: so many times, and so many seconds; and good again.
TIMES_LATER, SECONDS_LATER, AS_SOON = 4.0, 15.0, 2.0
#: Judgements in a row that must be bad.
IN_A_ROW = 2
#: The share of its messages that an unhealthy sender is left with, by which its return begins too.
TRICKLE = 0.05
#: Seconds of a trickle at least, doubled with each relapse up to the longest; of each step of the return.
SHORTEST_TRICKLE, LONGEST_TRICKLE, STEP = 60.0, 480.0, 30.0
#: Seconds of good health after which relapses are forgotten; and after which a sender is tried again about which too
#: little is known to say.
FORGIVEN, UNKNOWN_FOR = 1_800.0, 1_800.0


class Thresholds(NamedTuple):
    """What a pool may set of this for its senders."""

    #: Messages that a judgement needs.
    min_sample: int = ENOUGH
    #: How far a share of faults or losses must be above the peers' to be bad.
    worse_by: float = WORSE
    #: The share of its messages that an unhealthy sender is left with.
    trickle: float = TRICKLE
    #: Seconds of each step of the return, after each of which the share doubles.
    step: float = STEP


#: What holds where no pool says otherwise; and the least and the most that a pool may say.
USUAL = Thresholds()
LEAST, MOST = Thresholds(ENOUGH_OF_A_TRICKLE, 0.05, 0.01, 5.0), Thresholds(10_000, 0.9, 0.5, 3_600.0)


def agreed(pools: Iterable[Thresholds]) -> Thresholds:
    """The thresholds of a sender that is in several pools: of each the mildest.

    A sender is judged once for all its pools, and its verdict moves the messages of all of them. So it takes one that
    every pool would come to.
    """
    said = list(pools)
    if not said:
        return USUAL
    return Thresholds(
        max(one.min_sample for one in said),
        max(one.worse_by for one in said),
        max(one.trickle for one in said),
        min(one.step for one in said),
    )


class Condition(StrEnum):
    """How a sender does in a country."""

    HEALTHY = "healthy"
    #: It gets a trickle.
    UNHEALTHY = "unhealthy"
    #: It does as well as others again, and gets more from step to step.
    RETURNING = "returning"


class Symptom(StrEnum):
    """What is worse than at the peers."""

    FAULTS = "faults"
    LOST_RECEIPTS = "lost-receipts"
    LATE_RECEIPTS = "late-receipts"


class Peers(NamedTuple):
    """What the same country looks like through the other senders of the pools."""

    #: Senders that enough is known of.
    senders: int
    #: Means of their shares.
    fault_share: float
    loss_share: float
    #: Receipts of all of them by class of delay.
    delays: Sequence[float]

    @property
    def patience(self) -> float:
        """Seconds to wait for a receipt before it counts as lost: twice what 95 of 100 of the peers' take."""
        delay = p95(self.delays) or 0.0
        return min(LONGEST_PATIENCE, max(SHORTEST_PATIENCE, 2 * delay))


NO_PEERS = Peers(0, 0.0, 0.0, ())


class Standing(NamedTuple):
    """How a sender stands in a country."""

    condition: Condition = Condition.HEALTHY
    #: What part of its usual share it gets.
    share: float = 1.0
    #: Since when the condition holds.
    since: float = 0.0
    symptom: Symptom | None = None
    #: Bad judgements in a row; relapses that are not forgotten.
    bad: int = 0
    relapses: int = 0
    #: When the share last changed.
    stepped_at: float = 0.0

    @property
    def trickling(self) -> bool:
        """Whether so little goes through it that few messages must be enough to judge by."""
        return self.condition is not Condition.HEALTHY

    def look_back(self, by: Thresholds = USUAL) -> int:
        """Messages after which no older ones are looked at."""
        return LOOK_BACK_AT_A_TRICKLE if self.trickling else max(LOOK_BACK, 2 * by.min_sample)


HEALTHY = Standing()


def judge(
    own: Figures, peers: Peers, standing: Standing, now: float, *, reports: bool = True, by: Thresholds = USUAL
) -> Standing:
    """How a sender stands now, judged *by* its thresholds; *reports* False: it never brings receipts, so missing ones
    are no symptom.
    """
    enough = ENOUGH_OF_A_TRICKLE if standing.trickling else by.min_sample
    symptom = _symptom(own, peers, enough, by.worse_by, reports=reports)
    if standing.condition is Condition.HEALTHY:
        return _while_healthy(standing, symptom, now, by.trickle)
    if symptom is not None and standing.condition is Condition.RETURNING:
        return _fall_ill(standing, symptom, now, standing.relapses + 1, by.trickle)
    if standing.condition is Condition.UNHEALTHY:
        well = _as_good(own, peers, enough, reports=reports)
        return _while_unhealthy(standing, now, well=well, unknown=own.tried < enough)
    return _return(standing, now, by.step)


def _while_healthy(standing: Standing, symptom: Symptom | None, now: float, trickle: float) -> Standing:
    if symptom is None:
        forgiven = standing.relapses and now - standing.since >= FORGIVEN
        return standing._replace(bad=0, relapses=0 if forgiven else standing.relapses)
    if standing.bad + 1 < IN_A_ROW:
        return standing._replace(bad=standing.bad + 1)
    return _fall_ill(standing, symptom, now, standing.relapses, trickle)


def _fall_ill(standing: Standing, symptom: Symptom, now: float, relapses: int, trickle: float) -> Standing:
    return Standing(Condition.UNHEALTHY, trickle, now, symptom, 0, relapses, now)


def _while_unhealthy(standing: Standing, now: float, *, well: bool, unknown: bool) -> Standing:
    ill_for = now - standing.since
    if ill_for < min(LONGEST_TRICKLE, SHORTEST_TRICKLE * 2.0 ** min(standing.relapses, 8)):
        return standing
    if not (well or (ill_for >= UNKNOWN_FOR and unknown)):
        return standing
    share = min(1.0, 2 * standing.share)
    return standing._replace(condition=Condition.RETURNING, since=now, share=share, stepped_at=now)


def _return(standing: Standing, now: float, step: float) -> Standing:
    if now - standing.stepped_at < step:
        return standing
    share = min(1.0, standing.share * 2)
    if share < 1.0:
        return standing._replace(share=share, stepped_at=now)
    # A relapse soon after is one more of the same illness.
    return Standing(since=now, relapses=standing.relapses + 1)


def _symptom(own: Figures, peers: Peers, enough: int, worse_by: float, *, reports: bool) -> Symptom | None:
    if not peers.senders:
        return None
    if own.tried >= enough and _is_worse(own.fault_share, peers.fault_share, own.tried, worse_by):
        return Symptom.FAULTS
    if reports and own.watched >= enough and _is_worse(own.loss_share, peers.loss_share, own.watched, worse_by):
        return Symptom.LOST_RECEIPTS
    mine, theirs = _delays(own, peers, enough)
    if mine > max(TIMES_LATER * theirs, theirs + SECONDS_LATER):
        return Symptom.LATE_RECEIPTS
    return None


def _is_worse(share: float, usual: float, n: int, worse_by: float) -> bool:
    deviation = sqrt(max(usual * (1 - usual), 0.01) / n)
    return share - usual >= max(worse_by, DEVIATIONS * deviation) and share >= TIMES_WORSE * usual


def _delays(own: Figures, peers: Peers, enough: int) -> tuple[float, float]:
    """The delays of own and of the peers' receipts; zeros where either is not known well enough."""
    if sum(own.delays) < enough or sum(peers.delays) < enough:
        return 0.0, 0.0
    return p95(own.delays) or 0.0, p95(peers.delays) or 0.0


def _as_good(own: Figures, peers: Peers, enough: int, *, reports: bool) -> bool:
    """Whether it does as well as its peers, or they as badly as it; without any peers there is nobody to prefer."""
    if not peers.senders:
        return True
    if own.tried < enough or (reports and own.watched < enough):
        return False
    mine, theirs = _delays(own, peers, enough)
    return (
        own.fault_share - peers.fault_share <= AS_GOOD
        and (not reports or own.loss_share - peers.loss_share <= AS_GOOD)
        and mine <= max(AS_SOON * theirs, theirs + SECONDS_LATER)
    )
