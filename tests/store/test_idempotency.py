"""Keys of requests: the first one to keep a key has it for a day, also over a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from sendpool.store.idempotency import KEPT_FOR, Kept, Key, KeyTaken, find_key, keep_key
from sendpool.store.sqlite import Sqlite

NOW = 1_800_000_000_000_000
KEY = Key(1, "k", b"digest")


async def test_a_key_is_taken_for_a_day_and_free_again_to_the_microsecond(database: Sqlite) -> None:
    await database.write(keep_key(KEY, b"first", NOW))

    for at in (NOW, NOW + KEPT_FOR - 1):
        with pytest.raises(KeyTaken):
            await database.write(keep_key(KEY._replace(digest=b"other"), b"second", at))
        assert await database.read(find_key(1, "k", at)) == Kept(b"digest", b"first")
    assert await database.read(find_key(1, "k", NOW + KEPT_FOR)) is None
    await database.write(keep_key(KEY._replace(digest=b"other"), b"second", NOW + KEPT_FOR))
    assert await database.read(find_key(1, "k", NOW + KEPT_FOR)) == Kept(b"other", b"second")


async def test_keys_of_other_accounts_and_other_keys_are_others(database: Sqlite) -> None:
    await database.write(keep_key(KEY, b"first", NOW))
    await database.write(keep_key(KEY._replace(account_id=2), b"second", NOW))
    await database.write(keep_key(KEY._replace(key="K"), b"third", NOW))

    assert await database.read(find_key(2, "k", NOW)) == Kept(b"digest", b"second")
    assert await database.read(find_key(3, "k", NOW)) is None


async def test_a_key_outlives_the_process(tmp_path: Path) -> None:
    first = Sqlite(tmp_path / "kept.db")
    await first.write(keep_key(KEY, b"first", NOW))
    await first.close()
    second = Sqlite(tmp_path / "kept.db")

    assert await second.read(find_key(1, "k", NOW + 1)) == Kept(b"digest", b"first")
    await second.close()
