"""Who waits for a commit: a future, somebody who is told, or nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import structlog

from sendpool.domain.request import Accepted

log = structlog.get_logger()

#: Is told what was accepted, or why not.
Tell = Callable[[Accepted | Exception], None]
#: Is told the same of the requests from the first number to before the second.
TellEach = Callable[[int, int, Sequence[Accepted] | Exception], None]
T_contra = TypeVar("T_contra", contravariant=True)


class StoreUnavailable(Exception):
    """The commit failed; what waited for it was not stored. Try again later."""


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


def say(tell: Tell, fate: Accepted | Exception) -> None:
    """Tell somebody; what goes wrong with him is nothing to those who are told in the same breath."""
    try:
        tell(fate)
    except Exception:
        log.exception("answer failed")
