"""How calls are made: of a path, what is asked, and the shape of the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from sendpool.client.calls import Call, Listing
from sendpool.client.models import Page

T = TypeVar("T")


def path_of(pattern: str, *parts: str) -> str:
    """A path with these parts of it, quoted."""
    return pattern.format(*(quote(part, safe="") for part in parts))


def decoder_of(kind: type[T]) -> Callable[[bytes], T]:
    """What makes a value of an answer of this shape."""
    return msgspec.json.Decoder(kind).decode


def get(pattern: str, kind: type[T], *parts: str) -> Call[T]:
    """Fetch one thing."""
    return Call(method="GET", path=path_of(pattern, *parts), read=decoder_of(kind))


def delete(pattern: str, kind: type[T], *parts: str) -> Call[T]:
    """Delete one thing."""
    return Call(method="DELETE", path=path_of(pattern, *parts), read=decoder_of(kind))


def act(pattern: str, kind: type[T], *parts: str) -> Call[T]:
    """Do something with one thing; nothing else is said."""
    return Call(method="POST", path=path_of(pattern, *parts), read=decoder_of(kind))


def post(path: str, body: Any, kind: type[T], key: str | None = None) -> Call[T]:
    """Send a body, under an idempotency key where there is one."""
    return Call(method="POST", path=path, body=body, read=decoder_of(kind), key=key)


def list_of(path: str, name: str, kind: type[T], filters: Mapping[str, str | None], page_size: int) -> Listing[T]:
    """Every item of a list whose pages call them *name*."""
    query = {**filled(filters), "pageSize": str(page_size)}
    return Listing(Call(method="GET", path=path, query=query, read=reader_of(name, kind)))


class _Pagination(msgspec.Struct):
    next: str | None = None


class _Head(msgspec.Struct):
    pagination: _Pagination


def reader_of(name: str, kind: type[T]) -> Callable[[bytes], Page[T]]:
    """What makes a page of an answer whose items are called *name*."""
    items = msgspec.json.Decoder(dict[str, msgspec.Raw])
    each = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]

    def read(body: bytes) -> Page[T]:
        following = msgspec.json.decode(body, type=_Head).pagination.next
        found = items.decode(body)
        if name not in found:
            raise msgspec.ValidationError(f"there is no `{name}` in it")
        return Page(each.decode(found[name]), following)

    return read


def filled(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}
