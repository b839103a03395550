from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Select, select

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.domain.sender import DEFAULT_MPS, Channel
from sendpool.store.database import Database, Script
from sendpool.store.senders import (
    FoundSender,
    SenderDeclaredTwice,
    SenderFilter,
    SenderRow,
    fetch_sender,
    list_senders,
    load_found,
    store_inventory,
)
from sendpool.store.slices import Slice
from sendpool.store.tables import connection, sender

ANY = SenderFilter()
ALL = Slice(1000)


def number(address: str, **options: Any) -> SenderSettings:
    return SenderSettings(channel=Channel.SMS, address=address, **options)


def link(name: str, *senders: SenderSettings, kind: str = "smpp") -> ConnectionSettings:
    return ConnectionSettings(name=name, type=kind, senders=senders)


async def known(database: Database, account_id: int = 1) -> dict[str, SenderRow]:
    return {row.address: row for row in await database.read(list_senders(account_id, ANY, ALL))}


async def test_declared_senders_appear_with_the_throughput_of_their_channel(database: Database) -> None:
    inventory = [
        link("a", *(SenderSettings(channel=channel, address=channel.value) for channel in Channel)),
        link("b", number("+1", mps=7.5, burst=3, display_name="Name", options={"ton": 1, "npi": 2})),
    ]

    assert await database.write(store_inventory(1, inventory, 5)) == (5, 0, 0)

    rows = await database.read(
        all_of(select(sender.c.address, sender.c.mps, sender.c.burst, sender.c.display_name, sender.c.options))
    )
    found = {row[0]: row[1:] for row in rows}
    for channel in Channel:
        assert found[channel.value] == (DEFAULT_MPS[channel], None, None, "{}")
    assert found["+1"] == (7.5, 3.0, "Name", '{"npi":2,"ton":1}')


def all_of(statement: Select[Any]) -> Script[Any]:
    return (yield statement)


async def test_a_restart_or_a_reordered_file_changes_nothing(database: Database) -> None:
    first = [link("a", number("+1", options={"x": 1, "y": 2}), number("+2")), link("b", number("+3"))]
    second = [link("b", number("+3")), link("a", number("+2"), number("+1", options={"y": 2, "x": 1}))]
    await database.write(store_inventory(1, first, 5))
    before = await known(database)

    assert await database.write(store_inventory(1, first, 6)) == (0, 0, 0)
    assert await database.write(store_inventory(1, second, 7)) == (0, 0, 0)

    assert await known(database) == before
    assert all(row.updated_at == 5 for row in before.values())


async def test_senders_that_were_found_are_told_by_their_connection_while_they_are_active(database: Database) -> None:
    found = number("+1", mps=7.5, display_name="Name", options={"id": "7", "found": True})
    declared = number("+2", options={"note": 'not "found":true at all', "found": False})
    await database.write(store_inventory(1, [link("a", found, declared), link("b", number("+3"))], 5))

    assert await database.read(load_found(1)) == {
        "a": [FoundSender("SMS", "+1", "Name", 7.5, '{"found":true,"id":"7"}')]
    }
    assert await database.read(load_found(2)) == {}
    await database.write(store_inventory(1, [link("a", declared)], 6))
    assert await database.read(load_found(1)) == {}


async def test_a_changed_setting_is_taken_over_and_dated(database: Database) -> None:
    await database.write(store_inventory(1, [link("a", number("+1"), number("+2"))], 5))
    before = await known(database)

    changed = [link("a", number("+1", display_name="New", mps=9), number("+2"))]
    assert await database.write(store_inventory(1, changed, 6)) == (0, 1, 0)

    after = await known(database)
    assert after["+1"].display_name == "New"
    assert (after["+1"].created_at, after["+1"].updated_at) == (5, 6)
    assert after["+1"].uid == before["+1"].uid
    assert after["+2"] == before["+2"]


