"""Pages of lists: opaque tokens that name a place in one list under one set of filters."""

from __future__ import annotations

import base64
import binascii
from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from sendpool.api.exchange import Request
from sendpool.api.query import Query
from sendpool.api.schemas import Pagination

_CHECK = 8


def _split(url: str) -> tuple[str, str]:
    """Path and query of a URL; both empty where it is not one."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.path, parts.query


class Page(NamedTuple):
    """The page asked for: how many rows, and from which place on (None: from the newest)."""

    limit: int
    place: bytes | None


class Listing:
    """One list of one account, for one request: reads the page asked for and names the next one.

    Read the filters from the query before the page: a token is only good for the filters that it was made with.
    """

    def __init__(
        self, request: Request, path: str, query: Query, *, place_size: int = 16, in_body: bool = False
    ) -> None:
        """*path* is that of the list below the version; a place in it takes *place_size* bytes.

        *in_body*: it is asked for in the request's body, so that a page has no URL.
        """
        self._request = request
        self._path = path
        self._query = query
        self._place_size = place_size
        self._has_urls = request.version == "preview" and not in_body

    def page(self) -> Page:
        """The page asked for. Raises Refused with everything that is wrong with the query."""
        limit = self._query.page_size()
        place = self._place()
        self._query.findings.refuse()
        return Page(limit, place)

    def _place(self) -> bytes | None:
        token = self._query.text("pageToken")
        if token is not None and token.startswith(("http://", "https://")):
            # `pagination.self` of a preview page is its URL.
            path, query = _split(token)
            token = dict(parse_qsl(query)).get("pageToken") if path.endswith(self._path) else ""
        if token is None:
            return None
        place = self._opened(token)
        if place is None:
            message = "this token is not one of this list with these filters; start again without it"
            self._query.findings.add(message, "$.pageToken")
        return place or None

    def _opened(self, token: str) -> bytes | None:
        """The place that a token names (empty: the first page), or None."""
        try:
            padding = "=" * (-len(token) % 4)
            raw = base64.b64decode((token + padding).encode("ascii"), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        place, check = raw[:-_CHECK], raw[-_CHECK:]
        if len(place) not in (0, self._place_size) or check != self._check(place):
            return None
        return place

    def _check(self, place: bytes) -> bytes:
        """No secret: a token opens nothing that its account cannot read anyway."""
        filters = sorted(self._query.filters.items())
        # The version is left out: both show the same lists.
        text = repr((self._request.account_id, self._path, filters)).encode()
        return blake2b(place + text, digest_size=_CHECK, person=b"sendpool-page").digest()

    def _token(self, place: bytes) -> str:
        return base64.urlsafe_b64encode(place + self._check(place)).decode().rstrip("=")

    def pagination(self, page: Page, following: bytes | None) -> Pagination:
        """What the answer says of this page and of the one that begins at *following* (None: there is none)."""
        return Pagination(
            next=None if following is None else self._token(following),
            self=self._url(page) if self._has_urls else self._token(page.place or b""),
        )

    def _url(self, page: Page) -> str:
        """The URL of this page, with the filters as they were given."""
        raw = self._request.scope["query_string"].decode("latin-1")
        parameters = [(name, value) for name, value in parse_qsl(raw, keep_blank_values=True) if name != "pageToken"]
        if page.place is not None:
            parameters.append(("pageToken", self._token(page.place)))
        return f"{self._request.base}{self._path}" + (f"?{urlencode(parameters)}" if parameters else "")
