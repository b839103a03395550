"""What bounds throughput beside a sender and its connection: named scopes that several of them share, and lasting
limits.

A scope stands for what a carrier counts together (a campaign, a brand, an account behind several binds). Its bucket is
one more in which every message of its senders has to fit. Pure: it reads no clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import inf
from typing import NamedTuple, Protocol

import msgspec

from sendpool.domain.limits import Day, Limits, Pairs, Recipients, digest
from sendpool.domain.reasons import Reason, Remark
from sendpool.domain.throughput import Bucket, BucketState


class ScopeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One `[[scopes]]` table: limits that all senders which name it share."""

    name: str
    #: Segments a second; None: unlimited.
    mps: float | None = None
    #: Segments that may leave at once after a pause; None: `default_burst`.
    burst: float | None = None
    limits: Limits = Limits()


class Moment(NamedTuple):
    """One moment by both clocks: monotonic seconds, and microseconds since 1970."""

    now: float
    wall: int

    def wall_of(self, at: float) -> int:
        """The wall clock at a time of the other one."""
        return self.wall + int((at - self.now) * 1e6)

    def at_wall(self, wall: int) -> float:
        """The other clock when the wall clock shows this; never early."""
        return self.now + (wall - self.wall + 1) / 1e6


class Bounds:
    """What bounds a sender beside its own bucket and its connection's. A sender without any has None instead."""

    __slots__ = ("days", "pairs", "recipients", "scopes")

    def __init__(
        self,
        scopes: Mapping[str, Bucket] | None = None,
        days: Sequence[Day] = (),
        recipients: Sequence[Recipients] = (),
        pairs: Pairs | None = None,
    ) -> None:
        #: The buckets of its named scopes, by name.
        self.scopes = scopes or {}
        self.days = days
        self.recipients = recipients
        self.pairs = pairs

    def __bool__(self) -> bool:
        return bool(self.scopes or self.days or self.recipients or self.pairs)

    @property
    def paused_until(self) -> float:
        """Until when one of its named scopes is paused."""
        return max((bucket.paused_until for bucket in self.scopes.values()), default=-inf)

    @property
    def choosy(self) -> bool:
        """Whether it may refuse one message and take another."""
        return bool(self.days or self.recipients or self.pairs)

    def earliest(self, cost: int, now: float) -> float:
        """The earliest departure of a message of *cost* segments that all buckets allow, without taking it."""
        return max((bucket.earliest(cost, now) for bucket in self.scopes.values()), default=now)

    def slowest(self, now: float) -> tuple[str, float]:
        """The named scope that allows the next segment last, and when."""
        free = {name: bucket.free_at(now) for name, bucket in self.scopes.items()}
        name = max(free, key=free.__getitem__)
        return name, free[name]

    def slots(self, moment: Moment, horizon: float) -> int:
        """Segments that all of them allow within the horizon."""
        paced = (bucket.slots(moment.now, horizon) for bucket in self.scopes.values())
        return min((*paced, *(day.left(moment.wall) for day in self.days)), default=1_000_000)

    def capped_until(self, moment: Moment) -> float:
        """When its day's limit is reset, where it has been reached (monotonic seconds); else -inf."""
        return max(
            (moment.at_wall(day.resets_at(moment.wall)) for day in self.days if day.left(moment.wall) <= 0),
            default=-inf,
        )

    def refuses(self, recipient: str, cost: int, at: float, moment: Moment) -> Reason | None:
        """Why a message to this recipient may not depart at *at* (monotonic seconds), or None."""
        wall = moment.wall_of(at)
        if any(day.left(wall) < cost for day in self.days):
            return Reason.DAILY_LIMIT
        if self.recipients:
            key = digest(recipient)
            if any(one.left(wall) <= 0 and not one.knows(key, wall) for one in self.recipients):
                return Reason.RECIPIENT_LIMIT
        if self.pairs is not None and self.pairs.free_at(recipient, cost, at) > at:
            return Reason.PAIR_LIMIT
        return None

    def seen_refusal(self, recipient: str, cost: int, moment: Moment) -> Remark | None:
        """The same as `refuses` for a message that would depart now, with its end, for those who may only look."""
        now, wall = moment
        if short := [day for day in self.days if day.seen_left(wall) < cost]:
            return Remark(Reason.DAILY_LIMIT, max(moment.at_wall(day.resets_at(wall)) for day in short))
        key = digest(recipient) if self.recipients else ""
        full = [end for one in self.recipients if (end := one.seen_full(key, wall)) is not None]
        if full:
            return Remark(Reason.RECIPIENT_LIMIT, max(moment.at_wall(end) for end in full))
        if self.pairs is not None and (free := self.pairs.free_at(recipient, cost, now)) > now:
            return Remark(Reason.PAIR_LIMIT, free)
        return None

    def free_again(self, reason: Reason, recipient: str, cost: int, moment: Moment) -> float:
        """When a message that is refused for this reason may go at the earliest, behind those that wait already."""
        now, wall = moment
        if reason is Reason.PAIR_LIMIT and self.pairs is not None:
            return self.pairs.next_promise(recipient, cost, now)
        if reason is Reason.RECIPIENT_LIMIT:
            return max((moment.at_wall(one.next_promise(wall)) for one in self._full(wall)), default=now)
        short = (day for day in self.days if day.left(wall) < cost)
        return max((moment.at_wall(day.resets_at(wall)) for day in short), default=now)

    def promise(self, reason: Reason, recipient: str, when: float, moment: Moment) -> None:
        """A message is to wait until *when*, which `free_again` gave: the next one will wait longer."""
        if reason is Reason.PAIR_LIMIT and self.pairs is not None:
            self.pairs.promise(recipient, when)
        elif reason is Reason.RECIPIENT_LIMIT:
            for one in self._full(moment.wall):
                one.promise()

    def _full(self, wall: int) -> list[Recipients]:
        return [one for one in self.recipients if one.left(wall) <= 0]

    def take(self, recipient: str, cost: int, depart: float, moment: Moment) -> None:
        """Take a message that departs at *depart*, which `earliest` and `refuses` allowed."""
        for bucket in self.scopes.values():
            bucket.take_at(cost, depart)
        wall = moment.wall_of(depart)
        for day in self.days:
            day.take(cost, wall)
        if self.recipients:
            key = digest(recipient)
            for one in self.recipients:
                one.take(key, wall)
        if self.pairs is not None:
            self.pairs.take(recipient, cost, depart)

    def take_at(self, cost: int, depart: float) -> None:
        """Take *cost* segments of the named scopes alone: parts that go again have been counted for the day."""
        for bucket in self.scopes.values():
            bucket.take_at(cost, depart)

    def give_back(self, cost: int, wall: int) -> None:
        """*cost* segments that departed at *wall* did not get through: they do not count for the day."""
        for day in self.days:
            day.give_back(cost, wall)


