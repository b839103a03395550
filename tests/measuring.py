"""What work costs, for tests of bounds: told apart from what the machine and this process do beside it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import thread_time

#: How often the work may be done before it counts as too dear: whoever shares the processor slows single tries.
TRIES = 5


@contextmanager
def _no_collection() -> Iterator[None]:
    """A sweep through all that a long run of tests holds costs more than most of what is measured."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def seconds_of(work: Callable[[], object], enough: float = 0.0) -> float:
    """The seconds of the processor that *work* takes in this thread: of several tries the least, or the first of at
    most *enough*."""
    least = float("inf")
    with _no_collection():
        for _ in range(TRIES):
            began = thread_time()
            work()
            least = min(least, thread_time() - began)
            if least <= enough:
                break
    return least
