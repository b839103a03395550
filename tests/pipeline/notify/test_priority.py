"""Sending goes first, and events are not starved."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from tests.pipeline.worlds import virtually

from sendpool.pipeline.notify.priority import LOOK, PATIENCE, keep_yielding


class Scripted:
    """A scheduler that lets us wait for a share of the time, by whether we are stepped back."""

    def __init__(self, *, forward: float, back: float, allowed: bool = True) -> None:
        self._shares = {False: forward, True: back}
        self._allowed = allowed
        self._back = False
        self._since = self._waited = 0.0
        self.steps: list[tuple[str, float]] = []

    def waited(self) -> float:
        now = asyncio.get_running_loop().time()
        self._waited += (now - self._since) * self._shares[self._back]
        self._since = now
        return self._waited

    def becomes(self, *, forward: float, back: float) -> None:
        self.waited()
        self._shares = {False: forward, True: back}

    def step_back(self) -> None:
        self._step("back")

    def step_forward(self) -> None:
        if not self._allowed:
            raise PermissionError
        self._step("forward")

    def _step(self, where: str) -> None:
        self.waited()
        self._back = where == "back"
        self.steps.append((where, asyncio.get_running_loop().time()))


@virtually
async def test_it_steps_back_once_it_has_what_it_needs_and_forward_after_a_minute_without() -> None:
    scheduler = Scripted(forward=0.1, back=0.1)
    began = scheduler._since = asyncio.get_running_loop().time()
    task = asyncio.create_task(keep_yielding(scheduler, lambda: None))
    await asyncio.sleep(500)
    assert scheduler.steps == [("back", began + LOOK)]

    scheduler.becomes(forward=0.8, back=0.97)
    await asyncio.sleep(2 * PATIENCE)
    assert [where for where, _ in scheduler.steps] == ["back", "forward"]
    assert scheduler.steps[-1][1] - began - 500 <= 2 * PATIENCE

    scheduler.becomes(forward=0.0, back=0.0)
    await asyncio.sleep(2 * LOOK)
    assert [where for where, _ in scheduler.steps] == ["back", "forward", "back"]
    task.cancel()


@virtually
async def test_where_it_may_not_step_forward_it_ends() -> None:
    scheduler = Scripted(forward=0.1, back=0.97, allowed=False)
    ended: list[bool] = []
    async with asyncio.timeout(10 * PATIENCE):
        await keep_yielding(scheduler, lambda: ended.append(True))

    assert ended == [True]
    assert [where for where, _ in scheduler.steps] == ["back"]


_LOOKS = """
import os, threading
from pathlib import Path
from sendpool.pipeline.notify.priority import LinuxScheduler
done = threading.Event()
thread = threading.Thread(target=done.wait)
thread.start()
scheduler = LinuxScheduler()
scheduler.step_back()
policies = [os.sched_getscheduler(int(task.name)) for task in Path("/proc/self/task").iterdir()]
done.set()
print(os.nice(0), len(policies), set(policies) == {os.SCHED_IDLE}, scheduler.waited() >= 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the classes of Linux's scheduler")
def test_every_thread_of_a_process_steps_back() -> None:
    done = subprocess.run([sys.executable, "-c", _LOOKS], capture_output=True, text=True, check=True, timeout=60)

    nice, threads, idle, waits = done.stdout.split()
    assert (int(nice) >= 10, int(threads) >= 2, idle, waits) == (True, True, "True", "True")
