"""Integer keys from memory: a process takes them from blocks of its own, the next block ahead of need."""

from __future__ import annotations

from collections import deque

from sendpool.store.numbers import BLOCK


class OutOfNumbers(Exception):
    """The blocks are used up before the database gave the next one. Try again later."""

    def __init__(self) -> None:
        super().__init__("the database has not given new keys yet; try again")


class Numbers:
    """Lives on the event loop. `low` says when the next commit should bring a block."""

    def __init__(self) -> None:
        #: [next key, end] of each block, in the order in which they came.
        self._blocks: deque[list[int]] = deque()

    @property
    def low(self) -> bool:
        """Whether a block behind the present one is wanted."""
        return len(self._blocks) < 2

    def add(self, first: int) -> None:
        """A block has come."""
        self._blocks.append([first, first + BLOCK])

    def endless(self) -> None:
        """Never run out, for what is prepared and never stored."""
        self._blocks.append([1, 1 << 62])

    def take(self, number: int) -> int:
        """The first of *number* keys in a row, at most a block. Raises `OutOfNumbers`."""
        while self._blocks:
            block = self._blocks[0]
            first = block[0]
            if first + number <= block[1]:
                block[0] += number
                return first
            if len(self._blocks) == 1:
                break
            # What is left is too little for this request; a block has many times as many.
            self._blocks.popleft()
        raise OutOfNumbers
