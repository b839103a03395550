"""The command line says what it did, or in one line why not, with an exit status that scripts can rely on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from sendpool import __version__
from sendpool.cli import main
from sendpool.domain.failures import FailureClass
from sendpool.store.sqlite import Owner


def environment() -> dict[str, str]:
    """The environment of a child process that runs this source, with warnings as errors."""
    source = str(Path(__file__).parents[1] / "src")
    return {**os.environ, "PYTHONPATH": source, "PYTHONWARNINGS": "error"}


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process, in an empty folder and without variables of ours."""
    for name in [name for name in os.environ if name.startswith("SENDPOOL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return Done(int(ended.value.code or 0), *capfd.readouterr())

    return run


def test_version_is_printed_by_the_module_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sendpool", "--version"]

    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True)

    assert (done.stdout.strip(), done.stderr) == (__version__, "")


def test_help_lists_the_commands(run: Run) -> None:
    done = run("--help")

    assert done.status == 0
    assert {"serve", "migrate", "simulate", "demo", "accounts", "keys", "log"} <= set(done.out.split())


@pytest.mark.parametrize("command", ["serve", "migrate", "simulate", "demo", "accounts", "keys", "log"])
def test_every_command_explains_itself(run: Run, command: str) -> None:
    done = run(command, "--help")

    assert (done.status, done.err) == (0, "")
    assert f"sendpool {command}" in done.out


def test_help_of_simulate_lists_the_faults(run: Run) -> None:
    assert "repeat-receipt" in run("simulate", "--help").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frobnicate"], 'Unknown command "frobnicate"'),
        (["serve", "--hosst", "x"], "Did you mean --host?"),
        (["serve", "--port", "x"], "--port"),
        (["serve", "--port", "70000"], "command line: --port: expected a whole number from 0 to 65535"),
        (["serve", "--role", "api"], 'role "api" needs PostgreSQL'),
        (["serve", "--role", "both"], 'command line: --role: expected "all", "api" or "send"'),
        (["serve", "--config", "no.toml"], "no.toml: it cannot be read"),
        (["serve"], 'sendpool.toml: connections[0].senders[0].mps: expected a number above 0, got "fast"'),
        (["migrate", "--config", "/dev/null", "--database", "mysql://x"], "--database: expected sqlite:/// and a path"),
        (["simulate", "--fault", "explode"], "explode"),
    ],
)
def test_wrong_use_is_one_line_on_stderr_and_status_2(run: Run, arguments: list[str], said: str) -> None:
    Path("sendpool.toml").write_text(
        "[[connections]]\nname = 'a'\ntype = 'sandbox'\n"
        "[[connections.senders]]\nchannel = 'SMS'\naddress = '+12034458910'\nmps = 'fast'\n"
        if arguments == ["serve"]
        else ""
    )

    done = run(*arguments)

    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("sendpool: ")
    assert said in done.err
    assert done.err.count("\n") == 1


def test_bad_variable_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDPOOL_LOG_LEVEL", "loud")

    done = run("serve")

    assert done.status == 2
    assert done.err.startswith('sendpool: environment: SENDPOOL_LOG_LEVEL: expected "debug", "info"')


def test_migrate_makes_the_database_and_says_so_and_is_calm_the_second_time(run: Run, tmp_path: Path) -> None:
    first = run("migrate", "--database", "sqlite:///new.db")
    second = run("migrate", "--database", "sqlite:///new.db")

    assert (first.status, second.status) == (0, 0)
    assert first.out.startswith("new.db has schema ")
    assert first.out.endswith("before none\n")
    assert second.out.endswith(" already\n")
    assert (tmp_path / "new.db").exists()
    newest = json.loads(run("migrate", "--database", "sqlite:///new.db", "--json").out)
    assert newest == {"before": newest["now"], "now": first.out.split()[3].rstrip(",")}


def test_a_restored_copy_is_told_as_json(run: Run, tmp_path: Path) -> None:
    run("migrate", "--database", "sqlite:///copy.db")
    told = json.loads(run("restored", "--database", "sqlite:///copy.db", "--json").out)
    marked = json.loads(run("restored", "--mark", "--database", "sqlite:///copy.db", "--json").out)

    assert told == {"knownUntil": None, "due": 0}
    assert marked == {"knownUntil": None, "due": 0, "inDoubt": 0, "waitOn": 0}


def test_migrate_leaves_a_database_in_use_alone(run: Run, tmp_path: Path) -> None:
    owner = Owner(tmp_path / "used.db")
    try:
        done = run("migrate", "--database", "sqlite:///used.db")
    finally:
        owner.release()

    assert done.status == 1
    assert "used.db is in use by another sendpool process" in done.err
    assert done.err.count("\n") == 1


def test_folder_that_is_not_there_is_one_line_and_status_1(run: Run) -> None:
    done = run("migrate", "--database", "sqlite:///no/such/folder/x.db")

    assert done.status == 1
    assert done.err.startswith("sendpool: ")
    assert done.err.count("\n") == 1


def test_simulate_listens_until_it_is_told_to_stop_and_prints_its_totals(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sendpool", "simulate", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "is listening on 127.0.0.1:" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()

    assert process.returncode == 0
    assert rest.startswith("{")


def test_simulate_on_a_taken_port_is_one_line_and_status_1(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("simulate", "--port", str(taken.getsockname()[1]))

    assert done.status == 1
    assert "in use" in done.err
    assert done.err.count("\n") == 1


def test_classes_are_listed_with_their_codes_and_what_follows(run: Run) -> None:
    done = run("classes")

    assert done.status == 0
    assert "CONSENT: the recipient opted out or blocked us" in done.out
    assert "  21610  The recipient has opted out." in done.out
    assert max(map(len, done.out.splitlines())) <= 120


def test_classes_are_told_to_programs_as_json(run: Run) -> None:
    told = json.loads(run("classes", "--json").out)

    assert {one["class"] for one in told["classes"]} == set(FailureClass)
    assert {"code": 60701, "status": 400, "means": "The request is invalid."} in told["requests"]
    channel = next(one for one in told["classes"] if one["class"] == "CHANNEL")
    assert "Then the recipient's next channel is tried (fallback)." in channel["follows"]
    assert 61337 in [one["code"] for one in channel["codes"]]


def test_a_reader_that_has_read_enough_is_no_fault() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "sendpool", "classes"], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.close()

        assert command.stderr.read() == b""
        assert command.wait(30) == 0
