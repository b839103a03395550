"""What the platform tells our webhook: checked by its signature, then read. Pure.

The envelope is that of Pub/Sub; the signature is HMAC-SHA512 with the clientToken over the *decoded* data.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from sendpool.connectors.base import Inbound, Receipt, ReceiptState
from sendpool.domain.failures import classify
from sendpool.domain.sender import Channel

#: The header with the signature.
SIGNATURE = "x-goog-signature"
_LAUNCH = "agent_launch_event"
#: Events of people that say nothing about a message: they type, or (un)subscribe, which their text says too.
_NOT_A_RECEIPT = frozenset({"IS_TYPING", "SUBSCRIBE", "UNSUBSCRIBE"})
_REVOKED = "TTL_EXPIRATION_REVOKED"
_REVOKE_FAILED = "TTL_EXPIRATION_REVOKE_FAILED"


class Forged(Exception):
    """The signature is missing or wrong."""


class WrongHandshake(Forged):
    """A handshake with another token than ours."""


class Unreadable(Exception):
    """The body is none of the platform's. The text names types and places, no values."""

    def __init__(self, why: str, *, signed: bool = False) -> None:
        """*signed*: it is the platform's after all, in words that we do not know."""
        super().__init__(why)
        self.signed = signed


class _Said(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What everything said has; unknown fields are left."""

    agent_id: str = ""
    event_id: str = ""
    message_id: str = ""


class Handshake(msgspec.Struct, frozen=True, kw_only=True):
    """The platform asks whether the webhook is ours; answer with `secret`."""

    secret: str


class Notice(_Said, frozen=True, kw_only=True):
    """A user event or a server event about a message of ours, or one about no message at all."""

    phone: str
    event_type: str


class Launch(_Said, frozen=True, kw_only=True):
    """A carrier has launched our agent, or suspended it."""

    region_id: str = ""
    new_launch_state: str = ""


class Payload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A file that a person sent, or its thumbnail."""

    file_uri: str = ""
    mime_type: str = ""
    file_name: str = ""


class UserFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a person sent."""

    payload: Payload = Payload()


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """A place that a person sent, in degrees."""

    latitude: float = 0.0
    longitude: float = 0.0


class SuggestionResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A chip that a person tapped, with what we had put behind it."""

    postback_data: str = ""
    text: str = ""
    type: str = ""


class UserMessage(_Said, frozen=True, kw_only=True):
    """What a person wrote, sent or tapped. `message_id` is theirs; a tapped action has only an `event_id`."""

    sender_phone_number: str
    text: str | None = None
    user_file: UserFile | None = None
    location: Location | None = None
    suggestion_response: SuggestionResponse | None = None

    @property
    def id(self) -> str:
        """What to know a repeat by."""
        return self.message_id or self.event_id

    @property
    def readable(self) -> str:
        """What it says as a text: the text itself, a tapped chip's, a file's address, or a place as a geo URI."""
        if self.text is not None:
            return self.text
        if self.suggestion_response is not None:
            return self.suggestion_response.text or self.suggestion_response.postback_data
        if self.user_file is not None:
            return self.user_file.payload.file_uri
        if self.location is not None:
            return f"geo:{self.location.latitude:g},{self.location.longitude:g}"
        return ""


class _Envelope(msgspec.Struct, frozen=True, kw_only=True):
    class Message(msgspec.Struct, frozen=True, kw_only=True):
        data: str
        attributes: dict[str, Any] = {}

    message: Message


class _Verification(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    client_token: str
    secret: str


_T = TypeVar("_T")
Said = Handshake | Notice | Launch | UserMessage


def read(headers: Mapping[str, str], body: bytes, client_token: str) -> Said:
    """Check what was posted to the webhook and read it. Raises `Forged` or `Unreadable`.

    Without a *client_token* nothing can be checked, so everything counts as forged.
    """
    handshake = _handshake(body, client_token)
    if handshake is not None:
        return handshake
    try:
        message = _decoded(body, _Envelope).message
        data = base64.b64decode(message.data, validate=True)
    except (msgspec.DecodeError, binascii.Error) as error:
        raise Unreadable(str(error)) from None
    said = headers.get(SIGNATURE, "").encode("utf-8", "replace")
    if not client_token or not hmac.compare_digest(signature(client_token, data).encode(), said):
        raise Forged
    try:
        return _decoded(data, Launch) if message.attributes.get("type") == _LAUNCH else _read_data(data)
    except msgspec.DecodeError as error:
        raise Unreadable(str(error), signed=True) from None


def signature(client_token: str, data: bytes) -> str:
    """The signature of *data*, which is what the envelope holds once decoded."""
    return base64.b64encode(hmac.digest(client_token.encode(), data, "sha512")).decode("ascii")


def receipt_of(notice: Notice) -> Receipt | None:
    """What a notice says about a message of ours; None where it says nothing about one."""
    kind = notice.event_type
    if not notice.message_id or kind in _NOT_A_RECEIPT:
        return None
    if kind in ("DELIVERED", "READ"):
        return Receipt(notice.message_id, ReceiptState[kind], None, kind)
    if not kind.startswith("TTL_EXPIRATION"):
        return None
    # Every other word about the end of its time leaves open whether it may still arrive.
    state, known = (ReceiptState.EXPIRED, kind) if kind == _REVOKED else (ReceiptState.UNKNOWN, _REVOKE_FAILED)
    found = classify("rcs", known)
    return Receipt(notice.message_id, state, found.failure, kind, found.rule)


def inbound_of(message: UserMessage, recipient: str) -> Inbound:
    """What a person sent to the agent declared as *recipient*, as the pipeline takes it."""
    tapped, file = message.suggestion_response, message.user_file
    return Inbound(
        Channel.RCS,
        message.sender_phone_number,
        recipient,
        message.readable,
        message.id or None,
        postback=(tapped.postback_data or None) if tapped else None,
        media=(file.payload.file_uri,) if file and file.payload.file_uri else (),
    )


def _handshake(body: bytes, client_token: str) -> Handshake | None:
    """The handshake, if *body* is one. Raises `WrongHandshake` where it names another token."""
    try:
        asked = msgspec.json.decode(body, type=_Verification)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not client_token or not hmac.compare_digest(asked.client_token.encode(), client_token.encode()):
        raise WrongHandshake
    return Handshake(secret=asked.secret)


def _read_data(data: bytes) -> Notice | UserMessage:
    """Tell by its fields what was said: `eventType` makes an event, whose phone stands under either of two names."""
    fields = _decoded(data, dict[str, Any])
    if "eventType" not in fields:
        return _decoded(data, UserMessage)
    phone = fields.get("senderPhoneNumber") or fields.get("phoneNumber") or ""
    return msgspec.convert({**fields, "phone": phone}, Notice)


def _decoded(octets: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(octets, type=kind)
    except UnicodeDecodeError:
        raise msgspec.DecodeError("no UTF-8") from None
