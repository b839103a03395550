"""Reading a request's body: bounded while it arrives, and decoded without trusting it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.types import Receive

from sendpool.api.problems import BODY_TOO_LARGE, INVALID, NOT_JSON
from sendpool.domain.request import Problem, Refused

_JSON_TYPE = re.compile(rb"application/(?:[a-z0-9!#$&^_.-]+\+)?json\s*(?:;.*)?", re.IGNORECASE | re.DOTALL)
_CHARSET = re.compile(rb";\s*charset\s*=\s*\"?([^\";\s]*)", re.IGNORECASE)
_CHARSETS = frozenset({b"utf-8", b"utf8", b"us-ascii"})

#: Octets of a body above which it is not read on the event loop, where everybody else would wait for it.
LONG = 64 * 1024
#: Bytes of a body that is too large which are read and dropped, and seconds to wait for more of them.
_SWALLOWED = 128 * 1024 * 1024
_PATIENCE = 0.5


class ClientGone(Exception):
    """The client hung up before its request was complete: there is nobody to answer."""


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """A body of at most *limit* bytes that may be JSON. Raises Refused (413, 415) and ClientGone."""
    check_type(headers)
    return await read_any_body(headers, receive, limit)


async def read_any_body(headers: Mapping[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """A body of at most *limit* bytes, whatever it is. Raises Refused (413) and ClientGone."""
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and (len(declared) > 18 or int(declared) > limit):
        if b"expect" not in headers:  # Who asks first has sent nothing yet.
            await _swallow(receive)
        raise _too_large(limit)
    event = await receive()
    if event["type"] == "http.disconnect":
        raise ClientGone
    body: bytes = event.get("body", b"")
    if not event.get("more_body", False) and len(body) <= limit:
        return body
    return await _read_on(body, receive, limit)


async def _read_on(body: bytes, receive: Receive, limit: int) -> bytes:
    parts = [body]
    size = len(body)
    while size <= limit:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientGone
        parts.append(event.get("body", b""))
        size += len(parts[-1])
        if not event.get("more_body", False) and size <= limit:
            return b"".join(parts)
    await _swallow(receive)
    raise _too_large(limit)


async def _swallow(receive: Receive) -> None:
    """Take in what is still coming, within bounds: a client that cannot send its body never reads the answer."""
    left = _SWALLOWED
    with contextlib.suppress(TimeoutError):
        while left > 0:
            event = await asyncio.wait_for(receive(), _PATIENCE)
            if event["type"] == "http.disconnect" or not event.get("more_body", False):
                return
            left -= len(event.get("body", b"")) or 1


def _too_large(limit: int) -> Refused:
    message = f"the body is larger than {limit:,} bytes; send less in one request"
    return Refused(Problem(BODY_TOO_LARGE, message), status=413)


def check_type(headers: Mapping[bytes, bytes]) -> None:
    """Nothing where a body may be JSON by what its headers say. Raises Refused (415)."""
    content_type = headers.get(b"content-type", b"").strip()
    # Many clients leave it out; what they send is checked by reading it.
    if content_type and content_type != b"application/json":
        charset = _CHARSET.search(content_type)
        if not _JSON_TYPE.fullmatch(content_type) or (charset and charset[1].lower() not in _CHARSETS):
            raise Refused(Problem(NOT_JSON, "the body must be JSON in UTF-8 (application/json)"), status=415)
    encoding = headers.get(b"content-encoding", b"").strip().lower()
    if encoding not in (b"", b"identity"):
        raise Refused(Problem(NOT_JSON, "compressed bodies are not taken"), status=415)


_decode = msgspec.json.Decoder().decode


def decode_json(body: bytes) -> Any:
    """The value that a JSON text stands for. Raises Refused."""
    if not body.strip():
        raise Refused(Problem(INVALID, "the body is empty; send a JSON object"))
    try:
        return _decode(body)
    except UnicodeDecodeError:
        problem = "the body is not valid UTF-8"
    except RecursionError:
        problem = "the body is nested too deeply"
    except msgspec.ValidationError:
        problem = "the body holds a number that is too large"
    except msgspec.DecodeError as error:
        problem = f"the body is not valid JSON: {error}"
    raise Refused(Problem(INVALID, problem))


def decode_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body holds. Raises Refused."""
    value = decode_json(body)
    if not isinstance(value, dict):
        raise Refused(Problem(INVALID, f"the body must be a JSON object, not {kind_of(value)}"))
    return value


def kind_of(value: object) -> str:
    """What a decoded value is, in JSON's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"
