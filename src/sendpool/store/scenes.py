"""Interned pictures of pools, named by attempts."""

from __future__ import annotations

from collections.abc import Sequence

from sendpool.store.database import Bulk, Script


class SceneClash(Exception):
    """Two pictures would have one number; less likely than a fault of the machine, and never mixed up."""


def insert_scenes(rows: Sequence[tuple[int, bytes, str, int]]) -> Script[None]:
    """Write (number, digest, body, made at); one that is there is the same. Raises `SceneClash`."""
    names = (("id", "bigint"), ("digest", "bytea"), ("body", "text"), ("at", "bigint"))
    yield Bulk(
        "INSERT INTO scene (id, digest, body, created_at) SELECT * FROM v WHERE true ON CONFLICT DO NOTHING",
        names,
        rows,
    )
    others = yield Bulk("FROM v JOIN scene s ON s.id = v.id WHERE s.digest <> v.digest", names, rows, ("v.id",))
    if others:
        raise SceneClash(others[0][0])
