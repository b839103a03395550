"""A simulated Vonage SMS API on a real socket, as its reference describes it. For tests and rehearsals.

Faults name its own codes: "refuse status=9 http=200" (answers are always 200), "undelivered err=2".
"""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from sendpool.connectors.http.callbacks import hash_of_fields
from sendpool.simulate.poster import Envelope
from sendpool.simulate.sms_api import Refused, SmsApi, SmsApiScript, Text, as_json

_TO = re.compile(r"[1-9][0-9]{6,14}")
#: Milliseconds that a message may live.
_SHORTEST_TTL, _LONGEST_TTL = 20_000, 604_800_000
_WORDS = {"sent": "accepted", "delivered": "delivered", "failed": "failed"}


class VonageApi(SmsApi):
    """One account of the SMS API."""

    path = "/sms/json"
    too_fast = ("1", 200)
    unknown_failure = "1"

    def __init__(self, script: SmsApiScript | None = None, signature_secret: str = "") -> None:
        """*signature_secret*: what reports are signed with (HMAC-SHA256), where an account wants that."""
        super().__init__(script)
        self._signature_secret = signature_secret

    def read(self, request: web.BaseRequest, body: bytes) -> Text:
        """What a request to send says. Raises `Refused`."""
        is_json = request.content_type == "application/json"
        fields: dict[str, Any] = msgspec.json.decode(body) if is_json else dict(parse_qsl(body.decode()))
        for name in ("api_key", "api_secret", "to", "from"):
            if not fields.get(name):
                raise Refused("2", 200)
        if (fields["api_key"], fields["api_secret"]) != (self.script.key, self.script.secret):
            raise Refused("4", 200)
        ttl = str(fields.get("ttl", _SHORTEST_TTL))
        if not _TO.fullmatch(str(fields["to"])) or not _SHORTEST_TTL <= int(ttl) <= _LONGEST_TTL:
            raise Refused("3", 200)
        text = str(fields.get("text", ""))
        if fields.get("type", "text") == "text" and not text.isascii():
            raise Refused("6", 200)  # It would arrive with question marks.
        return Text(
            id=f"{next(self._numbers):016X}",
            to=f"+{fields['to']}",
            sender=str(fields["from"]),
            text=text,
            reference=str(fields.get("client-ref", "")),
            webhook=str(fields.get("callback", "")),
            fields=fields,
        )

    def taken(self, message: Text) -> web.Response:
        """The answer for a message that was taken."""
        said = {
            "to": message.to.lstrip("+"),
            "message-id": message.id,
            "status": "0",
            "remaining-balance": "3.14159265",
            "message-price": "0.03330000",
            "network": "12345",
            "client-ref": message.reference,
        }
        return as_json({"message-count": "1", "messages": [said]})

    def refused(self, refusal: Refused) -> web.Response:
        """The answer for one that was not: 200 like the other."""
        said = {"status": refusal.code, "error-text": f"error {refusal.code}"}
        return as_json({"message-count": "1", "messages": [said]}, refusal.http)

    def report(self, message: Text) -> Envelope:
        """A delivery receipt, for an account that wants them as POST with JSON."""
        said = {
            "msisdn": message.to.lstrip("+"),
            "to": message.sender,
            "network-code": "12345",
            "messageId": message.id,
            "price": "0.03330000",
            "status": _WORDS[message.status],
            "scts": "2001011400",
            "err-code": message.failure or "0",
            "api-key": self.script.key,
            "message-timestamp": "2020-01-01 14:00:00",
            **({"client-ref": message.reference} if message.reference else {}),
        }
        return self._envelope(said)

    def received(self, phone: str, sender: str, text: str) -> Envelope:
        """An inbound message."""
        said = {
            "api-key": self.script.key,
            "msisdn": phone.lstrip("+"),
            "to": sender.lstrip("+"),
            "messageId": f"{next(self._numbers):016X}",
            "text": text,
            "type": "text",
            "keyword": text.partition(" ")[0].upper(),
            "message-timestamp": "2020-01-01 14:00:00",
        }
        return self._envelope(said)

    def _envelope(self, said: dict[str, str]) -> Envelope:
        if self._signature_secret:
            said = {**said, "timestamp": str(int(time.time())), "nonce": f"nonce-{next(self._numbers)}"}
            said["sig"] = hash_of_fields(self._signature_secret, "sha256", said)
        return msgspec.json.encode(said), {"Content-Type": "application/json"}
