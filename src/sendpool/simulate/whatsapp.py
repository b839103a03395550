"""A simulated WhatsApp Cloud API on a real socket, with the faults of a script. For tests and rehearsals.

async with WhatsAppPlatform(WhatsAppScript(port=0, webhook=url, app_secret="secret")) as platform:
    ...                          # base_url = platform.url
    assert platform.messages[0].text == "Hello"
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from math import inf
from typing import Any, NamedTuple

import msgspec
from aiohttp import BodyPartReader, web

from sendpool.domain.whatsapp_content import check_module
from sendpool.simulate.agenda import Agenda
from sendpool.simulate.web_platform import WebPlatform
from sendpool.simulate.whatsapp_events import WhatsAppWebhook
from sendpool.simulate.whatsapp_script import Number, WhatsAppFate, WhatsAppFates, WhatsAppScript

#: Codes of the API (its page of error codes), and how they are called there.
TOKEN_REFUSED, NO_SUCH_ID, BAD_PARAMETER, NO_TEMPLATE = 190, 33, 100, 132001
_PATH = re.compile(r"/v[0-9]+\.[0-9]/(?P<id>[0-9]+)(?:/(?P<what>[a-z_]+))?")
_DIGITS = re.compile(r"\+?[1-9][0-9]{6,14}")
#: Seconds that an answer waits for a status that is to overtake it.
OVERTAKING = 5.0
#: Fields of a request to send, besides the object that is named as its type.
_FIELDS = frozenset({"messaging_product", "recipient_type", "to", "type", "biz_opaque_callback_data", "context"})


#: Beginnings of the types of files that it takes, and the types of messages that are one.
_FILE_TYPES = ("image/jpeg", "image/png", "image/webp", "audio/", "video/mp4", "video/3gpp", "application/", "text/")
_FILES = frozenset({"image", "video", "audio", "document", "sticker"})


class _Refusal(Exception):
    def __init__(self, code: int, http: int = 400, words: str = "") -> None:
        super().__init__(words)
        self.code = code
        self.http = http
        self.words = words


class Message(msgspec.Struct, kw_only=True):
    """One request to send as it arrived, how it was answered, and where the message stands."""

    number: str
    #: E.164 with "+".
    phone: str
    kind: str
    #: The object that is named as its type.
    said: dict[str, Any]
    opaque: str = ""
    #: "" where it was refused.
    wamid: str = ""
    #: The API's code of the refusal; 0: taken.
    code: int = 0
    #: "held" until it is "delivered" or "failed".
    state: str = "held"

    @property
    def text(self) -> str:
        """What it says, if it is a text."""
        return str(self.said.get("body", "")) if self.kind == "text" else ""


class Upload(NamedTuple):
    """A file that was uploaded: by which number, of what type, and what is in it."""

    number: str
    kind: str
    octets: bytes


class WhatsAppTotals(NamedTuple):
    """Counts since the start. requests = accepted + refused."""

    requests: int
    accepted: int
    refused: int
    delivered: int
    failed: int
    events_posted: int
    events_acknowledged: int
    inventories: int
    drops: int


_NO_FILE = Upload("", "", b"")


class WhatsAppPlatform(WebPlatform):
    """One platform: listens, answers by its script, delivers, reports, and remembers every request in `messages`."""

    def __init__(self, script: WhatsAppScript | None = None) -> None:
        self.script = script or WhatsAppScript(port=0)
        #: Every request to send that could be read, in order of arrival.
        self.messages: list[Message] = []
        self.numbers = {number.id: number for number in self.script.numbers}
        #: Lists of numbers that were asked for.
        self.inventories = 0
        #: Files that were uploaded, by their ids.
        self.uploads: dict[str, Upload] = {}
        self.webhook = WhatsAppWebhook(
            self.script.webhook,
            self.script.app_secret,
            self.script.business_account_id,
            window=self.script.event_window,
            resend_after=self.script.resend_after,
        )
        super().__init__(self.script, self.webhook)
        self._fates = WhatsAppFates(self.script)
        self._agenda = Agenda()
        #: Who has written to which number: to them anything may be sent.
        self._open_windows: set[tuple[str, str]] = set()

    def totals(self) -> WhatsAppTotals:
        """The counts up to now."""
        accepted = sum(not message.code for message in self.messages)
        return WhatsAppTotals(
            requests=len(self.messages),
            accepted=accepted,
            refused=len(self.messages) - accepted,
            delivered=sum(message.state == "delivered" for message in self.messages),
            failed=sum(message.state == "failed" for message in self.messages),
            events_posted=self.webhook.posts,
            events_acknowledged=self.webhook.acknowledged,
            inventories=self.inventories,
            drops=self.drops,
        )

    async def send_text(self, phone: str, number: str, text: str) -> bool:
        """A person writes to a number, which opens their window; return whether the webhook acknowledged it."""
        self._open_windows.add((number, phone))
        return await self.webhook.send_text(phone, self.numbers[number], text)

    # ---------------------------------------------------------------- requests

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._route(request)
        except _Refusal as refusal:
            return _refused(refusal.code, refusal.http, refusal.words)

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        found = _PATH.fullmatch(request.path)
        form = await _form(request) if found is not None and found["what"] == "media" else {}
        body = await request.read() if not form else b""
        if found is None:
            raise _Refusal(BAD_PARAMETER, 404, "No such path.")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not token or (self.script.token and token != self.script.token):
            raise _Refusal(TOKEN_REFUSED, 401, "Invalid OAuth access token.")
        match (request.method, found["what"], found["id"]):
            case ("POST", "messages", str(number)) if number in self.numbers:
                return await self._take(request, self.numbers[number], body)
            case ("POST", "media", str(number)) if number in self.numbers:
                return self._keep(number, form)
            case ("GET", None, str(media)) if media in self.uploads:
                return _json(self._told_of_file(media))
            case ("GET", "file", str(media)) if media in self.uploads:
                return web.Response(body=self.uploads[media].octets, content_type=self.uploads[media].kind)
            case ("GET", "phone_numbers", self.script.business_account_id):
                return self._list(request)
            case ("GET", None, str(number)) if number in self.numbers:
                return _json(_told(self.numbers[number]))
            case _:
                raise _Refusal(NO_SUCH_ID, 400, "Unsupported request: the object does not exist.")

    def _list(self, request: web.BaseRequest) -> web.Response:
        """A page of the account's numbers."""
        self.inventories += 1
        limit = int(request.query.get("limit", "25"))
        start = int(request.query.get("after", "0"))
        page = list(self.numbers.values())[start : start + limit]
        paging: dict[str, Any] = {"cursors": {"before": str(start), "after": str(start + len(page))}}
        if start + len(page) < len(self.numbers):
            paging["next"] = f"{self.url}{request.path}?limit={limit}&after={start + len(page)}"
        return _json({"data": [_told(number) for number in page], "paging": paging})

    async def _take(self, request: web.BaseRequest, number: Number, body: bytes) -> web.StreamResponse:
        message = self._read(number, body)
        window_open = message.kind == "template" or (number.id, message.phone) in self._open_windows
        said = msgspec.json.encode(message.said)
        fate = self._fates.of_message(number.id, message.phone, said, self.elapsed, free=not window_open)
        message.code = fate.code
        self.messages.append(message)
        if fate.code:
            response = _refused(fate.code, fate.http)
        else:
            message.wamid = f"wamid.{self.webhook.next_id():08}"
            await self._begin(number, message, fate)
            response = _json(_taken(message))
        return await self._reply(request, response, len(self.messages), fate.answer_after, answered=fate.answered)

    def _keep(self, number: str, form: Mapping[str, tuple[str, bytes]]) -> web.Response:
        """Take a file that is uploaded."""
        kind, octets = form.get("file", ("", b""))
        if form.get("messaging_product", ("", b""))[1] != b"whatsapp" or not octets:
            raise _Refusal(BAD_PARAMETER, 400, "messaging_product and file are required.")
        if form.get("type", ("", b""))[1].decode() != kind or not kind.startswith(_FILE_TYPES):
            raise _Refusal(BAD_PARAMETER, 400, "Param file must be a file with one of the supported types.")
        media = str(900_000_000_000_000 + len(self.uploads))
        self.uploads[media] = Upload(number, kind, octets)
        return _json({"id": media})

    def _told_of_file(self, media: str) -> dict[str, Any]:
        kind, octets = self.uploads[media][1:]
        return {
            "messaging_product": "whatsapp",
            "url": f"{self.url}/v23.0/{media}/file",
            "mime_type": kind,
            "sha256": sha256(octets).hexdigest(),
            "file_size": len(octets),
            "id": media,
        }

    def _read(self, number: Number, body: bytes) -> Message:
        """What a request to send says. Raises `_Refusal`."""
        try:
            fields = msgspec.json.decode(body, type=dict[str, Any])
            kind = str(fields["type"]) if "type" in fields else "text"
            module = {name: value for name, value in fields.items() if name not in _FIELDS}
            check_module({"type": kind, **module})
        except (msgspec.DecodeError, msgspec.ValidationError, KeyError, ValueError) as error:
            raise _Refusal(BAD_PARAMETER, 400, str(error)) from None
        if fields.get("messaging_product") != "whatsapp":
            raise _Refusal(BAD_PARAMETER, 400, "messaging_product is required.")
        to = str(fields.get("to", ""))
        if not _DIGITS.fullmatch(to):
            raise _Refusal(BAD_PARAMETER, 400, "to is no number.")
        said = module[kind]
        if "id" in said and kind in _FILES and self.uploads.get(said["id"], _NO_FILE).number != number.id:
            raise _Refusal(BAD_PARAMETER, 400, "Media id does not exist, or is another number's.")
        if kind == "template" and self.script.templates and said["name"] not in self.script.templates:
            raise _Refusal(NO_TEMPLATE, 404, "Template name does not exist in the translation.")
        phone, opaque = "+" + to.lstrip("+"), str(fields.get("biz_opaque_callback_data", ""))
        return Message(number=number.id, phone=phone, kind=kind, said=said, opaque=opaque)

    # ---------------------------------------------------------------- deliveries

    async def _begin(self, number: Number, message: Message, fate: WhatsAppFate) -> None:
        """Put down what becomes of a message that was taken."""
        if fate.early:
            told = [*self._tell(number, message, fate, "sent"), *self._end(number, message, fate)]
            if told:
                await asyncio.wait(told, timeout=OVERTAKING)
            return
        self._later(min(fate.ended_after, 0.01), functools.partial(self._tell, number, message, fate, "sent"))
        self._later(fate.ended_after, functools.partial(self._end, number, message, fate))

    def _end(self, number: Number, message: Message, fate: WhatsAppFate) -> list[asyncio.Task[int]]:
        message.state = "failed" if fate.failure else "delivered"
        if not fate.failure and self.script.read_delay is not None:
            self._later(self.script.read_delay, functools.partial(self._tell, number, message, fate, "read"))
        return self._tell(number, message, fate, message.state)

    def _tell(self, number: Number, message: Message, fate: WhatsAppFate, status: str) -> list[asyncio.Task[int]]:
        if not self.webhook.url or (status == "sent" and not self.script.sent_status):
            return []
        error = _error(fate.failure) if status == "failed" else None
        told = functools.partial(
            self.webhook.tell_status, number, message.phone, message.wamid, status, message.opaque, error
        )
        return [told() for _ in range(fate.told)]

    def _later(self, seconds: float, then: Callable[[], object]) -> None:
        if seconds < inf:
            self._agenda.call_later(seconds, functools.partial(_call, then))

    def _forget_deliveries(self) -> None:
        self._agenda.clear()


