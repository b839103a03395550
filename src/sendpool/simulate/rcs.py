"""A simulated RCS for Business platform on a real socket, with the faults of a script. For tests and rehearsals.

async with RcsPlatform(RcsScript(port=0, webhook=url, client_token="secret")) as platform:
    ...                          # base_url = platform.url
    assert platform.messages[0].text == "Hello"
"""

from __future__ import annotations

import asyncio
import re
import time
from math import inf
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from aiohttp import web

from sendpool.connectors.rcs.content import ContentMessage
from sendpool.simulate.rcs_accounts import Accounts, BadGrant
from sendpool.simulate.rcs_deliveries import Deliveries
from sendpool.simulate.rcs_events import Webhook, moment
from sendpool.simulate.rcs_record import Message, RcsTotals, Tally
from sendpool.simulate.rcs_script import RcsFate, RcsFates, RcsScript
from sendpool.simulate.web_platform import WebPlatform

#: What a phone can do, as look-ups tell it.
FEATURES = ("RICHCARD_STANDALONE", "RICHCARD_CAROUSEL", "ACTION_DIAL", "ACTION_OPEN_URL", "REVOCATION")
#: Numbers that one bulk look-up takes, and how many of them it needs to tell a random sample.
MOST_USERS, FEWEST_FOR_A_SAMPLE = 10_000, 500
#: The statuses of errors (google.rpc.Code by HTTP status).
STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_WORDS = {
    "user": "The agent has reached its limit of messages to this user.",
    "feature": "The device does not support the feature RICHCARD_CAROUSEL.",
}
_PHONE = re.compile(r"/v1/phones/(?P<phone>\+[1-9][0-9]{6,14})/(?P<what>agentMessages|capabilities)(?:/(?P<id>[^/]+))?")
_TTL = re.compile(r"([0-9]+)(?:\.[0-9]+)?s")
_TRAFFIC = ("AUTHENTICATION", "TRANSACTION", "PROMOTION", "SERVICEREQUEST", "ACKNOWLEDGEMENT")


class _Refusal(Exception):
    def __init__(self, status: int, words: str = "") -> None:
        super().__init__(words)
        self.status = status
        self.words = words


