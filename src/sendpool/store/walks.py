"""Walks through whole tables, a window at a time, for what no index leads to. They run beside the writer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sendpool.store.database import Query, Script

#: Below every integer key.
_LEAST = -1


class Place(NamedTuple):
    """Where a walk through a table stands: the key of the last row it has looked at; () is the beginning.

    A key begins with an integer.
    """

    key: tuple[Any, ...] = ()


def walk(
    table: str, key: Sequence[str], place: Place, window: int, wanted: str, values: Sequence[Any]
) -> Script[tuple[list[Any], Place | None]]:
    """Of the next *window* rows of a table in the order of its *key*, the keys of those for which *wanted* holds; and
    where to go on, or None: the table ends within the window.
    """
    names = ", ".join(key)
    begin, bound = beginning(key, place)
    rows = yield Query(
        f"FROM (SELECT * FROM {table}{begin} ORDER BY {names} LIMIT ?) r WHERE {wanted} ORDER BY {names}",
        (*bound, window, *values),
        key,
    )
    return rows, (yield from window_end(table, key, place, window))


def window_end(table: str, key: Sequence[str], after: Place, window: int) -> Script[Place | None]:
    """The place of the window's last row; None: the table ends within it."""
    names = ", ".join(key)
    begin, bound = beginning(key, after)
    rows = yield Query(f"SELECT {names} FROM {table}{begin} ORDER BY {names} LIMIT 1 OFFSET ?", (*bound, window - 1))
    return Place(tuple(rows[0])) if rows else None


def beginning(key: Sequence[str], after: Place) -> tuple[str, Sequence[Any]]:
    """The condition, with its values, that a row comes after this place in the order of *key*."""
    if not after.key:
        return f" WHERE {key[0]} >= ?", (_LEAST,)
    return f" WHERE ({', '.join(key)}) > ({', '.join('?' for _ in key)})", after.key
