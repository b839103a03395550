from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parents[2] / "src"
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


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A whole server with a sandbox behind it."""
    folder = tmp_path_factory.mktemp("server")
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
            env=kept | own,
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


class Asked(NamedTuple):
    """A request that came to a scripted server."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


#: Status, headers and body; None: hang up without an answer.
Scripted = tuple[int, dict[str, str], str] | None


class ScriptedServer(ThreadingHTTPServer):
    """Answers one request after the other from a list, on a real socket."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answers: list[Scripted] = []
        self.asked: list[Asked] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedServer

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        named = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append(Asked(self.command, self.path, named, body))
        answer = self.server.answers.pop(0)
        if answer is None:
            self.close_connection = True
            return
        status, headers, text = answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


Phones = Callable[[int], list[str]]


@pytest.fixture
def phones() -> Phones:
    return lambda number: [f"+4477009{i:05d}" for i in range(number)]
