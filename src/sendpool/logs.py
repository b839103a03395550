"""Structured logs on stderr, from which message texts, secrets and full numbers are taken out before they are written.

Three nets, since a log call is easily written in haste: fields whose name says that they hold a text or a secret,
patterns that look like a number, an email address or a credential in any string, and the very secrets of the
configuration. Objects are shown by their type only: the repr of a submission holds a text and a number.

Bind what a line is about: `log.bind(message_id=..., attempt_id=...)`, or for everything that runs inside a block
`structlog.contextvars.bound_contextvars(message_id=...)`.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import date, timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any, TextIO, cast
from uuid import UUID

import structlog
from structlog.typing import EventDict, Processor

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
HIDDEN = "[hidden]"

#: Fields with these names hold what people write to each other.
_TEXT_FIELDS = frozenset(
    {"body", "content", "data", "html", "message", "payload", "pdu", "raw", "short_message", "subject", "text"}
    | {"texts", "variables"}
)
#: A field with one of these words in its name holds a secret ("auth_token", "smtp_password").
_SECRET_WORDS = frozenset(
    {"authorization", "cookie", "credential", "credentials", "passwd", "password", "secret", "secrets", "token"}
)
_SECRET_FIELDS = frozenset({"api_key", "secret_key", "private_key"})
#: A field with one of these words in its name holds addresses, with or without a plus.
_ADDRESS_WORDS = frozenset(
    {"addr", "address", "addresses", "destination", "from", "msisdn", "number", "phone", "recipient", "recipients"}
    | {"sender", "senders", "source", "to"}
)

#: What WhatsApp calls ids, and are numbers of people.
_NUMBERS_AS_IDS = frozenset({"wa_id", "recipient_id"})

_CREDENTIAL = re.compile(r"\b(basic|bearer)\s+[\w.~+/=-]{6,}", re.IGNORECASE)
_USER_INFO = re.compile(r"://[^/\s@]+@")
#: 32 hex digits alone are an auth token; our attempt ids begin with SM, and hashes are longer or shorter.
_BARE_TOKEN = re.compile(r"\b[0-9a-f]{32}\b", re.IGNORECASE)
_EMAIL = re.compile(r"\b([\w.%+-])[\w.%+-]*@([\w-]+(?:\.[\w-]+)+)")
_INTERNATIONAL = re.compile(r"(?:\+|%2b|\b00)\d(?:[ ().-]{0,2}\d){6,14}(?!\d)", re.IGNORECASE)
_BARE_NUMBER = re.compile(r"(?<![\w.-])\d{10,15}(?!\w|\.\d)")
_ANY_NUMBER = re.compile(r"\d{7,}")

_LONGEST = 2_000
_LONGEST_TRACE = 20_000
_DEEPEST = 6
_TRACES = frozenset({"exception", "stack"})


def configure(
    level: str = "info", *, json: bool | None = None, secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Send all logs, ours and those of libraries, to *stream* (stderr), one line each; call it again to change it.

    *json*: one JSON object a line; None: unless the stream is a terminal. *secrets* are hidden wherever they turn up.
    Raises KeyError for a level that is not in `LEVELS`.
    """
    out = sys.stderr if stream is None else stream
    if json is None:
        json = not out.isatty()
    number = LEVELS[level]
    begin: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    end: list[Processor] = [Redaction(secrets), _renderer(json=json, colors=out.isatty())]
    structlog.configure(
        processors=[*begin, *end],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, Unfailing(out))),
        cache_logger_on_first_use=False,
    )
    _configure_libraries(number, begin, end, out)


class Unfailing:
    """A stream of which no fault reaches who writes: on a full disk a line is lost, and nothing else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write, if that is possible."""
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        """Hand over what was written, if that is possible."""
        with suppress(OSError):
            self._stream.flush()


def _renderer(*, json: bool, colors: bool) -> Processor:
    if json:
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    # The rich traceback would print local variables, which hold texts and numbers.
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def _configure_libraries(level: int, begin: list[Processor], end: list[Processor], out: TextIO) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=begin,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *end],
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    # Request lines hold addresses (a search by sender); our own metrics count requests.
    for chatty in ("uvicorn.access", "aiohttp.access", "alembic"):
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))


