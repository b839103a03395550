from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sendpool.admin.accounts import LONGEST_OVERLAP
from sendpool.admin.commands import prepare
from sendpool.admin.protocol import Ask, CommandRefused
from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.domain.sender import Channel
from sendpool.pipeline.inventory import take_inventory
from sendpool.pipeline.roster import load_roster
from sendpool.store.accounts import find_account, load_accounts

if TYPE_CHECKING:
    from tests.admin.conftest import Desk

SID = "AC" + "1" * 32


async def do(desk: Desk, command: str, **arguments: object) -> Any:
    return await desk.database.write(prepare(Ask(command, arguments), desk.context()).script())


async def log(desk: Desk) -> list[tuple[str, str, str]]:
    """(who, what, to what), oldest first, without what the configuration did."""
    rows = await do(desk, "log.list")
    return [(row["actor"], row["action"], row["subject"]) for row in reversed(rows) if row["actor"] != "configuration"]


async def test_every_change_is_noted_with_the_command_line_as_its_author_and_without_secrets(desk: Desk) -> None:
    made = await do(desk, "accounts.create", name="Sales")
    await do(desk, "accounts.rename", sid=made["sid"], name="Support")
    rotated = await do(desk, "accounts.rotate", sid=made["sid"], overlap=60)
    key = await do(desk, "keys.create", account=made["sid"], name="robot")
    await do(desk, "keys.revoke", sid=key["sid"])
    await do(desk, "accounts.close", sid=made["sid"])

    assert await log(desk) == [
        ("command line", "account.created", made["sid"]),
        ("command line", "account.renamed", made["sid"]),
        ("command line", "account.token_rotated", made["sid"]),
        ("command line", "key.created", key["sid"]),
        ("command line", "key.revoked", key["sid"]),
        ("command line", "account.closed", made["sid"]),
    ]
    said = str(await do(desk, "log.list"))
    for secret in (made["authToken"], rotated["authToken"], key["secret"]):
        assert secret not in said


async def test_a_refused_command_leaves_no_trace(desk: Desk) -> None:
    before = await do(desk, "log.list")

    refused: list[tuple[str, dict[str, object]]] = [
        ("accounts.create", {"sid": SID}),
        ("accounts.close", {"sid": SID}),
        ("accounts.rotate", {"sid": "AC2", "overlap": 1}),
        ("keys.create", {"account": "AC2"}),
        ("keys.revoke", {"sid": "SK2"}),
    ]
    for command, arguments in refused:
        with pytest.raises(CommandRefused):
            await do(desk, command, **arguments)

    assert await do(desk, "log.list") == before
    assert len(await do(desk, "accounts.list")) == 1


async def test_a_new_account_can_be_sent_from_at_once(desk: Desk) -> None:
    await do(desk, "accounts.create", sid="AC2")

    roster = await desk.database.read(load_roster())
    _, second = await desk.database.read(load_accounts(desk.context().key))
    assert second.id in roster.hidden_by_account


async def test_a_token_that_the_configuration_sets_is_not_rotated_here(desk: Desk) -> None:
    context = desk.context()._replace(token_set=True)
    other = await do(desk, "accounts.create")

    with pytest.raises(CommandRefused, match="set by SENDPOOL_AUTH_TOKEN"):
        await desk.database.write(prepare(Ask("accounts.rotate", {"sid": SID, "overlap": 0}), context).script())
    script = prepare(Ask("accounts.rotate", {"sid": other["sid"], "overlap": 0}), context).script()
    assert (await desk.database.write(script))["authToken"] != other["authToken"]


async def test_an_overlap_that_is_over_is_not_shown(desk: Desk) -> None:
    rotated = await do(desk, "accounts.rotate", sid=SID, overlap=60)
    (during,) = await do(desk, "accounts.list")
    later = desk.context()._replace(now=desk.context().now + 60_000_000)

    (after,) = await desk.database.read(prepare(Ask("accounts.list"), later).script())

    assert during["oldTokenUntil"] == rotated["oldTokenUntil"]
    assert after["oldTokenUntil"] is None


@pytest.mark.parametrize("overlap", [-1, LONGEST_OVERLAP + 1])
async def test_an_overlap_has_limits(desk: Desk, overlap: int) -> None:
    with pytest.raises(CommandRefused, match="overlap"):
        await do(desk, "accounts.rotate", sid=SID, overlap=overlap)


async def test_closing_takes_the_senders_of_that_account_away_and_of_no_other(desk: Desk) -> None:
    made = await do(desk, "accounts.create")
    senders = (SenderSettings(channel=Channel.SMS, address="+12034458910"),)
    mine = ConnectionSettings(name="a", type="sandbox", senders=senders)
    theirs = ConnectionSettings(name="b", type="sandbox", senders=senders, account=made["sid"])
    await desk.database.write(take_inventory((mine, theirs), 1, 5))

    closed = await do(desk, "accounts.close", sid=made["sid"])

    assert closed["status"] == "closed"
    roster = await desk.database.read(load_roster())
    assert sorted((sender.account_id, sender.active) for sender in roster.senders.values()) == [(1, True), (2, False)]
    with pytest.raises(CommandRefused, match="is closed; `sendpool accounts create` makes another"):
        await do(desk, "accounts.rename", sid=made["sid"], name="x")


async def test_the_first_account_cannot_be_closed_whichever_the_configuration_names(desk: Desk) -> None:
    made = await do(desk, "accounts.create")
    context = desk.context()._replace(account_sid=made["sid"])

    with pytest.raises(CommandRefused, match="is the first account"):
        await do(desk, "accounts.close", sid=SID)
    with pytest.raises(CommandRefused, match="is the first account"):
        await desk.database.write(prepare(Ask("accounts.close", {"sid": made["sid"]}), context).script())


async def test_an_account_sends_only_to_its_countries(desk: Desk) -> None:
    made = await do(desk, "accounts.create")
    set_ = await do(desk, "accounts.countries", sid=made["sid"], allow=["us", "CA"], deny=["ca"])
    assert set_ == {"sid": made["sid"], "allow": ["US", "CA"], "deny": ["CA"]}

    roster = await desk.database.read(load_roster())
    (pool,) = [pool for pool in roster.pools.values() if pool.everyone and pool.account_id == await key_of(desk, made)]
    lanes = roster.lanes(pool.id, Channel.SMS)
    assert [lanes.barred(country) is None for country in ("US", "CA", "FR")] == [True, False, False]

    await do(desk, "accounts.countries", sid=made["sid"])
    roster = await desk.database.read(load_roster())
    assert roster.lanes(pool.id, Channel.SMS).barred("FR") is None


async def key_of(desk: Desk, made: dict[str, str]) -> int:
    found = await desk.database.read(find_account(made["sid"]))
    assert found is not None
    return found.id


async def test_what_is_no_country_is_refused(desk: Desk) -> None:
    made = await do(desk, "accounts.create")

    with pytest.raises(CommandRefused, match='"uk" is no country; the United Kingdom is GB'):
        await do(desk, "accounts.countries", sid=made["sid"], allow=["uk"])
