"""What a figure was measured on and with: it means nothing without."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from bench.rig import BUILD, ROOT


def machine() -> dict[str, Any]:
    """The machine as far as it matters: processors, how busy they were, memory, system, and what a commit costs."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "fsync_ms": _fsync_ms(),
        # Neighbours take from what is measured: with a load near the number of cores, measure again.
        "load": round(os.getloadavg()[0], 2),
    }


def version() -> str:
    """The project's version and commit. Read as text: it has to be said for a tree that does not run, too."""
    text = (ROOT / "src" / "sendpool" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'__version__ = "([^"]+)"', text)
    number = found[1] if found else "unknown"
    commit = _git("rev-parse", "--short", "HEAD")
    changed = " with changes" if _git("status", "--porcelain", "--", "src") else ""
    return f"{number} ({commit}{changed})" if commit else number


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return found[1] if found else platform.machine()


def _fsync_ms(tries: int = 40) -> float:
    """Milliseconds that making 4 KiB durable takes on the project's disk, median."""
    BUILD.mkdir(exist_ok=True)
    path = BUILD / f"fsync-{os.getpid()}"
    took = []
    with path.open("wb", buffering=0) as file:
        for _ in range(tries):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    path.unlink()
    return round(statistics.median(took) * 1000, 3)
