"""Post events to a webhook, signed twice: as the hosted API does, and as Standard Webhooks have it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import BasicAuth
from yarl import URL

from sendpool.connectors.sinks import Target
from sendpool.connectors.web import NoAnswer, NotSent, WebClient
from sendpool.domain.delivery import ANSWER_WITHIN
from sendpool.domain.signing import signed_url, standard_signature, twilio_signature

#: Octets of an answer that are read: what a sink says besides its status is of no interest.
_TAKEN = range(200, 300)


class Webhooks:
    """Hands events over by HTTP."""

    def __init__(self, client: WebClient, now: Callable[[], float]) -> None:
        """*now*: seconds since 1970."""
        self._client = client
        self._now = now

    async def hand_over(self, target: Target, events: Sequence[bytes], batch_id: str) -> str | None:
        """Post events as a JSON array, once, as `SinkConnector` says."""
        body = b"[" + b",".join(events) + b"]"
        url = URL(target.configuration["destination"])
        bare = signed_url(str(url.with_user(None)), body)
        headers = {
            "content-type": "application/json",
            "user-agent": "sendpool",
            "x-twilio-signature": twilio_signature(bare, target.token),
            "webhook-id": batch_id,
            "webhook-timestamp": str(int(self._now())),
        }
        stamp = int(headers["webhook-timestamp"])
        headers["webhook-signature"] = standard_signature(target.secrets, batch_id, stamp, body)
        if url.user is not None or url.password is not None:
            headers["authorization"] = BasicAuth(url.user or "", url.password or "", encoding="utf-8").encode()
        return await self._answer(target.configuration["method"], bare, headers, body)

    async def _answer(self, method: str, url: str, headers: dict[str, str], body: bytes) -> str | None:
        try:
            reply = await self._client.request(method, url, headers=headers, body=body, within=ANSWER_WITHIN)
        except (NotSent, NoAnswer) as error:
            return str(error)
        return None if reply.status in _TAKEN else f"it answered {reply.status}"

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()
