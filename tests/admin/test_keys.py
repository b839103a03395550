from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sendpool.admin.commands import prepare
from sendpool.admin.protocol import Ask, CommandRefused

if TYPE_CHECKING:
    from tests.admin.conftest import Desk

SID = "AC" + "1" * 32


async def do(desk: Desk, command: str, **arguments: object) -> Any:
    return await desk.database.write(prepare(Ask(command, arguments), desk.context()).script())


async def test_a_secret_is_shown_once(desk: Desk) -> None:
    made = await do(desk, "keys.create", name="robot")

    (listed,) = await do(desk, "keys.list")
    assert made["secret"]
    assert made["secret"] not in str(listed)
    assert (listed["sid"], listed["accountSid"], listed["name"], listed["status"]) == (
        made["sid"],
        SID,
        "robot",
        "active",
    )


async def test_with_several_accounts_one_has_to_be_named(desk: Desk) -> None:
    other = await do(desk, "accounts.create")

    with pytest.raises(CommandRefused, match="there are 2 open accounts; say which with --account"):
        await do(desk, "keys.create")
    made = await do(desk, "keys.create", account=other["sid"])

    assert [key["sid"] for key in await do(desk, "keys.list", account=other["sid"])] == [made["sid"]]
    assert await do(desk, "keys.list", account=SID) == []


async def test_revoking_twice_keeps_the_first_time(desk: Desk) -> None:
    made = await do(desk, "keys.create")

    first = await do(desk, "keys.revoke", sid=made["sid"])
    second = await do(desk, "keys.revoke", sid=made["sid"])

    assert first == second
    assert first["status"] == "revoked"
    assert [row["action"] for row in await do(desk, "log.list", subject=made["sid"])] == ["key.revoked", "key.created"]


async def test_keys_of_a_closed_account_are_still_listed_and_no_more_are_made(desk: Desk) -> None:
    other = await do(desk, "accounts.create")
    made = await do(desk, "keys.create", account=other["sid"])
    await do(desk, "accounts.close", sid=other["sid"])

    assert [key["sid"] for key in await do(desk, "keys.list", account=other["sid"])] == [made["sid"]]
    with pytest.raises(CommandRefused, match="is closed"):
        await do(desk, "keys.create", account=other["sid"])
    assert (await do(desk, "keys.create"))["accountSid"] == SID
