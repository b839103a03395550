"""The collector of cycles, as long-running processes of ours want it."""

from __future__ import annotations

import gc


def calm_the_collector() -> None:
    """Look for cycles rarely: our values have none, and each look at hundreds of thousands of them costs a tenth."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
