"""What the platform tells our webhook: checked by its signature, then read. Pure.

The signature is HMAC-SHA256 with the app's secret over the body as it came; it is never written anew for that, since
the platform escapes characters that others do not.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import NamedTuple, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from sendpool.connectors.base import Inbound, Receipt, ReceiptState
from sendpool.connectors.whatsapp.replies import TABLE
from sendpool.domain.failures import classify
from sendpool.domain.sender import Channel

#: The header with the signature.
SIGNATURE = "x-hub-signature-256"
#: What a failed status without an error counts as.
NO_CODE = "none"
#: "played" is a voice message that was listened to.
_STATES = {
    "sent": ReceiptState.PROGRESS,
    "delivered": ReceiptState.DELIVERED,
    "read": ReceiptState.READ,
    "played": ReceiptState.READ,
    "failed": ReceiptState.UNDELIVERED,
}
#: The field that tells of calls.
CALLS = "calls"
#: Messages of people that say nothing: a changed number, and what the platform could not carry.
_NO_TEXT = frozenset({"system", "unsupported", "request_welcome", "ephemeral"})


class Forged(Exception):
    """The signature is missing or wrong."""


class Unreadable(Exception):
    """The body is none of the platform's. The text names types and places, no values."""


class _Error(msgspec.Struct, frozen=True):
    code: int | str | None = None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a message of ours."""

    id: str
    status: str
    #: What we had sent along: the attempt's own id.
    biz_opaque_callback_data: str = ""
    errors: tuple[_Error, ...] = ()


class _Metadata(msgspec.Struct, frozen=True, kw_only=True):
    display_phone_number: str = ""
    phone_number_id: str = ""


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    body: str = ""


class _Button(msgspec.Struct, frozen=True, kw_only=True):
    text: str = ""
    payload: str = ""


class _Chosen(msgspec.Struct, frozen=True, kw_only=True):
    id: str = ""
    title: str = ""


class _Interactive(msgspec.Struct, frozen=True, kw_only=True):
    button_reply: _Chosen | None = None
    list_reply: _Chosen | None = None


class _File(msgspec.Struct, frozen=True, kw_only=True):
    caption: str = ""


class _Location(msgspec.Struct, frozen=True, kw_only=True):
    latitude: float = 0.0
    longitude: float = 0.0


class _Reaction(msgspec.Struct, frozen=True, kw_only=True):
    emoji: str = ""


class UserMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wrote, sent or tapped. Who has a user name may come without a number."""

    id: str
    type: str
    sender: str = msgspec.field(default="", name="from")
    from_user_id: str = ""
    text: _Body | None = None
    button: _Button | None = None
    interactive: _Interactive | None = None
    image: _File | None = None
    video: _File | None = None
    document: _File | None = None
    location: _Location | None = None
    reaction: _Reaction | None = None

    @property
    def readable(self) -> str:
        """What it says as a text: itself, a tapped button's, a file's caption, an emoji, or a place as a geo URI."""
        if self.text is not None:
            return self.text.body
        if self.button is not None:
            return self.button.text or self.button.payload
        if self.interactive is not None:
            chosen = self.interactive.button_reply or self.interactive.list_reply or _Chosen()
            return chosen.title or chosen.id
        if self.location is not None:
            return f"geo:{self.location.latitude:g},{self.location.longitude:g}"
        if self.reaction is not None:
            return self.reaction.emoji
        return (self.image or self.video or self.document or _File()).caption

    @property
    def postback(self) -> str:
        """What stands behind the button or the row of a list that the person tapped."""
        if self.button is not None:
            return self.button.payload
        if self.interactive is not None:
            return (self.interactive.button_reply or self.interactive.list_reply or _Chosen()).id
        return ""


class _Value(msgspec.Struct, frozen=True, kw_only=True):
    metadata: _Metadata = _Metadata()
    statuses: tuple[msgspec.Raw, ...] = ()
    messages: tuple[msgspec.Raw, ...] = ()


class _Change(msgspec.Struct, frozen=True, kw_only=True):
    field: str = ""
    value: msgspec.Raw = msgspec.Raw(b"{}")


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    id: str = ""
    changes: tuple[_Change, ...] = ()


class _Notification(msgspec.Struct, frozen=True, kw_only=True):
    entry: tuple[_Entry, ...]


