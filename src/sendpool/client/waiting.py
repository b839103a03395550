"""Polling: when to look again, and when to give up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from sendpool.client.calls import Call
from sendpool.client.errors import TookTooLong


class Finishes(Protocol):
    """Something that is finished at some time."""

    @property
    def is_finished(self) -> bool:
        """Whether it changes no more."""


Watched = TypeVar("Watched", bound=Finishes)


def pauses(within: float | None, every: float, clock: Callable[[], float]) -> Iterator[float]:
    """Seconds to wait after each look; ends when *within* seconds by *clock* have passed.

    The first pauses are shorter, since most of what is asked for is finished soon.
    """
    end = None if within is None else clock() + within
    pause = min(0.1, every)
    while True:
        left = None if end is None else end - clock()
        yield pause if left is None else max(0.0, min(pause, left))
        if left is not None and left <= 0:
            return
        pause = min(every, pause * 2)


def too_long(call: Call[Any], within: float | None) -> TookTooLong:
    """The error that says so."""
    return TookTooLong(f"{call.path} is not finished within {within:g} s")
