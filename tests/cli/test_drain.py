"""What `sendpool drain` prints, for people and for programs; that a server ends is gone through in the journeys."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Run


@pytest.mark.parametrize("ends", [True, False])
def test_progress_is_told_to_people_and_to_programs(run: Run, ends: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def drain_server(path: Path, within: float, tell: Callable[[float], None]) -> bool:
        tell(1.2)
        return ends

    monkeypatch.setattr("sendpool.admin.client.drain_server", drain_server)
    said, told = run("drain", "--within", "5s"), run("drain", "--within", "5s", "--json")

    assert said.status == told.status == int(not ends)
    assert said.out.startswith("1 s: 0 attempts in flight\n")
    assert [json.loads(line) for line in told.out.splitlines()] == [{"seconds": 1, "inFlight": 0}, {"ended": ends}]
