"""What the carrier tells us: checked as the configuration says, then read by its paths. Pure."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs, parse_qsl, urlsplit

from cryptography.exceptions import InvalidSignature

from sendpool.connectors.base import CallbackRequest, Inbound, Receipt, ReceiptState
from sendpool.connectors.http.checks import public_key
from sendpool.connectors.http.replies import Codes, document_of, is_so
from sendpool.connectors.http.requests import ATTEMPT, keyed_hash, signed
from sendpool.connectors.http.settings import Basic, Callback, Ed25519, Hmac, SignedFields, Token
from sendpool.connectors.http.templates import at, text_at
from sendpool.domain.failures import FailureClass, of_class
from sendpool.domain.sender import Channel

#: States in which something has failed.
_FAILED = (ReceiptState.UNDELIVERED, ReceiptState.EXPIRED, ReceiptState.REVOKED)
#: What would make another list of fields, where they are joined to be signed.
_SPOILT = str.maketrans("&=", "__")
#: Fields of a form at most.
_MOST_FIELDS = 1_000


class Forged(Exception):
    """It is not the carrier who says it, or not now."""


class Unreadable(Exception):
    """The body is neither JSON nor a form."""


class Said(NamedTuple):
    """All that one callback said."""

    receipts: list[Receipt]
    inbound: list[Inbound]
    #: Events that say nothing for us.
    ignored: int


class Callbacks:
    """Checks and reads the callbacks of one carrier."""

    def __init__(self, callback: Callback, senders: Collection[str]) -> None:
        self._callback, self._senders = callback, frozenset(senders)
        self._codes = Codes(callback.codes, callback.classes, callback.table)

    def read(self, request: CallbackRequest, url: str, now: float) -> Said:
        """Check and read a request to *url*, as the carrier called it. Raises `Forged` or `Unreadable`."""
        check(self._callback.verify, self._callback.method, request, url, now)
        receipts, inbound, ignored = [], [], 0
        for event in self._events(request):
            found = self._receipt_of(event, request.url)
            heard = self._inbound_of(event) if found is None else None
            if found is not None:
                receipts.append(found)
            elif heard is not None:
                inbound.append(heard)
            else:
                ignored += 1
        return Said(receipts, inbound, ignored)

    def _events(self, request: CallbackRequest) -> list[Any]:
        document = _document(self._callback.method, request)
        found = at(document, self._callback.events) if self._callback.events else document
        return found if isinstance(found, list) else [found]

    def _receipt_of(self, event: Any, url: str) -> Receipt | None:
        callback = self._callback
        inbound = callback.inbound
        if inbound is not None and inbound.when is not None and is_so(event, inbound.when):
            return None
        word = text_at(event, callback.status)
        # Where the carrier brings back no id of ours, the address holds it (`Requests`); its own may not be known yet.
        ours = _reference(text_at(event, callback.reference)) or _named_in(url)
        name = ours or text_at(event, callback.id)
        state = ReceiptState.__members__.get(callback.statuses.get(word, ""))
        if state is None or not name:
            return None
        if state not in _FAILED:
            return Receipt(name, state, None, word)
        code = self._codes.code_of(event)
        if state is not ReceiptState.UNDELIVERED:
            found = of_class(FailureClass.EXPIRED)
        else:
            found = self._codes.meaning(code or word)
        return Receipt(name, state, found.failure, code or word, found.rule)

    def _inbound_of(self, event: Any) -> Inbound | None:
        paths = self._callback.inbound
        if paths is None or (paths.when is not None and not is_so(event, paths.when)):
            return None
        person, ours = text_at(event, paths.sender), text_at(event, paths.recipient)
        if not person or not ours or at(event, paths.text) is None:
            return None
        files = at(event, paths.media) if paths.media else None
        return Inbound(
            Channel.SMS,
            _in_full(person),
            self._ours(ours),
            text_at(event, paths.text),
            text_at(event, paths.id) or None,
            media=_urls(files),
        )

    def _ours(self, address: str) -> str:
        """Our sender as it is declared: carriers leave out the "+"."""
        return address if address in self._senders else _in_full(address)


def _named_in(url: str) -> str:
    return parse_qs(urlsplit(url).query).get(ATTEMPT, [""])[0]


def _reference(text: str) -> str:
    """Our id, also where the carrier brings back the address that it was given, as Telnyx does."""
    return _named_in(text) if text.startswith(("https://", "http://")) else text


def check(
    verify: Hmac | Ed25519 | SignedFields | Token | Basic, method: str, request: CallbackRequest, url: str, now: float
) -> None:
    """Check that a callback is the carrier's, in constant time. *now*: seconds since 1970. Raises `Forged`."""
    good = False
    match verify:
        case Hmac():
            octets = _signed(verify, method, request, url, now)
            good = _same(keyed_hash(verify, octets), _header(request, verify.header))
        case Ed25519():
            good = _is_signed(verify, _header(request, verify.header), _signed(verify, method, request, url, now))
        case SignedFields():
            good = _has_signed_fields(verify, method, request, now)
        case Token():
            query = parse_qs(urlsplit(request.url).query)
            given = _header(request, verify.header) if verify.header else query.get(verify.query or "", [""])[0]
            good = _same(verify.value, given)
        case Basic():
            wanted = base64.b64encode(f"{verify.username}:{verify.password}".encode()).decode()
            good = _same(f"Basic {wanted}", _header(request, "authorization"))
    if not good:
        raise Forged


