"""A rig for whole journeys: `sendpool serve` as a real process on SQLite, simulated carriers on real sockets.

Nothing outlives its test: every process that is started here is ended, and every wait has an end.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import aiohttp
import pytest

from sendpool.simulate.centre import MessageCentre
from sendpool.simulate.script import AnyFault, Script

SOURCE = Path(__file__).parents[2] / "src"
ACCOUNT_SID = "AC" + "5" * 32
AUTH_TOKEN = "journey-token-4711"
PASSWORD = "pass8chr"
READY = "Sendpool is listening on "

#: Seconds that the server may take to start, and to end when it is asked to.
START_WITHIN = 30.0
STOP_WITHIN = 20.0
#: Lines of a log to show.
TAIL = 20
#: Fetches at one time.
AT_ONCE = 16

Json = dict[str, Any]


class Answer(NamedTuple):
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def until(
    condition: Callable[[], Any], within: float = 15.0, what: str = "the condition holds", every: float = 0.05
) -> Any:
    """Wait until *condition*, which may be asynchronous, brings something true; returns that."""
    end = time.monotonic() + within
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, f"not within {within:g} s: {what}"
        await asyncio.sleep(every)


class DeadPort:
    """A port that refuses every connection while this lives: bound, so that nobody takes it, and not listening."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def close(self) -> None:
        self._socket.close()


