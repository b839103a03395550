"""What every test may use."""

from __future__ import annotations

import gc
import os
from typing import Any

import pytest
from hypothesis import settings

# CI says the same thing about the same commit twice; new examples are looked for on developers' machines, where a
# failing one is kept and comes again until it is mended.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Asynchronous tests run on the loop that the server runs on."""
    return "asyncio", {"use_uvloop": True}


def pytest_collection_finish() -> None:
    """What thousands of collected tests hold is kept out of every later sweep of Python's collector.

    Such a sweep stops a worker's threads for half a second, which is longer than some deadlines under test.
    """
    gc.collect()
    gc.freeze()
