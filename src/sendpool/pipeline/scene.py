"""What a pool looked like when a sender was chosen: interned, and written only when it changes.

An attempt carries the number of its scene, so that "why this one, why not that one" can be answered long afterwards.
Scenes must stay few: times are coarse, and who happened to have a free slot in a given moment is drawn only for pools
with few members, as long as that makes few scenes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from enum import IntEnum
from hashlib import blake2b
from math import ceil
from typing import NamedTuple

import msgspec

from sendpool.domain.pool import Member
from sendpool.domain.reasons import Remark
from sendpool.domain.sender import Channel, Sender


class Standing(NamedTuple):
    """One member as it stood: a `Reason`'s code ("ready", "down", "paused"), at these segments a second."""

    sender_id: int
    state: str
    mps: float | None
    weight: float
    tier: int = 0
    #: Until when, in seconds since 1970, coarsely; None: not known, or within a minute.
    until: int | None = None
    #: What the reason is about: a country, a scope.
    about: str = ""


class Detail(IntEnum):
    """How closely a scene is drawn. What changes fastest is left out first, so that scenes stay few."""

    #: Down, stopped, draining, and what else lasts.
    STEADY = 1
    #: Pauses too.
    PAUSES = 2
    #: Also who had no room or no throughput in that very moment.
    MOMENTS = 3


_DAY = 86_400_000_000
#: Members up to which, and scenes of one pool, channel and day up to which, moments are drawn.
FEW_MEMBERS, FEW_SCENES = 8, 64
#: Scenes of one pool, channel and day up to which pauses are drawn, and up to which there are scenes at all.
SOME_SCENES, MOST_SCENES = 500, 1_000
_MINUTE, _HOUR = 60, 3600

#: (number, digest, body, made at)
SceneRow = tuple[int, bytes, str, int]
_Place = tuple[int, Channel]


class Scenes:
    """Numbers for scenes: 63 bits of their hash, so the same for the same picture on the same day, in every process."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._drawn: dict[_Place, dict[tuple[Standing, ...], int]] = defaultdict(dict)
        #: The picture that was drawn last, and its number: seldom is the next one another.
        self._last: dict[_Place, tuple[Sequence[Standing], int | None]] = {}
        #: How members stood whom no time was told of, by place and sender, and what was known of each.
        self._stood: dict[_Place, dict[int, tuple[Sender, Member, Remark, Standing]]] = defaultdict(dict)
        self._unsaved: list[tuple[int, bytes, str]] = []
        #: The day in which scenes are interned: a new one each day, so that old ones can go (`retain`).
        self._day = 0
        #: Seconds since 1970 when the monotonic clock stood at zero.
        self._epoch = 0.0

    def turn(self, now: int, monotonic: float) -> None:
        """Intern anew on a new day; *now* is in microseconds since 1970, *monotonic* the same moment in seconds."""
        self._epoch = now / 1e6 - monotonic
        if now // _DAY != self._day:
            self._day = now // _DAY
            for remembered in (self._drawn, self._last, self._stood, self._numbers):
                remembered.clear()

    def detail(self, pool_id: int, channel: Channel, members: int) -> Detail:
        """How closely the next scene of a pool of so many *members* is to be drawn."""
        drawn = len(self._drawn[pool_id, channel])
        if members <= FEW_MEMBERS and drawn < FEW_SCENES:
            return Detail.MOMENTS
        return Detail.PAUSES if drawn < SOME_SCENES else Detail.STEADY

    def standings(
        self, pool_id: int, channel: Channel, members: Iterable[tuple[Sender, Member, Remark]], now: float
    ) -> list[Standing]:
        """How *members* stand of whom remarks tell what holds them back; their times and *now* are monotonic."""
        stood = self._stood[pool_id, channel]
        standings = []
        for sender, member, remark in members:
            known = stood.get(sender.id)
            if known is not None and known[0] is sender and known[1] is member and known[2] is remark:
                standings.append(known[3])
                continue
            standing = self.standing(sender, member, remark, now)
            if remark.until is None:
                stood[sender.id] = (sender, member, remark, standing)
            standings.append(standing)
        return standings

    def standing(self, sender: Sender, member: Member, remark: Remark, now: float) -> Standing:
        """How one member stands."""
        until = None
        if remark.until is not None and remark.until - now >= _MINUTE:
            grain = _MINUTE if remark.until - now < _HOUR else _HOUR // 4
            until = ceil((remark.until + self._epoch) / grain) * grain
        return Standing(sender.id, remark.reason.value, sender.mps, member.weight, member.tier, until, remark.about)

    def number(self, pool_id: int, channel: Channel, members: Sequence[Standing]) -> int | None:
        """The number of this picture; a new one is kept until it is written. None: the day has seen too many."""
        last = self._last.get((pool_id, channel))
        if last is not None and last[0] == members:
            return last[1]
        drawn = self._drawn[pool_id, channel]
        picture = tuple(members)
        number = drawn.get(picture)
        if number is None and len(drawn) < MOST_SCENES:
            number = drawn[picture] = self._intern(pool_id, channel, picture)
        self._last[pool_id, channel] = (members, number)
        return number

    def _intern(self, pool_id: int, channel: Channel, picture: tuple[Standing, ...]) -> int:
        body = msgspec.json.encode({"pool": pool_id, "channel": channel, "members": picture})
        digest = blake2b(body, digest_size=16, salt=self._day.to_bytes(8, "big")).digest()
        number = self._numbers.get(digest)
        if number is None:
            number = self._numbers[digest] = int.from_bytes(digest[:8], "big") >> 1
            self._unsaved.append((number, digest, body.decode()))
        return number

    def unsaved(self, now: int) -> list[SceneRow]:
        """New scenes, to be written before the first attempt that names them; hands them over once."""
        rows, self._unsaved = [(*scene, now) for scene in self._unsaved], []
        return rows

    def forget(self, numbers: Collection[int]) -> None:
        """These scenes have been removed."""
        gone = set(numbers)
        self._numbers = {digest: number for digest, number in self._numbers.items() if number not in gone}

    def unsave(self, rows: Iterable[SceneRow]) -> None:
        """The commit that was to write these failed: hand them over again."""
        self._unsaved = [row[:3] for row in rows] + self._unsaved
