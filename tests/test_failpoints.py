"""Failpoints: what the variable may say, what happens then, and that every point stands somewhere in the code."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sendpool import failpoints
from sendpool.failpoints import POINTS, VARIABLE, Armed, BadFailpoints, Failed, Order, read

SOURCE = Path(__file__).parents[1] / "src" / "sendpool"
#: Points whose names are put together: what a batch carries, and where it stands.
_COMPOSED = {f"{what}.{place}" for what in ("accept", "change", "expansion", "claim", "result", "receipt", "sweep")
             for place in ("applied", "committed")}  # fmt: skip


def run(point: str, orders: str) -> subprocess.CompletedProcess[str]:
    """A process of its own that reaches a point twice."""
    program = (
        f"from sendpool.failpoints import reach; reach({point!r}); print('once'); reach({point!r}); print('twice')"
    )
    environment = {**os.environ, VARIABLE: orders, "PYTHONPATH": str(SOURCE.parent)}
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("text", "orders"),
    [
        ("", {}),
        ("claim.committed=kill", {"claim.committed": Order("kill")}),
        (" claim.committed=kill@3 , ", {"claim.committed": Order("kill", at=3)}),
        ("receipt.heard=raise@2+", {"receipt.heard": Order("raise", at=2, on=True)}),
        (
            "answer.heard=delay:0.5,drain.begun=kill",
            {"answer.heard": Order("delay", 0.5), "drain.begun": Order("kill")},
        ),
    ],
)
def test_orders_are_read(text: str, orders: dict[str, Order]) -> None:
    assert read(text) == orders


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("claim.comitted=kill", 'no point "claim.comitted"; there are accept.waiting'),
        ("claim.committed", "is not of the form"),
        ("claim.committed=explode", "is not of the form"),
        ("claim.committed=kill@0", "is not of the form"),
        ("answer.heard=delay", "is not of the form"),
    ],
)
def test_an_order_that_cannot_be_read_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(BadFailpoints, match=re.escape(words)):
        read(text)


def test_it_happens_at_that_time_and_at_no_other() -> None:
    once = Armed({"answer.heard": Order("raise", at=2)})
    on = Armed({"answer.heard": Order("raise", at=2, on=True)})

    for armed in (once, on):
        armed.reach("answer.heard")
        armed.reach("answer.taken")
        with pytest.raises(Failed, match="as ordered"):
            armed.reach("answer.heard")
    once.reach("answer.heard")
    with pytest.raises(Failed):
        on.reach("answer.heard")


def test_a_delay_holds_up_the_thread() -> None:
    armed = Armed({"answer.heard": Order("delay", 0.02)})
    began = time.monotonic()

    armed.reach("answer.heard")

    assert time.monotonic() - began >= 0.02


def test_a_killed_process_does_nothing_more() -> None:
    done = run("answer.heard", "answer.heard=kill@2")

    assert done.returncode == -signal.SIGKILL
    assert "twice" not in done.stdout
    assert "failpoints are armed: answer.heard=kill@2" in done.stderr


def test_a_bad_variable_keeps_the_process_from_starting() -> None:
    done = run("answer.heard", "answer.heard=later")

    assert done.returncode == 1
    assert VARIABLE in done.stderr
    assert "once" not in done.stdout


def test_without_the_variable_nothing_happens_anywhere() -> None:
    assert not failpoints.ARMED
    assert failpoints.reach is failpoints._nothing


def test_every_point_stands_in_the_code_once_and_no_other_does() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py") if path.stem != "failpoints")

    reached = re.findall(r'\breach\("([a-z.]+)"\)', text)

    assert sorted([*reached, *_COMPOSED]) == sorted(POINTS)
