"""What a pool looked like when a sender was chosen: interned, and written only when it changes.

An attempt carries the number of its scene, so that "why this one, why not that one" can be answered long afterwards.
Only what changes slowly is in it; who happened to have a free slot in a given millisecond is not worth a row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from sendpool.domain.sender import Channel


class Standing(NamedTuple):
    """One member as it stood: "ready", "down", "stopped", "paused" or "draining", at these segments a second."""

    sender_id: int
    state: str
    mps: float | None
    weight: float


_DAY = 86_400_000_000

#: (number, digest, body, made at)
SceneRow = tuple[int, bytes, str, int]


class Scenes:
    """Numbers for scenes, the same one for the same picture on the same day, also after a restart."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._latest: dict[tuple[int, Channel], tuple[tuple[Standing, ...], int]] = {}
        self._next = 1
        self._unsaved: list[tuple[int, bytes, str]] = []
        #: The day in which scenes are interned: a new one each day, so that old ones can go (`retain`).
        self._day = 0

    def load(self, scenes: Iterable[tuple[int, bytes]]) -> None:
        """Know the scenes of earlier runs."""
        self._numbers = {digest: number for number, digest in scenes}
        self._next = max(self._numbers.values(), default=0) + 1

    def turn(self, now: int) -> None:
        """Intern anew on a new day."""
        if now // _DAY != self._day:
            self._day = now // _DAY
            self._latest.clear()

    def number(self, pool_id: int, channel: Channel, members: Sequence[Standing]) -> int:
        """The number of this picture; a new one is kept until it is written."""
        picture = tuple(members)
        latest = self._latest.get((pool_id, channel))
        if latest is not None and latest[0] == picture:
            return latest[1]
        body = msgspec.json.encode({"pool": pool_id, "channel": channel, "members": picture})
        digest = blake2b(body, digest_size=16, salt=self._day.to_bytes(8, "big")).digest()
        number = self._numbers.get(digest)
        if number is None:
            number = self._numbers[digest] = self._next
            self._next += 1
            self._unsaved.append((number, digest, body.decode()))
        self._latest[pool_id, channel] = (picture, number)
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
