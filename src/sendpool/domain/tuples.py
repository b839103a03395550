"""Named tuples that are made in great numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T", bound=tuple[Any, ...])


def maker(kind: type[T]) -> Callable[[Iterable[Any]], T]:
    """What makes a *kind* of named tuple of all its fields in their order, without the steps of its constructor.

    It fills in no defaults and counts nothing: for where there is one for each message.
    """
    return partial(tuple.__new__, kind)