class Server:
    """One server: its folder, its file, its process (which may be killed and started again) and its HTTP API."""

    def __init__(self, folder: Path, http: aiohttp.ClientSession) -> None:
        self.folder = folder
        self.config = folder / "sendpool.toml"
        self.database = folder / "journey.db"
        self.url = f"sqlite:///{self.database}"
        self.log = folder / "server.log"
        self.base = ""
        self._http = http
        self._out = folder / "server.out"
        self._process: subprocess.Popen[bytes] | None = None
        #: Variables of its environment, beside the usual ones.
        self.variables: dict[str, str] = {}
        #: What goes before its command, to run it in another network.
        self.inside: Sequence[str] = ()

    # ------------------------------------------------------------ the process

    def write(self, *connections: str, server: str = "") -> None:
        """Write the configuration: what `Rig.smpp` and `Rig.sandbox` make, and lines of `[server]`."""
        head = f'[server]\ndatabase = "{self.url}"\nlog_format = "json"\n{server}\n'
        self.config.write_text(head + "\n".join(connections), encoding="utf-8")

    async def start(self) -> None:
        """Start it and wait until it is ready. What it logged before stays in the log."""
        self.spawn()
        self.base = await until(self._ready, START_WITHIN, "the server is ready", 0.02)

    def spawn(self) -> None:
        """Start it and do not wait."""
        self._process = self._spawn()

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._out.open("wb") as out, self.log.open("ab") as log:
            return subprocess.Popen(
                [*self.inside, sys.executable, "-m", "sendpool", "serve", "--config", str(self.config), "--port", "0"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                cwd=self.folder,
                env=environment() | self.variables,
            )

    async def starts_or_dies(self) -> bool:
        """Start it and wait until it is ready. False: it has ended by itself before that."""
        self.spawn()
        process = self._process
        assert process is not None
        self.base = await until(
            lambda: (process.poll() is not None and "dead") or self._ready(), START_WITHIN, "the server is ready", 0.02
        )
        return self.base != "dead"

    async def died(self, within: float = START_WITHIN) -> int:
        """Wait until it has ended by itself; returns the exit status."""
        process = self._process
        assert process is not None
        await until(lambda: process.poll() is not None, within, "the server ends by itself", 0.02)
        self._process = None
        return process.returncode

    def _ready(self) -> str:
        assert self._process is not None
        assert self._process.poll() is None, f"the server ended: {self.log_text()[-2000:]}"
        lines = self._out.read_text(encoding="utf-8").splitlines()
        return next((line.removeprefix(READY) for line in lines if line.startswith(READY)), "")

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    async def kill(self) -> None:
        """Kill -9."""
        await self._end(signal.SIGKILL)

    async def stop(self, within: float = STOP_WITHIN) -> int:
        """SIGTERM; returns the exit status."""
        return await self._end(signal.SIGTERM, within)

    async def _end(self, number: signal.Signals, within: float = STOP_WITHIN) -> int:
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(number)
        try:
            await until(lambda: process.poll() is not None, within, f"the server ends after {number.name}")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        return process.returncode

    def hang_up(self) -> None:
        """SIGHUP: read the file again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    async def reload(self) -> Json:
        """SIGHUP, and wait until the log says what came of it; returns that line."""
        before = len(self.events("configuration "))
        self.hang_up()
        await until(lambda: len(self.events("configuration ")) > before, what="the file is read again")
        return self.events("configuration ")[-1]

    def abandon(self) -> None:
        """End it whatever it is doing; no matter if it has ended."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    # ------------------------------------------------------------ what it leaves

    def log_text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def events(self, beginning: str = "", level: str = "") -> list[Json]:
        """The lines of its log whose event begins so, in order."""
        lines = [json.loads(line) for line in self.log_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"].startswith(beginning) and line["level"].startswith(level)]

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Read the database beside the server."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            return database.execute(sql, values).fetchall()

    # ------------------------------------------------------------ its API

    async def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request with exactly these headers, besides those that HTTP itself wants."""
        async with self._http.request(method, self.base + path, data=body, headers=headers) as answer:
            return Answer(answer.status, dict(answer.headers), await answer.read())

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        expect: int = 0,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Any:
        """A request with our credentials; brings the answer's JSON. *expect* is its status, else any below 300."""
        sent = {"Authorization": AUTHORIZATION, "Content-Type": "application/json", **headers}
        answer = await self.ask(method, path, None if body is None else json.dumps(body).encode(), sent)
        assert answer.status == expect if expect else answer.status < 300, f"{method} {path}: {answer}"
        return answer.json if answer.body else None

    async def pages(self, path: str, key: str) -> list[Json]:
        """Every item of a list."""
        items: list[Json] = []
        token = ""
        while True:
            sign = "&" if "?" in path else "?"
            page = await self.call("GET", f"{path}{sign}pageSize=1000{token}")
            items += page[key]
            if not page["pagination"]["next"]:
                return items
            token = f"&pageToken={page['pagination']['next']}"

    async def senders(self, query: str = "") -> dict[str, Json]:
        """Senders by address."""
        return {sender["address"]: sender for sender in await self.pages(f"/v1/Senders{query}", "senders")}

    async def pool(self, *addresses: str, **more: object) -> str:
        """Make a pool of these senders, else of all; returns its id."""
        known = await self.senders("?status=ACTIVATED")
        members = [{"senderId": known[address]["id"]} for address in (addresses or known)]
        accepted = await self.call("POST", "/v1/SenderPools", {"name": "journey", "senders": members, **more})
        found = await self.pages(f"/v1/SenderPools?operationId={accepted['operationId']}", "senderPools")
        return str(found[0]["id"])

    async def send(self, pool: str, to: Sequence[str | Json], text: str = "Hello, World!") -> str:
        """Send through a pool to phones (or whole recipients); returns the operation's id once it is accepted."""
        recipients = [{"address": one, "channel": "PHONE"} if isinstance(one, str) else one for one in to]
        body = {"from": {"senderPoolId": pool}, "to": recipients, "content": {"text": text}}
        return str((await self.call("POST", "/v1/Messages", body, 202))["operationId"])

    async def operation(self, operation: str) -> Json:
        found: Json = await self.call("GET", f"/v1/Messages/Operations/{operation}")
        return found

    async def stats(self, operation: str) -> dict[str, int]:
        found: dict[str, int] = (await self.operation(operation))["stats"]
        return found

    async def messages(self, operation: str, query: str = "") -> list[Json]:
        return await self.pages(f"/v1/Messages?operationId={operation}{query}", "messages")

    async def message(self, message: str) -> Json:
        found: Json = await self.call("GET", f"/v1/Messages/{message}")
        return found

    async def fetch_all(self, operation: str) -> list[Json]:
        """Every message of an operation with its attempts."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def fetch(message: str) -> Json:
            async with turns:
                return await self.message(message)

        return await asyncio.gather(*(fetch(one["id"]) for one in await self.messages(operation)))

    async def wait_stats(self, operation: str, within: float = 20.0, **wanted: int) -> dict[str, int]:
        """Wait until these counters are so: `delivered=60`."""
        stats: dict[str, int] = {}

        async def reached() -> bool:
            nonlocal stats
            stats = await self.stats(operation)
            return all(stats[name] == number for name, number in wanted.items())

        try:
            await until(reached, within, "", 0.1)
        except AssertionError:
            raise AssertionError(f"not within {within:g} s: {wanted}; the operation has {stats}") from None
        return stats


def environment() -> dict[str, str]:
    """Ours without settings that are meant for another server, and with the package that is tested."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SENDPOOL_")}
    own = {"SENDPOOL_ACCOUNT_SID": ACCOUNT_SID, "SENDPOOL_AUTH_TOKEN": AUTH_TOKEN, "PYTHONPATH": str(SOURCE)}
    return {**inherited, **own}


