"""The rig of the journeys, and what only chaos needs: a library that is loaded into servers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.journeys.conftest import rig

__all__ = ["rig"]

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`shim.c`, compiled."""
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    command = ["cc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(HERE / "shim.c")]
    subprocess.run([*command, "-ldl", "-lpthread"], check=True, timeout=120)
    return library
