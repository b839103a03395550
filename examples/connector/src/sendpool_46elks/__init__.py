"""SMS over 46elks (https://46elks.com/docs): a whole connector in one file, as the guide to connectors has it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hmac import compare_digest
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec

from sendpool.connectors.base import (
    CallbackAnswer,
    CallbackRequest,
    CallbackRoute,
    CarrierId,
    ConnectionSettings,
    Inbound,
    Outcome,
    Receipt,
    ReceiptState,
    Rejected,
    Submission,
    Throttled,
    Unavailable,
    Uncertain,
)
from sendpool.connectors.web import LinkDown, NoAnswer, NotSent, Reply, Watch, WebConnector, read_options, retry_after
from sendpool.domain.failures import FailureClass
from sendpool.domain.message import on_channel
from sendpool.domain.sender import Channel

#: Messages without an answer at most, where the connection names no `window`.
DEFAULT_WINDOW = 20
#: What it reports of a message (SMS Delivery Reports).
STATES = {"sent": ReceiptState.PROGRESS, "delivered": ReceiptState.DELIVERED, "failed": ReceiptState.UNDELIVERED}


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the connection's table holds beside what all connections have."""

    username: str
    password: str
    #: Where 46elks finds this connection: the public URL and /callbacks/<connection name>.
    callback_url: str
    #: A secret of your choice: 46elks signs nothing, so callbacks bear it in their URL.
    callback_key: str
    base_url: str = "https://api.46elks.com"
    #: Seconds to wait for an answer; without any before it is asked for a sign of life; between looks while it is away.
    response_timeout: float = 10.0
    idle: float = 30.0
    reconnect_max: float = 60.0


class ElksConnector(WebConnector):
    """A connection of type "46elks"."""

    def __init__(self, settings: ConnectionSettings) -> None:
        """Do nothing until `open`. Raises `ValueError` as `check` does."""
        self._options = _read(settings)
        options = self._options
        watch = Watch(idle=options.idle, reconnect_max=options.reconnect_max)
        window = settings.window or DEFAULT_WINDOW
        super().__init__(window=window, watch=watch, patience=options.response_timeout)
        login = b64encode(f"{options.username}:{options.password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {login}", "Content-Type": "application/x-www-form-urlencoded"}
        self._senders = {sender.address for sender in settings.senders}
        #: Callbacks without the right key.
        self.forged = 0

    @classmethod
    def check(cls, settings: ConnectionSettings) -> None:
        """Raise `ValueError` that names the key if the options are no good; connect to nothing."""
        _read(settings)

    # ---------------------------------------------------------------- the link

    async def probe(self) -> None:
        """See whether the account is ours (GET /a1/me sends nothing and costs nothing). Raises `LinkDown`."""
        try:
            reply = await self._ask("GET", "/a1/me")
        except (NotSent, NoAnswer) as error:
            raise LinkDown(f"no connection to {self._options.base_url}: {error}") from None
        if reply.status in (401, 403):
            raise LinkDown("46elks does not know this username and password; see your account's API credentials")

    async def _ask(self, method: str, path: str, body: bytes = b"") -> Reply:
        url, within = self._options.base_url + path, self._options.response_timeout
        return await self.call(method, url, headers=self._headers, body=body, within=within)

    # ---------------------------------------------------------------- sending

    @staticmethod
    def carrier_id(public_id: str) -> str:
        """Reports name an attempt by its own id, which we put into their URL: so also one whose answer was lost."""
        return public_id

    async def send(self, submission: Submission) -> Outcome:
        """Post the message, once: 46elks knows no repeats, so one without an answer stays in doubt."""
        form = {
            "from": submission.sender,
            "to": submission.recipient,
            "message": on_channel(submission.content, Channel.SMS).text,
            "whendelivered": self._report_url(submission),
        }
        try:
            reply = await self._ask("POST", "/a1/sms", urlencode(form).encode())
        except NotSent as error:
            return Unavailable(str(error))
        except NoAnswer as error:
            self.suspect()
            return Uncertain(str(error))
        return self._judge(reply, submission)

    def _report_url(self, submission: Submission) -> str:
        query = urlencode({"key": self._options.callback_key, "attempt": submission.public_id})
        return f"{self._options.callback_url}/reports?{query}"

    def _judge(self, reply: Reply, submission: Submission) -> Outcome:
        code = str(reply.status)
        if 200 <= reply.status < 300:
            return CarrierId(self.carrier_id(submission.public_id))
        if reply.status == 429:
            return Throttled("connection", retry_after(reply.headers), code)
        if reply.status in (401, 402, 403):
            self.suspect()
            return Rejected(FailureClass.ACCOUNT, code, "account")
        # Anything else below 500 says what is wrong with this message; above, nobody knows whether it went out.
        return Rejected(FailureClass.REQUEST, code) if reply.status < 500 else Uncertain(f"status {code}")

    # ---------------------------------------------------------------- what is said to us

    def routes(self) -> Sequence[CallbackRoute]:
        """Reports, and what people write (`sms_url` of your number)."""
        return CallbackRoute("POST", "/reports", self._report), CallbackRoute("POST", "/texts", self._text)

    async def _report(self, request: CallbackRequest) -> CallbackAnswer:
        asked, said = _query(request), _form(request)
        state = STATES.get(said.get("status", ""))
        if not self._is_theirs(asked):
            return CallbackAnswer(403)
        if state is None or self._inbox is None:
            return CallbackAnswer(204)
        failed = state is ReceiptState.UNDELIVERED
        failure = FailureClass.RECIPIENT if failed else None
        receipt = Receipt(asked.get("attempt", ""), state, failure, said["status"] if failed else "")
        return await _stored(self._inbox.receipts([receipt]))

    async def _text(self, request: CallbackRequest) -> CallbackAnswer:
        said = _form(request)
        if not self._is_theirs(_query(request)):
            return CallbackAnswer(403)
        if said.get("to") not in self._senders or self._inbox is None:
            return CallbackAnswer(204)
        text = Inbound(Channel.SMS, said.get("from", ""), said["to"], said.get("message", ""), said.get("id"))
        return await _stored(self._inbox.inbound([text]))

    def _is_theirs(self, asked: dict[str, str]) -> bool:
        if compare_digest(asked.get("key", "").encode(), self._options.callback_key.encode()):
            return True
        self.forged += 1
        return False


def _read(settings: ConnectionSettings) -> Options:
    options = read_options(settings.options, Options)
    if len(options.callback_key) < 16:
        raise ValueError("key 'callback_key': too short to keep anybody out; take 16 characters or more")
    for sender in settings.senders:
        if sender.channel is not Channel.SMS:
            raise ValueError(f"key 'senders': 46elks sends SMS; {sender.address} is on {sender.channel}")
    return options


async def _stored(storing: object) -> CallbackAnswer:
    """204 once it is durable; 46elks says it again for hours after anything else."""
    try:
        await storing  # type: ignore[misc]
    except Exception:  # noqa: BLE001 - whatever the store raises, it means "not stored"
        return CallbackAnswer(503)
    return CallbackAnswer(204)


def _query(request: CallbackRequest) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}


def _form(request: CallbackRequest) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.body.decode(errors="replace")).items()}
