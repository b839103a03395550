"""A release as users get it: the wheel in a new environment, and the list of what comes with it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Seconds: what is locked has to be installed.
WITHIN = 400


def run(*words: str | Path, cwd: Path, **more: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SENDPOOL_", "PYTHON"))}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=environment | more,
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert done.returncode == 0, f"{words}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what is locked; its folder of programs."""
    folder = tmp_path_factory.mktemp("release")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "new", with_pip=True)
    programs = folder / "new" / "bin"
    quiet = ("--disable-pip-version-check", "--quiet")
    run(
        programs / "pip", *quiet, "install", "--require-hashes", "-r", ROOT / "requirements" / "runtime.txt", cwd=folder
    )
    run(programs / "pip", *quiet, "install", "--no-deps", wheel, cwd=folder)
    return programs


def test_the_wheel_runs_the_demo_in_a_new_environment(installed: Path, tmp_path: Path) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", run(installed / "sendpool", "--version", cwd=tmp_path))
    run(installed / "pip", "check", cwd=tmp_path)

    told = run(installed / "sendpool", "demo", cwd=tmp_path)

    assert "times as fast" in told
    assert list(tmp_path.iterdir()) == []


def test_the_client_of_the_wheel_is_typed(installed: Path, tmp_path: Path) -> None:
    program = tmp_path / "user.py"
    program.write_text("from sendpool.client import Client\n\nreveal_type(Client().messages.send)\n", encoding="utf-8")
    mypy = (sys.executable, "-m", "mypy", "--python-executable", installed / "python", "--config-file=", program)

    assert "Accepted" in run(*mypy, cwd=tmp_path)


def test_what_comes_with_it_is_listed_as_it_is_locked() -> None:
    run("make", "sbom", cwd=ROOT)
    listed = json.loads((ROOT / "build" / "sbom.cdx.json").read_text(encoding="utf-8"))
    locked = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")

    assert listed["bomFormat"] == "CycloneDX"
    assert listed["metadata"]["component"]["name"] == "sendpool"
    pins = set(re.findall(r"^([A-Za-z0-9._-]+)==([^ \\]+)", locked, re.MULTILINE))
    assert {(one["name"], one["version"]) for one in listed["components"]} == pins