class RcsPlatform(WebPlatform):
    """One platform: listens, answers by its script, delivers, reports, and remembers every request in `messages`."""

    def __init__(self, script: RcsScript | None = None, *, keep_messages: bool = True) -> None:
        self.script = script or RcsScript(port=0)
        #: Every request to send, in order of arrival; empty without *keep_messages*, for long runs.
        self.messages: list[Message] = []
        self.accounts = Accounts(self.script.token, self.script.token_life)
        self.webhook = Webhook(
            self.script.webhook,
            self.script.client_token,
            window=self.script.event_window,
            resend_after=self.script.resend_after,
        )
        super().__init__(self.script, self.webhook)
        #: How clients call it, where something stands in between; None: by its own address.
        self.public_url: str | None = None
        self._keep = keep_messages
        self._fates = RcsFates(self.script)
        self._tally = Tally()
        self._taken: dict[tuple[str, str], Message] = {}
        #: What becomes of messages; `deliveries.silent` keeps them all back.
        self.deliveries = Deliveries(self.webhook, self._tally)

    def totals(self) -> RcsTotals:
        """The counts up to now."""
        return self._tally.totals(self.webhook, self.accounts, self.drops)

    def service_account(self) -> dict[str, str]:
        """A new service account's file, as an object, for `service_account_file`."""
        return self.accounts.make(self._token_url)

    @property
    def _token_url(self) -> str:
        return f"{self.public_url or self.url}/token"

    def _forget_deliveries(self) -> None:
        self.deliveries.stop()

    # ---------------------------------------------------------------- requests

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._route(request)
        except _Refusal as refusal:
            return _refused(refusal.status, refusal.words)

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        if request.path == "/token" and request.method == "POST":
            return self._give_token(body)
        found = _PHONE.fullmatch(request.path)
        bulk = request.path == "/v1/users:batchGet" and request.method == "POST"
        if found is None and not bulk:
            raise _Refusal(404, "No such path.")
        if not self.accounts.takes(request.headers.get("Authorization", "")):
            raise _Refusal(401)
        if found is None:
            return await self._look_up_many(body)
        agent = self._agent(request.query.get("agentId", ""))
        match (request.method, found["what"], found["id"]):
            case ("POST", "agentMessages", None):
                return await self._take(request, agent, found["phone"], body)
            case ("DELETE", "agentMessages", str(message_id)):
                return await self._revoke(agent, found["phone"], message_id)
            case ("GET", "capabilities", None):
                return await self._look_up(agent, found["phone"], request.query.get("requestId", ""))
            case _:
                raise _Refusal(404, "No such method.")

    def _give_token(self, body: bytes) -> web.Response:
        try:
            given = self.accounts.answer(dict(parse_qsl(body.decode())), self._token_url)
        except BadGrant as bad:
            return _json({"error": bad.error, "error_description": str(bad)}, 400)
        return _json(given)

    async def _look_up(self, agent: str, phone: str, request_id: str) -> web.Response:
        self._tally.look_ups += 1
        _check_uuid(request_id, "requestId")
        await self._before_look_up(agent, phone)
        if not self._fates.has_rcs(agent, phone, self.elapsed):
            raise _Refusal(404)
        return _json({"features": FEATURES})

    async def _look_up_many(self, body: bytes) -> web.Response:
        self._tally.bulk_look_ups += 1
        try:
            asked = msgspec.json.decode(body, type=dict[str, Any])
            users, agent = list(asked["users"]), self._agent(str(asked.get("agentId", "")))
        except (msgspec.DecodeError, KeyError, TypeError):
            raise _Refusal(400, "No users.") from None
        if not 0 < len(users) <= MOST_USERS:
            raise _Refusal(400, f"users must have 1 to {MOST_USERS} numbers.")
        self._tally.looked_up += len(users)
        await self._before_look_up(agent, str(users[0]))
        elapsed = self.elapsed
        if any(self._fates.is_elsewhere(agent, user, elapsed) for user in users):
            raise _Refusal(400, "All users must belong to the region of the endpoint.")
        reachable = [user for user in users if self._fates.has_rcs(agent, user, elapsed)]
        sample = users[: len(users) * 3 // 4] if len(users) >= FEWEST_FOR_A_SAMPLE else []
        known = set(reachable)
        return _json(
            {
                "reachableUsers": reachable,
                "totalRandomSampleUserCount": len(sample),
                "reachableRandomSampleUserCount": sum(user in known for user in sample),
            }
        )

    async def _before_look_up(self, agent: str, phone: str) -> None:
        status, after = self._fates.of_look_up(agent, phone, self.elapsed)
        await asyncio.sleep(after)
        if status != 200:
            raise _Refusal(status)

    async def _take(self, request: web.BaseRequest, agent: str, phone: str, body: bytes) -> web.StreamResponse:
        message_id = request.query.get("messageId", "")
        said, traffic, ttl = _read(body, message_id)
        fate = self._fates.of_message(agent, phone, msgspec.json.encode(said), self.elapsed)
        repeated = (agent, message_id) in self._taken
        message = Message(
            at=time.time(),
            agent=agent,
            phone=phone,
            message_id=message_id,
            said=said,
            traffic=traffic,
            ttl=ttl,
            status=self.script.repeat_status if repeated and fate.status == 200 else fate.status,
            repeated=repeated,
        )
        self._tally.enter(message)
        if self._keep:
            self.messages.append(message)
        if not repeated and fate.status == 200:
            self._taken[agent, message_id] = message
            await self.deliveries.take(message, fate)
        return await self._reply(
            request, _said(message, fate), self._tally.requests, fate.answer_after, answered=fate.answered
        )

    async def _revoke(self, agent: str, phone: str, message_id: str) -> web.Response:
        message = self._taken.get((agent, message_id))
        done = message is not None and message.phone == phone and self.deliveries.take_back(message)
        self._tally.revokes_failed += not done
        await asyncio.sleep(self._fates.of_revoke(agent, phone, self.elapsed))
        if not done:
            raise _Refusal(404)
        return _json({})

    def _agent(self, agent: str) -> str:
        if not agent or (self.script.agents and agent not in self.script.agents):
            raise _Refusal(403)
        return agent


def _said(message: Message, fate: RcsFate) -> web.Response:
    """What a request to send is answered with."""
    if message.status == 409:
        return _json(_error(409, ""), 409)
    if message.status != 200:
        return _refused(message.status, _WORDS.get(fate.about, ""))
    return _json(
        {
            "name": f"phones/{message.phone}/agentMessages/{message.message_id}",
            "contentMessage": msgspec.to_builtins(message.said),
            "sendTime": moment(message.at),
        }
    )


def _read(body: bytes, message_id: str) -> tuple[ContentMessage, str, float]:
    """Content, traffic type and ttl in seconds (`inf`: none) of an AgentMessage. Raises `_Refusal`."""
    _check_uuid(message_id, "messageId")
    try:
        fields = msgspec.json.decode(body, type=dict[str, Any])
        said = msgspec.convert(fields.pop("contentMessage", None), ContentMessage)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise _Refusal(400, str(error)) from None
    traffic = fields.pop("messageTrafficType", None)
    ttl = _TTL.fullmatch(str(fields.pop("ttl", "0s")))
    if traffic not in _TRAFFIC or ttl is None or fields:
        raise _Refusal(400, "messageTrafficType or ttl is wrong, or there is an unknown field.")
    return said, traffic, float(ttl[1]) or inf


def _check_uuid(text: str, what: str) -> None:
    try:
        UUID(text)
    except ValueError:
        raise _Refusal(400, f"{what} must be a UUID.") from None


def _error(status: int, words: str) -> dict[str, Any]:
    name = STATUSES.get(status, "UNKNOWN")
    said = words or name.replace("_", " ").capitalize() + "."
    return {"error": {"code": status, "message": said, "status": name}}


def _refused(status: int, words: str) -> web.Response:
    return _json(_error(status, words), status)


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")
