"""The head of a small request of a hot route, read by the parser that uvicorn has; anything unusual is not for us."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

import httptools

from sendpool.api.exchange import Reply

#: Bytes of a body up to which a request is small.
SMALL = 16 * 1024


class Quick(Protocol):
    """An endpoint that can be asked without ASGI."""

    def at_once(
        self, scope: dict[str, Any], headers: dict[bytes, bytes], body: bytes, answer: Callable[[Reply], None]
    ) -> bool:
        """Take a whole request, to be answered later, in another turn of the loop; False: ask `quickly`."""

    def quickly(self, scope: dict[str, Any], headers: dict[bytes, bytes], body: bytes) -> Awaitable[Reply | None]:
        """The answer to a whole request; None: nobody is left to be answered."""


class _Reading:
    """What httptools reads of a head."""

    def __init__(self) -> None:
        self.url = b""
        self.lines: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.lines.append((name.lower(), value))


class Head(NamedTuple):
    """The head of a request that is served here."""

    endpoint: Quick
    scope: dict[str, Any]
    headers: dict[bytes, bytes]
    #: Bytes of the body.
    length: int
    keep_alive: bool


def read_head(head: bytes, endpoint: Quick, transport: asyncio.Transport) -> Head | None:
    """A head that ends here, or None where the request is not one for us."""
    reading = _Reading()
    parser = httptools.HttpRequestParser(reading)
    try:
        parser.feed_data(head)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    headers = dict(reading.lines)
    length = headers.get(b"content-length", b"")
    if not (0 < len(length) < 6 and length.isdigit() and int(length) <= SMALL):
        return None
    if b"transfer-encoding" in headers or b"expect" in headers or parser.should_upgrade():
        return None
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": reading.url.decode("ascii"),
        "query_string": b"",
        "headers": reading.lines,
        "client": _place(transport.get_extra_info("peername")),
        "server": _place(transport.get_extra_info("sockname")),
    }
    return Head(endpoint, scope, headers, int(length), parser.should_keep_alive())


def _place(address: Any) -> tuple[str, int] | None:
    return (str(address[0]), int(address[1])) if isinstance(address, tuple) else None
