"""A simulated Twilio account on a real socket, with the faults of a script. For tests and rehearsals.

async with TwilioAccount(TwilioScript(port=0)) as account:
    ...                          # base_url = account.url
    assert account.messages[0].body == "Hello"
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import re
import time
from base64 import b64encode
from collections.abc import Callable
from email.utils import formatdate
from math import inf
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec
from aiohttp import web

from sendpool.simulate.agenda import Agenda
from sendpool.simulate.twilio_callbacks import TwilioCallbacks
from sendpool.simulate.twilio_script import Number, TwilioScript
from sendpool.simulate.web_faults import WebFate, WebFates
from sendpool.simulate.web_platform import WebPlatform

VERSION = "2010-04-01"
_PATH = re.compile(
    rf"/{VERSION}/Accounts/(?P<account>AC[0-9a-f]{{32}})/(?P<what>[A-Za-z/]+?)(?:/(?P<sid>[SM]M[0-9a-f]{{32}}))?\.json"
)
_TO = re.compile(r"(?:whatsapp:)?\+[1-9][0-9]{6,14}")
#: Characters of a body.
LONGEST_BODY = 1_600
#: Seconds that an answer waits for a status that is to overtake it.
OVERTAKING = 5.0
_TOO_FAST, _UNKNOWN_ERROR = 20429, "30008"


class _Refusal(Exception):
    def __init__(self, code: int, http: int = 400, words: str = "", retry_after: int | None = None) -> None:
        super().__init__(words)
        self.code, self.http, self.words, self.retry_after = code, http, words, retry_after


class Message(msgspec.Struct, kw_only=True):
    """One request to send as it arrived, and where the message stands."""

    sid: str
    to: str
    sender: str
    body: str
    media: tuple[str, ...] = ()
    service: str = ""
    callback: str = ""
    validity: str = ""
    status: str = "queued"
    error_code: int | None = None
    #: Seconds since 1970.
    created_at: float = 0.0


class TwilioTotals(NamedTuple):
    """Counts since the start. requests = accepted + refused."""

    requests: int
    accepted: int
    refused: int
    delivered: int
    failed: int
    callbacks_posted: int
    callbacks_acknowledged: int
    inventories: int
    drops: int


class TwilioAccount(WebPlatform):
    """One account: listens, answers by its script, delivers, reports, and remembers every message it took."""

    def __init__(self, script: TwilioScript | None = None, wall: Callable[[], float] = time.time) -> None:
        """*wall*: the time in seconds since 1970."""
        self.script = script or TwilioScript(port=0)
        #: Every message that was taken, in order of arrival.
        self.messages: list[Message] = []
        #: Codes of those that were refused.
        self.refusals: list[int] = []
        self.numbers = list(self.script.numbers)
        #: Lists of numbers, and of messages, that were asked for, and single messages.
        self.fetches = 0
        self.inventories = 0
        self.searches = 0
        self.callbacks = TwilioCallbacks(self.script)
        super().__init__(self.script, self.callbacks)
        script = self.script
        self._fates = WebFates(script.seed, script.answer_delay, script.receipt_delay, script.faults)
        self._agenda = Agenda()
        self._sids = itertools.count(1)
        self._wall = wall
        self._basic = "Basic " + b64encode(f"{script.account_sid}:{script.auth_token}".encode()).decode()

    def totals(self) -> TwilioTotals:
        """The counts up to now."""
        return TwilioTotals(
            requests=len(self.messages) + len(self.refusals),
            accepted=len(self.messages),
            refused=len(self.refusals),
            delivered=sum(message.status == "delivered" for message in self.messages),
            failed=sum(message.status == "undelivered" for message in self.messages),
            callbacks_posted=self.callbacks.posts,
            callbacks_acknowledged=self.callbacks.acknowledged,
            inventories=self.inventories,
            drops=self.drops,
        )

    async def send_text(self, phone: str, number: str, text: str, media: tuple[str, ...] = ()) -> bool:
        """A person writes to a number; return whether it was acknowledged. Said once, never repeated."""
        fields = {
            "MessageSid": self._new_sid("SM"),
            "AccountSid": self.script.account_sid,
            "From": phone,
            "To": number,
            "Body": text,
            "NumMedia": str(len(media)),
            "NumSegments": "1",
            "ApiVersion": VERSION,
            **{f"MediaUrl{n}": url for n, url in enumerate(media)},
        }
        return await self.callbacks.tell(f"{self.script.inbound}#rc=0", fields) == 200

    # ---------------------------------------------------------------- requests

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._route(request)
        except _Refusal as refusal:
            return _refused(refusal)

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/":
            return web.Response(status=404)
        body = await request.read()
        found = _PATH.fullmatch(request.path)
        if found is None:
            raise _Refusal(20404, 404, "The requested resource was not found")
        if request.headers.get("Authorization") != self._basic or found["account"] != self.script.account_sid:
            raise _Refusal(20003, 401, "Authenticate")
        match (request.method, found["what"], found["sid"]):
            case ("POST", "Messages", None):
                return await self._take(request, _form(body))
            case ("GET", "Messages", None):
                return self._list_messages(request)
            case ("GET", "Messages", str(sid)):
                self.fetches += 1
                return _json(self._resource(self._known(sid)))
            case ("POST", "Messages", str(sid)):
                self._known(sid)
                raise _Refusal(30409, 400, "Message is not in a cancelable state")
            case ("GET", "IncomingPhoneNumbers", None):
                self.inventories += 1
                told = [self._number(one) for one in self.numbers]
                return self._page(request, "incoming_phone_numbers", told)
            case ("GET", "SMS/ShortCodes", None):
                codes = [{"sid": f"SC{n:032x}", "short_code": one} for n, one in enumerate(self.script.short_codes)]
                return self._page(request, "short_codes", codes)
            case _:
                raise _Refusal(20404, 404, "The requested resource was not found")

    async def _take(self, request: web.BaseRequest, fields: dict[str, list[str]]) -> web.StreamResponse:
        message = self._read(fields)
        fate = self._fates.of_message(message.sender, message.to, message.body, self.elapsed)
        refusal = _refusal_of(fate)
        if refusal is not None:
            self.refusals.append(refusal.code)
            response = _refused(refusal)
        else:
            self.messages.append(message)
            response = _json(self._resource(message), 201)
            await self._begin(message, fate)
        requests = len(self.messages) + len(self.refusals)
        return await self._reply(request, response, requests, fate.answer_after, answered=fate.answered)

    def _read(self, fields: dict[str, list[str]]) -> Message:
        """What a request to send says. Raises `_Refusal`."""
        one = {name: values[0] for name, values in fields.items()}
        to, sender, service = one.get("To", ""), one.get("From", ""), one.get("MessagingServiceSid", "")
        if not _TO.fullmatch(to):
            raise self._refusal(21211, f"Invalid 'To' Phone Number: {to}")
        if not sender and not service:
            raise self._refusal(21603, "A 'From' phone number is required.")
        if service and service not in self.script.services:
            raise self._refusal(21701, "The Messaging Service does not exist")
        owned = {*(number.phone_number for number in self.numbers), *self.script.short_codes}
        if sender.removeprefix("whatsapp:").lstrip("+").isdigit() and sender.removeprefix("whatsapp:") not in owned:
            raise self._refusal(21660, "Mismatch between the 'From' number and the account")
        body, media = one.get("Body", ""), tuple(fields.get("MediaUrl", ()))
        if not body and not media:
            raise self._refusal(21602, "Message body is required.")
        if len(body) > LONGEST_BODY:
            raise self._refusal(21617, "The concatenated message body exceeds the 1600 character limit.")
        validity = one.get("ValidityPeriod", "")
        if validity and not (validity.isdecimal() and 1 <= int(validity) <= 36_000):
            raise self._refusal(30410, "ValidityPeriod is not valid")
        return Message(
            sid=self._new_sid("MM" if media else "SM"),
            to=to,
            sender=sender or self.numbers[0].phone_number,
            body=body,
            media=media,
            service=service,
            callback=one.get("StatusCallback", ""),
            validity=validity,
            status="accepted" if service else "queued",
            created_at=self._wall(),
        )

    def _refusal(self, code: int, words: str) -> _Refusal:
        self.refusals.append(code)
        return _Refusal(code, 400, words)

    def _known(self, sid: str) -> Message:
        found = next((message for message in self.messages if message.sid == sid), None)
        if found is None:
            raise _Refusal(20404, 404, "The requested resource was not found")
        return found

    def _list_messages(self, request: web.BaseRequest) -> web.Response:
        self.searches += 1
        to, sender, since = (request.query.get(name, "") for name in ("To", "From", "DateSent>"))
        found = [
            self._resource(message)
            for message in reversed(self.messages)
            if (not to or message.to == to)
            and (not sender or message.sender == sender)
            and (not since or time.strftime("%Y-%m-%d", time.gmtime(message.created_at)) >= since[:10])
        ]
        return self._page(request, "messages", found)

    def _page(self, request: web.BaseRequest, key: str, rows: list[dict[str, Any]]) -> web.Response:
        size, page = int(request.query.get("PageSize", "50")), int(request.query.get("Page", "0"))
        rest = len(rows) > (page + 1) * size
        following = str(request.rel_url.update_query(Page=page + 1, PageToken=f"PA{page}")) if rest else None
        told = rows[page * size : (page + 1) * size]
        return _json({key: told, "page": page, "page_size": size, "next_page_uri": following})

    def _number(self, number: Number) -> dict[str, Any]:
        digits = number.phone_number.lstrip("+")
        return {
            "sid": f"PN{int(digits):032x}",
            "account_sid": self.script.account_sid,
            "phone_number": number.phone_number,
            "friendly_name": number.friendly_name,
            "capabilities": {"voice": True, "sms": number.sms, "mms": number.sms, "fax": False},
            "status": number.status,
        }

    def _resource(self, message: Message) -> dict[str, Any]:
        at = formatdate(message.created_at, usegmt=False)
        return {
            "sid": message.sid,
            "account_sid": self.script.account_sid,
            "to": message.to,
            "from": None if message.service and message.status == "accepted" else message.sender,
            "messaging_service_sid": message.service or None,
            "body": message.body,
            "status": message.status,
            "num_segments": "1",
            "num_media": str(len(message.media)),
            "direction": "outbound-api",
            "api_version": VERSION,
            "price": None,
            "price_unit": "USD",
            "error_code": message.error_code,
            "error_message": None,
            "date_created": at,
            "date_sent": at,
            "date_updated": at,
            "uri": f"/{VERSION}/Accounts/{self.script.account_sid}/Messages/{message.sid}.json",
        }

    def _new_sid(self, kind: str) -> str:
        return f"{kind}{self.script.seed:016x}{next(self._sids):016x}"

    # ---------------------------------------------------------------- deliveries

    async def _begin(self, message: Message, fate: WebFate) -> None:
        """Put down what becomes of a message that was taken."""
        if fate.early:
            told = [*self._sent(message, fate), *self._end(message, fate)]
            if told:
                await asyncio.wait(told, timeout=OVERTAKING)
            return
        self._later(min(fate.ended_after, 0.01), functools.partial(self._sent, message, fate))
        self._later(fate.ended_after, functools.partial(self._end, message, fate))

    def _sent(self, message: Message, fate: WebFate) -> list[asyncio.Task[int]]:
        message.status = "sent"
        return self._tell(message, fate) if self.script.sent_status else []

    def _end(self, message: Message, fate: WebFate) -> list[asyncio.Task[int]]:
        message.status = "undelivered" if fate.failure else "delivered"
        if fate.failure:
            code = fate.failure if int(fate.failure) > 1 else _UNKNOWN_ERROR
            message.error_code = int(code)
        return self._tell(message, fate)

    def _tell(self, message: Message, fate: WebFate) -> list[asyncio.Task[int]]:
        if not message.callback:
            return []
        fields = {
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "AccountSid": self.script.account_sid,
            "MessageStatus": message.status,
            "SmsStatus": message.status,
            "To": message.to,
            "From": message.sender,
            "ApiVersion": VERSION,
            **({"MessagingServiceSid": message.service} if message.service else {}),
            **({"ErrorCode": str(message.error_code)} if message.error_code else {}),
        }
        return [self.callbacks.tell(message.callback, fields) for _ in range(fate.told)]

    def _later(self, seconds: float, then: Callable[[], object]) -> None:
        if seconds < inf:
            self._agenda.call_later(seconds, functools.partial(_call, then))

    def _forget_deliveries(self) -> None:
        self._agenda.clear()


def _call(then: Callable[[], object]) -> None:
    then()


def _form(body: bytes) -> dict[str, list[str]]:
    return parse_qs(body.decode())


def _refusal_of(fate: WebFate) -> _Refusal | None:
    if fate.throttled:
        return _Refusal(_TOO_FAST, 429, "Too Many Requests")
    if fate.refused is None:
        return None
    return _Refusal(fate.refused.code, fate.refused.http, retry_after=fate.refused.retry_after)


def _refused(refusal: _Refusal) -> web.Response:
    said = {
        "code": refusal.code,
        "message": refusal.words or f"error {refusal.code}",
        "more_info": f"https://www.twilio.com/docs/errors/{refusal.code}",
        "status": refusal.http,
    }
    response = _json(said, refusal.http)
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")