class Redaction:
    """The structlog processor that takes out what must not be logged; the last one before the renderer."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Hide *secrets* in every string; those under 4 characters are left, as they would hide half of the log."""
        known = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, logger: object, method: str, event: MutableMapping[str, Any]) -> EventDict:
        """The event with every value made safe."""
        return {key: self._value(key, value, 0) for key, value in event.items()}

    def _value(self, key: str, value: object, depth: int) -> object:
        if value is None or isinstance(value, bool | float):
            return value
        if _hides(key):
            return HIDDEN
        if isinstance(value, Enum):
            return value.name
        if isinstance(value, int):
            return self._number(key, value)
        if isinstance(value, str):
            return self._text(key, value)
        if isinstance(value, UUID | date | timedelta):
            return str(value)
        if isinstance(value, PurePath):
            return self._text(key, str(value))
        if isinstance(value, BaseException):
            return self._text(key, f"{type(value).__name__}: {value}")
        return self._inside(key, value, depth + 1)

    def _inside(self, key: str, value: object, depth: int) -> object:
        if isinstance(value, bytes | bytearray | memoryview):
            return f"<{len(value)} bytes>"
        if depth < _DEEPEST and isinstance(value, Mapping):
            return {self._text("", str(name)): self._value(str(name), inner, depth) for name, inner in value.items()}
        if depth < _DEEPEST and isinstance(value, Sequence | AbstractSet) and not hasattr(value, "_fields"):
            return [self._value(key, inner, depth) for inner in value]
        return f"<{type(value).__name__}>"

    def _number(self, key: str, value: int) -> object:
        suspect = 7 if _holds_address(key) else 11
        if _is_id(key) or len(str(abs(value))) not in range(suspect, 16):
            return value
        return mask(str(value))

    def _text(self, key: str, value: str) -> str:
        text = value[: _LONGEST_TRACE if key in _TRACES else _LONGEST]
        if self._secrets is not None:
            text = self._secrets.sub(HIDDEN, text)
        text = _CREDENTIAL.sub(rf"\1 {HIDDEN}", text)
        text = _USER_INFO.sub(f"://{HIDDEN}@", text)
        text = _BARE_TOKEN.sub(HIDDEN, text)
        text = _EMAIL.sub(r"\1…@\2", text)
        text = _INTERNATIONAL.sub(_masked, text)
        if _holds_address(key):
            return _ANY_NUMBER.sub(_masked, text)
        return text if _is_id(key) else _BARE_NUMBER.sub(_masked, text)


def mask(number: str) -> str:
    """A number of which only the ends can be read: "+447700900123" becomes "+4477…123"; at least 4 digits go."""
    plus = "+" if number.startswith(("+", "%2b", "%2B")) else ""
    digits = re.sub(r"\D", "", number.removeprefix("%2b").removeprefix("%2B"))
    if len(digits) >= 11:
        return f"{plus}{digits[:4]}…{digits[-3:]}"
    return f"{plus}{digits[: max(0, len(digits) - 6)]}…{digits[-2:]}"


def mask_address(address: str) -> str:
    """An address of any channel of which only the ends can be read."""
    return _EMAIL.sub(r"\1…@\2", address) if "@" in address else mask(address)


def _masked(found: re.Match[str]) -> str:
    return mask(found[0])


def _words(key: str) -> set[str]:
    return set(key.lower().replace("-", "_").split("_"))


def _hides(key: str) -> bool:
    name = key.lower()
    return name in _TEXT_FIELDS or name in _SECRET_FIELDS or not _SECRET_WORDS.isdisjoint(_words(key))


def _holds_address(key: str) -> bool:
    return key in _NUMBERS_AS_IDS or (not _ADDRESS_WORDS.isdisjoint(_words(key)) and not _is_id(key))


def _is_id(key: str) -> bool:
    return key in ("id", "ids") or (key.endswith(("_id", "_ids")) and key not in _NUMBERS_AS_IDS)