AUTHORIZATION = aiohttp.encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)


class Rig:
    """What one journey needs: carriers, servers, dead ports."""

    authorization = AUTHORIZATION
    token = AUTH_TOKEN
    password = PASSWORD
    until = staticmethod(until)
    environment = staticmethod(environment)

    @staticmethod
    def phones(number: int, first: int = 0) -> list[str]:
        """So many phones, each another."""
        return [f"+4477009{first + i:05d}" for i in range(number)]

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._servers: list[Server] = []

    async def centre(self, *faults: AnyFault, **settings: Any) -> MessageCentre:
        """A carrier on a real socket."""
        script = Script(port=0, accounts={"journey": PASSWORD}, faults=faults, **settings)
        return await self._stack.enter_async_context(MessageCentre(script))

    def dead_port(self) -> int:
        """A port at which nobody listens, for as long as the test runs."""
        dead = DeadPort()
        self._stack.callback(dead.close)
        return dead.port

    def smpp(self, name: str, port: int, senders: Sequence[tuple[str, float]], **settings: object) -> str:
        """An SMPP connection of the configuration. *senders* are (address, segments a second)."""
        more = {"window": 50, "reconnect_min": 0.1, "reconnect_max": 0.5, **settings}
        own = {"host": "127.0.0.1", "port": port, "system_id": "journey", "password": PASSWORD}
        return _connection(name, "smpp", {**own, **more}, [("SMS", address, mps) for address, mps in senders])

    def sandbox(self, senders: Sequence[tuple[str, str, float]], **settings: object) -> str:
        """A sandbox connection of the configuration. *senders* are (channel, address, segments a second)."""
        return _connection("sandbox", "sandbox", settings, senders)

    async def server(self, *connections: str, server: str = "", start: bool = True) -> Server:
        """A server with a folder of its own, started."""
        folder = self._folder / f"server-{len(self._servers)}"
        folder.mkdir(exist_ok=True)
        http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        await self._stack.enter_async_context(http)
        made = Server(folder, http)
        self._servers.append(made)
        self._stack.callback(made.abandon)
        made.write(*connections, server=server)
        if start:
            await made.start()
        return made

    async def command(self, server: Server, *words: str, status: int = 0) -> Any:
        """Run `sendpool` with these words beside the server; brings its JSON, or what it complained of."""
        done = await self.run(server, *words, "--json", status=status)
        return json.loads(done.stdout) if status == 0 else done.stderr

    async def run(self, server: Server, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run `sendpool` with these words beside the server."""

        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "sendpool", *words, "--config", str(server.config)],
                env=environment(),
                cwd=server.folder,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )

        done = await asyncio.to_thread(run)
        assert done.returncode == status, done
        return done

    def tails(self) -> str:
        """The last lines of every server's log."""
        return "\n".join("\n".join(server.log_text().splitlines()[-TAIL:]) for server in self._servers)

    async def linked(self, *centres: MessageCentre) -> None:
        """Wait until the server is bound to each of these."""
        bound = lambda: all(any(link.bound for link in centre.links) for centre in centres)  # noqa: E731
        await until(bound, what="the server is bound to its carriers")


def _connection(name: str, kind: str, settings: Mapping[str, object], senders: Sequence[tuple[str, str, float]]) -> str:
    lines = ["[[connections]]", f'name = "{name}"', f'type = "{kind}"']
    lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    for channel, address, mps in senders:
        lines += ["[[connections.senders]]", f'channel = "{channel}"', f'address = "{address}"', f"mps = {mps}"]
    return "\n".join([*lines, ""])


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        made = Rig(tmp_path, stack)
        yield made
    # Shown where the test failed.
    print(made.tails())
