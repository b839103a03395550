"""A set of integer keys that lie near each other: a bit for each, where a Python set takes a hundred bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_BLOCK = 1 << 13


class KeySet:
    """Ten million keys of messages take a few megabytes."""

    def __init__(self) -> None:
        self._blocks: dict[int, bytearray] = {}

    def add(self, key: int) -> bool:
        """Put a key in; False: it was there already."""
        block = self._blocks.get(key // _BLOCK)
        if block is None:
            block = self._blocks[key // _BLOCK] = bytearray(_BLOCK // 8)
        place, bit = divmod(key % _BLOCK, 8)
        new = not block[place] >> bit & 1
        block[place] |= 1 << bit
        return new

    def update(self, keys: Iterable[int]) -> None:
        """Put keys in."""
        for key in keys:
            self.add(key)

    def discard(self, key: int) -> None:
        """Take a key out, if it is there."""
        block = self._blocks.get(key // _BLOCK)
        if block is not None:
            place, bit = divmod(key % _BLOCK, 8)
            block[place] &= ~(1 << bit)

    def __iter__(self) -> Iterator[int]:
        for number in sorted(self._blocks):
            block = self._blocks[number]
            for place, byte in enumerate(block):
                if byte:
                    yield from (number * _BLOCK + place * 8 + bit for bit in range(8) if byte >> bit & 1)
