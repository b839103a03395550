"""What a disk holds after a power cut, made from a journal of what was written to it (`shim.c`).

What was synced is there. Of what was written and not synced every sector is as it was or as it was to be, whichever the
seed says: a write may be lost, or torn, and a later one may be there without an earlier one.
"""

from __future__ import annotations

import random
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

SECTOR = 512
WRITE, SYNC, TRUNCATE = 1, 2, 3
#: Files of a database that outlive a power cut: itself and its log. The third is memory that processes share.
DURABLE = ("", "-wal")

_HEAD = struct.Struct("<QBBQI")


class Done(NamedTuple):
    """One thing that was done to a file."""

    #: Seconds of the steady clock.
    at: float
    kind: int
    #: What its name has after the database's.
    file: str
    #: Where it was written, or the size that it was cut to.
    offset: int
    octets: bytes


def read(journal: Path) -> list[Done]:
    """The journal; of a record that is cut off at its end nothing is known to be done."""
    raw = journal.read_bytes()
    found, place = [], 0
    while place + _HEAD.size <= len(raw):
        at, kind, name, offset, length = _HEAD.unpack_from(raw, place)
        body = place + _HEAD.size
        place = body + name + length
        if place <= len(raw):
            file = raw[body : body + name].decode()
            found.append(Done(at / 1e9, kind, file, offset, raw[body + name : place]))
    return [one for one in found if one.file in DURABLE]


class Disk:
    """Files as they are on the platter, and what is on its way there."""

    def __init__(self) -> None:
        self._synced: dict[str, bytearray] = defaultdict(bytearray)
        self._pending: dict[str, list[Done]] = defaultdict(list)

    def do(self, done: Done) -> None:
        """Something was done to a file."""
        if done.kind != SYNC:
            self._pending[done.file].append(done)
            return
        for one in self._pending.pop(done.file, ()):
            _apply(self._synced[done.file], one)

    def cut(self, chance: random.Random) -> dict[str, bytes]:
        """What would be found after a power cut now, by file."""
        found = {}
        for file in DURABLE:
            image = bytearray(self._synced[file])
            for one in self._pending.get(file, ()):
                for piece in _pieces(one):
                    if chance.random() < 0.5:
                        _apply(image, piece)
            found[file] = bytes(image)
        return found


def _apply(image: bytearray, done: Done) -> None:
    if done.kind == TRUNCATE:
        del image[done.offset :]
        return
    if len(image) < done.offset:
        image.extend(bytes(done.offset - len(image)))
    image[done.offset : done.offset + len(done.octets)] = done.octets


def _pieces(done: Done) -> Iterator[Done]:
    """A write by the sectors that it touches, each of which is written whole or not at all."""
    if done.kind == TRUNCATE:
        yield done
        return
    start, octets = done.offset, done.octets
    while octets:
        room = SECTOR - start % SECTOR
        yield done._replace(offset=start, octets=octets[:room])
        start, octets = start + len(octets[:room]), octets[room:]


def power_cuts(journal: Sequence[Done], number: int, seed: int) -> Iterator[tuple[float, dict[str, bytes]]]:
    """When each of *number* power cuts came (steady clock), and what it left. The seed draws the moments."""
    chance = random.Random(seed)
    # Around a sync is where it matters; half of them are anywhere.
    syncs = [i for i, one in enumerate(journal) if one.kind == SYNC]
    near = [max(0, chance.choice(syncs) + chance.choice((-1, 0, 1))) for _ in range(number // 2)]
    moments = sorted([*near, *(chance.randrange(len(journal)) for _ in range(number - len(near)))])
    disk, done = Disk(), 0
    for moment in moments:
        for one in journal[done : moment + 1]:
            disk.do(one)
        done = max(done, moment + 1)
        yield journal[min(moment, len(journal) - 1)].at, disk.cut(chance)
