"""Query parameters: each checked, all problems noted, and remembered, so that a page's token is tied to its filters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar
from urllib.parse import parse_qsl

from sendpool.api.checks import wrong_kind
from sendpool.api.problems import INVALID, Findings
from sendpool.api.references import is_well_formed
from sendpool.domain import ids
from sendpool.domain.request import Problem, Refused
from sendpool.domain.schedule import parse_moment

T = TypeVar("T")

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1_000

#: It arrives as a blank.
_PLUS_THAT_WAS_NOT_ESCAPED = re.compile(r" (?=\d\d:\d\d\Z)")
_TAG = re.compile(r"([A-Za-z0-9._~-]{1,128}):([A-Za-z0-9._~-]{1,256})")


class Query:
    """The parameters of one request. Those that it is not asked for are ignored, as everywhere on the web."""

    def __init__(self, raw: bytes) -> None:
        """Take a query string as it came. Raises Refused when it has more parameters than any client sends."""
        try:
            pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, errors="replace", max_num_fields=100)
        except ValueError:
            raise Refused(Problem(INVALID, "the query has too many parameters")) from None
        self.findings = Findings()
        #: Filters in their normal form, by name.
        self.filters: dict[str, str] = {}
        #: True: a filter asks for what no resource can have, so the answer is an empty page.
        self.matches_nothing = False
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def take(self, fields: Mapping[str, object], *, texts: Iterable[str], numbers: Iterable[str]) -> None:
        """Take parameters out of a body; one of the wrong type is noted."""
        for name in texts:
            if name in fields and not isinstance(fields[name], str):
                wrong_kind(name, "a string", fields[name], f"$.{name}", self.findings)
            elif name in fields:
                self._values[name] = [str(fields[name])]
        for name in numbers:
            value = fields.get(name, 0)
            if isinstance(value, bool) or not isinstance(value, int):
                wrong_kind(name, "a whole number", value, f"$.{name}", self.findings)
            elif name in fields:
                self._values[name] = [str(value)]

    def text(self, name: str) -> str | None:
        """A parameter's value; None where it is absent, or given more than once (which is noted)."""
        values = self._values.get(name)
        if values is None:
            return None
        if len(values) > 1:
            self.findings.add(f"{name} is given more than once", f"$.{name}")
            return None
        return values[0]

    def choice(self, name: str, choices: Mapping[str, T]) -> T | None:
        """One of *choices* (upper case), in any case."""
        value = self.text(name)
        if value is None:
            return None
        chosen = value.upper()
        if chosen not in choices:
            self.findings.add(f"{name} must be one of {', '.join(choices)}", f"$.{name}")
            return None
        self.filters[name] = chosen
        return choices[chosen]

    def operation(self, *names: str) -> bytes | None:
        """The uid of the operation that a filter names; several *names* are spellings of one filter."""
        given = {value for name in names if (value := self.text(name)) is not None}
        if not given:
            return None
        if len(given) > 1:
            self.findings.add(f"{' and '.join(names)} name different operations", f"$.{names[0]}")
            return None
        value = given.pop()
        if not is_well_formed(ids.OPERATION, value):
            self.findings.add("this is not the id of an operation", f"$.{names[0]}")
            return None
        self.filters[names[0]] = value
        uid = ids.parse_operation(value)
        self.matches_nothing |= uid is None
        return uid

    def reference(self, name: str, prefix: str) -> str | None:
        """A filter by the id of something that is not ours."""
        value = self.text(name)
        if value is None:
            return None
        if not is_well_formed(prefix, value):
            self.findings.add(f"{name} must look like {prefix}_01h9krwprkeee8fzqspvwy6nq8", f"$.{name}")
        self.filters[name] = value
        return value

    def session(self) -> str | None:
        """The public id of the session that `sessionId` names."""
        value = self.text("sessionId")
        if value is not None:
            self.filters["sessionId"] = value
            # Of another form: some other system's. Nothing of ours belongs to it.
            self.matches_nothing |= ids.decode(ids.SESSION, value) is None
        return value

    def nothing_has(self, name: str) -> None:
        """A filter by a property that nothing has yet."""
        value = self.text(name)
        if value is not None:
            self.filters[name] = value
            self.matches_nothing = True

    def tags(self) -> dict[str, str]:
        """`tags=key_1:value;key_2:value;`: what must all be there."""
        value = self.text("tags")
        wanted: dict[str, str] = {}
        for pair in (value or "").split(";"):
            if not pair:
                continue
            found = _TAG.fullmatch(pair)
            if found is None:
                self.findings.add("tags must be key:value pairs with semicolons between them", "$.tags")
                return {}
            key, tag = found.groups()
            self.matches_nothing |= wanted.setdefault(key, tag) != tag
        if wanted:
            self.filters["tags"] = ";".join(f"{key}:{tag}" for key, tag in sorted(wanted.items()))
        return wanted

    def created(self) -> tuple[int | None, int | None]:
        """`startDate` (inclusive) and `endDate` (exclusive) in microseconds since 1970."""
        start, end = self._instant("startDate"), self._instant("endDate")
        if start is not None and end is not None and end <= start:
            self.findings.add("endDate must be later than startDate", "$.endDate")
        return start, end

    def _instant(self, name: str) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        microseconds = parse_instant(value)
        if microseconds is None:
            self.findings.add(f"{name} must be an RFC 3339 instant, for example 2026-12-01T09:30:00Z", f"$.{name}")
            return None
        self.filters[name] = str(microseconds)
        return microseconds

    def page_size(self) -> int:
        """`pageSize`: how many rows a page may have."""
        value = self.text("pageSize")
        if value is None:
            return DEFAULT_PAGE_SIZE
        if re.fullmatch(r"[0-9]{1,9}", value) and 1 <= int(value) <= MAX_PAGE_SIZE:
            return int(value)
        self.findings.add(f"pageSize must be a whole number from 1 to {MAX_PAGE_SIZE}", "$.pageSize")
        return DEFAULT_PAGE_SIZE


def parse_instant(text: str) -> int | None:
    """An RFC 3339 instant in microseconds since 1970, or None where *text* is not one."""
    moment = parse_moment(_PLUS_THAT_WAS_NOT_ESCAPED.sub("+", text))
    return None if moment is None or moment.local else moment.at
