"""`POST /Messages` of the simplest form: read at once, asked for, and answered once its fate is told, without a task.

What is unusual in any way is left to the usual way, which says what is wrong with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from sendpool.api.bodies import check_type
from sendpool.api.exchange import Reply, Resource
from sendpool.api.forwarded import origin_of
from sendpool.api.idempotency import KEY
from sendpool.api.kinds import accepted_at
from sendpool.api.messages import MESSAGES
from sendpool.api.quick_head import SMALL
from sendpool.api.schemas import maybe_instant
from sendpool.api.sending import read_at_once
from sendpool.domain.request import Accepted, Refused

#: Where a scope, which is kept as long as heads are alike, holds what hangs on nothing else.
_BASE = "sendpool.base"


class ShortMessages(Resource):
    """The endpoint of `/Messages`, with a short way for most sends."""

    def at_once(
        self, scope: dict[str, Any], headers: dict[bytes, bytes], body: bytes, answer: Callable[[Reply], None]
    ) -> bool:
        """Take a whole `POST`, to be answered later; False: `quickly` is to answer it."""
        began = time.perf_counter()
        base = scope.get(_BASE)
        if base is None:
            base = scope[_BASE] = self._base(scope, headers)
        caller = self._services.accounts.authenticate(headers.get(b"authorization")) if base else None
        request = None if caller is None else read_at_once(body, caller.account_id)
        return request is not None and self._services.ask(request, partial(self._tell, answer, base, began))

    def _base(self, scope: dict[str, Any], headers: dict[bytes, bytes]) -> str:
        """The URL of this version for requests with these headers; empty: they go the usual way."""
        services = self._services
        if KEY in headers or services.rates.limited or services.max_body < SMALL:
            return ""
        try:
            check_type(headers)
        except Refused:
            return ""
        return f"{origin_of(scope, headers, services.public_url, services.trusted_proxies)}/{self._version}"

    def _tell(self, answer: Callable[[Reply], None], base: str, began: float, fate: Accepted | Exception) -> None:
        if isinstance(fate, Exception):
            reply = self._said_of(fate, "POST")
        else:
            reply = accepted_at(base, MESSAGES, fate.uid, maybe_instant(fate.complete))
        self._services.observe("POST", self._template, reply.status, time.perf_counter() - began)
        answer(reply)
