"""Checks of an HTTP connection's options: they say what is wrong, where, and what to do."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Collection
from difflib import get_close_matches
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sendpool.connectors.base import Caution, ConnectionSettings, ReceiptState, SenderSettings
from sendpool.connectors.http.settings import (
    Callback,
    Ed25519,
    Hmac,
    HttpSettings,
    Response,
    SignedFields,
    Token,
    read_tables,
)
from sendpool.connectors.http.templates import Template, compiled
from sendpool.connectors.web import is_base_url
from sendpool.domain.failures import ROWS, overrides_from
from sendpool.domain.sender import Channel

#: Fields of templates that say a message, and those that hashes are made of.
FIELDS = (
    "to",
    "to_digits",
    "sender",
    "sender_digits",
    "text",
    "message_id",
    "callback_url",
    "validity",
    "validity_ms",
    "segments",
    "encoding",
)
SIGNED = ("body", "timestamp", "method", "url", "path")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def read_settings(settings: ConnectionSettings) -> HttpSettings:
    """Read and check the options of *settings* and of its senders.

    Raises `ValueError` that begins with the key ("key 'request.url': ...").
    """
    options = read_tables(settings)
    _check_request(options)
    _check_auth(options)
    _check_response(options.response)
    if options.callback is not None:
        _check_callback(options.callback)
    if options.public_url is not None and not is_base_url(options.public_url):
        raise ValueError("key 'public_url': expected a URL without query, such as \"https://send.example.com\"")
    if options.reconnect_max < options.reconnect_min:
        raise ValueError("key 'reconnect_max': it must not be below reconnect_min")
    if settings.window is not None and settings.window < 1:
        raise ValueError(f"key 'window': expected 1 or more, got {settings.window}")
    for sender in settings.senders:
        _check_sender(sender)
    return options


def cautions_of(callback: Callback) -> list[Caution]:
    """What is allowed and unwise about callbacks: a signature over less than what they say."""
    verify = callback.verify
    if callback.reference is not None or not isinstance(verify, Hmac | Ed25519 | SignedFields):
        return []
    signed = "" if isinstance(verify, SignedFields) else verify.input.replace(" ", "")
    if any(f"{{{{{part}}}}}" in signed for part in ("url", "path")):
        return []
    says = "the address names the message, and the signature does not cover it: one true report can be turned on"
    remedy = (
        "have the carrier bring back {{message_id}} and name its path in callback.reference; or, where it signs the"
        " address too, say so in callback.verify.input ({{url}})"
    )
    return [Caution(f"{says} other messages", remedy)]


def fields_of(options: HttpSettings) -> tuple[str, ...]:
    """The fields that templates of a connection may have."""
    return (*FIELDS, *(f"secret.{name}" for name in options.secrets))


def public_key(text: str) -> Ed25519PublicKey:
    """A key in base64. Raises `ValueError`."""
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))


def _check_request(options: HttpSettings) -> None:
    request, known = options.request, fields_of(options)
    if request.json is not None and request.form is not None:
        raise ValueError("key 'request.form': there is a json too; a body is one of them, leave the other out")
    if request.method == "GET" and (request.json is not None or request.form is not None):
        raise ValueError("key 'request.method': a GET has no body; put the fields into request.url, or write POST")
    if request.longest_validity < request.shortest_validity:
        raise ValueError("key 'request.longest_validity': it must not be below shortest_validity")
    origin, _, rest = request.url.partition("{{")
    parts = urlsplit(origin)
    if not is_base_url(f"{parts.scheme}://{parts.netloc}") or (rest and not parts.path):
        wanted = 'a whole URL whose host has no fields, such as "https://api.example.com/sms/{{sender}}"'
        raise ValueError(f"key 'request.url': expected {wanted}")
    _named("request.url", lambda: Template(request.url, known))
    _named("request.json", lambda: compiled(request.json, known))
    _named("request.form", lambda: compiled(request.form, known))
    for name, text in request.headers.items():
        _named(f"request.headers.{name}", lambda text=text: Template(text, known))  # type: ignore[misc]
        if not _HEADER_VALUE.fullmatch(text):
            raise ValueError(f"key 'request.headers.{name}': expected one line of Latin-1; leave other characters out")
    said = "".join(map(str, (request.url, request.json, request.form, request.headers)))
    if "callback_url" in said and (options.public_url is None or options.callback is None):
        missing = "public_url" if options.public_url is None else "callback"
        raise ValueError(f"key '{missing}': it is missing; {{{{callback_url}}}} in request needs it")


def _check_auth(options: HttpSettings) -> None:
    auth = options.auth
    if isinstance(auth, Hmac):
        _check_input("auth.input", auth.input)
    for key in ("username", "password", "token", "value"):
        if not _HEADER_VALUE.fullmatch(getattr(auth, key, "")):
            raise ValueError(f"key 'auth.{key}': expected one line of Latin-1; look whether the secret was cut")


def _check_response(response: Response) -> None:
    if response.success is not None and not response.codes and response.success.path:
        raise ValueError("key 'response.codes': it is missing; say where the code stands of what is not a success")
    _check_classes("response", response)


def _check_callback(callback: Callback) -> None:
    verify = callback.verify
    if isinstance(verify, Token) and (verify.header is None) == (verify.query is None):
        raise ValueError("key 'callback.verify.query': give either it or header, where the token comes")
    if isinstance(verify, Hmac | Ed25519):
        _check_input("callback.verify.input", verify.input)
        if "timestamp" in verify.input and verify.timestamp_header is None:
            raise ValueError("key 'callback.verify.timestamp_header': it is missing; input has a {{timestamp}}")
    if isinstance(verify, Ed25519):
        try:
            public_key(verify.public_key)
        except ValueError:
            wanted = "expected 32 octets in base64, as the carrier shows its key"
            raise ValueError(f"key 'callback.verify.public_key': {wanted}") from None
    if callback.status is None and callback.inbound is None:
        raise ValueError("key 'callback.status': it is missing; give it, or inbound, else callbacks say nothing")
    if callback.status is not None and not callback.statuses:
        raise ValueError("key 'callback.statuses': it is missing; say which state each word of the carrier means")
    for word, state in callback.statuses.items():
        _one_of(f"callback.statuses.{word}", state, list(ReceiptState.__members__))
    _check_classes("callback", callback)


def _check_input(key: str, text: str) -> None:
    _named(key, lambda: Template(text, SIGNED))


def _check_classes(key: str, table: Response | Callback) -> None:
    try:
        overrides_from(table.classes)
    except ValueError as error:
        raise ValueError(f"key '{key}.classes': {error}") from None
    if table.table is not None:
        _one_of(f"{key}.table", table.table, list(ROWS))


def _check_sender(sender: SenderSettings) -> None:
    if sender.channel is not Channel.SMS:
        raise ValueError(f"sender {sender.address}: key 'channel': an HTTP connection carries SMS senders only")
    for key in sender.options:
        raise ValueError(f"sender {sender.address}: key '{key}': not a setting here; leave it out")


def _one_of(key: str, word: str, known: Collection[str]) -> None:
    if word not in known:
        close = get_close_matches(word, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
        raise ValueError(f"key '{key}': there is no \"{word}\"; {hint}")


def _named(key: str, make: Callable[[], object]) -> None:
    try:
        make()
    except ValueError as error:
        place, separator, problem = str(error).partition("\0")
        raise ValueError(f"key '{key}{place}': {problem}" if separator else f"key '{key}': {error}") from None
