"""Signing in: the cookie, its life, and what a request needs beside it."""

from __future__ import annotations

import pytest
from tests.console.conftest import Site

from sendpool.api.auth import Accounts, Caller
from sendpool.console.sessions import COOKIE, LASTS, Sessions
from sendpool.store.accounts import Account
from sendpool.store.keys import ApiKey, digest_of

KEY = b"k" * 32
MINE = Account(id=1, sid="AC1", auth_token="first")


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.now


def test_a_cookie_is_read_by_every_node_with_the_same_secret_key() -> None:
    clock = Clock()
    cookie = Sessions(KEY, Accounts([MINE]), clock).open(Caller(1, "AC1"))

    found = Sessions(KEY, Accounts([MINE]), clock).read(cookie)

    assert found is not None
    assert found.caller == Caller(1, "AC1")
    assert Sessions(b"x" * 32, Accounts([MINE]), clock).read(cookie) is None


def test_a_session_ends_by_itself() -> None:
    clock = Clock()
    sessions = Sessions(KEY, Accounts([MINE]), clock)
    cookie = sessions.open(Caller(1, "AC1"))

    clock.now += LASTS * 1_000_000 - 1
    assert sessions.read(cookie) is not None
    clock.now += 1
    assert sessions.read(cookie) is None


def test_another_auth_token_ends_the_sessions_of_the_one_before() -> None:
    clock, accounts = Clock(), Accounts([MINE])
    sessions = Sessions(KEY, accounts, clock)
    cookie = sessions.open(Caller(1, "AC1"))

    accounts.replace(
        [Account(id=1, sid="AC1", auth_token="second", old_auth_token="first", old_auth_token_until=2**60)]
    )

    assert sessions.read(cookie) is None


def test_a_revoked_key_ends_its_sessions() -> None:
    clock = Clock()
    key = ApiKey(sid="SK1", account_id=1, digest=digest_of(b"secret"))
    accounts = Accounts([MINE], [key])
    sessions = Sessions(KEY, accounts, clock)
    cookie = sessions.open(Caller(1, "SK1"))
    assert sessions.read(cookie) is not None

    accounts.replace([MINE], [])

    assert sessions.read(cookie) is None


@pytest.mark.parametrize("wrong", ["", ".", "x", "x.y", "é.é", "QUM.QUM", "A" * 5_000])
def test_what_is_no_cookie_of_ours_opens_nothing(wrong: str) -> None:
    assert Sessions(KEY, Accounts([MINE]), Clock()).read(wrong) is None


def test_every_changed_character_of_a_cookie_spoils_it() -> None:
    sessions = Sessions(KEY, Accounts([MINE]), Clock())
    cookie = sessions.open(Caller(1, "AC1"))

    for at, letter in enumerate(cookie):
        other = "A" if letter != "A" else "B"
        assert sessions.read(cookie[:at] + other + cookie[at + 1 :]) is None


async def test_the_cookie_is_kept_from_scripts_and_other_sites(site: Site) -> None:
    answer = await site.client.post("/console/session", {"sid": site.world.accounts[0].sid, "secret": "first-token"})

    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert "; Path=/console; " in cookie
    assert cookie.endswith("; HttpOnly; SameSite=Strict")
    assert f"Max-Age={LASTS};" in cookie


async def test_over_tls_the_cookie_is_for_tls_alone(site: Site) -> None:
    body = {"sid": site.world.accounts[0].sid, "secret": "first-token"}

    answer = await site.client.post("/console/session", body, scope={"scheme": "https"})

    assert answer.headers["set-cookie"].endswith("; Secure")


@pytest.mark.parametrize(
    "body", [{}, {"sid": "AC1"}, {"sid": "AC" + "1" * 32, "secret": "wrong"}, {"sid": 1, "secret": 2}]
)
async def test_wrong_credentials_open_nothing(site: Site, body: object) -> None:
    answer = await site.client.post("/console/session", body)

    assert answer.status == 401
    assert "set-cookie" not in answer.headers
    # No browser is to ask for a password by itself.
    assert "www-authenticate" not in answer.headers


async def test_no_other_site_signs_anybody_in_or_out(site: Site) -> None:
    body = {"sid": site.world.accounts[0].sid, "secret": "first-token"}

    answer = await site.client.post("/console/session", body, headers={"sec-fetch-site": "cross-site"})
    assert answer.status == 403
    assert (await site.client.delete("/console/session", headers={"sec-fetch-site": "cross-site"})).status == 403


async def test_signing_out_takes_the_cookie_away(site: Site) -> None:
    answer = await site.client.delete("/console/session")

    assert answer.status == 204
    assert f"{COOKIE}=;" in answer.headers["set-cookie"]
    assert "Max-Age=0" in answer.headers["set-cookie"]


async def test_the_session_says_who_is_signed_in(site: Site) -> None:
    browser = await site.sign_in()

    shown = (await browser.ask("GET", "/console/session")).json

    assert shown["signedIn"]
    assert shown["accountSid"] == site.world.accounts[0].sid
    assert shown["token"] == browser.token
    assert (await site.client.get("/console/session")).json == {"signedIn": False}
