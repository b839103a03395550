"""Several accounts on one running server: whose senders, whose credentials, and what closing one does."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig, Server

SENDER = "+12034458910"
TO = [{"address": "+447700900001", "channel": "PHONE"}]


async def as_caller(server: Server, sid: str, secret: str, method: str, path: str, body: object = None) -> Any:
    """(status, answer) of a request with these credentials."""
    headers = {"Authorization": aiohttp.encode_basic_auth(sid, secret), "Content-Type": "application/json"}
    answer = await server.ask(method, path, None if body is None else json.dumps(body).encode(), headers)
    return answer.status, answer.json


def of_account(connection: str, name: str, sid: str) -> str:
    """A connection under another name, in another account."""
    return connection.replace('name = "sandbox"', f'name = "{name}"\naccount = "{sid}"')


async def test_a_new_accounts_credentials_senders_and_keys_work_without_a_restart(rig: Rig) -> None:
    mine = rig.sandbox([("SMS", SENDER, 10)])
    server = await rig.server(mine)
    made = await rig.command(server, "accounts", "create", "Sales")
    account, token = made["sid"], made["authToken"]

    status, senders = await as_caller(server, account, token, "GET", "/v1/Senders")
    assert (status, senders["senders"]) == (200, [])

    server.write(mine, of_account(mine, "theirs", account))
    assert (await server.reload())["event"] == "configuration applied"
    key = await rig.command(server, "keys", "create", "--account", account)
    _, senders = await as_caller(server, key["sid"], key["secret"], "GET", "/v1/Senders")
    assert [one["address"] for one in senders["senders"]] == [SENDER]
    assert senders["senders"][0]["id"] != (await server.senders())[SENDER]["id"]

    body = {"to": TO, "content": {"text": "Hello"}}
    status, accepted = await as_caller(server, key["sid"], key["secret"], "POST", "/v1/Messages", body)
    assert status == 202
    path = f"/v1/Messages/Operations/{accepted['operationId']}"

    async def delivered() -> bool:
        _, operation = await as_caller(server, account, token, "GET", path)
        return bool(operation["stats"]["delivered"] == 1)

    await rig.until(delivered, what="the message is delivered")
    await server.call("GET", path, expect=404)

    await rig.command(server, "keys", "revoke", key["sid"])
    assert (await as_caller(server, key["sid"], key["secret"], "GET", path))[0] == 401
    assert (await as_caller(server, account, token, "GET", path))[0] == 200


async def test_a_rotated_token_and_the_one_before_are_taken_until_the_overlap_is_over(rig: Rig) -> None:
    server = await rig.server(rig.sandbox([("SMS", SENDER, 10)]))
    made = await rig.command(server, "accounts", "create")
    account, first = made["sid"], made["authToken"]

    async def status(token: str) -> int:
        return int((await as_caller(server, account, token, "GET", "/v1/Senders"))[0])

    second = (await rig.command(server, "accounts", "rotate", account, "--overlap", "1h"))["authToken"]
    assert [await status(token) for token in (first, second)] == [200, 200]
    third = (await rig.command(server, "accounts", "rotate", account, "--overlap", "0"))["authToken"]
    assert [await status(token) for token in (first, second, third)] == [401, 401, 200]


async def test_a_closed_account_is_locked_out_and_what_waits_ends_failed(rig: Rig) -> None:
    mine = rig.sandbox([("SMS", SENDER, 10)])
    server = await rig.server(mine)
    made = await rig.command(server, "accounts", "create")
    account, token = made["sid"], made["authToken"]
    theirs = rig.smpp("theirs", rig.dead_port(), [(SENDER, 10)]).replace(
        'name = "theirs"', f'name = "theirs"\naccount = "{account}"'
    )
    server.write(mine, theirs)
    await server.reload()
    body = {"to": TO, "content": {"text": "Hello"}}
    soon = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
    for schedule in ({}, {"schedule": {"sendAt": [soon]}}):
        assert (await as_caller(server, account, token, "POST", "/v1/Messages", {**body, **schedule}))[0] == 202

    await rig.command(server, "accounts", "close", account)

    assert (await as_caller(server, account, token, "GET", "/v1/Senders"))[0] == 401
    ended = "SELECT count(*) FROM operation WHERE failed = 1 AND queued = 0 AND scheduled = 0"
    await rig.until(lambda: server.rows(ended) == [(2,)], what="both messages have ended")
    assert server.rows("SELECT error_code FROM message") == [(21703,)] * 2
    assert server.rows("SELECT count(*) FROM attempt") == [(0,)]
    assert (await server.senders())[SENDER]["status"] == "ACTIVATED"

    # The file still names the account: the server starts all the same, without that connection.
    assert await server.stop() == 0
    await server.start()
    assert [one["status"] for one in await rig.command(server, "accounts", "list")] == ["open", "closed"]
    assert server.rows("SELECT name FROM connection WHERE active = 1") == [("sandbox",)]
    (line,) = server.events("connections of closed accounts are left out", "warning")
    assert line["connections"] == ["theirs"]


async def test_a_connection_of_an_unknown_account_is_refused_with_a_remedy(rig: Rig) -> None:
    mine = rig.sandbox([("SMS", SENDER, 10)])
    server = await rig.server(mine)

    server.write(mine, of_account(mine, "theirs", "AC" + "9" * 32))
    line = await server.reload()

    assert line["event"] == "configuration not applied"
    assert "connections[1].account: there is no account" in line["error"]
    assert "make it with `sendpool accounts create`" in line["error"]
    assert (await server.senders())[SENDER]["status"] == "ACTIVATED"


async def test_an_account_that_asks_too_often_waits_as_long_as_it_is_told_and_others_do_not(rig: Rig) -> None:
    server = await rig.server(rig.sandbox([("SMS", SENDER, 10)]), server="max_requests_per_second = 0.5\nburst = 3")
    made = await rig.command(server, "accounts", "create")
    headers = {"Authorization": rig.authorization}

    answers = [await server.ask("GET", "/v1/Senders", headers=headers) for _ in range(4)]

    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert answers[3].json["code"] == 20429
    assert answers[3].headers["Retry-After"] in ("1", "2")
    assert (await as_caller(server, made["sid"], made["authToken"], "GET", "/v1/Senders"))[0] == 200
