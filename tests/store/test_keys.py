from __future__ import annotations

import re

from sendpool.store.accounts import close_account, create_account
from sendpool.store.database import Database
from sendpool.store.keys import create_key, digest_of, find_key, list_keys, load_keys, revoke_key
from sendpool.store.sqlite import Sqlite

KEY = b"k" * 32


async def test_a_key_is_kept_as_a_digest_only(sqlite: Sqlite) -> None:
    account = await sqlite.write(create_account("", None, KEY, 1))

    made = await sqlite.write(create_key(account.id, "robot", 2))

    assert re.fullmatch(r"SK[0-9a-f]{32}", made.sid)
    assert re.fullmatch(r"[0-9a-f]{32}", made.secret)
    (loaded,) = await sqlite.read(load_keys())
    assert loaded == (made.sid, account.id, digest_of(made.secret.encode()))
    assert made.secret.encode() not in sqlite.path.read_bytes()


async def test_keys_are_listed_by_account_oldest_first(database: Database) -> None:
    one, two = [await database.write(create_account("", None, KEY, 1)) for _ in range(2)]
    keys = [await database.write(create_key(account.id, "", 2)) for account in (one, two, one)]

    assert [row.sid for row in await database.read(list_keys())] == [key.sid for key in keys]
    assert [row.sid for row in await database.read(list_keys(one.id))] == [keys[0].sid, keys[2].sid]
    found = await database.read(find_key(keys[1].sid))
    assert found == (keys[1].sid, two.sid, "", 2, None)
    assert await database.read(find_key("SKx")) is None


async def test_revoked_keys_and_those_of_closed_accounts_are_not_loaded(database: Database) -> None:
    one, two = [await database.write(create_account("", None, KEY, 1)) for _ in range(2)]
    kept, revoked = [await database.write(create_key(one.id, "", 2)) for _ in range(2)]
    await database.write(create_key(two.id, "", 2))

    await database.write(revoke_key(revoked.sid, 3))
    await database.write(revoke_key(revoked.sid, 4))
    await database.write(close_account(two.id, 3))

    assert [key.sid for key in await database.read(load_keys())] == [kept.sid]
    found = await database.read(find_key(revoked.sid))
    assert found is not None
    assert found.revoked_at == 3
