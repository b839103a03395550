"""Real processes to measure: `smsc.c`, compiled, as a carrier, and `sendpool serve` on a database of its own.

Nothing here outlives its script: children write to files, never to pipes, every wait has an end, and whatever ends
the script ends them too.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, NoReturn, Self, TypeVar

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
SINK = BUILD / "smsc"

ACCOUNT_SID = "ACbench0000000000000000000000000"
AUTH_TOKEN = "bench-token"

READY = "Sendpool is listening on "
#: Seconds that processes may take to start, and to end when they are asked to.
START_WITHIN = 120.0
STOP_WITHIN = 20.0

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
_children: set[subprocess.Popen[bytes]] = set()

#: What Python says when the tree itself is broken, not the server's settings or its work.
_BROKEN_TREE = re.compile(r"^(Import|ModuleNotFound|Syntax|Indentation|Name|Attribute|Type)Error\b")


class RigFailed(Exception):
    """Something could not be measured; the message says why."""


class OutOfTime(Exception):
    """The whole run took longer than it may."""


class Carrier(NamedTuple):
    """One SMPP connection of the server and the senders that it carries."""

    name: str
    port: int
    #: (address, segments a second).
    senders: Sequence[tuple[str, int]]
    window: int = 50
    #: Segments a second of the connection; 0: no limit of its own.
    mps: int = 0


class Usage(NamedTuple):
    """What a process has used so far: CPU seconds of all its threads, memory now and at its peak in MB (10^6)."""

    cpu_seconds: float
    rss_mb: float
    peak_rss_mb: float


def wait_for(condition: Callable[[], object], seconds: float, what: str, every: float = 0.02) -> float:
    """Wait until *condition* holds; returns the seconds it took. Raises `RigFailed` when it takes too long."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise RigFailed(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)
    return time.monotonic() - began


def limit_run(seconds: int) -> None:
    """Have `OutOfTime` raised in this script after *seconds*, and let it clean up when it is asked to end."""

    def out_of_time(*_: object) -> NoReturn:
        raise OutOfTime(f"the whole run took longer than {seconds} s")

    def asked(number: int, _: object) -> NoReturn:
        sys.exit(128 + number)

    signal.signal(signal.SIGALRM, out_of_time)
    signal.signal(signal.SIGTERM, asked)
    signal.alarm(seconds)


def build_sink() -> None:
    """Compile the message centre where it is not there or older than its source."""
    source = ROOT / "bench" / "smsc.c"
    if SINK.exists() and SINK.stat().st_mtime >= source.stat().st_mtime:
        return
    compiler = shutil.which("cc")
    if compiler is None:
        raise RigFailed("there is no C compiler for bench/smsc.c; `make build/smsc` installs one")
    BUILD.mkdir(exist_ok=True)
    subprocess.run([compiler, "-O2", "-o", str(SINK), str(source)], check=True, timeout=120)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class DeadPort:
    """A port that refuses every connection while this lives: bound, so that nobody takes it, and not listening."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


def _die_with_parent() -> None:
    """In the child: be killed when the script is, whatever killed it."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _spawn(
    arguments: Sequence[str], out: Path, errors: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    with out.open("wb") as out_file, errors.open("ab") as error_file:
        child = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=out_file,
            stderr=error_file,
            env=environment,
            cwd=out.parent,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads here, and nothing else ends it with us
        )
    _children.add(child)
    return child


def _end(child: subprocess.Popen[bytes], number: signal.Signals) -> int:
    """Signal a child and wait for its end; kill it if that takes too long. Returns its exit code."""
    if child.poll() is None:
        child.send_signal(number)
    try:
        child.wait(STOP_WITHIN)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    _children.discard(child)
    return child.returncode


@atexit.register
def _end_all() -> None:
    for child in list(_children):
        _end(child, signal.SIGKILL)


