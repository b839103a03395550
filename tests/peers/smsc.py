"""The compiled message centre of bench/."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def smsc_program(folder: Path) -> Path:
    """The one that `make peers` built, else one that is built here, in *folder*."""
    built = ROOT / "build" / "smsc"
    if built.exists():
        return built
    compiler = shutil.which("cc")
    assert compiler, "these tests need a C compiler: install one (gcc or clang)"
    program = folder / "smsc"
    subprocess.run([compiler, "-O2", "-o", program, ROOT / "bench" / "smsc.c"], check=True)
    return program
