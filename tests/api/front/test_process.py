"""A front that does not come up is said in words, and leaves nothing behind."""

from __future__ import annotations

import socket
import sys
from typing import Any

import pytest

from sendpool.api.front import process
from sendpool.api.front.frames import Settings
from sendpool.api.front.process import Fronts, NoFront
from sendpool.api.front.talk import Wiring
from sendpool.api.rates import RequestRates


def nothing(*_: Any) -> Any:
    raise AssertionError("nobody asks for anything")


@pytest.mark.parametrize("program", ["/nowhere/python", "/bin/false"])
async def test_a_front_that_does_not_come_up_is_said_in_words(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "PATIENCE", 0.3)
    monkeypatch.setattr(process, "AGAIN", 0.05)
    monkeypatch.setattr(sys, "executable", program)
    settings = Settings(
        database="x.db", file=True, public_url=None, trusted_proxies=(), log_level="info", log_json=None
    )
    fronts = Fronts(1)
    wiring = Wiring(settings, nothing, nothing, nothing, RequestRates(), nothing, nothing)

    with pytest.raises(NoFront, match="no front listens after"):
        await fronts.start(socket.create_server(("127.0.0.1", 0)), wiring)
