from __future__ import annotations

import base64
from hmac import compare_digest
from typing import Any

import msgspec
import pytest

from sendpool.api.auth import Accounts, bears
from sendpool.store.accounts import Account
from sendpool.store.keys import ApiKey, digest_of

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
    caller = Accounts(ACCOUNTS).authenticate(authorization)

    assert (caller and caller.account_id) == account_id


def test_replaced_credentials_close_the_door_at_once() -> None:
    accounts = Accounts(ACCOUNTS)

    accounts.replace([Account(id=1, sid=ACCOUNTS[0].sid, auth_token="changed")])

    assert accounts.authenticate(header(f"{ACCOUNTS[0].sid}:first")) is None
    assert accounts.authenticate(header(f"{ACCOUNTS[0].sid}:changed")) == (1, ACCOUNTS[0].sid)
    assert accounts.authenticate(header(f"{ACCOUNTS[1].sid}:se:cond")) is None


KEY = ApiKey("SK" + "3" * 32, 2, digest_of(b"key-secret"))


def test_a_key_opens_its_account_under_its_own_name_however_the_header_is_spelt() -> None:
    accounts = Accounts(ACCOUNTS, [KEY])

    for _ in range(2):  # The second time it is known by its header.
        assert accounts.authenticate(header(f"{KEY.sid}:key-secret")) == (2, KEY.sid)
    assert accounts.authenticate(header(f"{KEY.sid}:key-secret", "BASIC ")) == (2, KEY.sid)
    assert accounts.authenticate(header(f"{KEY.sid}:key-secre")) is None
    assert accounts.authenticate(header(f"{KEY.sid}:")) is None
    assert accounts.authenticate(header(f"{ACCOUNTS[1].sid}:key-secret")) is None


def test_a_revoked_key_opens_nothing_although_its_header_was_known() -> None:
    accounts = Accounts(ACCOUNTS, [KEY])
    assert accounts.authenticate(header(f"{KEY.sid}:key-secret"))

    accounts.replace(ACCOUNTS)

    assert accounts.authenticate(header(f"{KEY.sid}:key-secret")) is None


def test_an_old_token_is_taken_until_its_time_is_over_and_the_new_one_for_ever() -> None:
    clock = [1_000]
    account = Account(id=1, sid="AC1", auth_token="new", old_auth_token="old", old_auth_token_until=2_000)
    accounts = Accounts([account], now=lambda: clock[0])

    for clock[0] in (1_000, 1_999):
        assert accounts.authenticate(header("AC1:old")) == (1, "AC1")
        assert accounts.authenticate(header("AC1:old", "basic")) == (1, "AC1")
    clock[0] = 2_000
    assert accounts.authenticate(header("AC1:old")) is None
    assert accounts.authenticate(header("AC1:old", "basic")) is None
    assert accounts.authenticate(header("AC1:new")) == (1, "AC1")


def test_an_account_without_an_old_token_has_no_second_way_in() -> None:
    accounts = Accounts(ACCOUNTS, now=lambda: -1)

    assert accounts.authenticate(header(f"{ACCOUNTS[0].sid}:")) is None


def test_an_unknown_sid_is_compared_like_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []

    def counting(one: bytes, other: bytes) -> bool:
        compared[-1] += 1
        return compare_digest(one, other)

    monkeypatch.setattr("sendpool.api.auth.compare_digest", counting)
    accounts = Accounts([msgspec.structs.replace(ACCOUNTS[0], old_auth_token="old")], [KEY])
    for pair in ("AC9:first", f"{ACCOUNTS[0].sid}:wrong", f"{KEY.sid}:wrong"):
        compared.append(0)
        assert accounts.authenticate(header(pair)) is None

    assert compared == [2, 2, 2]


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
