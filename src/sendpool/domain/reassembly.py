"""Join the parts of a long text that a person sent, whatever order they come in and however often. Pure.

Phones number the parts (3GPP 23.040 §9.2.3.24.1, or the sar_* parameters of SMPP) and count a reference of 8 or 16
bits on, so that a new text may come under the reference of an old one.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from hashlib import sha256
from typing import NamedTuple

#: Seconds after the last part for which the others are waited for, and for which repeats of what was joined are known.
PATIENCE, REMEMBERED = 900.0, 3_600.0
#: What stands for a part that never came.
HOLE = "\N{HORIZONTAL ELLIPSIS}"
MOST_PARTS = 255


class Part(NamedTuple):
    """Which part of a long text: number *number* (from 1) of *total* under a reference."""

    reference: int
    number: int
    total: int

    @property
    def sound(self) -> bool:
        """Whether the numbers make sense; else the part is a text of its own."""
        return 1 < self.total <= MOST_PARTS and 1 <= self.number <= self.total


class Gathered(NamedTuple):
    """The parts of a text that are there, by number, and whether they were joined already."""

    #: Their texts; once they are joined only a mark of each, to know repeats by.
    parts: Mapping[int, str] = {}
    joined: bool = False

    def sealed(self) -> Gathered:
        """The same once it is joined: without its text."""
        return Gathered({number: _mark(text) for number, text in self.parts.items()}, True)


class Step(Enum):
    """What a part that comes in is."""

    #: Others are awaited.
    WAITS = auto()
    #: The last: the text is whole.
    COMPLETES = auto()
    #: It was there already.
    REPEATS = auto()


def take(gathered: Gathered, part: Part, text: str) -> tuple[Gathered, Step]:
    """Add a part. One that says something else than what was joined, or is there, begins a new text."""
    there = gathered.parts.get(part.number)
    if there == (_mark(text) if gathered.joined else text):
        return gathered, Step.REPEATS
    if gathered.joined or there is not None:
        gathered = Gathered()
    parts = {**gathered.parts, part.number: text}
    return Gathered(parts), Step.COMPLETES if len(parts) == part.total else Step.WAITS


def _mark(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def join(parts: Mapping[int, str], total: int) -> tuple[str, int]:
    """The text of these parts, and how many are missing: a run of these is shown as one sign."""
    pieces: list[str] = []
    for number in range(1, total + 1):
        piece = parts.get(number)
        if piece is not None:
            pieces.append(piece)
        elif not pieces or pieces[-1] is not HOLE:
            pieces.append(HOLE)
    return _whole("".join(pieces)), total - len(parts)


def _whole(text: str) -> str:
    """Letters outside the basic plane whose halves came in two parts become one again; lone halves become signs."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
