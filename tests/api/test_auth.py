from __future__ import annotations

import base64
from typing import Any

import pytest

from sendpool.api.auth import Accounts, bears
from sendpool.store.accounts import Account

ACCOUNTS = [
    Account(id=1, sid="AC" + "1" * 32, auth_token="first"),
    Account(id=2, sid="AC" + "2" * 32, auth_token="se:cond"),
]


def header(pair: str, scheme: str = "Basic") -> bytes:
    return f"{scheme} ".encode() + base64.b64encode(pair.encode())


@pytest.mark.parametrize(
    ("authorization", "account_id"),
    [
        (header(f"{ACCOUNTS[0].sid}:first"), 1),
        (header(f"{ACCOUNTS[1].sid}:se:cond"), 2),
        (header(f"{ACCOUNTS[0].sid}:first", "basic"), 1),
        (header(f"{ACCOUNTS[0].sid}:first", "BASIC "), 1),
        (header(f"{ACCOUNTS[0].sid}:first") + b"  ", 1),
        (None, None),
        (b"", None),
        (b"Basic", None),
        (b"Basic \xff\xfe", None),
        (b"Basic not base64!", None),
        (b"Basic " + base64.b64encode(b"\xff:\xff"), None),
        (header(ACCOUNTS[0].sid), None),
        (header(f"{ACCOUNTS[0].sid}:"), None),
        (header(f"{ACCOUNTS[0].sid}:firs"), None),
        (header(f"{ACCOUNTS[0].sid}:first "), None),
        (header(f"{ACCOUNTS[0].sid}:se:cond"), None),
        (header(f"{ACCOUNTS[0].sid.lower()}:first"), None),
        (header("AC" + "3" * 32 + ":first"), None),
        (header(":"), None),
        (header(f"{ACCOUNTS[0].sid}:first", "Bearer"), None),
        (b"x" * 100_000, None),
    ],
)
def test_only_an_accounts_own_pair_opens_it(authorization: bytes | None, account_id: int | None) -> None:
    assert Accounts(ACCOUNTS).authenticate(authorization) == account_id


def test_replaced_credentials_close_the_door_at_once() -> None:
    accounts = Accounts(ACCOUNTS)

    accounts.replace([Account(id=1, sid=ACCOUNTS[0].sid, auth_token="changed")])

    assert accounts.authenticate(header(f"{ACCOUNTS[0].sid}:first")) is None
    assert accounts.authenticate(header(f"{ACCOUNTS[0].sid}:changed")) == 1
    assert accounts.authenticate(header(f"{ACCOUNTS[1].sid}:se:cond")) is None


def test_credentials_stay_out_of_representations() -> None:
    assert "first" not in repr(ACCOUNTS[0])


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [(b"Bearer secret", True), (b"bearer secret", True), (b"Bearer secre", False), (b"secret", False), (None, False)],
)
def test_a_bearer_token_must_be_the_whole_token(authorization: bytes | None, expected: bool) -> None:
    assert bears(authorization, "secret") is expected


async def test_wrong_credentials_get_a_401_in_the_contracts_shape(world: Any, conforms: Any) -> None:
    client = world.client
    unknown = await client.as_account("AC" + "9" * 32, "first-token").get("/v1/Senders")
    client.authorization = None
    missing = await client.get("/v1/Senders")

    for answer in (unknown, missing):
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")
        assert answer.codes == [20003]
        conforms(answer.json, "ErrorResponse")
    assert unknown.body == missing.body
