"""What the answer to a message means, by the maps of a connection. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import time
from typing import Any

import msgspec

from sendpool.connectors.base import CarrierId, Outcome, Throttled, Uncertain
from sendpool.connectors.http.settings import Response, Success
from sendpool.connectors.http.templates import at, text_at
from sendpool.connectors.web import Reply, refusal, retry_after
from sendpool.domain.failures import Classified, FailureClass, classify, overrides_from

#: The table of HTTP statuses.
TABLE = "http"


class Codes:
    """Finds and classifies the codes of one carrier."""

    def __init__(self, paths: list[str], classes: Mapping[str, str], table: str | None) -> None:
        self._paths = paths
        self._classes: Mapping[str, FailureClass] = overrides_from(classes)
        self._table = table or TABLE

    def code_of(self, document: Any) -> str:
        """The first code that is there, or ""."""
        return next((code for path in self._paths if (code := text_at(document, path))), "")

    def meaning(self, code: str) -> Classified:
        """What a code of the carrier means."""
        return classify(self._table, code, self._classes)

    def of_status(self, status: int) -> Classified:
        """What an HTTP status means."""
        return classify(TABLE, str(status), self._classes)


class Replies:
    """Judges the answers of one carrier."""

    def __init__(self, response: Response, wall: Callable[[], float] = time) -> None:
        """*wall*: the time in seconds since 1970."""
        self._response, self._wall = response, wall
        self._codes = Codes(response.codes, response.classes, response.table)

    def judge(self, reply: Reply, name: str) -> Outcome:
        """Judge the answer to a message that is *name* to us."""
        document = document_of(reply.body)
        if reply.status in self._response.accepted:
            return self._judge_accepted(reply, document, name)
        return self._refused(reply, document, name)

    def _judge_accepted(self, reply: Reply, document: Any, name: str) -> Outcome:
        response = self._response
        if response.success is not None:
            if at(document, response.success.path) is None:
                return Uncertain("the answer does not say whether the message was taken; check response.success")
            if not is_so(document, response.success):
                return self._refused(reply, document, name)
        carriers = text_at(document, response.id)
        if response.id is not None and not carriers:
            return Uncertain("the answer has no id; check response.id")
        return CarrierId(name, carriers)

    def _refused(self, reply: Reply, document: Any, name: str) -> Outcome:
        code = self._codes.code_of(document)
        found = self._codes.meaning(code) if code else None
        if found is None or (not found.known and reply.status not in self._response.accepted):
            by_status = self._codes.of_status(reply.status)
            code, found = code or str(reply.status), by_status
        if found.failure is FailureClass.OK:
            return CarrierId(name, text_at(document, self._response.id))  # An earlier try got in.
        wait = retry_after({"Retry-After": reply.headers.get(self._response.retry_after, "")}, self._wall)
        outcome = refusal(found, code, wait, reply.status)
        if isinstance(outcome, Throttled) and outcome.scope == "sender":
            return outcome._replace(scope=self._response.throttles)
        return outcome


def document_of(body: bytes) -> Any:
    """A JSON body; None for what is none."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def is_so(document: Any, wanted: Success) -> bool:
    """Whether a document says one of the wanted values, as text or as they are."""
    found = text_at(document, wanted.path)
    return found in {str(one).lower() if isinstance(one, bool) else str(one) for one in wanted.equals}
