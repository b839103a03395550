"""The command line says what it did, or in one line why not, with an exit status that scripts can rely on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from sendpool import __version__


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SENDPOOL_")}
    source = str(Path(__file__).parents[1] / "src")
    return {**inherited, "PYTHONPATH": source, "PYTHONWARNINGS": "error", "COLUMNS": "120", **(changes or {})}


def run(cwd: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sendpool", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment(environ), capture_output=True, text=True, timeout=60, check=False
    )


def test_version_is_printed(tmp_path: Path) -> None:
    done = run(tmp_path, "--version")

    assert (done.returncode, done.stdout.strip()) == (0, __version__)


def test_help_lists_the_commands(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")

    assert done.returncode == 0
    assert {"serve", "migrate", "simulate", "demo"} <= set(done.stdout.split())


@pytest.mark.parametrize("command", ["serve", "migrate", "simulate", "demo"])
def test_every_command_explains_itself(tmp_path: Path, command: str) -> None:
    done = run(tmp_path, command, "--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert f"sendpool {command}" in done.stdout


def test_help_of_simulate_lists_the_faults(tmp_path: Path) -> None:
    assert "repeat-receipt" in run(tmp_path, "simulate", "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frobnicate"], 'Unknown command "frobnicate"'),
        (["serve", "--hosst", "x"], "Did you mean --host?"),
        (["serve", "--port", "x"], "--port"),
        (["serve", "--port", "70000"], "command line: --port: expected a whole number from 0 to 65535"),
        (["serve", "--role", "api"], 'command line: --role: role "api" needs PostgreSQL'),
        (["serve", "--config", "no.toml"], "no.toml: it cannot be read"),
        (["serve"], 'sendpool.toml: connections[0].senders[0].mps: expected a number above 0, got "fast"'),
        (["migrate", "--database", "mysql://x"], "command line: --database: expected sqlite:/// and a path"),
        (["simulate", "--fault", "explode"], "explode"),
    ],
)
def test_wrong_use_is_one_line_on_stderr_and_status_2(tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "sendpool.toml").write_text(
        "[[connections]]\nname = 'a'\ntype = 'sandbox'\n"
        "[[connections.senders]]\nchannel = 'SMS'\naddress = '+12034458910'\nmps = 'fast'\n"
        if arguments == ["serve"]
        else ""
    )

    done = run(tmp_path, *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("sendpool: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_bad_variable_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", environ={"SENDPOOL_LOG_LEVEL": "loud"})

    assert done.returncode == 2
    assert done.stderr.startswith('sendpool: environment: SENDPOOL_LOG_LEVEL: expected "debug", "info"')


def test_migrate_makes_the_database_and_says_so_and_is_calm_the_second_time(tmp_path: Path) -> None:
    first = run(tmp_path, "migrate", "--database", "sqlite:///new.db")
    second = run(tmp_path, "migrate", "--database", "sqlite:///new.db")

    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout.startswith("new.db has schema ")
    assert first.stdout.endswith("before none\n")
    assert second.stdout.endswith(" already\n")
    assert (tmp_path / "new.db").exists()


def test_migrate_leaves_a_database_in_use_alone(tmp_path: Path) -> None:
    from sendpool.store.sqlite import Owner

    owner = Owner(tmp_path / "used.db")
    try:
        done = run(tmp_path, "migrate", "--database", "sqlite:///used.db")
    finally:
        owner.release()

    assert done.returncode == 1
    assert "used.db is in use by another sendpool process" in done.stderr
    assert done.stderr.count("\n") == 1


def test_folder_that_is_not_there_is_one_line_and_status_1(tmp_path: Path) -> None:
    done = run(tmp_path, "migrate", "--database", "sqlite:///no/such/folder/x.db")

    assert done.returncode == 1
    assert done.stderr.startswith("sendpool: ")
    assert done.stderr.count("\n") == 1


def test_simulate_listens_until_it_is_told_to_stop_and_prints_its_totals(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sendpool", "simulate", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "is listening on 127.0.0.1:" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()

    assert process.returncode == 0
    assert rest.startswith("{")


def test_simulate_on_a_taken_port_is_one_line_and_status_1(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run(tmp_path, "simulate", "--port", str(taken.getsockname()[1]))

    assert done.returncode == 1
    assert "in use" in done.stderr
    assert done.stderr.count("\n") == 1
