"""How a simulated RCS platform speaks to a webhook: signed envelopes, said again until they are acknowledged."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec

from sendpool.connectors.rcs.events import SIGNATURE, signature

#: Seconds between repeats at most, and for which an event is repeated at all (RBM guide on webhooks).
LONGEST_WAIT = 600.0
GIVE_UP_AFTER = 7 * 86_400.0
#: Seconds that a webhook has to answer.
PATIENCE = 30.0


class Webhook:
    """Posts events to one address; at most `window` at a time, others wait in order."""

    def __init__(self, url: str, client_token: str, *, window: int, resend_after: float) -> None:
        #: Where to post; "": nobody listens.
        self.url = url
        self._client_token = client_token
        self._room = asyncio.Semaphore(window)
        self._resend_after = resend_after
        self._numbers = itertools.count(1)
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[int]] = set()
        self._speaks = asyncio.Event()
        self._speaks.set()
        #: Posts made, those answered with 200, and those answered otherwise or not at all.
        self.posts = 0
        self.acknowledged = 0
        self.failed = 0

    @property
    def waiting(self) -> int:
        """Events that are not acknowledged yet."""
        return len(self._tasks)

    def event_id(self) -> str:
        """A fresh event id."""
        return f"e{next(self._numbers)}"

    def tell(self, data: Mapping[str, Any], attributes: Mapping[str, str]) -> asyncio.Task[int]:
        """Post an event until it is acknowledged; the task returns the status of the first answer (0: none)."""
        task = asyncio.get_running_loop().create_task(self._until_acknowledged(self._envelope(data, attributes)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def post_once(self, data: Mapping[str, Any], attributes: Mapping[str, str]) -> int:
        """Post it once; returns the status of the answer, 0 for none."""
        return await self._post(*self._envelope(data, attributes))

    async def post_as_it_is(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Post any body with any headers: handshakes and forgeries. Returns status and body of the answer."""
        async with self._client().post(self.url, data=body, headers=headers) as response:
            return response.status, await response.read()

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

    def fall_silent(self) -> None:
        """Tell nothing until `speak_again`: events wait."""
        self._speaks.clear()

    def speak_again(self) -> None:
        """Tell what has waited, and go on."""
        self._speaks.set()

    async def stop(self) -> None:
        """Say nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _until_acknowledged(self, envelope: tuple[bytes, dict[str, str]]) -> int:
        first: int | None = None
        wait, waited = self._resend_after, 0.0
        while True:
            await self._speaks.wait()
            async with self._room:
                status = await self._post(*envelope)
            first = status if first is None else first
            if status == 200 or waited >= GIVE_UP_AFTER:
                return first
            await asyncio.sleep(wait)
            waited += wait
            wait = min(wait * 2, LONGEST_WAIT)

    async def _post(self, body: bytes, headers: dict[str, str]) -> int:
        self.posts += 1
        status = 0
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self._client().post(self.url, data=body, headers=headers) as response:
                status = response.status
        if status == 200:
            self.acknowledged += 1
        else:
            self.failed += 1
        return status

    def _envelope(self, data: Mapping[str, Any], attributes: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
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

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=PATIENCE), connector=aiohttp.TCPConnector(limit=0)
            )
        return self._session


def moment(at: float) -> str:
    """Seconds since 1970 as RFC 3339."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
