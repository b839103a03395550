"""What a pool looked like when a sender was chosen: interned, and written only when it changes.

An attempt carries the number of its scene, so that "why this one, why not that one" can be answered long afterwards.
Only what changes slowly is in it; who happened to have a free slot in a given millisecond is not worth a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


#: (number, digest, body, made at)
SceneRow = tuple[int, bytes, str, int]


class Scenes:
    """Numbers for scenes, the same one for the same picture, also after a restart."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._latest: dict[tuple[int, Channel], tuple[tuple[Standing, ...], int]] = {}
        self._next = 1
        self._unsaved: list[tuple[int, bytes, str]] = []

    def load(self, scenes: Iterable[tuple[int, bytes]]) -> None:
        """Know the scenes of earlier runs."""
        self._numbers = {digest: number for number, digest in scenes}
        self._next = max(self._numbers.values(), default=0) + 1

    def number(self, pool_id: int, channel: Channel, members: Sequence[Standing]) -> int:
        """The number of this picture; a new one is kept until it is written."""
        picture = tuple(members)
        latest = self._latest.get((pool_id, channel))
        if latest is not None and latest[0] == picture:
            return latest[1]
        body = msgspec.json.encode({"pool": pool_id, "channel": channel, "members": picture})
        digest = blake2b(body, digest_size=16).digest()
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

    def unsave(self, rows: Iterable[SceneRow]) -> None:
        """The commit that was to write these failed: hand them over again."""
        self._unsaved = [row[:3] for row in rows] + self._unsaved
