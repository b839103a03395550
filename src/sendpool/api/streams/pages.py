"""Pages as the hosted API's older half has them: by number, with their URLs in `meta`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from sendpool.api.exchange import Request
from sendpool.api.problems import INVALID
from sendpool.domain.request import Problem, Refused

T = TypeVar("T")

_DEFAULT, _MOST = 50, 1_000
_PAGING = ("PageSize", "Page", "PageToken")


class Paging:
    """The page that a request asks for."""

    def __init__(self, request: Request, path: str) -> None:
        """*path* is that of the list below the version. Raises Refused."""
        raw = request.scope["query_string"].decode("latin-1")
        try:
            self.parameters = dict(parse_qsl(raw, keep_blank_values=True, max_num_fields=100))
        except ValueError:
            raise Refused(Problem(INVALID, "the query has too many parameters")) from None
        self._url = f"{request.base}{path}"
        self._size = min(self._number("PageSize", _DEFAULT, 1), _MOST)
        self._page = self._number("Page", 0, 0)

    def _number(self, name: str, default: int, least: int) -> int:
        text = self.parameters.get(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < least:
            raise Refused(Problem(INVALID, f"{name} must be a whole number from {least}", name))
        return int(text)

    def cut(self, rows: Sequence[T]) -> Sequence[T]:
        """Those of all rows that are on the page."""
        start = self._page * self._size
        return rows[start : start + self._size]

    def meta(self, key: str, total: int) -> dict[str, Any]:
        """What the answer says of the page: *key* names the list in it, *total* is how many rows there are."""
        more = (self._page + 1) * self._size < total
        return {
            "page": self._page,
            "page_size": self._size,
            "first_page_url": self._page_url(0),
            "previous_page_url": self._page_url(self._page - 1) if self._page else None,
            "url": self._page_url(self._page),
            "next_page_url": self._page_url(self._page + 1) if more else None,
            "key": key,
        }

    def _page_url(self, page: int) -> str:
        kept = {name: value for name, value in self.parameters.items() if name not in _PAGING}
        return f"{self._url}?{urlencode({**kept, 'PageSize': self._size, 'Page': page})}"
