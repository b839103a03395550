"""The demo's server: a configuration in a temporary folder, and `sendpool serve` on it as a child process."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ACCOUNT_SID = "ACdem00000000000000000000000000000"
READY = "Sendpool is listening on "
#: Seconds that the server may take to start, and to drain.
START_WITHIN = 30.0
STOP_WITHIN = 20.0
#: Lines of the server's log to show when it failed.
TAIL = 15


class DemoFailed(Exception):
    """The demo cannot go on; the message says why."""


class DemoSender(NamedTuple):
    """A sender of the demo."""

    channel: str
    address: str
    #: Segments a second.
    mps: int
    connection: str


class DemoCarrier(NamedTuple):
    """A simulated carrier that the server binds to."""

    name: str
    port: int


class DemoPlatform(NamedTuple):
    """A simulated RCS platform that the server posts to, and what each shows to the other."""

    name: str
    url: str
    token: str
    client_token: str


def write_config(
    folder: Path, carriers: Sequence[DemoCarrier], platform: DemoPlatform, senders: Sequence[DemoSender]
) -> Path:
    """Write sendpool.toml into *folder*: a connection per carrier, one to RCS, and a sandbox for what is neither."""
    lines = ["[server]", f'database = "sqlite:///{folder / "demo.db"}"']
    for carrier in carriers:
        lines += [
            "",
            "[[connections]]",
            f'name = "{carrier.name}"',
            'type = "smpp"',
            'host = "127.0.0.1"',
            f"port = {carrier.port}",
            'system_id = "demo"',
            'password = "secret08"',
            "window = 50",
            # The carrier is away for seconds, not minutes: look for it more often than one would in earnest.
            "reconnect_max = 2.0",
            *_sender_lines(senders, carrier.name),
        ]
    lines += [
        "",
        "[[connections]]",
        f'name = "{platform.name}"',
        'type = "rcs"',
        f'base_url = "{platform.url}"',
        f'token = "{platform.token}"',
        f'client_token = "{platform.client_token}"',
        *_sender_lines(senders, platform.name),
    ]
    lines += ["", "[[connections]]", 'name = "sandbox"', 'type = "sandbox"', *_sender_lines(senders, "sandbox")]
    path = folder / "sendpool.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class DemoServer:
    """`sendpool serve` as a child process: `base` is where it listens."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._log = config.parent / "server.log"
        self._process: asyncio.subprocess.Process | None = None
        self.token = secrets.token_hex(16)
        self.base = ""

    async def start(self) -> None:
        """Start it and wait until it is ready. Raises `DemoFailed` if it does not get there: see `tail`."""
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "sendpool", "serve", "--config", str(self._config), "--port", "0"),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._environment(),
            )
        try:
            async with asyncio.timeout(START_WITHIN):
                self.base = await self._ready(self._process)
        except TimeoutError:
            raise DemoFailed(f"the server was not ready within {START_WITHIN:.0f} s") from None

    async def stop(self) -> int:
        """Ask it to drain; kill it if it does not end. Returns its exit code."""
        process = self._process
        if process is None:
            return 0
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_WITHIN):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.communicate()
        return process.returncode or 0

    def tail(self) -> str:
        """The last lines of its log."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-TAIL:])

    async def _ready(self, process: asyncio.subprocess.Process) -> str:
        assert process.stdout is not None
        while line := (await process.stdout.readline()).decode():
            if line.startswith(READY):
                return line.removeprefix(READY).strip()
        await process.wait()
        raise DemoFailed(f"the server ended with exit code {process.returncode}")

    def _environment(self) -> dict[str, str]:
        """Ours, without settings that are meant for another server, and with the package that runs here."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SENDPOOL_")}
        package = Path(__file__).resolve().parents[2]
        own = {"SENDPOOL_ACCOUNT_SID": ACCOUNT_SID, "SENDPOOL_AUTH_TOKEN": self.token, "PYTHONPATH": str(package)}
        return {**inherited, **own}


def _sender_lines(senders: Sequence[DemoSender], connection: str) -> list[str]:
    lines = []
    for sender in senders:
        if sender.connection == connection:
            lines += [
                "[[connections.senders]]",
                f'channel = "{sender.channel}"',
                f'address = "{sender.address}"',
                f"mps = {sender.mps}",
            ]
    return lines
