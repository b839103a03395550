"""What every test may use."""

from __future__ import annotations

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
