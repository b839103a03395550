"""The requests of Twilio's Messages API, as URLs and forms. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from sendpool.connectors.base import Outcome, Rejected, Submission
from sendpool.connectors.twilio.replies import TABLE
from sendpool.connectors.twilio.settings import SenderOptions, TwilioSettings, is_service, sender_options
from sendpool.connectors.web import callback_url
from sendpool.domain.failures import classify
from sendpool.domain.sender import Channel

#: What follows /callbacks/<connection name>: where statuses and inbound messages are posted.
STATUS_PATH, MESSAGES_PATH = "/status", "/messages"
#: Names the attempt in the address of a status callback.
ATTEMPT = "m"
#: Asks for up to five repeats where we cannot be reached, are too slow, or could not store it (Twilio's connection
#: overrides). A fragment, so that it is neither called nor signed.
REPEATS = "#rc=5&rp=5xx,ct,rt"
#: Characters of a body (error 21617 above).
LONGEST_BODY = 1_600
#: Seconds that a message may wait in Twilio's queue.
SHORTEST_VALIDITY, LONGEST_VALIDITY = 1, 36_000
_PREFIX = {Channel.SMS: "", Channel.WHATSAPP: "whatsapp:"}
#: Files of one message.
MOST_MEDIA = 10


class UnfitSubmission(Exception):
    """A submission that Twilio cannot carry; `outcome` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        found = classify(TABLE, code)
        self.outcome: Outcome = Rejected(found.failure, code, found.scope, found.rule)


class Requests:
    """Writes the requests of one connection by its options."""

    def __init__(self, options: TwilioSettings, connection: str) -> None:
        self._options = options
        user, password = options.credentials
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        #: Of requests without a body, and of forms.
        self.headers: Mapping[str, str] = {"Authorization": f"Basic {basic}", "Accept": "application/json"}
        self.form_headers = {**self.headers, "Content-Type": "application/x-www-form-urlencoded"}
        self.messages = f"{options.root}/Messages.json"
        self._status_url = callback_url(options.public_url, connection, STATUS_PATH) if options.public_url else None
        self._senders: dict[str, tuple[Mapping[str, Any], SenderOptions]] = {}

    def form(self, submission: Submission) -> list[tuple[str, str]]:
        """The fields of a message. Raises `UnfitSubmission`."""
        if not _is_number(submission.recipient):
            raise UnfitSubmission("21211")
        prefix = _PREFIX[submission.channel]
        fields = [("To", prefix + submission.recipient), *self._from(submission, prefix), *_said(submission)]
        if self._status_url is not None:
            fields.append(("StatusCallback", f"{self._status_url}?{ATTEMPT}={submission.public_id}{REPEATS}"))
        if submission.validity is not None:
            seconds = min(max(submission.validity, SHORTEST_VALIDITY), LONGEST_VALIDITY)
            fields.append(("ValidityPeriod", str(seconds)))
        return fields

    def search(self, submission: Submission, since: datetime) -> str:
        """The URL of the messages to a recipient from the day of *since* on, the newest first."""
        prefix = _PREFIX[submission.channel]
        asked = [("To", prefix + submission.recipient), ("DateSent>", f"{since:%Y-%m-%d}"), ("PageSize", "50")]
        if not is_service(submission.sender):
            asked.insert(1, ("From", prefix + submission.sender))
        return f"{self.messages}?{urlencode(asked)}"

    def message(self, sid: str) -> str:
        """The URL of one message, by Twilio's own id."""
        return f"{self._options.root}/Messages/{sid}.json"

    def sign_of_life(self) -> str:
        """A URL that the host answers, whatever it says, and that counts against no limit."""
        return f"{self._options.base_url.rstrip('/')}/"

    def _from(self, submission: Submission, prefix: str) -> list[tuple[str, str]]:
        if is_service(submission.sender):
            return [("MessagingServiceSid", submission.sender)]
        service = self._options_of(submission).messaging_service_sid or self._options.messaging_service_sid
        fields = [("From", prefix + submission.sender)]
        return [*fields, ("MessagingServiceSid", service)] if service else fields

    def _options_of(self, submission: Submission) -> SenderOptions:
        known = self._senders.get(submission.sender)
        if known is None or known[0] is not submission.options:
            known = self._senders[submission.sender] = (submission.options, sender_options(submission.options))
        return known[1]


def encoded(fields: Sequence[tuple[str, str]]) -> bytes:
    """Fields as a form."""
    return urlencode(fields).encode()


class Listed(NamedTuple):
    """A message that the account lists."""

    sid: str
    body: str
    #: Seconds since 1970.
    created_at: float


class _ListedMessage(msgspec.Struct, frozen=True):
    sid: str
    body: str | None = None
    date_created: str | None = None
    direction: str = "outbound-api"


class _List(msgspec.Struct, frozen=True):
    messages: tuple[_ListedMessage, ...]


def read_listed(body: bytes) -> list[Listed]:
    """The messages of a list that we may have sent. Raises `ValueError`."""
    try:
        listed = msgspec.json.decode(body, type=_List).messages
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ValueError("the answer is no list of messages") from None
    ours = [one for one in listed if one.direction != "inbound" and one.date_created]
    return [Listed(one.sid, one.body or "", parsedate_to_datetime(one.date_created or "").timestamp()) for one in ours]


def body_of(submission: Submission) -> str:
    """The text of a message, as the account lists it."""
    return dict(_said(submission)).get("Body", "")


def _said(submission: Submission) -> list[tuple[str, str]]:
    """Body and media. Raises `UnfitSubmission`."""
    content = submission.content
    if content.rich is not None:
        raise UnfitSubmission("63005")  # A module of another platform.
    if len(content.media) > MOST_MEDIA:
        raise UnfitSubmission("21623")
    if not content.text and not content.media:
        raise UnfitSubmission("21602")
    if len(content.text) > LONGEST_BODY:
        raise UnfitSubmission("21617")
    body = [("Body", content.text)] if content.text else []
    return [*body, *(("MediaUrl", url) for url in content.media)]


def _is_number(address: str) -> bool:
    digits = address[1:]
    return address[:1] == "+" and 7 <= len(digits) <= 15 and digits.isascii() and digits.isdigit() and digits[0] != "0"
