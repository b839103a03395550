"""A simulated Telnyx messaging API (v2) on a real socket, as its reference describes it. For tests and rehearsals.

Faults name its own codes: "refuse status=40305", "undelivered err=40001".
"""

from __future__ import annotations

import base64
import re
import time
from typing import Any
from uuid import UUID

import msgspec
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sendpool.simulate.poster import Envelope
from sendpool.simulate.sms_api import Refused, SmsApi, SmsApiScript, Text, as_json

_TO = re.compile(r"\+[1-9][0-9]{6,14}")
#: Fields of a request for one SMS.
_FIELDS = {
    "from",
    "to",
    "text",
    "webhook_url",
    "webhook_failover_url",
    "use_profile_webhooks",
    "messaging_profile_id",
} | {
    "auto_detect",
    "encoding",
    "send_at",
    "type",
}
_WORDS = {"queued": "queued", "sent": "sent", "delivered": "delivered", "failed": "delivery_failed"}


class TelnyxApi(SmsApi):
    """One account of the messaging API; `public_key` is what its portal shows."""

    path = "/v2/messages"
    too_fast = ("10011", 429)
    unknown_failure = "40999"

    def __init__(self, script: SmsApiScript | None = None) -> None:
        super().__init__(script)
        self._key = Ed25519PrivateKey.from_private_bytes(self.script.seed.to_bytes(32, "big"))
        public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public_key = base64.b64encode(public).decode()

    def read(self, request: web.BaseRequest, body: bytes) -> Text:
        """What a request to send says. Raises `Refused`."""
        if request.headers.get("Authorization") != f"Bearer {self.script.secret}":
            raise Refused("10009", 401)
        fields: dict[str, Any] = msgspec.json.decode(body)
        if not {"from", "to", "text"} <= fields.keys() <= _FIELDS:
            raise Refused("10015", 400)
        if not _TO.fullmatch(str(fields["to"])):
            raise Refused("40310", 400)
        return Text(
            id=str(UUID(int=next(self._numbers), version=4)),
            to=fields["to"],
            sender=fields["from"],
            text=fields["text"],
            webhook=fields.get("webhook_url", ""),
            fields=fields,
        )

    def taken(self, message: Text) -> web.Response:
        """The answer for a message that was taken."""
        return as_json({"data": self._payload(message)})

    def refused(self, refusal: Refused) -> web.Response:
        """The answer for one that was not."""
        error = {"code": refusal.code, "title": f"error {refusal.code}", "detail": "See the code."}
        return as_json({"errors": [error]}, refusal.http)

    def report(self, message: Text) -> Envelope:
        """An event about a message of ours."""
        kind = "message.sent" if message.status == "sent" else "message.finalized"
        return self.signed(kind, self._payload(message))

    def received(self, phone: str, sender: str, text: str) -> Envelope:
        """An event about a message of a person."""
        payload = {
            "record_type": "message",
            "direction": "inbound",
            "id": str(UUID(int=next(self._numbers), version=4)),
            "type": "SMS",
            "from": {"phone_number": phone, "carrier": "Telnyx", "line_type": "Wireless"},
            "to": [{"phone_number": sender, "status": "webhook_delivered"}],
            "text": text,
            "media": [],
            "errors": [],
        }
        return self.signed("message.received", payload)

    def signed(self, kind: str, payload: dict[str, Any], at: int | None = None) -> Envelope:
        """An event with its signature; *at*: seconds since 1970, now if nothing is said."""
        event = {"record_type": "event", "id": f"event-{next(self._numbers)}", "event_type": kind, "payload": payload}
        body = msgspec.json.encode({"data": event, "meta": {"attempt": 1, "delivered_to": "webhook"}})
        stamp = str(int(time.time()) if at is None else at)
        signature = base64.b64encode(self._key.sign(stamp.encode() + b"|" + body)).decode()
        headers = {"telnyx-timestamp": stamp, "telnyx-signature-ed25519": signature}
        return body, {**headers, "Content-Type": "application/json"}

    def _payload(self, message: Text) -> dict[str, Any]:
        return {
            "record_type": "message",
            "direction": "outbound",
            "id": message.id,
            "type": "SMS",
            "from": {"phone_number": message.sender, "carrier": "Telnyx", "line_type": "VoIP"},
            "to": [{"phone_number": message.to, "status": _WORDS[message.status], "carrier": "", "line_type": ""}],
            "text": message.text,
            "media": [],
            "webhook_url": message.webhook or None,
            "encoding": "GSM-7",
            "parts": 1,
            "tags": [],
            "errors": [{"code": message.failure, "title": "undelivered"}] if message.failure else [],
        }
