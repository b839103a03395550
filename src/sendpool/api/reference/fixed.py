"""Answers that stay the same as long as the process runs: made once, and not sent again to who has them."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

from starlette.types import Scope

from sendpool.api.exchange import JSON, Headers, Reply

_HTML = b"text/html; charset=utf-8"
#: Pages are ours alone: nothing is loaded from anywhere, and nobody frames them.
_CLOSED: Headers = (
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
)


def html(body: bytes, status: int = 200) -> Reply:
    """A page of ours."""
    return Reply(status, body, _CLOSED, _HTML)


def json(body: bytes) -> Reply:
    """A document of ours."""
    return Reply(200, body, (), JSON)


def fixed(reply: Reply) -> Callable[[Scope], Reply]:
    """Answer with *reply*, or with 304 to a client that names its ETag."""
    tag = b'"' + blake2b(reply.body, digest_size=12).hexdigest().encode() + b'"'
    headers: Headers = (*reply.headers, (b"etag", tag), (b"cache-control", b"no-cache"))
    whole, unchanged = reply._replace(headers=headers), Reply(304, b"", headers, reply.content_type)

    def answer(scope: Scope) -> Reply:
        known = dict(scope["headers"]).get(b"if-none-match", b"")
        return unchanged if tag in (one.strip().removeprefix(b"W/") for one in known.split(b",")) else whole

    return answer
