from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import Select, select

from sendpool.store.accounts import WrongSecretKey, decrypt, encrypt, ensure_first_account, load_accounts
from sendpool.store.database import Script
from sendpool.store.sqlite import Sqlite
from sendpool.store.tables import account

KEY = b"xkBf4rR2JqV8Yt6mG1nD3sW5zA7cE9hK0uL-pQ_oTiM"
SID = "AC" + "0" * 32


async def test_credentials_are_made_once_and_shown_once(database: Sqlite) -> None:
    made = await database.write(ensure_first_account(None, None, KEY, 1))
    kept = await database.write(ensure_first_account(None, None, KEY, 2))

    assert re.fullmatch(r"AC[0-9a-f]{32}", made.sid)
    assert re.fullmatch(r"[0-9a-f]{32}", made.auth_token)
    assert made.shown_token == made.auth_token
    assert kept.shown_token is None
    assert (kept.id, kept.sid, kept.auth_token) == (made.id, made.sid, made.auth_token)


async def test_given_credentials_are_taken_and_not_shown(database: Sqlite) -> None:
    first = await database.write(ensure_first_account(SID, "token", KEY, 1))

    assert (first.sid, first.auth_token, first.shown_token) == (SID, "token", None)


@pytest.mark.parametrize(
    ("sid", "token"), [(SID, "new"), (None, "new"), ("AC" + "1" * 32, None), ("AC" + "1" * 32, "new")]
)
async def test_changed_credentials_replace_the_old_ones_of_the_same_account(
    sid: str | None, token: str | None, database: Sqlite
) -> None:
    before = await database.write(ensure_first_account(SID, "old", KEY, 1))
    after = await database.write(ensure_first_account(sid, token, KEY, 2))

    assert after.id == before.id
    assert (after.sid, after.auth_token) == (sid or SID, token or "old")
    (loaded,) = await database.read(load_accounts(KEY))
    assert (loaded.id, loaded.sid, loaded.auth_token) == (after.id, after.sid, after.auth_token)


async def test_a_sid_alone_gets_a_token_that_is_shown(database: Sqlite) -> None:
    first = await database.write(ensure_first_account(SID, None, KEY, 1))

    assert first.sid == SID
    assert first.shown_token == first.auth_token


async def test_tokens_are_stored_encrypted(database: Sqlite) -> None:
    await database.write(ensure_first_account(SID, "plain-token", KEY, 1))

    ((stored,),) = await database.read(all_of(select(account.c.auth_token)))
    assert "plain-token" not in stored
    assert decrypt(stored, KEY) == "plain-token"


def all_of(statement: Select[Any]) -> Script[Any]:
    return (yield statement)


async def test_another_secret_key_is_a_clear_error(database: Sqlite) -> None:
    await database.write(ensure_first_account(SID, "token", KEY, 1))

    with pytest.raises(WrongSecretKey, match="SENDPOOL_SECRET_KEY"):
        await database.read(load_accounts(b"another key"))
    with pytest.raises(WrongSecretKey):
        await database.write(ensure_first_account(SID, "token", b"another key", 2))


@pytest.mark.parametrize("key", [KEY, KEY + b"=", b"  " + KEY + b"\n"])
def test_a_key_of_32_random_bytes_may_be_padded_or_not(key: bytes) -> None:
    assert decrypt(encrypt("secret", KEY), key) == "secret"


def test_any_other_text_is_a_key_too() -> None:
    assert decrypt(encrypt("secret", "pässphrase".encode()), "pässphrase".encode()) == "secret"


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(ValueError, match="secret key is empty"):
        encrypt("secret", b" ")


@pytest.mark.parametrize(("sid", "token"), [("", None), ("AC:1", None), ("ACü", None), ("AC\n", None), (None, "")])
async def test_credentials_that_basic_authentication_cannot_carry_are_refused(
    sid: str | None, token: str | None, database: Sqlite
) -> None:
    with pytest.raises(ValueError):
        await database.write(ensure_first_account(sid, token, KEY, 1))


async def test_a_token_does_not_show_in_representations(database: Sqlite) -> None:
    first = await database.write(ensure_first_account(SID, None, KEY, 1))

    assert first.auth_token not in repr(first)
