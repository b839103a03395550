"""Scenes in the store: one that is there is the same one, and a number stands for one picture only."""

from __future__ import annotations

import pytest

from sendpool.store.database import Database, Query, Script
from sendpool.store.scenes import SceneClash, insert_scenes
from sendpool.testing.store_rig import ask

LARGE = 2**63 - 5


async def test_a_scene_is_kept_once(database: Database) -> None:
    for at in (1, 2):
        await database.write(insert_scenes([(LARGE, b"a" * 16, "{}", at), (3, b"b" * 16, "{}", at)]))

    assert await ask(database, "SELECT id, created_at FROM scene ORDER BY id") == [(3, 1), (LARGE, 1)]


async def test_a_number_of_another_picture_is_refused(database: Database) -> None:
    await database.write(insert_scenes([(LARGE, b"a" * 16, "{}", 1)]))

    with pytest.raises(SceneClash):
        await database.write(insert_scenes([(3, b"c" * 16, "{}", 1), (LARGE, b"b" * 16, "{}", 1)]))

    assert await ask(database, "SELECT id FROM scene") == [(LARGE,)]


async def test_an_attempt_names_a_scene_by_the_whole_of_its_number(database: Database) -> None:
    def script() -> Script[None]:
        yield Query(
            "INSERT INTO attempt (id, sender_id, connection_id, channel, state, segments, reference, marks, scene,"
            " started_at, updated_at) VALUES (1, 1, 1, 'SMS', 1, 1, 0, 0, ?, 1, 1)",
            (LARGE,),
        )

    await database.write(script())

    assert await ask(database, "SELECT scene FROM attempt") == [(LARGE,)]
