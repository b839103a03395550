"""Take an open attempt back before the next channel's turn, so that the person gets the message once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import structlog

from sendpool.connectors.base import CanRevoke, Receipt, ReceiptState
from sendpool.domain.failures import FailureClass
from sendpool.domain.message import at_step
from sendpool.domain.states import AttemptState, MessageState
from sendpool.failpoints import reach
from sendpool.pipeline.decide import ASK_QUEUE, UNREVOKED, WAIT_OVER
from sendpool.pipeline.settle import ONCE_AMBIGUOUS, Changes, Revoke
from sendpool.store.attempts import load_attempts, load_revokes
from sendpool.store.database import Script
from sendpool.store.locks import lock_messages

if TYPE_CHECKING:
    from sendpool.pipeline.engine import Engine

log = structlog.get_logger()

#: Seconds in which a delivery that races the revocation may still be reported.
RACE = 5.0
#: Seconds to wait for the delivery of an attempt that the carrier says came too late to be taken back.
DELIVERED_WITHIN = 60.0
REVOKED_RULE = "sendpool/revoked"


class Revoker:
    """Asks connectors, one task per question; what they answer goes through the engine like any receipt."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._asking: dict[tuple[int, int], asyncio.Task[None]] = {}

    def ask(self, revokes: Iterable[Revoke]) -> None:
        """Ask the carriers to take these back; one that is being asked already is not asked twice."""
        reach("revoke.decided")
        for revoke in revokes:
            key = (revoke.message_id, revoke.n)
            if key not in self._asking:
                task = asyncio.get_running_loop().create_task(self._ask(revoke))
                self._asking[key] = task
                task.add_done_callback(partial(self._asked, key))

    async def ask_for(self, keys: Sequence[tuple[int, int]]) -> None:
        """Ask about attempts that another process has decided to take back, as far as their connections are here."""
        found = await self._engine.database.read(load_revokes(keys))
        self.ask(
            Revoke(message_id, n, connection_id, sender_id, carrier_id, at_step(address, step))
            for message_id, n, connection_id, sender_id, carrier_id, address, step in found
            if connection_id in self._engine.sending.links
        )

    def _asked(self, key: tuple[int, int], task: asyncio.Task[None]) -> None:
        self._asking.pop(key, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("revocation failed", error=str(error))

    async def _ask(self, revoke: Revoke) -> None:
        engine = self._engine
        link = engine.sending.links.get(revoke.connection_id)
        sender = engine.roster.senders.get(revoke.sender_id)
        answer = None
        if link is not None and sender is not None and isinstance(link.connector, CanRevoke):
            answer = await link.connector.revoke(revoke.carrier_id, revoke.address, sender.address)
        reach("revoke.answered")
        if answer is False and revoke.again:
            # Too late to be taken back, or taken back already when it was asked for the first time: nobody can tell.
            answer = None
        engine.metrics.revokes({True: "revoked", False: "too_late", None: "unanswered"}[answer]).inc()
        if answer and link is not None:
            await asyncio.sleep(RACE)
            receipt = Receipt(revoke.carrier_id, ReceiptState.REVOKED, FailureClass.EXPIRED, "revoked", REVOKED_RULE)
            await engine.receipts(link, [receipt])
        else:
            step = partial(_state_doubt, revoke) if answer is None else partial(_wait_without, revoke, DELIVERED_WITHIN)
            await engine.settle(step)

    async def stop(self) -> None:
        """Ask no more: what is not settled is asked again by its timer."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _wait_without(revoke: Revoke, after: float, changes: Changes, marks: int = 0) -> Script[None]:
    """It could not be taken back: wait a while for its delivery, then let the policy decide."""
    changes.decisions.append((revoke.message_id, revoke.n, marks, UNREVOKED))
    changes.later.append((changes.now + int(after * 1e6), revoke.message_id, ASK_QUEUE, revoke.n, WAIT_OVER))
    yield from ()


def _state_doubt(revoke: Revoke, changes: Changes) -> Script[None]:
    """Nobody can tell whether it was taken back: then its fate is unknown, and its message says so (promise I2)."""
    yield from lock_messages([revoke.message_id])
    for attempt in (yield from load_attempts([(revoke.message_id, revoke.n)])):
        if attempt.state == AttemptState.ACCEPTED and attempt.message_state == MessageState.SENT:
            changes.move_message(attempt, MessageState.SENT, bound=attempt.bound, ambiguous=1)
    yield from _wait_without(revoke, RACE, changes, ONCE_AMBIGUOUS)