async def _form(request: web.BaseRequest) -> dict[str, tuple[str, bytes]]:
    """The parts of a form by name, each with its type."""
    if not request.content_type.startswith("multipart/"):
        return {}
    parts = {}
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        parts[part.name or ""] = (part.headers.get("Content-Type", ""), bytes(await part.read()))
    return parts


def _call(then: Callable[[], object]) -> None:
    then()


def _told(number: Number) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(number)
    return {**fields, "throughput": {"level": number.throughput}}


def _taken(message: Message) -> dict[str, Any]:
    digits = message.phone.lstrip("+")
    return {
        "messaging_product": "whatsapp",
        "contacts": [{"input": digits, "wa_id": digits}],
        "messages": [{"id": message.wamid, "message_status": "accepted"}],
    }


def _error(code: int, words: str = "") -> dict[str, Any]:
    """An error as statuses have it."""
    said = words or f"error {code}"
    return {
        "code": code,
        "title": said,
        "message": said,
        "error_data": {"details": said},
        "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
    }


def _refused(code: int, http: int, words: str = "") -> web.Response:
    said = words or f"error {code}"
    error = {
        "message": f"(#{code}) {said}",
        "type": "OAuthException",
        "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": said},
        "fbtrace_id": "A4O",
    }
    return _json({"error": error}, http)


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")