class Said(NamedTuple):
    """All that one body said."""

    receipts: list[Receipt]
    inbound: list[Inbound]
    #: What it told besides messages and statuses, by name: "phone_number_quality_update".
    fields: list[str]
    #: The numbers that it told of, each with whether somebody wrote or called whose number it did not tell.
    heard: dict[str, bool]
    #: Parts that say nothing for us, or that we cannot read.
    ignored: int


_T = TypeVar("_T")


def read(headers: Mapping[str, str], body: bytes, app_secret: str, senders: Mapping[str, str]) -> Said:
    """Check what was posted to the webhook and read it. Raises `Forged` or `Unreadable`.

    *senders*: the addresses of our senders by the ids of their numbers. Without an *app_secret* nothing can be
    checked, so everything counts as forged. A part that cannot be read takes no other with it.
    """
    given = headers.get(SIGNATURE, "").encode("utf-8", "replace")
    if not app_secret or not hmac.compare_digest(signature(app_secret, body).encode(), given):
        raise Forged
    notification = _decoded(body, _Notification)
    said = Said([], [], [], {}, 0)
    for change in (change for entry in notification.entry for change in entry.changes):
        if change.field == CALLS:
            # A call opens the window as a text does, and is told in other words.
            said.heard[_ours(_readable(change.value, _Value) or _Value(), senders)] = True
        if change.field != "messages":
            said.fields.append(change.field)
            continue
        said = _add(said, change.value, senders)
    return said


def signature(app_secret: str, body: bytes) -> str:
    """What the header holds for *body*."""
    return f"sha256={hmac.digest(app_secret.encode(), body, 'sha256').hex()}"


def challenge_of(url: str, verify_token: str) -> str | None:
    """What a request to verify the webhook is to be answered with; None where it names another token than ours."""
    asked = parse_qs(urlsplit(url).query)
    mode, token, challenge = (asked.get(f"hub.{name}", [""])[0] for name in ("mode", "verify_token", "challenge"))
    good = bool(verify_token) and hmac.compare_digest(token.encode(), verify_token.encode())
    return challenge if good and mode == "subscribe" else None


def receipt_of(status: Status) -> Receipt | None:
    """What a status says about a message of ours; None where it says nothing about one."""
    state = _STATES.get(status.status)
    if state is None or not status.biz_opaque_callback_data:
        return None
    if state is not ReceiptState.UNDELIVERED:
        return Receipt(status.biz_opaque_callback_data, state, None, status.status)
    code = next((str(one.code) for one in status.errors if one.code is not None), NO_CODE)
    found = classify(TABLE, code)
    return Receipt(status.biz_opaque_callback_data, state, found.failure, code, found.rule)


def inbound_of(message: UserMessage, recipient: str) -> Inbound | None:
    """What a person sent to our sender at *recipient*, as the pipeline takes it; None where it is no text."""
    person = f"+{message.sender}" if message.sender.isdigit() else message.sender or message.from_user_id
    if message.type in _NO_TEXT or not person:
        return None
    return Inbound(Channel.WHATSAPP, person, recipient, message.readable, message.id, postback=message.postback or None)


def _add(said: Said, raw: msgspec.Raw, senders: Mapping[str, str]) -> Said:
    value = _readable(raw, _Value)
    if value is None:
        return said._replace(ignored=said.ignored + 1)
    ours = _ours(value, senders)
    statuses = [_readable(one, Status) for one in value.statuses]
    messages = [_readable(one, UserMessage) for one in value.messages]
    receipts = [None if one is None else receipt_of(one) for one in statuses]
    inbound = [None if one is None else inbound_of(one, ours) for one in messages]
    said.receipts.extend(one for one in receipts if one is not None)
    said.inbound.extend(one for one in inbound if one is not None)
    placed = [one is not None and one.sender.startswith("+") for one in inbound]
    said.heard[ours] = said.heard.get(ours, False) or not all(placed)
    return said._replace(ignored=said.ignored + receipts.count(None) + inbound.count(None))


def _ours(value: _Value, senders: Mapping[str, str]) -> str:
    """The address of the sender that is told of."""
    about = value.metadata
    digits = "".join(filter(str.isdigit, about.display_phone_number))
    return senders.get(about.phone_number_id) or f"+{digits}"


def _readable(raw: msgspec.Raw, kind: type[_T]) -> _T | None:
    try:
        return _decoded(raw, kind)
    except Unreadable:
        return None


def _decoded(octets: bytes | msgspec.Raw, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(octets, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from None