class Sink:
    """A carrier: one `smsc` process that logs every submit."""

    def __init__(self, folder: Path, name: str, *options: str) -> None:
        self.name = name
        self.port = free_port()
        self.log = folder / f"{name}.log"
        self._out = folder / f"{name}.out"
        self._errors = folder / f"{name}.err"
        arguments = [str(SINK), "--port", str(self.port), "--log", str(self.log), "--stats", *options]
        self._child = _spawn(arguments, self._out, self._errors)
        wait_for(self._listens, START_WITHIN, f"the carrier {name} listens")

    def _listens(self) -> bool:
        if self._child.poll() is not None:
            raise RigFailed(f"the carrier {self.name} ended: {_last_line(self._errors)}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def receipts_acknowledged(self) -> int:
        """Receipts that were acknowledged, as of at most a second ago."""
        found = re.findall(rb"dlrs (\d+)", self._out.read_bytes()[-1000:])
        return int(found[-1]) if found else 0

    def stop(self) -> dict[str, Any]:
        """End it; its log is complete then. Returns its totals, as `smsc.c` explains them."""
        _end(self._child, signal.SIGTERM)
        lines = self._out.read_text().splitlines()
        if not lines or not lines[-1].startswith("{"):
            raise RigFailed(f"the carrier {self.name} left no totals: {_last_line(self._errors)}")
        totals: dict[str, Any] = json.loads(lines[-1])
        return totals


class RcsProcess:
    """A simulated RCS platform, see `rcs_platform.py`."""

    def __init__(self, folder: Path, script: Mapping[str, Any]) -> None:
        path = folder / "rcs.json"
        path.write_text(json.dumps({"port": 0, **script}), encoding="utf-8")
        self._out = folder / "rcs.out"
        self._errors = folder / "rcs.err"
        arguments = [sys.executable, str(ROOT / "bench" / "rcs_platform.py"), str(path)]
        self._child = _spawn(arguments, self._out, self._errors)
        #: Where it listens.
        self.port = 0
        wait_for(self._listens, START_WITHIN, "the RCS platform listens")

    def _listens(self) -> bool:
        if self._child.poll() is not None:
            raise RigFailed(f"the RCS platform ended: {_last_line(self._errors)}")
        listening = re.search(r"listening on (\d+)\n", self._out.read_text())
        if listening:
            self.port = int(listening[1])
        return bool(listening)

    def stop(self) -> dict[str, Any]:
        """End it. Returns its totals, and every request to send that it had (`messages`)."""
        _end(self._child, signal.SIGTERM)
        lines = self._out.read_text().splitlines()
        if not lines or not lines[-1].startswith("{"):
            raise RigFailed(f"the RCS platform left no totals: {_last_line(self._errors)}")
        told: dict[str, Any] = json.loads(lines[-1])
        return told


class Simulation:
    """A carrier with faults that have their time: one `sendpool simulate` process that logs every submit."""

    def __init__(self, folder: Path, name: str, faults: Sequence[str], *options: str) -> None:
        self.name = name
        self.port = free_port()
        self.log = folder / f"{name}.log"
        errors = folder / f"{name}.err"
        arguments = [sys.executable, "-m", "sendpool", "simulate", "--port", str(self.port), "--log", str(self.log)]
        arguments += [*(word for fault in faults for word in ("--fault", fault)), "--no-stats", *options]
        self._child = _spawn(arguments, folder / f"{name}.out", errors, _environment())
        wait_for(self._listens, START_WITHIN, f"the carrier {name} listens")
        #: About when its faults' time began to count (monotonic seconds).
        self.began = time.monotonic()

    def _listens(self) -> bool:
        if self._child.poll() is not None:
            raise RigFailed(f"the carrier {self.name} ended before it listened")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """End it; its log is complete then."""
        _end(self._child, signal.SIGTERM)


class Server:
    """`sendpool serve` as a child process, which may be killed and started again on the same database."""

    def __init__(
        self,
        folder: Path,
        carriers: Sequence[Carrier],
        *,
        port: int = 0,
        more: str = "",
        url: str = "",
        name: str = "server",
        settings: str = "",
    ) -> None:
        """*settings* are lines of `[server]`; *more* is what the configuration file says beside these carriers; *port*
        0 takes a free one; *url* names a database, else it is a file in *folder*; several servers in one folder have
        each another *name*.
        """
        self._config = folder / f"{name}.toml"
        text = configuration(url or folder / "bench.db", carriers, port, settings) + more
        self._config.write_text(text, encoding="utf-8")
        self._out = folder / f"{name}.out"
        self._log = folder / f"{name}.log"
        self._child: subprocess.Popen[bytes] | None = None
        #: Variables of its environment, beside the usual ones.
        self.variables: dict[str, str] = {}
        #: Where it listens.
        self.base = ""

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._child is not None
        return self._child.pid

    def start(self) -> float:
        """Start it and wait until it is ready; returns the seconds that took."""
        self._start()
        return wait_for(self._is_ready, START_WITHIN, "the server is ready", 0.01)

    def starts_or_dies(self) -> bool:
        """Start it and wait until it is ready. False: it has ended by itself before that."""
        self._start()
        wait_for(lambda: self.has_ended() or self._is_ready(), START_WITHIN, "the server is ready", 0.01)
        return not self.has_ended()

    def has_ended(self) -> bool:
        """Whether it does not run (any more)."""
        return self._child is None or self._child.poll() is not None

    def _start(self) -> None:
        arguments = [sys.executable, "-m", "sendpool", "serve", "--config", str(self._config)]
        self._child = _spawn(arguments, self._out, self._log, _environment() | self.variables)

    def _is_ready(self) -> bool:
        ready = re.search(rf"{READY}(\S+)\n", self._out.read_text())
        if ready:
            self.base = ready[1]
        elif self._child is not None and self._child.poll() is not None:
            raise RigFailed(self._why_it_ended(self._child.returncode))
        return bool(ready)

    def _why_it_ended(self, code: int) -> str:
        last = _last_line(self._log)
        if _BROKEN_TREE.match(last):
            return f"the tree as it stands does not run: {last}"
        return f"the server ended with exit code {code}: {last}"

    def check(self) -> None:
        """Raise `RigFailed` if it is not running any more."""
        if self._child is not None and self._child.poll() is not None:
            raise RigFailed(self._why_it_ended(self._child.returncode))

    def configured(self) -> str:
        """What its configuration file says."""
        return self._config.read_text(encoding="utf-8")

    def reconfigure(self, text: str) -> None:
        """Change the configuration file and have it applied while the server runs."""
        applied = len(self.events("configuration applied"))
        self._config.write_text(text, encoding="utf-8")
        assert self._child is not None
        self._child.send_signal(signal.SIGHUP)

        def is_applied() -> bool:
            self.check()
            return len(self.events("configuration applied")) > applied

        wait_for(is_applied, START_WITHIN, "the file is applied")

    def kill(self) -> None:
        """Kill -9."""
        if self._child is not None:
            _end(self._child, signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to drain and to end; returns its exit code."""
        return _end(self._child, signal.SIGTERM) if self._child is not None else 0

    def usage(self) -> Usage:
        """What it has used, from /proc."""
        return usage(self.pid)

    def family(self) -> Usage:
        """What it and its child processes have used; a peak is the sum of their peaks."""
        return family(self.pid)

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of its log that tell of this event, in order."""
        text = self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""
        lines = [json.loads(line) for line in text.splitlines() if line.startswith("{") and name in line]
        return [line for line in lines if line.get("event") == name]

    def complaints(self) -> list[str]:
        """What its log has of warnings and errors, each once."""
        text = self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""
        events = re.findall(r'^\{.*"level": ?"(?:warning|error|critical)".*\}$', text, re.MULTILINE)
        return sorted({_in_short(json.loads(event)) for event in events})


class Rig:
    """One measurement's processes and their folder; leaving it ends and removes them.

    The folder is in `build/`, on the disk that the project is on: elsewhere durable commits might cost nothing.
    """

    def __init__(self) -> None:
        build_sink()
        self.folder = Path(tempfile.mkdtemp(prefix="bench-", dir=BUILD))
        self._sinks: list[Sink] = []
        self._dead: list[DeadPort] = []
        self._servers: list[Server] = []
        self._others = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failure = error if isinstance(error, RigFailed) else None
        if failure and (said := [one for server in self._servers for one in server.complaints()]):
            failure.args = (f"{error}; the server's log says: {'; '.join(said[:5])}",)
        for server in self._servers:
            server.kill()
        for child in list(_children):
            _end(child, signal.SIGKILL)
        self._others.close()
        for dead in self._dead:
            dead.close()
        if failure:
            # What the database and the logs say is the only way to learn why.
            failure.args = (f"{failure}; kept in {self.folder}",)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def sink(self, name: str, *options: str) -> Sink:
        """Start a carrier."""
        self._sinks.append(sink := Sink(self.folder, name, *options))
        return sink

    def enter(self, there: AbstractContextManager[T]) -> T:
        """Something that lives as long as this rig."""
        return self._others.enter_context(there)

    def dead_port(self) -> int:
        """A port where nothing listens, for as long as this rig lives."""
        self._dead.append(dead := DeadPort())
        return dead.port

    def server(
        self,
        *carriers: Carrier,
        port: int = 0,
        more: str = "",
        url: str = "",
        name: str = "server",
        settings: str = "",
    ) -> Server:
        """Start a server with these connections, and with what else its configuration says."""
        server = Server(self.folder, carriers, port=port, more=more, url=url, name=name, settings=settings)
        self._servers.append(server)
        server.start()
        return server

    def simulation(self, name: str, *faults: str, receipt_delay: str = "1") -> Simulation:
        """Start a carrier that does what these faults say (`sendpool simulate --help`)."""
        return Simulation(self.folder, name, faults, "--receipt-delay", receipt_delay)

    def command(self, *arguments: str) -> Any:
        """What a command of `sendpool` answers as JSON, beside the running server."""
        command = [sys.executable, "-m", "sendpool", *arguments, "--json", "--config", str(self.folder / "server.toml")]
        done = subprocess.run(command, env=_environment(), capture_output=True, check=False, timeout=60)
        if done.returncode:
            raise RigFailed(f"sendpool {' '.join(arguments)}: {done.stderr.decode(errors='replace').strip()}")
        return json.loads(done.stdout)

    def rcs(self, script: Mapping[str, Any]) -> RcsProcess:
        """Start an RCS platform that does what this script says."""
        return RcsProcess(self.folder, script)


def usage(pid: int) -> Usage:
    """What a process has used, from /proc."""
    status = Path(f"/proc/{pid}/status").read_text()
    kib = {name: int(value) for name, value in re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", status, re.MULTILINE)}
    return Usage(_cpu_seconds(pid), kib["VmRSS"] * 1024 / 1e6, kib["VmHWM"] * 1024 / 1e6)


def family(pid: int) -> Usage:
    """What a process and all below it have used, with those that have ended; a peak is the sum of their peaks."""
    each, ended = [], 0.0
    for one in _descent(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, KeyError):
            each.append(usage(one))
            ended += _ticks(one, 13, 15)
    cpu, rss, peak = (sum(column) for column in zip(*each, strict=True))
    return Usage(cpu + ended, rss, peak)


def _descent(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [pid, *(one for child in children for one in _descent(int(child)))]


def _cpu_seconds(pid: int) -> float:
    """CPU seconds that a process has used, all its threads together."""
    return _ticks(pid, 11, 13)


def _ticks(pid: int, first: int, end: int) -> float:
    """Seconds that fields of a process's line say together: 11 and 12 are its own, 13 and 14 its ended children's."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[first:end]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


class Neighbours:
    """How many cores are busy with what is none of ours, since this was made: their part is missing in our figures."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._busy = self._others()

    def cores(self) -> float:
        """Cores, 0 to all of them."""
        return max(0.0, (self._others() - self._busy) / (time.monotonic() - self._began))

    @staticmethod
    def _others() -> float:
        # user, nice, system, (idle, waiting for a disk,) interrupts, soft interrupts, stolen by other machines.
        numbers = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        busy = sum(int(number) for i, number in enumerate(numbers) if i not in (3, 4))
        # Servers have children of their own, which are no neighbours.
        return busy / os.sysconf("SC_CLK_TCK") - sum(map(_with_ended, _descent(os.getpid())))


def _with_ended(pid: int) -> float:
    """CPU seconds of a process and of its children that have ended."""
    try:
        return _ticks(pid, 11, 15)
    except FileNotFoundError:
        return 0.0


def configuration(database: Path | str, carriers: Sequence[Carrier], port: int = 0, settings: str = "") -> str:
    """The server's configuration file. *database* is a file of SQLite, or a URL; *settings* are lines of `[server]`."""
    url = f"sqlite:///{database}" if isinstance(database, Path) else database
    lines = ["[server]", f'database = "{url}"', f"port = {port}"]
    # Beside a file a key is kept in another file; every server on one URL is told the same.
    lines += [] if isinstance(database, Path) else ['secret_key = "the key of a measurement"']
    lines.append(settings)
    for carrier in carriers:
        lines += ["", "[[connections]]", f'name = "{carrier.name}"', 'type = "smpp"', 'host = "127.0.0.1"']
        lines += [
            f"port = {carrier.port}",
            'system_id = "bench"',
            'password = "secret08"',
            f"window = {carrier.window}",
        ]
        lines += [f"mps = {carrier.mps}"] if carrier.mps else []
        for address, mps in carrier.senders:
            lines += ["[[connections.senders]]", 'channel = "SMS"', f'address = "{address}"', f"mps = {mps}"]
    return "\n".join(lines) + "\n"


def _environment() -> dict[str, str]:
    """Ours, without settings that are meant for another server, and with the package of this tree."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SENDPOOL_")}
    own = {"SENDPOOL_ACCOUNT_SID": ACCOUNT_SID, "SENDPOOL_AUTH_TOKEN": AUTH_TOKEN, "PYTHONPATH": str(ROOT / "src")}
    return {**inherited, **own}


def _in_short(event: Mapping[str, Any]) -> str:
    """A log event in one line: what it is called and how its exception, if any, ends."""
    reason = str(event.get("exception") or event.get("error") or "").strip().split("\n")[-1]
    return f"{event.get('event')}: {reason}"[:300] if reason else str(event.get("event"))[:300]


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")[:500]