class _Scoped(Protocol):
    @property
    def scopes(self) -> Sequence[str]:
        """The named scopes that it is in."""


class _Carrying(_Scoped, Protocol):
    @property
    def senders(self) -> Iterable[_Scoped]:
        """Whom it carries."""


def scopes_of(connection: _Carrying) -> frozenset[str]:
    """Every named scope that a connection is in, by itself or through one of its senders."""
    return frozenset(connection.scopes).union(*(sender.scopes for sender in connection.senders))


def leased_together(scopes: Mapping[int, Collection[str]]) -> list[frozenset[int]]:
    """Group connections (keys) that share a named scope, directly or through others; *scopes* are those of each.

    The connections of a group have to be leased to one process, since their buckets are arithmetic in its memory
    (design §7). The groups come in the order of their smallest key; a connection that shares nothing is one alone.
    """
    group_of: dict[int, set[int]] = {key: {key} for key in scopes}
    first: dict[str, int] = {}
    for key, names in scopes.items():
        for name in names:
            one, other = group_of[first.setdefault(name, key)], group_of[key]
            if one is not other:
                one |= other
                group_of.update(dict.fromkeys(other, one))
    groups = {id(group): frozenset(group) for group in group_of.values()}
    return sorted(groups.values(), key=min)


def pack(buckets: Mapping[str, Bucket], now: float) -> str:
    """The condition of buckets at *now* as text, by name, for whoever goes on with them (`unpack`)."""
    return msgspec.json.encode({name: bucket.state(now) for name, bucket in buckets.items()}).decode()


def unpack(packed: str, buckets: Mapping[str, Bucket], now: float) -> list[str]:
    """Go on from what `pack` made; *now* is this process's clock at or after the hand-over.

    Returns the names of buckets of which it says nothing: those are as they were, and ought to start empty.
    Raises `msgspec.DecodeError` for what is no packed condition; nothing is changed then.
    """
    states = msgspec.json.decode(packed, type=dict[str, BucketState])
    for name, bucket in buckets.items():
        if name in states:
            bucket.restore(states[name], now)
    return [name for name in buckets if name not in states]