async def test_a_removed_sender_is_switched_off_and_returns_with_the_same_id(database: Database) -> None:
    both, one = [link("a", number("+1"), number("+2"))], [link("a", number("+1"))]
    await database.write(store_inventory(1, both, 5))
    before = await known(database)

    assert await database.write(store_inventory(1, one, 6)) == (0, 0, 1)
    assert await database.write(store_inventory(1, one, 7)) == (0, 0, 0)
    gone = (await known(database))["+2"]
    assert (gone.active, gone.updated_at) == (0, 6)

    assert await database.write(store_inventory(1, both, 8)) == (0, 1, 0)
    back = (await known(database))["+2"]
    assert (back.active, back.uid, back.updated_at) == (1, before["+2"].uid, 8)


async def test_a_sender_that_moves_to_another_connection_keeps_its_id(database: Database) -> None:
    await database.write(store_inventory(1, [link("a", number("+1")), link("b")], 5))
    before = await known(database)

    await database.write(store_inventory(1, [link("a"), link("b", number("+1"))], 6))

    after = await known(database)
    assert after["+1"].uid == before["+1"].uid
    assert after["+1"].active == 1
    rows = await database.read(
        all_of(select(connection.c.name).join(sender, sender.c.connection_id == connection.c.id))
    )
    assert rows == [("b",)]


async def test_senders_of_a_removed_connection_are_switched_off(database: Database) -> None:
    await database.write(store_inventory(1, [link("a", number("+1")), link("b", number("+2"))], 5))

    await database.write(store_inventory(1, [link("b", number("+2"))], 6))

    assert {address: row.active for address, row in (await known(database)).items()} == {"+1": 0, "+2": 1}
    rows = await database.read(all_of(select(connection.c.name, connection.c.active).order_by(connection.c.name)))
    assert rows == [("a", 0), ("b", 1)]
    await database.write(store_inventory(1, [link("a", number("+1"), kind="sandbox"), link("b", number("+2"))], 7))
    rows = await database.read(all_of(select(connection.c.name, connection.c.active, connection.c.type)))
    assert sorted(rows) == [("a", 1, "sandbox"), ("b", 1, "smpp")]


@pytest.mark.parametrize(
    "inventory",
    [
        [link("a", number("+1")), link("b", number("+1"))],
        [link("a", number("+1"), number("+1", mps=3))],
    ],
)
async def test_a_sender_declared_twice_is_refused_by_name(
    inventory: list[ConnectionSettings], database: Database
) -> None:
    with pytest.raises(SenderDeclaredTwice, match=r"the SMS sender \+1 is declared"):
        await database.write(store_inventory(1, inventory, 5))

    assert await known(database) == {}


async def test_the_same_address_on_two_channels_or_accounts_is_two_senders(database: Database) -> None:
    whatsapp = SenderSettings(channel=Channel.WHATSAPP, address="+1")
    await database.write(store_inventory(1, [link("a", number("+1"), whatsapp)], 5))
    await database.write(store_inventory(2, [link("a", number("+1"))], 5))
    await database.write(store_inventory(2, [], 6))

    rows = await database.read(list_senders(1, ANY, ALL))
    assert [row.active for row in rows] == [1, 1]
    assert [row.active for row in await database.read(list_senders(2, ANY, ALL))] == [0]
    assert len({row.uid for row in rows}) == 2


async def test_thousands_of_senders_are_stored_in_blocks(database: Database) -> None:
    inventory = [link("a", *(number(f"+{i}") for i in range(1_201)))]

    assert (await database.write(store_inventory(1, inventory, 5))).added == 1_201
    assert (await database.write(store_inventory(1, [], 6))).deactivated == 1_201


async def test_a_sender_is_only_found_in_its_own_account(database: Database) -> None:
    await database.write(store_inventory(1, [link("a", number("+1"))], 5))
    row = (await known(database))["+1"]

    assert await database.read(fetch_sender(1, row.uid)) == row
    assert await database.read(fetch_sender(2, row.uid)) is None
