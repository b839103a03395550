"""What Twilio posts to us: checked by its signature, then read. Pure.

The signature is over the address that Twilio called and every field of the form: HMAC-SHA1 with the auth token,
or HMAC-SHA256 with the secret of a shared key, which a header then names.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import parse_qs, parse_qsl, urlsplit

from sendpool.connectors.base import Inbound, Receipt, ReceiptState
from sendpool.connectors.twilio.replies import classify_failure
from sendpool.connectors.twilio.requests import ATTEMPT
from sendpool.domain.failures import FailureClass
from sendpool.domain.sender import Channel

SIGNATURE = "x-twilio-signature"
#: Names the shared key and the algorithm: "key=<id>,algorithm=HMAC_SHA256".
SETTINGS = "x-twilio-webhooks-signature-settings"
_DIGESTS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_PORTS = {"https": 443, "http": 80}
#: The hash of a body that is no form stands here, in the query.
_BODY_HASH = "bodySHA256"
#: Fields of a form at most.
_MOST_FIELDS = 1_000
_STATES = {
    "sent": ReceiptState.PROGRESS,
    "delivered": ReceiptState.DELIVERED,
    "partially_delivered": ReceiptState.DELIVERED,
    "read": ReceiptState.READ,
    "undelivered": ReceiptState.UNDELIVERED,
    "failed": ReceiptState.UNDELIVERED,
    "canceled": ReceiptState.REVOKED,
}
#: What the class table calls a message that somebody has canceled at Twilio.
_CANCELED_RULE = "class/EXPIRED"

Form = Mapping[str, Sequence[str]]


class Forged(Exception):
    """The signature is missing or wrong."""


class Secrets:
    """What callbacks of one account are signed with."""

    def __init__(self, auth_token: str, signing_keys: Mapping[str, str]) -> None:
        self._token = auth_token
        self._keys = signing_keys

    @property
    def known(self) -> bool:
        """Whether anything could be checked at all."""
        return bool(self._token or self._keys)

    def of(self, settings: str) -> tuple[str, str] | None:
        """The secret and the digest that a header names; None where we have none of that kind."""
        said = dict(part.strip().partition("=")[::2] for part in settings.split(","))
        algorithm = said.get("algorithm") or "HMAC_SHA1"
        digest = _DIGESTS.get(algorithm.upper())
        secret = self._keys.get(said.get("key", "")) if digest == "sha256" else self._token
        return (secret, digest) if secret and digest else None


def read_signed(url: str, headers: Mapping[str, str], body: bytes, secrets: Secrets) -> Form:
    """The fields of what was posted to *url*, as Twilio called it, once its signature is right. Raises `Forged`.

    A body that is no form (its hash is in the query) has no fields.
    """
    given = headers.get(SIGNATURE, "").encode("utf-8", "replace")
    found = secrets.of(headers.get(SETTINGS, ""))
    form = _form_of(url, body)
    if found is None or form is None:
        raise Forged
    # Compared with both always, so that the time tells nothing of which one came near.
    matches = [hmac.compare_digest(signature(one, form, *found).encode(), given) for one in _spellings(url)]
    if not any(matches):
        raise Forged
    return form


def signature(url: str, form: Form, secret: str, digest: str = "sha1") -> str:
    """What the header holds for a form (name: values) that is posted to *url*."""
    pairs = "".join(f"{name}{value}" for name in sorted(form) for value in sorted(set(form[name])))
    return base64.b64encode(hmac.digest(secret.encode(), f"{url}{pairs}".encode(), digest)).decode()


def attempt_of(url: str) -> str:
    """The attempt that the address of a callback names; "" where it names none."""
    return parse_qs(urlsplit(url).query).get(ATTEMPT, [""])[0]


def sid_of(form: Form) -> str:
    """Twilio's sid of the message that a callback is about."""
    return _one(form, "MessageSid") or _one(form, "SmsSid")


def receipt_of(url: str, form: Form) -> Receipt | None:
    """What a status says about a message of ours; None where it says nothing about one.

    The address that we gave names the attempt; where a service has an address of its own, Twilio's sid names it.
    """
    name = attempt_of(url) or sid_of(form)
    return receipt_for(name, _one(form, "MessageStatus") or _one(form, "SmsStatus"), _one(form, "ErrorCode"))


def receipt_for(name: str, status: str, error_code: str) -> Receipt | None:
    """What a status of Twilio's says of the message of this name; None where it says nothing."""
    state = _STATES.get(status)
    if state is None or not name:
        return None
    if state is ReceiptState.REVOKED:
        return Receipt(name, state, FailureClass.EXPIRED, "canceled", _CANCELED_RULE)
    if state is not ReceiptState.UNDELIVERED:
        return Receipt(name, state, None, status)
    code, found = classify_failure(error_code)
    expired = found.failure is FailureClass.EXPIRED
    return Receipt(name, ReceiptState.EXPIRED if expired else state, found.failure, code, found.rule)


def inbound_of(form: Form) -> Inbound | None:
    """What a person sent to a sender of ours; None where it is no message."""
    channel, person = _address(_one(form, "From"))
    _, ours = _address(_one(form, "To"))
    if not person or not ours or "Body" not in form:
        return None
    number = _one(form, "NumMedia")
    media = tuple(_one(form, f"MediaUrl{n}") for n in range(min(int(number), 10) if number.isdecimal() else 0))
    return Inbound(
        channel,
        person,
        ours,
        _one(form, "Body"),
        _one(form, "MessageSid") or None,
        postback=_one(form, "ButtonPayload") or None,
        media=tuple(filter(None, media)),
    )


def _form_of(url: str, body: bytes) -> Form | None:
    """The fields that are signed; None where the body is neither a form nor what the query has the hash of."""
    hashed = parse_qs(urlsplit(url).query).get(_BODY_HASH)
    if hashed:
        right = hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), hashed[0].encode("utf-8", "replace"))
        return {} if right else None
    form: dict[str, list[str]] = defaultdict(list)
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:  # UnicodeDecodeError is one
        return None
    for name, value in fields:
        form[name].append(value)
    return form


def _spellings(url: str) -> Iterator[str]:
    """The same address without and with its port: Twilio signs either."""
    parts = urlsplit(url)
    usual = _PORTS.get(parts.scheme)
    host, _, port = parts.netloc.rpartition(":") if not parts.netloc.endswith("]") else (parts.netloc, "", "")
    bare = host if port.isdigit() and host else parts.netloc
    for netloc in {bare: 1, f"{bare}:{port if port.isdigit() and host else usual}": 1, parts.netloc: 1}:
        yield parts._replace(netloc=netloc, fragment="").geturl()


def _address(text: str) -> tuple[Channel, str]:
    """Channel and address of "+1..." and "whatsapp:+1..."."""
    kind, colon, address = text.rpartition(":")
    return (Channel.WHATSAPP, address) if colon and kind == "whatsapp" else (Channel.SMS, text)


def _one(form: Form, name: str) -> str:
    return form[name][0] if form.get(name) else ""
