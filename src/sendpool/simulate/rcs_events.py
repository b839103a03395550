"""How a simulated RCS platform speaks to a webhook: signed envelopes."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from sendpool.connectors.rcs.events import SIGNATURE, signature
from sendpool.simulate.poster import Envelope, Poster


class Webhook(Poster):
    """Posts events to one address; at most `window` at a time, others wait in order."""

    def __init__(self, url: str, client_token: str, *, window: int, resend_after: float) -> None:
        super().__init__(url, window=window, resend_after=resend_after)
        self._client_token = client_token

    def event_id(self) -> str:
        """A fresh event id."""
        return f"e{next(self._numbers)}"

    def tell(self, data: Mapping[str, Any], attributes: Mapping[str, str]) -> asyncio.Task[int]:
        """Post an event until it is acknowledged; the task returns the status of the first answer (0: none)."""
        return self._keep_posting(self._envelope(data, attributes))

    async def post_once(self, data: Mapping[str, Any], attributes: Mapping[str, str]) -> int:
        """Post it once; returns the status of the answer, 0 for none."""
        return await self._post(*self._envelope(data, attributes))

    async def send_text(self, phone: str, agent: str, text: str, *, message_id: str | None = None) -> bool:
        """A person writes to an agent; return whether the webhook acknowledged it. Said once, never repeated."""
        return await self._say({"text": text, "messageId": message_id or self.event_id()}, phone, agent)

    async def tap(self, phone: str, agent: str, text: str, postback: str, *, action: bool = False) -> bool:
        """A person taps a chip; return whether the webhook acknowledged it. An action has no message id."""
        response = {"text": text, "postbackData": postback, "type": "ACTION" if action else "REPLY"}
        known_by = "eventId" if action else "messageId"
        return await self._say({"suggestionResponse": response, known_by: self.event_id()}, phone, agent)

    async def tell_event(self, phone: str, agent: str, event_type: str, message_id: str = "") -> bool:
        """Tell a user event, such as IS_TYPING or UNSUBSCRIBE; return whether the webhook acknowledged it."""
        named = {"messageId": message_id} if message_id else {}
        return await self._say({"eventType": event_type, "eventId": self.event_id(), **named}, phone, agent)

    async def verify(self, secret: str, client_token: str | None = None) -> tuple[int, bytes]:
        """Ask the webhook whether it is ours; return status and text of its answer."""
        token = self._client_token if client_token is None else client_token
        body = msgspec.json.encode({"clientToken": token, "secret": secret})
        return await self.post_as_it_is(body, {"X-Goog-Webhook-Type": "verification"})

    async def _say(self, data: dict[str, Any], phone: str, agent: str) -> bool:
        said = {"senderPhoneNumber": phone, "agentId": agent, "sendTime": moment(time.time()), **data}
        return await self.post_once(said, {"message_type": "TEXT"}) == 200

    def _envelope(self, data: Mapping[str, Any], attributes: Mapping[str, str]) -> Envelope:
        octets = msgspec.json.encode(data)
        message = {
            "attributes": {"product": "RBM", **attributes},
            "data": base64.b64encode(octets).decode("ascii"),
            "messageId": str(int(time.time() * 1000) * 1000 + next(self._numbers) % 1000),
            "publishTime": moment(time.time()),
        }
        body = msgspec.json.encode({"message": message, "subscription": "projects/simulate/subscriptions/rbm"})
        headers = {SIGNATURE: signature(self._client_token, octets), "X-Goog-Webhook-Type": "agent_callback"}
        return body, {**headers, "Content-Type": "application/json"}


def moment(at: float) -> str:
    """Seconds since 1970 as RFC 3339."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
