"""A whole server with a sandbox behind it, for tests of what stands in front of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
ACCOUNT_SID, AUTH_TOKEN = "AC" + "7" * 32, "client-token-4711"
READY = "Sendpool is listening on "
CONFIG = """
[[connections]]
name = "sandbox"
type = "sandbox"

[[connections.senders]]
channel = "SMS"
address = "+12034458910"
mps = 5000

[[connections.senders]]
channel = "SMS"
address = "+12034458911"
mps = 5000

[[connections.senders]]
channel = "EMAIL"
address = "support@example.com"
mps = 5000
"""


@contextmanager
def running_server(folder: Path, **variables: str) -> Iterator[str]:
    """Start it in a folder, with more *variables* in its environment; its URL. It is ended in the end."""
    (folder / "sendpool.toml").write_text(CONFIG, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SENDPOOL_")}
    own = {"SENDPOOL_ACCOUNT_SID": ACCOUNT_SID, "SENDPOOL_AUTH_TOKEN": AUTH_TOKEN, "PYTHONPATH": str(SOURCE)}
    out, log = folder / "out", folder / "log"
    with out.open("wb") as stdout, log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "sendpool", "serve", "--port", "0"],
            stdout=stdout,
            stderr=stderr,
            cwd=folder,
            env=kept | own | variables,
        )
    try:
        end = time.monotonic() + 30
        while not (lines := [line for line in out.read_text().splitlines() if line.startswith(READY)]):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < end, log.read_text()[-2000:]
            time.sleep(0.02)
        yield lines[0].removeprefix(READY)
    finally:
        process.terminate()
        process.wait(20)