def _signed(verify: Hmac | Ed25519, method: str, request: CallbackRequest, url: str, now: float) -> bytes:
    stamp = _header(request, verify.timestamp_header) if verify.timestamp_header else ""
    if verify.timestamp_header and not _is_now(stamp, now, verify.max_skew):
        raise Forged
    return signed(verify.input, method, url, request.body, stamp)


def _is_now(stamp: str, now: float, max_skew: float) -> bool:
    return stamp.isascii() and stamp.isdecimal() and len(stamp) < 16 and abs(now - int(stamp)) <= max_skew


def _has_signed_fields(verify: SignedFields, method: str, request: CallbackRequest, now: float) -> bool:
    try:
        document = _document(method, request)
    except Unreadable:
        return False
    if not isinstance(document, Mapping):
        return False
    fields = {name: _plain(value) for name, value in document.items()}
    given = fields.pop(verify.field, "")
    if verify.timestamp_field is not None and not _is_now(fields.get(verify.timestamp_field, ""), now, verify.max_skew):
        return False
    return _same(hash_of_fields(verify.secret, verify.algorithm, fields), given.lower())


def _plain(value: Any) -> str:
    """A value as it is signed: whatever is no text or number cannot be."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def hash_of_fields(secret: str, algorithm: str, fields: Mapping[str, str]) -> str:
    """The keyed hash, in hex, over fields without their signature."""
    said = "".join(f"&{name}={value.translate(_SPOILT)}" for name, value in sorted(fields.items()))
    return hmac.digest(secret.encode(), said.encode("utf-8", "replace"), algorithm).hex()


def _is_signed(verify: Ed25519, given: str, octets: bytes) -> bool:
    try:
        public_key(verify.public_key).verify(base64.b64decode(given, validate=True), octets)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _document(method: str, request: CallbackRequest) -> Any:
    if method == "GET":
        return dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    document = document_of(request.body)
    if document is not None:
        return document
    try:
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:  # UnicodeDecodeError is one
        form = {}
    if not form:
        raise Unreadable("the body is neither JSON nor a form")
    return form


def _urls(files: Any) -> tuple[str, ...]:
    """URLs of files: texts, or objects with a "url"."""
    listed = files if isinstance(files, list) else [files] if files else []
    urls = [one.get("url") if isinstance(one, Mapping) else one for one in listed]
    return tuple(one for one in urls if isinstance(one, str))


def _in_full(address: str) -> str:
    """A number with its "+"; short codes and names as they are."""
    return f"+{address}" if address.isascii() and address.isdigit() and len(address) > 8 else address


def _header(request: CallbackRequest, name: str) -> str:
    return request.headers.get(name.lower(), "")


def _same(wanted: str, given: str) -> bool:
    return hmac.compare_digest(wanted.encode(), given.encode("utf-8", "replace"))
