"""Who waits for a commit: a future, somebody who is told, or nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from sendpool.domain.request import Accepted

T_contra = TypeVar("T_contra", contravariant=True)


class Waiter(Protocol[T_contra]):
    """Who waits for a commit: a future is one."""

    def done(self) -> bool:
        """Whether he has his answer, or waits no more."""

    def set_result(self, result: T_contra, /) -> None:
        """Tell him that it is durable."""

    def set_exception(self, error: Exception, /) -> None:
        """Tell him why it is not."""


class _Nobody:
    def done(self) -> bool:
        return True

    def set_result(self, result: object, /) -> None:
        pass

    def set_exception(self, error: Exception, /) -> None:
        pass


#: Waits for what is prepared and never stored.
NOBODY: Waiter[object] = _Nobody()


class OfOne:
    """Who can wait for several, where one was accepted by itself."""

    def __init__(self, waiter: Waiter[Sequence[Accepted]]) -> None:
        self._waiter = waiter
        self.done = waiter.done
        self.set_exception = waiter.set_exception

    def set_result(self, result: Accepted, /) -> None:
        """Tell him that it is durable."""
        self._waiter.set_result([result])
