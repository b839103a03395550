"""What the API says about itself: its OpenAPI document, the pages made of it, and a page for each error code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import msgspec
from starlette.types import Scope

from sendpool.api.exchange import Reply
from sendpool.api.reference.document import document
from sendpool.api.reference.error_pages import error_page, errors_page
from sendpool.api.reference.fixed import fixed, html, json
from sendpool.api.reference.pages import docs_page


@cache
def pages() -> Mapping[str, Callable[[Scope], Reply]]:
    """What answers under these paths, without a version and to anybody; made once in a process."""
    whole = document()
    return {
        "/openapi.json": fixed(json(msgspec.json.encode(whole))),
        "/docs": fixed(html(docs_page(whole))),
        "/docs/errors": fixed(html(errors_page())),
        "/docs/errors/{code}": error_page,
    }
