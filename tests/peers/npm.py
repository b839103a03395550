"""Peers of npm: installed once into build/npm, run as processes that tell their port, then a line of JSON each time."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
FOLDER = HERE.parents[1] / "build" / "npm"


def modules_with(package: str, version: str) -> Path:
    """The folder of modules that has *package*; it is fetched once. Skips the test where npm cannot do that."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("needs node and npm; install the packages nodejs and npm")
    if not (FOLDER / "node_modules" / package).is_dir():
        FOLDER.mkdir(parents=True, exist_ok=True)
        words = ["install", "--no-audit", "--no-fund", "--prefix", str(FOLDER), f"{package}@{version}"]
        done = subprocess.run([npm, *words], capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot install {package}: {done.stderr.strip()[-200:]}")
    return FOLDER / "node_modules"


def unpacked(package: str, version: str) -> Path:
    """The folder of what a package itself holds, without what it depends on; as `modules_with` otherwise."""
    folder = FOLDER / "packed" / f"{package.replace('/', '-').lstrip('@')}-{version}"
    if not folder.is_dir():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("needs npm; install the packages nodejs and npm")
        folder.parent.mkdir(parents=True, exist_ok=True)
        words = ["pack", "--silent", "--pack-destination", str(folder.parent), f"{package}@{version}"]
        done = subprocess.run([npm, *words], capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot fetch {package}: {done.stderr.strip()[-200:]}")
        with tarfile.open(folder.parent / done.stdout.split()[-1]) as archive:
            # Python before 3.11.4 knows no filters; what is unpacked is a package that the tests name.
            safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(folder, **safely)
    return folder / "package"


class Peer:
    """A peer that runs."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.port = port

    async def said(self, within: float = 10) -> dict[str, Any]:
        """The next thing that it tells. Raises `TimeoutError` if it tells nothing within so many seconds."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), within)
        found: dict[str, Any] = json.loads(line)
        return found


@asynccontextmanager
async def running(script: str, modules: Path, **options: Any) -> AsyncIterator[Peer]:
    """Run a script of this folder; it ends with the context."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(HERE / script),
        json.dumps(options),
        env={**os.environ, "NODE_PATH": str(modules)},
        stdout=subprocess.PIPE,
        limit=2**24,
    )
    try:
        assert process.stdout is not None
        yield Peer(process, int(await asyncio.wait_for(process.stdout.readline(), 20)))
    finally:
        process.kill()
        await process.wait()
