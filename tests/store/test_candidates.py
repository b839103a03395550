from __future__ import annotations

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.domain.sender import Channel
from sendpool.store.candidates import activated
from sendpool.store.database import Database
from sendpool.store.senders import SenderFilter, list_senders, store_inventory
from sendpool.store.slices import Slice

NUMBERS = [f"+1203445891{i}" for i in range(3)]


def carrier(*numbers: str) -> ConnectionSettings:
    senders = tuple(SenderSettings(channel=Channel.SMS, address=number) for number in numbers)
    return ConnectionSettings(name="carrier", type="sandbox", senders=senders)


async def test_activated_senders_of_an_account_are_found_by_their_ids(database: Database) -> None:
    await database.write(store_inventory(1, (carrier(*NUMBERS),), 1))
    await database.write(store_inventory(2, (carrier(*NUMBERS),), 1))
    uids = {row.address: row.uid for row in await database.read(list_senders(1, SenderFilter(), Slice(100)))}
    await database.write(store_inventory(1, (carrier(*NUMBERS[1:]),), 2))

    wanted = [*(uids[number] for number in NUMBERS[:2]), b"x" * 16]
    found = await database.read(activated(1, wanted))

    assert {uid: row.address for uid, row in found.items()} == {uids[NUMBERS[1]]: NUMBERS[1]}
    assert await database.read(activated(2, wanted)) == {}
    assert await database.read(activated(1, [])) == {}
