"""The suite catches connectors that break their word: each fault here fails the check that is about it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from sendpool.connectors.base import (
    AttemptKey,
    CarrierId,
    ConnectionSettings,
    Connector,
    Inbox,
    Outcome,
    Receipt,
    Submission,
)
from sendpool.connectors.sandbox.connector import SandboxConnector
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.testing import connector_suite as suite
from sendpool.testing.clock import run_virtually
from sendpool.testing.inbox import NotStored, RecordingInbox

Items = Sequence[tuple[AttemptKey, int, Outcome]]


class Meddler:
    """Stands between a connector and its inbox."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inbox, name)


class AnswersTwice(Meddler):
    def outcomes(self, items: Items) -> None:
        self._inbox.outcomes([*items, items[0]])


class LosesAnswers(Meddler):
    def outcomes(self, items: Items) -> None:
        self._inbox.outcomes(items[1:])


class AnswersAfterClose(Meddler):
    def outcomes(self, items: Items) -> None:
        asyncio.get_running_loop().call_later(1.0, self._inbox.outcomes, items)


class SameIds(Meddler):
    def outcomes(self, items: Items) -> None:
        self._inbox.outcomes([(key, part, CarrierId("1")) for key, part, _ in items])


class MisspeltReceipts(Meddler):
    async def receipts(self, items: Sequence[Receipt]) -> None:
        await self._inbox.receipts([item._replace(carrier_id=item.carrier_id.upper() + "0") for item in items])


class NeverRepeats(Meddler):
    async def receipts(self, items: Sequence[Receipt]) -> None:
        try:
            await self._inbox.receipts(items)
        except NotStored:
            return


class NeverUp(Meddler):
    def link(self, *, up: bool, window: int, detail: str = "") -> None:
        self._inbox.link(up=up, window=0, detail=detail)


class FaultyConnector(SandboxConnector):
    """A sandbox whose words a meddler changes."""

    meddler: type[Meddler] = Meddler

    async def open(self, inbox: Inbox) -> None:
        await super().open(self.meddler(inbox))


class Raises(SandboxConnector):
    async def submit(self, batch: Sequence[Submission]) -> None:
        if not batch:
            raise IndexError("empty batch")
        await super().submit(batch)


class SubmitsEveryPart(SandboxConnector):
    async def submit(self, batch: Sequence[Submission]) -> None:
        await super().submit([item._replace(parts=(1 << item.segments) - 1) for item in batch])


def meddled(meddler: type[Meddler]) -> type[SandboxConnector]:
    return type(f"With{meddler.__name__}", (FaultyConnector,), {"meddler": meddler})


class Rig:
    peer = None
    window = 20

    def __init__(self, kind: type[SandboxConnector]) -> None:
        self._kind = kind

    def connector(self) -> Connector:
        return self._kind(ConnectionSettings(name="faulty", type="sandbox"))

    def submission(self, number: int, *, segments: int = 1) -> Submission:
        return Submission(
            attempt=AttemptKey(number, 1),
            channel=Channel.SMS,
            sender="+12034458910",
            recipient=f"+4477009{number:05}",
            content=Content(text="Hello"),
            segments=segments,
            reference=0,
            validity=None,
            parts=(1 << segments) - 1,
            options={},
        )


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (meddled(AnswersTwice), suite.each_part_gets_one_outcome),
        (meddled(LosesAnswers), suite.each_part_gets_one_outcome),
        (meddled(SameIds), suite.each_part_gets_one_outcome),
        (meddled(MisspeltReceipts), suite.every_part_is_reported),
        (meddled(NeverRepeats), suite.receipts_that_were_not_stored_come_again),
        (meddled(NeverUp), suite.open_says_up_with_a_window),
        (Raises, suite.nothing_escapes_submit),
        (SubmitsEveryPart, suite.only_wanted_parts_leave),
        (meddled(AnswersAfterClose), suite.close_ends_what_is_in_flight),
    ],
    ids=lambda given: given.__name__,
)
def test_a_connector_that_breaks_its_word_fails(kind: type[SandboxConnector], check: suite.Check) -> None:
    async def run() -> None:
        await check(Rig(kind))

    with pytest.raises((AssertionError, TimeoutError, IndexError)):
        run_virtually(run())


def test_checks_that_control_the_carrier_are_left_out_without_a_peer() -> None:
    assert set(suite.checks(with_peer=False)) < set(suite.checks(with_peer=True))


def test_the_recording_inbox_waits_for_what_is_asked() -> None:
    async def run() -> None:
        inbox = RecordingInbox()
        loop = asyncio.get_running_loop()
        loop.call_later(3, lambda: inbox.link(up=True, window=5))
        await inbox.wait_for(lambda i: i.is_up)
        assert (loop.time(), inbox.window) == (3.0, 5)
        with pytest.raises(TimeoutError):
            await inbox.wait_for(lambda i: not i.is_up, within=1.0)

    run_virtually(run())


def test_the_recording_inbox_stores_late_or_not_at_all_when_asked_to() -> None:
    async def run() -> None:
        inbox = RecordingInbox()
        inbox.failures = 1
        with pytest.raises(NotStored):
            await inbox.receipts([])
        inbox.hold()
        storing = asyncio.ensure_future(inbox.receipts([]))
        await asyncio.sleep(1)
        assert not storing.done()
        inbox.resume()
        await storing

    run_virtually(run())
