from __future__ import annotations

from sqlalchemy import update

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.domain.sender import Channel
from sendpool.store import candidates
from sendpool.store.candidates import Candidates
from sendpool.store.database import Database, Script
from sendpool.store.pools import NewPool, create_pool
from sendpool.store.senders import SenderFilter, list_senders, store_inventory
from sendpool.store.slices import Slice
from sendpool.store.tables import pool_member, sender

NUMBERS = [f"+1203445891{i}" for i in range(6)]
CARRIER = ConnectionSettings(
    name="carrier",
    type="sandbox",
    senders=(
        *(SenderSettings(channel=Channel.SMS, address=number) for number in NUMBERS),
        SenderSettings(channel=Channel.WHATSAPP, address=NUMBERS[0]),
    ),
)


def addresses(found: Candidates | None) -> dict[Channel, list[str]] | None:
    return None if found is None else {channel: [row.address for row in rows] for channel, rows in found.items()}


def uids() -> Script[dict[tuple[str, str], bytes]]:
    rows = yield from list_senders(1, SenderFilter(), Slice(100))
    return {(row.channel, row.address): row.uid for row in rows}


async def test_an_account_gives_so_many_of_each_channel_from_the_oldest(database: Database) -> None:
    await database.write(store_inventory(1, (CARRIER,), 1))
    await database.write(store_inventory(2, (CARRIER,), 1))

    found = await database.read(candidates.in_account(1, [Channel.WHATSAPP, Channel.SMS, Channel.RCS], 4))

    assert addresses(found) == {Channel.WHATSAPP: NUMBERS[:1], Channel.SMS: NUMBERS[:4], Channel.RCS: []}


async def test_a_pool_gives_its_members_by_tier(database: Database) -> None:
    await database.write(store_inventory(1, (CARRIER,), 1))
    known = await database.read(uids())
    members = [known["SMS", number] for number in NUMBERS[1:4]]
    created = await database.write(create_pool(1, NewPool("", {}, members), 1))

    def move_up() -> Script[None]:
        rows = yield sender.select().where(sender.c.uid == members[2])
        yield update(pool_member).where(pool_member.c.sender_id != rows[0][0]).values(tier=1)

    await database.write(move_up())

    found = await database.read(candidates.in_pool(1, created.pool_uid, [Channel.SMS], 2))
    assert addresses(found) == {Channel.SMS: [NUMBERS[3], NUMBERS[1]]}
    assert await database.read(candidates.in_pool(2, created.pool_uid, [Channel.SMS], 2)) is None


async def test_named_senders_keep_their_order_and_strangers_drop_out(database: Database) -> None:
    await database.write(store_inventory(1, (CARRIER,), 1))
    await database.write(store_inventory(2, (), 1))
    wanted = [(Channel.SMS, NUMBERS[4]), (Channel.SMS, "+1"), (Channel.SMS, NUMBERS[2]), (Channel.RCS, NUMBERS[0])]

    assert addresses(await database.read(candidates.named(1, wanted))) == {Channel.SMS: [NUMBERS[4], NUMBERS[2]]}
    assert addresses(await database.read(candidates.named(2, wanted))) == {}
    assert addresses(await database.read(candidates.named(1, []))) == {}
