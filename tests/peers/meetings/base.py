"""What meetings share: a connector and a peer go through the whole life of a message, and are overheard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

from tests.peers.recording.conversation import HEARS, SAYS, Conversation

from sendpool.connectors.base import AttemptKey, CarrierId, Connector, ReceiptState, Submission
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.testing.callbacks import Callbacks
from sendpool.testing.inbox import RecordingInbox

OURS, PERSON, TEXT = "+12034458910", "+447700900123", "Your table is ready, Zelda"


class Place(NamedTuple):
    """What a meeting may use: what it opens ends with it."""

    stack: AsyncExitStack
    folder: Path


class Meeting(NamedTuple):
    """How a connector and a peer meet, and what their conversation has to hold."""

    run: Callable[[Place], Awaitable[Conversation]]
    #: A message's life, in order: who says it (> the connector), and a pattern of its title.
    life: tuple[tuple[str, str], ...]


#: The life of a message over an API: it is posted, taken, and a callback tells of it and is acknowledged.
OF_AN_API = ((SAYS, "POST /.*"), (HEARS, "20[01]"), (HEARS, "POST /callbacks/.*"), (SAYS, "200"))


def submission(number: int = 1, **changes: Any) -> Submission:
    """An attempt to tell a person something."""
    return Submission(
        attempt=AttemptKey(1000 + number, 1),
        channel=Channel.SMS,
        sender=OURS,
        recipient=PERSON,
        content=Content(text=TEXT),
        segments=1,
        reference=0,
        validity=3600,
        parts=1,
        options={},
        public_id=f"SM{(1000 + number) << 6 | 1:032x}",
    )._replace(**changes)


async def live(connector: Connector, sent: Submission, report: Callable[[], Awaitable[object]] | None = None) -> None:
    """Open a connector, submit, wait for its acceptance and for the report of its delivery, and close it.

    *report* brings the report, where the peer does not do so by itself.
    """
    inbox = RecordingInbox()
    await connector.open(inbox)
    try:
        await inbox.wait_for(lambda inbox: inbox.is_up, 20)
        await connector.submit([sent])
        await inbox.wait_for(lambda inbox: bool(inbox.outcome_list), 20)
        ((_, _, outcome),) = inbox.outcome_list
        assert isinstance(outcome, CarrierId), outcome
        if report is not None:
            await report()
        await inbox.wait_for(lambda inbox: _is_delivered(inbox, outcome), 20)
    finally:
        await connector.close()


def _is_delivered(inbox: RecordingInbox, outcome: CarrierId) -> bool:
    names = {outcome.id, outcome.also}
    return any(one.state is ReceiptState.DELIVERED and one.carrier_id in names for one in inbox.stored)


async def callbacks(place: Place) -> Callbacks:
    """The server's callback endpoints."""
    made = Callbacks()
    await made.listen()
    place.stack.push_async_callback(made.stop)
    return made
