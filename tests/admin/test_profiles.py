"""What the commands about profiles take, whoever sends them to the socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sendpool.admin.commands import prepare
from sendpool.admin.profiles import MOST_AT_ONCE
from sendpool.admin.protocol import Ask, CommandRefused
from sendpool.store.database import Query, Script

if TYPE_CHECKING:
    from tests.admin.conftest import Desk

SID = "AC" + "1" * 32
ANA = {
    "profile_id": "mem_profile_01h9krwprkeee8fzqspvwy6nq8",
    "store_id": "mem_store_01h9krwprkeee8fzqspvwy6nq8",
    "addresses": [["+15551230001", "P"]],
    "fields": {"firstName": "Ana"},
}


async def do(desk: Desk, command: str, **arguments: object) -> Any:
    return await desk.database.write(prepare(Ask(command, arguments), desk.context()).script())


async def test_a_profile_is_stored_as_it_is_given(desk: Desk) -> None:
    assert await do(desk, "profiles.import", profiles=[ANA]) == {"created": 1, "updated": 0, "unchanged": 0}

    (shown,) = await do(desk, "profiles.show", profile_id=ANA["profile_id"])
    assert shown["addresses"] == [{"address": "+15551230001", "channel": "PHONE"}]
    assert shown["fields"] == {"firstName": "Ana"}


@pytest.mark.parametrize(
    "changes",
    [
        {"profile_id": "mem_profile_1"},
        {"store_id": ANA["profile_id"]},
        {"addresses": []},
        {"addresses": [["+1", "P"]] * 11},
        # An address with a blank in it would be taken for two.
        {"addresses": [["+15551230001 +15551230002", "P"]]},
        {"addresses": [["+15551230001", "X"]]},
        {"fields": {"": "x"}},
        {"fields": {"a": "x" * 513}},
        {"fields": {str(n): "" for n in range(51)}},
        {"other": 1},
    ],
)
async def test_what_is_no_profile_is_refused(changes: dict[str, Any], desk: Desk) -> None:
    with pytest.raises(CommandRefused):
        await do(desk, "profiles.import", profiles=[{**ANA, **changes}])


async def test_a_command_takes_so_many_profiles_and_no_more(desk: Desk) -> None:
    with pytest.raises(CommandRefused):
        await do(desk, "profiles.import", profiles=[ANA] * (MOST_AT_ONCE + 1))


async def test_what_changes_nothing_is_not_logged(desk: Desk) -> None:
    await do(desk, "profiles.import", profiles=[ANA])
    await do(desk, "profiles.import", profiles=[ANA])

    assert [row["action"] for row in await do(desk, "log.list")].count("profiles.imported") == 1


async def test_closing_an_account_forgets_its_profiles_alone(desk: Desk) -> None:
    other = await do(desk, "accounts.create")
    for account in (SID, other["sid"]):
        await do(desk, "profiles.import", profiles=[ANA], account=account)

    await do(desk, "accounts.close", sid=other["sid"])

    assert len(await do(desk, "profiles.list", account=SID)) == 1
    assert [tuple(row) for row in await desk.database.read(_accounts())] == [(1,)]


def _accounts() -> Script[list[Any]]:
    rows: list[Any] = yield Query("SELECT account_id FROM profile")
    return rows
