"""Thousands of rows that differ in their address alone, as most large requests have them: kept as the addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from operator import eq
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class Uniform(Sequence[T], Generic[T]):
    """Rows of an address each and the same *rest*. A row is made when somebody asks for it; equal to a list of them."""

    __slots__ = ("_make", "addresses", "rest")

    def __init__(self, addresses: Sequence[str], rest: tuple[Any, ...], make: Callable[[Iterable[Any]], T]) -> None:
        """*make* turns an address and the rest, as they come, into a row."""
        self.addresses = addresses
        self.rest = rest
        self._make = make

    def __len__(self) -> int:
        return len(self.addresses)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Uniform[T]: ...
    def __getitem__(self, place: int | slice) -> T | Uniform[T]:
        if isinstance(place, slice):
            return Uniform(self.addresses[place], self.rest, self._make)
        return self._make((self.addresses[place], *self.rest))

    def __iter__(self) -> Iterator[T]:
        return map(self._make, zip(self.addresses, *map(repeat, self.rest), strict=False))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} rows, each with {self.rest!r})"
