"""A simulated RCS for Business platform on a real socket, with the faults of a script. For tests and rehearsals.

async with RcsPlatform(RcsScript(port=0, webhook=url, client_token="secret")) as platform:
    ...                          # base_url = platform.url
    assert platform.messages[0].text == "Hello"
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Coroutine
from math import inf
from types import TracebackType
from typing import Any, Self
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
from sendpool.simulate.script import Drop, Outage

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


class RcsPlatform:
    """One platform: listens, answers by its script, delivers, reports, and remembers every request in `messages`."""

    def __init__(self, script: RcsScript | None = None, *, keep_messages: bool = True) -> None:
        self.script = script or RcsScript(port=0)
        #: The port it listens on, once started; the same after an outage.
        self.port = self.script.port
        #: Every request to send, in order of arrival; empty without *keep_messages*, for long runs.
        self.messages: list[Message] = []
        #: The largest number of requests to send that were unanswered at one time.
        self.most_unanswered = 0
        #: Connections that were made.
        self.connections_made = 0
        self.accounts = Accounts(self.script.token, self.script.token_life)
        self.webhook = Webhook(
            self.script.webhook,
            self.script.client_token,
            window=self.script.event_window,
            resend_after=self.script.resend_after,
        )
        self._keep = keep_messages
        self._fates = RcsFates(self.script)
        self._tally = Tally()
        self._taken: dict[tuple[str, str], Message] = {}
        self._drops_left = Counter({n: f.times for n, f in enumerate(self.script.faults) if isinstance(f, Drop)})
        #: What becomes of messages; `deliveries.silent` keeps them all back.
        self.deliveries = Deliveries(self.webhook, self._tally)
        self._unanswered = 0
        self._released = asyncio.Event()
        self._released.set()
        self._server: asyncio.Server | None = None
        self._web: web.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._started_at = 0.0

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Listen. The script's times count from now. Raises `OSError` if the port is taken."""
        self._started_at = asyncio.get_running_loop().time()
        # Cancelled with the client gone: an answer that is kept back must not wait for ever.
        self._web = web.Server(self._answer, handler_cancellation=True, access_log=None)
        await self._listen()
        for outage in (fault for fault in self.script.faults if isinstance(fault, Outage)):
            self._spawn(self._follow(outage))

    async def stop(self) -> None:
        """Close the port and every connection, and say nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.deliveries.stop()
        await self.begin_outage()
        await self.webhook.stop()
        if self._web is not None:
            await self._web.shutdown(1.0)

    @property
    def url(self) -> str:
        """What goes into `base_url`."""
        return f"http://{self.script.host}:{self.port}"

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return asyncio.get_running_loop().time() - self._started_at

    @property
    def unacknowledged(self) -> int:
        """Events that the webhook has not acknowledged."""
        return self.webhook.waiting

    def totals(self) -> RcsTotals:
        """The counts up to now."""
        return self._tally.totals(self.webhook, self.accounts)

    def service_account(self) -> dict[str, str]:
        """A new service account's file, as an object, for `service_account_file`."""
        return self.accounts.make(f"{self.url}/token")

    def hold_answers(self) -> None:
        """Take messages from now on, but answer none until `release_answers`."""
        self._released.clear()

    def release_answers(self) -> None:
        """Answer what is held, and from now on as the script says."""
        self._released.set()

    def cut_connections(self) -> None:
        """Break every connection without a word; the port stays open."""
        for connection in self._web.connections if self._web is not None else ():
            if connection.transport is not None:
                self._tally.drops += 1
                connection.transport.abort()

    async def begin_outage(self) -> None:
        """Close the port, break every connection and fall silent."""
        self.webhook.fall_silent()
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut_connections()

    async def end_outage(self) -> None:
        """Listen again on the same port, and tell what has waited. Raises `OSError` if somebody else took it."""
        self.webhook.speak_again()
        if self._server is None:
            await self._listen()

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
            given = self.accounts.answer(dict(parse_qsl(body.decode())), f"{self.url}/token")
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
        self._unanswered += 1
        self.most_unanswered = max(self.most_unanswered, self._unanswered)
        try:
            return await self._reply(request, message, fate)
        finally:
            self._unanswered -= 1

    async def _reply(self, request: web.BaseRequest, message: Message, fate: RcsFate) -> web.StreamResponse:
        """Answer late, never, or on a connection that then breaks, as the fate asks."""
        drop = self._drop_now()
        await asyncio.sleep(fate.answer_after)
        await self._released.wait()
        if not fate.answered:
            await asyncio.Event().wait()
        if drop is not None:
            self._tally.drops += 1
            if not drop.answered and request.transport is not None:
                request.transport.abort()
        if message.status not in (200, 409):
            return _refused(message.status, _WORDS.get(fate.about, ""))
        response = _json(
            {
                "name": f"phones/{message.phone}/agentMessages/{message.message_id}",
                "contentMessage": msgspec.to_builtins(message.said),
                "sendTime": moment(message.at),
            }
            if message.status == 200
            else _error(409, ""),
            message.status,
        )
        if drop is not None:
            response.force_close()
        return response

    async def _revoke(self, agent: str, phone: str, message_id: str) -> web.Response:
        message = self._taken.get((agent, message_id))
        done = message is not None and message.phone == phone and self.deliveries.take_back(message)
        self._tally.revokes_failed += not done
        await asyncio.sleep(self._fates.of_revoke(agent, phone, self.elapsed))
        if not done:
            raise _Refusal(404)
        return _json({})

    # ---------------------------------------------------------------- connections

    def _agent(self, agent: str) -> str:
        if not agent or (self.script.agents and agent not in self.script.agents):
            raise _Refusal(403)
        return agent

    def _drop_now(self) -> Drop | None:
        for n, fault in enumerate(self.script.faults):
            if not isinstance(fault, Drop) or not fault.befalls("", "", "", self.elapsed):
                continue
            if self._tally.requests % fault.after == 0 and self._drops_left[n] > 0:
                self._drops_left[n] -= 1
                return fault
        return None

    def _connected(self) -> asyncio.BaseProtocol:
        assert self._web is not None
        self.connections_made += 1
        return self._web()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connected, self.script.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _follow(self, outage: Outage) -> None:
        await asyncio.sleep(max(outage.since - self.elapsed, 0))
        await self.begin_outage()
        if outage.until < inf:
            await asyncio.sleep(max(outage.until - self.elapsed, 0))
            await self.end_outage()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


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
