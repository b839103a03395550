"""Where the rows of a queue begin, as far as one process knows: a claim need not step over what has gone before.

On PostgreSQL a row that was claimed stays in the index until no snapshot can see it, which a forgotten transaction, a
long report or a dump put off for hours. Ranks below the *mark* are looked at no more, but for single rows there that
are known by name: the *strays*, which a claim has passed by or which came in below. Other processes may have put rows
there, or put back what they had taken: they tell the lowest rank, and a look beside the claims finds what nobody has
told. So a row may be found late, and none is missed. Pure: it reads no clock and no database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

#: (rank, message) of a row.
Place = tuple[int, int]

#: Below every rank: nothing is known yet.
BOTTOM = -(1 << 62)
#: Rows below the mark that are known by name, at most. With more the mark is lowered to the first of them.
MOST_STRAYS = 500


class Begun(NamedTuple):
    """Where a claim looks: at rows from `rank` on, and before them at these below."""

    rank: int
    strays: Sequence[Place]

    @property
    def is_all(self) -> bool:
        """Whether that is the whole queue."""
        return self.rank == BOTTOM


class Passed(NamedTuple):
    """How far a claim has come: the last row that it took, and the rows that it saw and left where they are."""

    to: Place
    left: Collection[Place] = ()


class LowWater:
    """The mark of one queue. One claim at a time begins at it, and moves it on once it is committed."""

    __slots__ = ("_before", "_begun", "_lowest", "_since", "_strays", "rank")

    def __init__(self) -> None:
        #: Rows of lower ranks are looked at only where they are strays.
        self.rank = BOTTOM
        self._strays: set[Place] = set()
        #: What the claim under way has been told to look at.
        self._begun: Begun | None = None
        #: Rows, and the lowest rank of rows, that came in since it began: it may not have seen them.
        self._since: list[Place] = []
        self._lowest: int | None = None
        #: The mark at the last `turn` and at the one before: as far back as that, not much has gone.
        self._before = (BOTTOM, BOTTOM)

    @property
    def first(self) -> int:
        """The lowest rank at which a row is thought to be."""
        return min((rank for rank, _ in self._strays), default=self.rank)

    def turn(self) -> None:
        """Some time has passed: what was claimed before the last turn counts as far behind from now on."""
        self._before = (self._before[1], self.rank)

    def begin(self, most: int) -> Begun:
        """A claim begins that looks at so many rows. What comes in from now on it may miss."""
        self._since, self._lowest = [], None
        self._begun = Begun(self.rank, sorted(self._strays)[:most])
        return self._begun

    def entered(self, places: Iterable[Place]) -> None:
        """Rows that this process has put into the queue, be it in vain, or seen below the mark."""
        for place in places:
            if place[0] < self.rank:
                self._strays.add(place)
            elif self._begun is not None:
                self._since.append(place)
        self._shrink()

    def told(self, rank: int) -> bool:
        """Another process has put in rows of this rank or higher ones.

        False: that is too far behind the mark to step over all between; look beside the claims what is there.
        """
        if rank < self._before[0]:
            return False
        self.lower(rank)
        return True

    def committed(self, passed: Passed | None) -> None:
        """The claim that began last is durable. None: it saw no row."""
        begun, self._begun = self._begun, None
        if begun is None:
            return
        since, lowest, self._since, self._lowest = self._since, self._lowest, [], None
        self._strays.difference_update(begun.strays)
        if passed is not None:
            self.rank = max(self.rank, passed.to[0])
            self._strays.update(place for place in passed.left if place[0] < self.rank)
        self._strays.update(place for place in since if place[0] < self.rank)
        self._shrink()
        if lowest is not None:
            self.lower(lowest)

    def seen_below(self, places: Sequence[Place], *, more: bool) -> None:
        """A look has found these rows below the mark, in order; *more*: there may be others behind them."""
        if more:
            self.lower(places[-1][0])
        self.entered(places)

    def lower(self, rank: int) -> None:
        """There may be rows of this rank and higher ones."""
        if self._begun is not None:
            self._lowest = rank if self._lowest is None else min(rank, self._lowest)
        if rank < self.rank:
            self.rank = rank
            self._strays = {place for place in self._strays if place[0] < rank}

    def _shrink(self) -> None:
        if len(self._strays) > MOST_STRAYS:
            self.lower(self.first)
