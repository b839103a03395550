from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import Select, select

from sendpool.store.accounts import (
    WrongSecretKey,
    close_account,
    create_account,
    decrypt,
    encrypt,
    ensure_first_account,
    find_account,
    list_accounts,
    load_accounts,
    rename_account,
    rotate_token,
)
from sendpool.store.admin_log import list_log
from sendpool.store.database import Database, Script
from sendpool.store.tables import account

KEY = b"xkBf4rR2JqV8Yt6mG1nD3sW5zA7cE9hK0uL-pQ_oTiM"
SID = "AC" + "0" * 32


async def test_credentials_are_made_once_and_shown_once(database: Database) -> None:
    made = await database.write(ensure_first_account(None, None, KEY, 1))
    kept = await database.write(ensure_first_account(None, None, KEY, 2))

    assert re.fullmatch(r"AC[0-9a-f]{32}", made.sid)
    assert re.fullmatch(r"[0-9a-f]{32}", made.auth_token)
    assert made.shown_token == made.auth_token
    assert kept.shown_token is None
    assert (kept.id, kept.sid, kept.auth_token) == (made.id, made.sid, made.auth_token)


async def test_given_credentials_are_taken_and_not_shown(database: Database) -> None:
    first = await database.write(ensure_first_account(SID, "token", KEY, 1))

    assert (first.sid, first.auth_token, first.shown_token) == (SID, "token", None)


@pytest.mark.parametrize(
    ("sid", "token"), [(SID, "new"), (None, "new"), ("AC" + "1" * 32, None), ("AC" + "1" * 32, "new")]
)
async def test_changed_credentials_replace_the_old_ones_of_the_same_account(
    sid: str | None, token: str | None, database: Database
) -> None:
    before = await database.write(ensure_first_account(SID, "old", KEY, 1))
    after = await database.write(ensure_first_account(sid, token, KEY, 2))

    assert after.id == before.id
    assert (after.sid, after.auth_token) == (sid or SID, token or "old")
    (loaded,) = await database.read(load_accounts(KEY))
    assert (loaded.id, loaded.sid, loaded.auth_token) == (after.id, after.sid, after.auth_token)


async def test_a_sid_alone_gets_a_token_that_is_shown(database: Database) -> None:
    first = await database.write(ensure_first_account(SID, None, KEY, 1))

    assert first.sid == SID
    assert first.shown_token == first.auth_token


async def test_tokens_are_stored_encrypted(database: Database) -> None:
    await database.write(ensure_first_account(SID, "plain-token", KEY, 1))

    ((stored,),) = await database.read(all_of(select(account.c.auth_token)))
    assert "plain-token" not in stored
    assert decrypt(stored, KEY) == "plain-token"


def all_of(statement: Select[Any]) -> Script[Any]:
    return (yield statement)


async def test_another_secret_key_is_a_clear_error(database: Database) -> None:
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
    sid: str | None, token: str | None, database: Database
) -> None:
    with pytest.raises(ValueError):
        await database.write(ensure_first_account(sid, token, KEY, 1))


async def test_a_token_does_not_show_in_representations(database: Database) -> None:
    first = await database.write(ensure_first_account(SID, None, KEY, 1))

    assert first.auth_token not in repr(first)


async def test_accounts_are_listed_oldest_first_and_renamed(database: Database) -> None:
    first = await database.write(ensure_first_account(SID, "token", KEY, 1))
    second = await database.write(create_account("Sales", None, KEY, 2))

    await database.write(rename_account(second.id, "Support"))

    rows = await database.read(list_accounts())
    assert [(row.sid, row.name, row.created_at) for row in rows] == [(first.sid, "", 1), (second.sid, "Support", 2)]
    assert await database.read(find_account(second.sid)) == rows[1]
    assert await database.read(find_account("AC" + "f" * 32)) is None


async def test_a_rotated_token_leaves_the_old_one_with_its_end(database: Database) -> None:
    made = await database.write(create_account("", "AC7", KEY, 1))

    new = await database.write(rotate_token(made.id, 99, KEY))

    (loaded,) = await database.read(load_accounts(KEY))
    assert (loaded.sid, loaded.auth_token, loaded.old_auth_token, loaded.old_auth_token_until) == (
        "AC7",
        new,
        made.auth_token,
        99,
    )
    assert new != made.auth_token


async def test_a_token_of_the_configuration_ends_the_overlap_of_an_earlier_one(database: Database) -> None:
    made = await database.write(ensure_first_account(SID, None, KEY, 1))
    await database.write(rotate_token(made.id, 2**60, KEY))

    await database.write(ensure_first_account(SID, "configured", KEY, 2))

    (loaded,) = await database.read(load_accounts(KEY))
    assert (loaded.auth_token, loaded.old_auth_token) == ("configured", None)


async def test_a_closed_account_has_no_credentials_and_cannot_be_the_first(database: Database) -> None:
    await database.write(ensure_first_account(SID, "token", KEY, 1))
    closed = await database.write(create_account("", None, KEY, 2))

    await database.write(close_account(closed.id, 3))

    assert [one.sid for one in await database.read(load_accounts(KEY))] == [SID]
    assert [row.closed_at for row in await database.read(list_accounts())] == [None, 3]
    with pytest.raises(ValueError, match="is closed; set SENDPOOL_ACCOUNT_SID to another"):
        await database.write(ensure_first_account(closed.sid, None, KEY, 4))


async def test_changes_by_the_configuration_are_noted_without_secrets(database: Database) -> None:
    for token in ("old-secret", "old-secret", "new-secret"):
        await database.write(ensure_first_account(SID, token, KEY, 1))

    rows = await database.read(list_log(10))
    assert [(row.actor, row.action, row.subject, row.detail) for row in rows] == [
        ("configuration", "account.changed", SID, '{"changed":["auth_token"]}'),
        ("configuration", "account.created", SID, "{}"),
    ]
