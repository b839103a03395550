"""Reply: answer keywords, once each, and tell what came of long texts whose other parts never did.

An answer that is owed is a row, written with the text that it answers. It leaves as a message like any other, under an
idempotency key of its own: whatever ends between sending it and striking out the row, nobody is answered twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import sha256

import structlog

from sendpool.connectors.base import Inbound
from sendpool.domain.message import Category, Content
from sendpool.domain.reassembly import PATIENCE, REMEMBERED, Part
from sendpool.domain.request import Recipient, Refused, SenderOrigin, SendRequest
from sendpool.domain.sender import Channel
from sendpool.domain.sessions import SILENCE
from sendpool.pipeline.backlog import QueueFull
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.receive import Arrival
from sendpool.pipeline.waiter import StoreUnavailable
from sendpool.store.idempotency import Key, KeyTaken
from sendpool.store.inbound import (
    Late,
    OwedReply,
    forget_parts,
    forget_sessions,
    late_parts,
    owed_replies,
    reply_sent,
)

log = structlog.get_logger()

#: Seconds between looks for replies that other processes owe; rows of one look; rounds between looks for late parts.
EVERY, PIECE, ROUNDS = 5.0, 200, 12
#: Seconds for which a reply to what somebody has just written is of any use.
_VALIDITY = 86_400


class Replier:
    """Answers, and joins what is late, while this process is the keeper. Lives on the event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin the rounds."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="reply")

    async def stop(self) -> None:
        """End the rounds."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        number = 0
        while True:
            self._engine.heard.clear()
            try:
                await self.answer()
                if number % ROUNDS == 0:
                    await self.join_late()
            except Exception as error:  # noqa: BLE001 - the next round may do better
                log.error("keywords could not be answered", error=str(error))
            number += 1
            await self._wait()

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._engine.heard.wait(), EVERY)
        except TimeoutError:
            return

    async def answer(self) -> None:
        """Send every reply that is owed."""
        engine = self._engine
        while owed := await engine.database.read(owed_replies(PIECE)):
            done = [one.message_id for one in owed if await self._send(one)]
            await engine.settle(lambda _, done=done: reply_sent(done))  # type: ignore[misc]
            if len(done) < len(owed):
                return

    async def _send(self, owed: OwedReply) -> bool:
        """Whether this reply is no longer owed."""
        sender = self._engine.roster.senders.get(owed.sender_id)
        if sender is None:
            return True
        request = SendRequest(
            account_id=owed.account_id,
            origin=SenderOrigin(sender.uid),
            recipients=[Recipient(owed.address, owed.space)],
            content=Content(text=owed.text),
            category=Category.REPLY,
            validity=_VALIDITY,
            priority="high",
        )
        name = f"reply to {owed.message_id}"
        try:
            await self._engine.intake.accept(request, Key(owed.account_id, name, sha256(name.encode()).digest()))
        except KeyTaken:
            return True
        except Refused as error:
            log.warning("a keyword cannot be answered", error=str(error))
            return True
        except (StoreUnavailable, QueueFull):
            return False
        return True

    async def join_late(self) -> None:
        """Make messages of long texts whose other parts never came; forget what is over."""
        engine, now = self._engine, self._engine.clock.wall()
        while late := await engine.database.read(late_parts(now - int(PATIENCE * 1e6), PIECE)):
            await engine.arrivals(self._arrivals(late))
            log.warning("parts of long texts have not come", texts=len(late))
        await self._forget(now)

    async def _forget(self, now: int) -> None:
        for forget, before in ((forget_parts, now - int(REMEMBERED * 1e6)), (forget_sessions, now - 2 * SILENCE)):
            gone = PIECE
            while gone == PIECE:
                gone = await self._engine.database.write(lambda f=forget, b=before: f(b, PIECE))  # type: ignore[misc]

    def _arrivals(self, late: Sequence[Late]) -> list[Arrival]:
        key = self._engine.acceptor.take_ids(len(late))
        senders = self._engine.roster.sender_by_address
        found = []
        for place, (long, account_id) in enumerate(late):
            part = Part(long.reference, 0, long.total)
            inbound = Inbound(Channel.SMS, long.sender, long.recipient, "", part=part)
            sender = senders.get((account_id, Channel.SMS, long.recipient))
            found.append(Arrival(key + place, long.connection_id, inbound, sender, account_id, late=True))
        return found
