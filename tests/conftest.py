"""What every test may use."""

from __future__ import annotations

import gc
import os
from pathlib import Path
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
    """What thousands of collected tests hold is kept out of every later sweep of Python's collector."""
    _forget_for_the_collector()


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """The same of what earlier files have left."""
    if nextitem is None or nextitem.path != item.path:
        _forget_for_the_collector()


def _forget_for_the_collector() -> None:
    # A sweep through everything stops a worker's threads for half a second: longer than some deadlines under test.
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Journeys go first, and before the others those of several nodes: none is left over for the end, where one worker
    would be at it for a minute and the others done.
    """
    items.sort(key=lambda item: _turn(item.path))


def _turn(path: Path) -> tuple[bool, bool]:
    return "journeys" not in path.parts, "node" not in path.stem
