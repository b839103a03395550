"""`OneByOne` makes `submit` of `send`: bounded, in order, with one outcome for every wanted part."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from sendpool.connectors.base import (
    AttemptKey,
    CanRevoke,
    CarrierId,
    Connector,
    Inbox,
    KnowsCapabilities,
    NamesAttempts,
    Outcome,
    Submission,
    TakesCallbacks,
    Unavailable,
    Uncertain,
)
from sendpool.connectors.one_by_one import OneByOne
from sendpool.connectors.rcs.connector import RcsConnector
from sendpool.connectors.sandbox.connector import SandboxConnector
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.testing.inbox import RecordingInbox


class Scripted(OneByOne):
    """Answers each message with its id once its gate is open."""

    def __init__(self, window: int = 3) -> None:
        super().__init__(window)
        self.gate = asyncio.Event()
        self.gate.set()
        self.running = 0
        self.most_running = 0
        self.order: list[int] = []
        self.fault: Exception | None = None

    async def open(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self.say_link(up=True, detail="there")

    async def close(self) -> None:
        await self.finish(patience=0.2)

    async def send(self, submission: Submission) -> Outcome:
        self.order.append(submission.attempt.message_id)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.gate.wait()
            if self.fault is not None:
                raise self.fault
            return CarrierId(f"id-{submission.attempt.message_id}")
        finally:
            self.running -= 1


class CountingInbox(RecordingInbox):
    """Counts the calls, not only what they bring."""

    calls = 0

    def outcomes(self, items: Sequence[tuple[AttemptKey, int, Outcome]]) -> None:
        self.calls += 1
        super().outcomes(items)


def submission(number: int, *, segments: int = 1, parts: int | None = None) -> Submission:
    wanted = (1 << segments) - 1 if parts is None else parts
    text = Content(text="Hello")
    return Submission(
        AttemptKey(number, 1), Channel.RCS, "a1", "+447700900123", text, segments, 0, None, wanted, options={}
    )


async def opened(window: int = 3) -> tuple[Scripted, CountingInbox]:
    connector, inbox = Scripted(window), CountingInbox()
    await connector.open(inbox)
    return connector, inbox


async def test_every_message_is_sent_in_order_and_answered_once() -> None:
    connector, inbox = await opened()

    await connector.submit([submission(n) for n in range(20)])
    await inbox.wait_for(lambda i: len(i.outcome_list) == 20)

    assert connector.order == list(range(20))
    assert {key.message_id: outcome for key, _, outcome in inbox.outcome_list} == {
        n: CarrierId(f"id-{n}") for n in range(20)
    }


async def test_no_more_than_the_window_is_on_its_way() -> None:
    connector, inbox = await opened(window=3)
    connector.gate.clear()

    await connector.submit([submission(n) for n in range(5)])
    await connector.submit([submission(n) for n in range(5, 10)])
    await asyncio.sleep(0)
    assert connector.running == 3
    connector.gate.set()
    await inbox.wait_for(lambda i: len(i.outcome_list) == 10)

    assert connector.most_running == 3


async def test_what_is_answered_in_one_turn_is_told_together() -> None:
    connector, inbox = await opened(window=50)
    connector.gate.clear()
    await connector.submit([submission(n) for n in range(50)])
    await asyncio.sleep(0)

    connector.gate.set()
    await inbox.wait_for(lambda i: len(i.outcome_list) == 50)

    assert inbox.calls <= 3


async def test_a_batch_that_comes_while_the_last_lane_ends_is_not_left_waiting() -> None:
    connector, inbox = await opened(window=1)

    for n in range(50):
        await connector.submit([submission(n)])
        await inbox.wait_for(lambda i, n=n: len(i.outcome_list) == n + 1, within=1)  # type: ignore[misc]


async def test_each_wanted_part_has_the_outcome_of_the_whole() -> None:
    connector, inbox = await opened()

    await connector.submit([submission(1, segments=3, parts=0b101)])
    await inbox.wait_for(lambda i: len(i.outcome_list) == 2)

    assert [(part, outcome) for _, part, outcome in inbox.outcome_list] == [
        (1, CarrierId("id-1", whole=True)),
        (3, CarrierId("id-1", whole=True)),
    ]


async def test_without_a_link_nothing_is_sent() -> None:
    connector, inbox = await opened()
    connector.say_link(up=False, detail="gone")

    await connector.submit([submission(1)])
    await inbox.wait_for(lambda i: bool(i.outcome_list))

    assert inbox.outcomes_of(AttemptKey(1, 1)) == [Unavailable("gone")]
    assert connector.order == []


async def test_what_waits_when_the_link_goes_down_never_left() -> None:
    connector, inbox = await opened(window=1)
    connector.gate.clear()
    await connector.submit([submission(1), submission(2)])
    await asyncio.sleep(0)

    connector.say_link(up=False, detail="gone")
    connector.gate.set()
    await inbox.wait_for(lambda i: len(i.outcome_list) == 2)

    assert inbox.outcomes_of(AttemptKey(2, 1)) == [Unavailable("gone")]
    assert inbox.outcomes_of(AttemptKey(1, 1)) == [CarrierId("id-1")]


async def test_link_is_said_once_per_change() -> None:
    connector, inbox = await opened()

    connector.say_link(up=True, detail="there")
    connector.say_link(up=False, detail="gone")
    connector.say_link(up=False, detail="gone")

    assert [link.up for link in inbox.links] == [True, False]
    assert [link.window for link in inbox.links] == [3, 0]


async def test_a_fault_in_the_connector_leaves_the_message_uncertain_and_the_others_alone() -> None:
    connector, inbox = await opened(window=1)
    connector.fault = KeyError("oops")
    await connector.submit([submission(1)])
    await inbox.wait_for(lambda i: len(i.outcome_list) == 1)

    connector.fault = None
    await connector.submit([submission(2)])
    await inbox.wait_for(lambda i: len(i.outcome_list) == 2)

    assert [outcome for _, _, outcome in inbox.outcome_list] == [
        Uncertain("KeyError in the connector"),
        CarrierId("id-2"),
    ]


async def test_finish_waits_for_answers_and_gives_up_what_never_comes() -> None:
    connector, inbox = await opened(window=1)
    connector.gate.clear()
    await connector.submit([submission(1), submission(2)])
    await asyncio.sleep(0)

    await connector.close()

    assert inbox.outcomes_of(AttemptKey(1, 1)) == [Uncertain("no answer before the connection was closed")]
    assert inbox.outcomes_of(AttemptKey(2, 1)) == [Unavailable("closed")]
    assert not inbox.is_up
    await connector.submit([submission(3)])
    await inbox.wait_for(lambda i: len(i.outcome_list) == 3)
    assert inbox.outcomes_of(AttemptKey(3, 1)) == [Unavailable("closed")]


async def test_a_link_that_comes_up_while_closing_stays_down() -> None:
    connector, inbox = await opened()
    await connector.close()

    connector.say_link(up=True, detail="there")

    assert not inbox.is_up


@pytest.mark.parametrize("protocol", [Connector, TakesCallbacks, KnowsCapabilities, CanRevoke, NamesAttempts])
def test_what_a_connector_can_do_is_seen_from_its_methods(protocol: type) -> None:
    methods = [name for name in vars(protocol) if not name.startswith("_")]

    assert all(hasattr(RcsConnector, name) for name in methods)
    assert protocol is Connector or not all(hasattr(SandboxConnector, name) for name in methods)
