"""Interned pictures of pools, named by attempts."""

from __future__ import annotations

from collections.abc import Sequence

from sendpool.store.database import Bulk, Query, Script


def all_scenes() -> Script[list[tuple[int, bytes]]]:
    """(number, digest) of every scene."""
    rows: list[tuple[int, bytes]] = yield Query("SELECT id, digest FROM scene")
    return rows


def insert_scenes(rows: Sequence[tuple[int, bytes, str, int]]) -> Script[None]:
    """Write (number, digest, body, made at)."""
    yield Bulk(
        "INSERT INTO scene (id, digest, body, created_at) SELECT * FROM v WHERE true ON CONFLICT DO NOTHING",
        (("id", "bigint"), ("digest", "bytea"), ("body", "text"), ("at", "bigint")),
        rows,
    )
