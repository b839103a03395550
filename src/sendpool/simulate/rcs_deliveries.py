"""The life of the messages that a simulated RCS platform has taken: delivered, read, expired, or taken back."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from math import inf

import msgspec

from sendpool.simulate.agenda import Agenda
from sendpool.simulate.rcs_events import Webhook, moment
from sendpool.simulate.rcs_record import Message, Tally
from sendpool.simulate.rcs_script import RcsFate

#: Seconds that an answer waits for an event that is to overtake it.
OVERTAKING = 5.0


class Deliveries:
    """Does with each message what its fate says, and tells the webhook."""

    def __init__(self, webhook: Webhook, tally: Tally) -> None:
        self._webhook = webhook
        self._tally = tally
        self._agenda = Agenda()
        #: While set, whatever is taken is never delivered, and not a word is said about it.
        self.silent = False

    async def take(self, message: Message, fate: RcsFate) -> None:
        """Put down when *message* is delivered, or when its time is over."""
        if self.silent:
            fate = msgspec.structs.replace(fate, delivered_after=inf, early=False, told=0)
        message.fate = fate
        if fate.early:
            told = self._deliver(message)
            if told:
                await asyncio.wait(told, timeout=OVERTAKING)
            return
        if fate.delivered_after <= message.ttl or not fate.revocable:
            self._later(fate.delivered_after, message, self._deliver)
        if message.ttl < fate.delivered_after:
            self._later(message.ttl, message, self._expire)

    def take_back(self, message: Message) -> bool:
        """Take a message back, if it is not too late for that; one whose time is over will not arrive either."""
        if message.state == "expired":
            return True
        if message.state != "held" or not message.fate.revocable:
            return False
        message.state = "revoked"
        self._tally.revoked += 1
        return True

    def stop(self) -> None:
        """Deliver nothing more."""
        self._agenda.clear()

    def _later(self, seconds: float, message: Message, then: Callable[[Message], object]) -> None:
        if seconds < inf:
            self._agenda.call_later(seconds, functools.partial(_call, then, message))

    def _deliver(self, message: Message) -> list[asyncio.Task[int]]:
        if message.state != "held":
            return []
        message.state = "delivered"
        self._tally.delivered(message)
        if message.fate.read_after is not None:
            self._later(message.fate.read_after, message, self._read)
        return self._tell(message, "DELIVERED", "senderPhoneNumber")

    def _read(self, message: Message) -> None:
        self._tell(message, "READ", "senderPhoneNumber")

    def _expire(self, message: Message) -> None:
        if message.state != "held":
            return
        if not message.fate.revocable:
            self._tell(message, "TTL_EXPIRATION_REVOKE_FAILED", "phoneNumber")
            return
        message.state = "expired"
        self._tally.expired += 1
        self._tell(message, "TTL_EXPIRATION_REVOKED", "phoneNumber")

    def _tell(self, message: Message, event_type: str, phone_field: str) -> list[asyncio.Task[int]]:
        """Tell an event as often as the fate says; each time it is the same one."""
        if not self._webhook.url:
            return []
        data = {
            phone_field: message.phone,
            "eventType": event_type,
            "eventId": self._webhook.event_id(),
            "messageId": message.message_id,
            "agentId": message.agent,
            "sendTime": moment(time.time()),
        }
        return [self._webhook.tell(data, {"message_type": "EVENT"}) for _ in range(message.fate.told)]


def _call(then: Callable[[Message], object], message: Message) -> None:
    then(message)
