"""The header `Idempotency-Key`: for 24 hours the same request under it gets the same answer, another one a 409."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable

from sendpool.api.exchange import Request
from sendpool.api.problems import Findings
from sendpool.store.idempotency import Key

#: The header.
KEY = b"idempotency-key"
#: Printable ASCII.
_KEY = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


async def once(request: Request, body: bytes, act: Callable[[Key | None], Awaitable[bytes]]) -> bytes:
    """The uid of the operation that *act* makes, or that an earlier request with the same key has made.

    *act* is handed the key to keep in its commit (`store.idempotency.keep_key`), or None where there is none.
    Raises what *act* raises, and Refused for a key that is none (400) or belongs to another request (409).
    """
    name = request.headers.get(KEY)
    if name is None:
        return await act(None)
    name = name.strip()
    if _KEY.fullmatch(name) is None:
        findings = Findings()
        findings.add("Idempotency-Key must have 1 to 255 printable ASCII characters")
        findings.refuse()
    services = request.services
    key = Key(request.account_id, name.decode(), _digest(request, body))
    return await services.once.carry_out(key, services.database, services.now(), act)


def _digest(request: Request, body: bytes) -> bytes:
    """What is asked for: method, path below the version, body."""
    path: str = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    asked = f"{request.scope['method']} {path.removeprefix(f'/{request.version}')}\n"
    return hashlib.sha256(asked.encode() + body).digest()
