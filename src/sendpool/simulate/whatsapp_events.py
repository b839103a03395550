"""How a simulated WhatsApp platform speaks to a webhook: notifications, signed with the app's secret."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any
from urllib.parse import urlencode

from sendpool.connectors.whatsapp.webhooks import SIGNATURE, signature
from sendpool.simulate.poster import Envelope, Poster
from sendpool.simulate.whatsapp_script import Number


class WhatsAppWebhook(Poster):
    """Posts the notifications of one business account."""

    def __init__(
        self, url: str, app_secret: str, business_account_id: str, *, window: int, resend_after: float
    ) -> None:
        super().__init__(url, window=window, resend_after=resend_after)
        self._app_secret = app_secret
        self._account = business_account_id
        self.next_id = self._numbers.__next__

    def tell_status(
        self, number: Number, phone: str, wamid: str, status: str, opaque: str, error: dict[str, Any] | None = None
    ) -> asyncio.Task[int]:
        """Post a status until it is acknowledged; the task returns the status of the first answer (0: none)."""
        said: dict[str, Any] = {"id": wamid, "status": status, "timestamp": _now(), "recipient_id": phone.lstrip("+")}
        if opaque:
            said["biz_opaque_callback_data"] = opaque
        if error is not None:
            said["errors"] = [error]
        else:
            said["pricing"] = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "utility"}
        return self._keep_posting(self.notification(self._value(number, phone) | {"statuses": [said]}))

    async def send_text(self, phone: str, number: Number, text: str, *, message_id: str | None = None) -> bool:
        """A person writes to a number; return whether the webhook acknowledged it. Said once, never repeated."""
        return await self.send_message(phone, number, {"type": "text", "text": {"body": text}}, message_id=message_id)

    async def send_message(
        self, phone: str, number: Number, what: dict[str, Any], *, message_id: str | None = None
    ) -> bool:
        """The same with any message: its type, and the object of that name."""
        digits = phone.lstrip("+")
        wamid = message_id or f"wamid.IN{self.next_id()}"
        said = {"from": digits, "from_user_id": f"US.{digits}", "id": wamid, "timestamp": _now(), **what}
        body, headers = self.notification(self._value(number, phone) | {"messages": [said]})
        return await self._post(body, headers) == 200

    async def verify(self, challenge: str, verify_token: str) -> tuple[int, bytes]:
        """Ask the webhook whether it is ours; return status and text of its answer."""
        asked = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": verify_token}
        async with self._client().get(f"{self.url}?{urlencode(asked)}") as response:
            return response.status, await response.read()

    def notification(self, value: dict[str, Any], field: str = "messages") -> Envelope:
        """A signed notification of one change; like the platform's, its body is ASCII throughout."""
        change = {"value": value, "field": field}
        told = {"object": "whatsapp_business_account", "entry": [{"id": self._account, "changes": [change]}]}
        body = json.dumps(told, separators=(",", ":")).encode("ascii")
        return body, {SIGNATURE: signature(self._app_secret, body), "Content-Type": "application/json"}

    @staticmethod
    def _value(number: Number, phone: str) -> dict[str, Any]:
        digits = phone.lstrip("+")
        shown = "".join(filter(str.isdigit, number.display_phone_number))
        return {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": shown, "phone_number_id": number.id},
            "contacts": [{"profile": {"name": "Zoë"}, "wa_id": digits, "user_id": f"US.{digits}"}],
        }


def _now() -> str:
    return str(int(time.time()))
