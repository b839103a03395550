"""When what an operation says is refused as spam too often: then it pauses, before it burns the pool. Pure."""

from __future__ import annotations

from collections import deque

#: So many filtered answers among so many pause an operation (failover notes, row 16).
MOST, AMONG = 3, 100


class Window:
    """The last answers of one kind about one operation, from the first that was filtered on.

    Answers come in blocks (all that one commit settled), of which only the numbers are known. Those before the first
    filtered one need not be known: fewer than `AMONG` count as that many.
    """

    __slots__ = ("_blocks",)

    def __init__(self) -> None:
        self._blocks: deque[tuple[int, int]] = deque()

    def note(self, answers: int, filtered: int) -> None:
        """Count a block: so many answers, so many of them filtered."""
        self._blocks.append((max(answers, filtered), filtered))
        while self.answers - self._blocks[0][0] >= AMONG:
            self._blocks.popleft()

    @property
    def answers(self) -> int:
        """How many answers it holds: the last hundred, and what came in the same block as the first of these."""
        return sum(answers for answers, _ in self._blocks)

    @property
    def filtered(self) -> int:
        """How many of them were filtered."""
        return sum(filtered for _, filtered in self._blocks)

    @property
    def too_many(self) -> bool:
        """Whether the operation is to pause."""
        return self.filtered >= MOST and self.filtered * AMONG >= MOST * max(self.answers, AMONG)
