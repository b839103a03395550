"""Work that would stop the event loop for long, beside it: one thread for all of it, which does one thing at a time.

More threads would not be faster, as Python runs one at a time, and each would take its turn before the loop's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_THREAD = ThreadPoolExecutor(1, "aside")


async def aside(work: Callable[[], T]) -> T:
    """What *work* brings; raises what it raises. It must not touch what the loop changes."""
    return await asyncio.get_running_loop().run_in_executor(_THREAD, work)
