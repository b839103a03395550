"""The demo's server reads the configuration that the demo writes, and says why when it does not start."""

from __future__ import annotations

from pathlib import Path

import pytest

from sendpool.config import load
from sendpool.simulate.demo import SENDERS
from sendpool.simulate.demo_server import DemoCarrier, DemoFailed, DemoPlatform, DemoServer, write_config

CARRIERS = (DemoCarrier("carrier-a", 2775), DemoCarrier("carrier-b", 2776))
PLATFORM = DemoPlatform("rcs", "http://127.0.0.1:8790", "token", "client-token")


def test_the_configuration_has_the_demos_connections_and_senders(tmp_path: Path) -> None:
    config = load(write_config(tmp_path, CARRIERS, PLATFORM, SENDERS), {}, {})

    declared = {
        (sender.channel.value, sender.address, sender.mps, connection.name)
        for connection in config.connections
        for sender in connection.senders
    }
    assert declared == {tuple(sender) for sender in SENDERS}
    assert [connection.options["port"] for connection in config.connections[:2]] == [2775, 2776]
    assert config.connections[2].options["base_url"] == PLATFORM.url


async def test_a_server_that_does_not_start_is_explained_with_its_own_words(tmp_path: Path) -> None:
    path = tmp_path / "sendpool.toml"
    path.write_text("[server]\ncolour = 1\n", encoding="utf-8")
    server = DemoServer(path)

    with pytest.raises(DemoFailed, match="ended with exit code 2"):
        await server.start()
    assert "colour" in server.tail()
    assert await server.stop() == 2
