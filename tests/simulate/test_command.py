"""`sendpool simulate` as a process: figures while it runs, totals when it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from sendpool.simulate.command import HELP, SimulateOptions, read_scripts
from sendpool.simulate.script import Refuse, ScriptError

SOURCE = Path(__file__).resolve().parents[2] / "src"
Connect = Callable[[int], AbstractAsyncContextManager[Any]]

PROGRAM = """
import asyncio, sys
from pathlib import Path
from sendpool.simulate.command import SimulateOptions, run
options = SimulateOptions(port=0, faults=("refuse share=0.5",), log=Path(sys.argv[1]), receipt_delay="0")
sys.exit(asyncio.run(run(options)))
"""


async def test_it_runs_until_it_is_told_to_stop_and_prints_totals(connect: Connect, tmp_path: Path) -> None:
    log = tmp_path / "submits.log"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        str(log),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert process.stdout is not None
    first = (await process.stdout.readline()).decode()
    assert first.startswith("centre is listening on 127.0.0.1:")
    async with connect(int(first.rsplit(":", 1)[1])) as client:
        await client.bind()
        for n in range(40):
            await client.answer_to(client.submit(f"447700{n}"))
        figures = (await process.stdout.readline()).decode()
    process.send_signal(signal.SIGTERM)
    rest, _ = await process.communicate()

    (totals,) = json.loads(rest.decode().splitlines()[-1]).values()
    assert process.returncode == 0
    assert figures.startswith("centre: submits ")
    assert totals["submits"] == 40 == totals["accepted"] + totals["refused"]
    assert 5 < totals["refused"] < 35
    assert totals["by_source"] == {"+12034458910": totals["accepted"]}
    assert len(log.read_text().splitlines()) == 40


def test_options_describe_one_centre() -> None:
    options = SimulateOptions(port=2999, seed=3, faults=("refuse status=0x0a",), answer_delay="0.1-0.2", ids="hex")

    (script,) = read_scripts(options)

    assert (script.port, script.seed, script.answer_delay, script.ids) == (2999, 3, "0.1-0.2", "hex")
    assert script.faults == (Refuse(status="0x0a"),)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (SimulateOptions(port=70000), "port"),
        (SimulateOptions(ids="octal"), "ids"),
        (SimulateOptions(receipt_delay="x"), "no time in seconds"),
        (SimulateOptions(faults=("explode",)), "is none of"),
    ],
)
def test_options_that_make_no_sense_are_explained(options: SimulateOptions, complaint: str) -> None:
    with pytest.raises(ScriptError, match=complaint):
        read_scripts(options)


def test_a_scenario_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text('[[centre]]\nname = "a"\n[[centre]]\nname = "b"\n', encoding="utf-8")

    assert [script.name for script in read_scripts(SimulateOptions(scenario=path))] == ["a", "b"]


def test_the_scenario_in_the_help_can_be_read(tmp_path: Path) -> None:
    lines = [line[2:].split("#")[0] for line in HELP.split("--scenario:\n")[1].splitlines() if line.startswith("  ")]
    path = tmp_path / "scenario.toml"
    path.write_text("\n".join(lines), encoding="utf-8")

    (script,) = read_scripts(SimulateOptions(scenario=path))
    assert script.name == "carrier-a"
    assert len(script.faults) == 1
