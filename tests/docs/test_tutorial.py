"""The tutorial, as a reader follows it: its files are written, its commands run, and each does what it says."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")


class Block(NamedTuple):
    """Something to be typed, or a file to be written."""

    kind: str
    text: str


BLOCKS = [Block(*found) for found in re.findall(r"^```(\w+)\n(.*?)^```", TUTORIAL, re.MULTILINE | re.DOTALL)]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """That of somebody who has installed it: the command is on the path, and nothing is set."""
    programs = tmp_path / "bin"
    programs.mkdir()
    command = programs / "sendpool"
    command.write_text(
        f'#!/bin/sh\nPYTHONPATH={ROOT / "src"} exec {sys.executable} -m sendpool "$@"\n', encoding="utf-8"
    )
    command.chmod(0o755)
    mine = ("SENDPOOL_", "TWILIO_", "PYTHON", "COLUMNS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    return {**kept, "PATH": f"{programs}:{Path(sys.executable).parent}:{kept['PATH']}"}


def wait_until_ready(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while True:
        assert server.poll() is None
        assert time.monotonic() < end
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.02)


def test_every_command_of_the_tutorial_works(environment: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    port = free_port()
    commands = [block.text.replace(":8080", f":{port}") for block in BLOCKS if block.kind == "bash"]
    install, serve, *others = commands
    (config,) = (block.text for block in BLOCKS if block.kind == "toml")
    (folder / "sendpool.toml").write_text(config, encoding="utf-8")
    with (tmp_path / "server").open("wb") as log:
        server = subprocess.Popen(
            ["bash", "-ec", serve.replace("sendpool serve", "exec sendpool serve")],
            cwd=folder,
            env=environment | {"SENDPOOL_PORT": str(port)},
            stdout=log,
            stderr=log,
        )
        try:
            wait_until_ready(port, server)
            # One shell, as a reader has: what is exported stays.
            script = "".join(f"echo '<<{number}>>'\n{command}" for number, command in enumerate(others))
            done = subprocess.run(
                ["bash", "-eo", "pipefail", "-c", script],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=90,
                check=False,
            )
        finally:
            server.terminate()
            server.wait(30)
    parts = re.split(r"<<\d+>>\n", done.stdout)[1:]
    said = {command.splitlines()[0]: part for command, part in zip(others, parts, strict=False)}

    assert install == "pip install sendpool\n"
    assert done.returncode == 0, f"{done.stdout[-1500:]} {done.stderr[-1500:]}"
    assert "+12034458911" in said['sendpool pools create "Sales" +12034458910 +12034458911']
    assert "1 were sent to" in next(part for command, part in said.items() if "Hello, World!" in command)
    assert "3 were sent to" in said["cat > people.csv <<'END'"]
    assert '"messages"' in next(part for command, part in said.items() if command.startswith("curl"))
    assert "2 of 2 senders" in said["sendpool operations list"]
    told = next(part for command, part in said.items() if "+15005550003" in command)
    assert "FAILED" in told
    assert "ok" in said["sendpool connections check sandbox --send-to +447700900123"]
