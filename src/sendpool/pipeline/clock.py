"""What time it is: handed in, so that tests drive it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Clock(NamedTuple):
    """The two clocks of a batch: monotonic seconds for throughput, microseconds since 1970 for rows."""

    monotonic: Callable[[], float]
    wall: Callable[[], int]
