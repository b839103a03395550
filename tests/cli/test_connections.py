from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from tests.cli.conftest import Run

CONFIG = """
[[connections]]
name = "sandbox"
type = "sandbox"
[[connections.senders]]
channel = "SMS"
address = "+12034458910"

[[connections]]
name = "carrier-a"
type = "smpp"
host = "127.0.0.1"
port = {port}
system_id = "sendpool"
"""


@pytest.fixture(autouse=True)
def _leave_logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def write_config(port: int = 1) -> None:
    Path("sendpool.toml").write_text(CONFIG.format(port=port), encoding="utf-8")


def test_check_says_step_by_step_what_is_well(run: Run) -> None:
    write_config()
    done = run("connections", "check", "sandbox", "--send-to", "+447700900123")

    assert (done.status, done.err) == (0, "")
    assert [line.split()[:2] for line in done.out.splitlines()] == [
        ["link", "ok"],
        ["senders", "ok"],
        ["send", "ok"],
        ["receipt", "ok"],
    ]


def test_check_says_what_is_wrong_and_what_to_do_and_fails(run: Run) -> None:
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        write_config(dead.getsockname()[1])
        done = run("connections", "check", "carrier-a")
        as_json = run("connections", "check", "carrier-a", "--json")

    first, second = done.out.splitlines()
    assert done.status == as_json.status == 1
    assert first.startswith("link        NO  no connection to 127.0.0.1:")
    assert second.strip() == "nothing listens there, or a firewall refuses us: check host and port"
    (found,) = json.loads(as_json.out)
    assert (found["step"], found["ok"], found["remedy"]) == ("link", False, second.strip())


def test_check_of_a_connection_that_is_not_there_names_those_that_are(run: Run) -> None:
    write_config()
    done = run("connections", "check", "carrier-b")

    assert done.status == 2
    assert done.err == 'sendpool: there is no connection "carrier-b" in the configuration; it has sandbox, carrier-a\n'
