from __future__ import annotations

import msgspec
import pytest

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.domain.sender import Channel
from sendpool.pipeline.inventory import UnknownAccount, take_inventory
from sendpool.pipeline.roster import load_roster
from sendpool.store.accounts import close_account, create_account
from sendpool.store.admin_log import list_log
from sendpool.store.senders import SenderDeclaredTwice
from sendpool.store.sqlite import Sqlite

NUMBER = SenderSettings(channel=Channel.SMS, address="+12034458910")


def connection(name: str, account: str | None = None, *senders: SenderSettings) -> ConnectionSettings:
    return ConnectionSettings(name=name, type="sandbox", account=account, senders=senders or (NUMBER,))


async def two_accounts(database: Sqlite) -> tuple[int, int]:
    one = await database.write(create_account("", "AC1", b"k" * 32, 1))
    two = await database.write(create_account("", "AC2", b"k" * 32, 1))
    return one.id, two.id


async def test_a_number_may_stand_in_two_accounts_and_is_a_sender_of_each(database: Sqlite) -> None:
    one, two = await two_accounts(database)

    wanted = await database.write(take_inventory((connection("a"), connection("b", "AC2")), one, 2))

    assert {settings.name: account for settings, account in wanted.values()} == {"a": one, "b": two}
    roster = await database.read(load_roster())
    mine = roster.sender_by_address[one, Channel.SMS, NUMBER.address]
    theirs = roster.sender_by_address[two, Channel.SMS, NUMBER.address]
    assert mine.uid != theirs.uid
    for account, sender in ((one, mine), (two, theirs)):
        assert wanted[sender.connection_id][1] == account
        assert roster.hidden_by_sender[sender.id].account_id == account
        everyone = roster.hidden_by_account[account]
        assert [member.id for member, _ in roster.members(everyone.id, Channel.SMS)] == [sender.id]


async def test_a_connection_that_moves_to_another_account_leaves_the_old_senders_off(database: Sqlite) -> None:
    one, two = await two_accounts(database)
    await database.write(take_inventory((connection("a"),), one, 2))

    wanted = await database.write(take_inventory((connection("a", "AC2"),), one, 3))

    assert [account for _, account in wanted.values()] == [two]
    roster = await database.read(load_roster())
    assert sorted((sender.account_id, sender.active) for sender in roster.senders.values()) == [
        (one, False),
        (two, True),
    ]


async def test_an_unknown_account_changes_nothing(database: Sqlite) -> None:
    one, _ = await two_accounts(database)

    with pytest.raises(UnknownAccount, match="there is no account AC3; make it with") as raised:
        await database.write(take_inventory((connection("a"), connection("b", "AC3")), one, 2))

    assert raised.value.table == "connections[1]"
    assert (await database.read(load_roster())).senders == {}


async def test_a_sender_may_stand_in_an_account_once_however_the_account_is_named(database: Sqlite) -> None:
    one, _ = await two_accounts(database)

    with pytest.raises(SenderDeclaredTwice):
        await database.write(take_inventory((connection("a"), connection("b", "AC1")), one, 2))


async def test_connections_of_a_closed_account_do_not_run(database: Sqlite) -> None:
    one, two = await two_accounts(database)
    await database.write(close_account(two, 2))

    wanted = await database.write(take_inventory((connection("a"), connection("b", "AC2")), one, 3))

    assert [settings.name for settings, _ in wanted.values()] == ["a"]
    assert {sender.account_id for sender in (await database.read(load_roster())).senders.values()} == {one}


async def test_what_was_applied_is_noted_for_each_account(database: Sqlite) -> None:
    one, _ = await two_accounts(database)

    await database.write(take_inventory((connection("a"), connection("b", "AC2")), one, 2))
    await database.write(take_inventory((connection("a"),), one, 3))

    rows = await database.read(list_log(10))
    assert [(row.at, row.actor, row.action, row.subject) for row in rows] == [
        (3, "configuration", "configuration.applied", "AC2"),
        (3, "configuration", "configuration.applied", "AC1"),
        (2, "configuration", "configuration.applied", "AC2"),
        (2, "configuration", "configuration.applied", "AC1"),
    ]
    assert [msgspec.json.decode(row.detail) for row in rows[:3]] == [
        {"connections": [], "added": 0, "changed": 0, "deactivated": 1},
        {"connections": ["a"], "added": 0, "changed": 0, "deactivated": 0},
        {"connections": ["b"], "added": 1, "changed": 0, "deactivated": 0},
    ]


def whatsapp(name: str = "meta", *senders: SenderSettings, **options: object) -> ConnectionSettings:
    options = {"access_token": "t", "business_account_id": "1020", **options}
    return ConnectionSettings(name=name, type="whatsapp", senders=senders, options=options)


def number(address: str, **more: object) -> SenderSettings:
    options = {"phone_number_id": address[-4:], "found": True, **more}
    return SenderSettings(channel=Channel.WHATSAPP, address=address, mps=80.0, options=options)


async def addresses(database: Sqlite) -> dict[str, bool]:
    return {one.address: one.active for one in (await database.read(load_roster())).senders.values()}


async def test_found_senders_stay_until_the_carrier_says_otherwise(database: Sqlite) -> None:
    one, _ = await two_accounts(database)
    first, second = number("+12034451111"), number("+12034452222")

    await database.write(take_inventory((whatsapp(),), one, 2, found={(one, "meta"): [first, second]}))
    wanted = await database.write(take_inventory((whatsapp(),), one, 3))

    assert await addresses(database) == {first.address: True, second.address: True}
    ((settings, _),) = wanted.values()
    assert [(kept.address, kept.mps, dict(kept.options)) for kept in settings.senders] == [
        (each.address, 80.0, dict(each.options)) for each in (first, second)
    ]
    assert {kept.limits.pair_burst for kept in settings.senders} == {45}
    await database.write(take_inventory((whatsapp(),), one, 4, found={(one, "meta"): [second]}))
    assert await addresses(database) == {first.address: False, second.address: True}
    await database.write(take_inventory((whatsapp(all_numbers=False),), one, 5))
    assert await addresses(database) == {first.address: False, second.address: False}


async def test_what_is_declared_goes_before_what_is_found(database: Sqlite) -> None:
    one, _ = await two_accounts(database)
    found = number("+12034451111")
    declared = SenderSettings(channel=Channel.WHATSAPP, address=found.address, display_name="Mine", mps=5.0)

    told = {(one, "meta"): [found], (one, "other"): [found]}
    both = (whatsapp("meta"), whatsapp("other", declared))
    wanted = await database.write(take_inventory(both, one, 2, found=told))

    assert {settings.name: settings.senders for settings, _ in wanted.values()} == {"meta": (), "other": (declared,)}
    ((sender),) = (await database.read(load_roster())).senders.values()
    assert sender.mps == 5.0


async def test_a_connection_that_finds_nothing_by_itself_gets_nothing(database: Sqlite) -> None:
    one, _ = await two_accounts(database)

    await database.write(take_inventory((connection("a"),), one, 2, found={(one, "a"): [number("+12034451111")]}))

    assert await addresses(database) == {NUMBER.address: True}
