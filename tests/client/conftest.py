from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest
from tests.running import running_server


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A whole server."""
    with running_server(tmp_path_factory.mktemp("server")) as url:
        yield url


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
