"""Bodies of Event Streams: forms, in which what has a structure is JSON text."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from sendpool.api.bodies import decode_json, read_any_body
from sendpool.api.exchange import Request
from sendpool.api.problems import INVALID, NOT_JSON, Findings
from sendpool.domain.request import Problem, Refused

#: Bytes of a form, and fields in it.
LARGEST, MOST_FIELDS = 64 * 1024, 1_100
_FORM = re.compile(rb"application/x-www-form-urlencoded\s*(?:;.*)?", re.IGNORECASE | re.DOTALL)


class Form:
    """The fields of a request, each as text; what is wrong with them is noted in `findings`."""

    def __init__(self, values: dict[str, list[str]]) -> None:
        self._values = values
        self.findings = Findings()

    def text(self, name: str, *, most: int = 1_000, required: bool = False) -> str | None:
        """A field, None where it is absent. The last one counts, as in every form."""
        value = self._values.get(name, [None])[-1]
        if value is None:
            if required:
                self.findings.add(f"{name} is missing", name)
        elif len(value) > most:
            self.findings.add(f"{name} has {len(value):,} characters; {most:,} are allowed", name)
        elif required and not value:
            self.findings.add(f"{name} is empty", name)
        return value

    def number(self, name: str) -> int | None:
        """A field that is a whole number from 0."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"[0-9]{1,9}", value):
            self.findings.add(f"{name} must be a whole number", name)
            return None
        return int(value)

    def json(self, name: str) -> Any:
        """A field that is JSON text; None where it is absent or not JSON, which is noted."""
        value = self.text(name, most=LARGEST, required=True)
        return None if value is None else self._decoded(name, value)

    def json_list(self, name: str) -> list[Any]:
        """A field that may come several times, each a JSON value or an array of them."""
        found: list[Any] = []
        for value in self._values.get(name, ()):
            one = self._decoded(name, value)
            found += one if isinstance(one, list) else [one]
        if not found:
            self.findings.add(f"{name} is missing", name)
        return found

    def _decoded(self, name: str, value: str) -> Any:
        try:
            return decode_json(value.encode())
        except Refused:
            self.findings.add(f"{name} must be JSON", name)
            return None


async def read_form(request: Request) -> Form:
    """The form in a request's body. Raises Refused (413, 415, 400)."""
    content_type = request.headers.get(b"content-type", b"").strip()
    if content_type and not _FORM.fullmatch(content_type):
        message = "the body must be a form (application/x-www-form-urlencoded)"
        raise Refused(Problem(NOT_JSON, message), status=415)
    body = await read_any_body(request.headers, request.receive, LARGEST)
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Refused(Problem(INVALID, "the body is not a form in UTF-8, or has too many fields")) from None
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return Form(values)
