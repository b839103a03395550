"""The sandbox passes the suite that every connector must pass."""

from __future__ import annotations

import pytest

from sendpool.connectors.base import AttemptKey, ConnectionSettings, Submission
from sendpool.connectors.sandbox.connector import SandboxConnector
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.testing import connector_suite as suite
from sendpool.testing.clock import run_virtually

TEXT = Content(text="Hello")


class SandboxRig:
    """The sandbox is its own carrier, so there is no peer to control."""

    peer = None
    window = 20

    def connector(self) -> SandboxConnector:
        return SandboxConnector(ConnectionSettings(name="sandbox", type="sandbox", window=self.window))

    def submission(self, number: int, *, segments: int = 1) -> Submission:
        return Submission(
            attempt=AttemptKey(1000 + number, 1),
            channel=Channel.SMS,
            sender="+12034458910",
            recipient=f"+4477009{number:05}",
            content=TEXT,
            segments=segments,
            reference=number % 256,
            validity=None,
            parts=(1 << segments) - 1,
            options={},
        )


@pytest.mark.parametrize("check", suite.checks(with_peer=False), ids=lambda check: check.__name__)
def test_sandbox_passes_the_connector_suite(check: suite.Check) -> None:
    async def run() -> None:
        await check(SandboxRig())

    run_virtually(run())
