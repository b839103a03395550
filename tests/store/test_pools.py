from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.domain import ids
from sendpool.domain.sender import Channel
from sendpool.store import pools
from sendpool.store.database import Database, Script
from sendpool.store.pools import NewPool, UnknownSenders
from sendpool.store.roster import load_pools
from sendpool.store.senders import SenderFilter, list_senders, store_inventory
from sendpool.store.slices import Slice
from sendpool.store.tables import sender_pool

ALL = Slice(20_000)
ANY = SenderFilter()


async def declared(database: Database, count: int = 3, account_id: int = 1) -> list[bytes]:
    """Declare so many senders; their uids."""
    senders = tuple(SenderSettings(channel=Channel.SMS, address=f"+{account_id}{i}") for i in range(count))
    settings = ConnectionSettings(name="a", type="sandbox", senders=senders)
    await database.write(store_inventory(account_id, [settings], 1))
    return [row.uid for row in await database.read(list_senders(account_id, ANY, ALL))]


async def members(database: Database, pool_uid: bytes) -> set[bytes]:
    rows = await database.read(pools.list_members(1, pool_uid, ANY, ALL))
    assert rows is not None
    return {row.uid for row in rows}


async def test_a_pool_its_members_and_its_operation_are_made_together(database: Database) -> None:
    senders = await declared(database)

    made = await database.write(pools.create_pool(1, NewPool("name", {"a": "b"}, senders[:2]), 7))

    found = await database.read(pools.fetch_pool(1, made.pool_uid))
    assert found is not None
    assert found.row == (made.pool_uid, "name", '{"a":"b"}', "{}", 7, 7)
    assert await members(database, made.pool_uid) == set(senders[:2])
    operation = await database.read(pools.fetch_operation(1, made.operation_uid))
    assert operation is not None
    assert (operation.total, operation.created, operation.queued, operation.failed) == (2, 2, 0, 0)
    # A pool's operation has an id like any other.
    assert ids.parse_operation(ids.operation_id(made.operation_uid)) == made.operation_uid


async def test_unknown_and_foreign_senders_are_named_by_their_places(database: Database) -> None:
    senders = await declared(database)
    foreign = await declared(database, account_id=2)

    with pytest.raises(UnknownSenders) as caught:
        await database.write(pools.create_pool(1, NewPool("", {}, [senders[0], bytes(16), foreign[0]]), 7))

    assert caught.value.positions == [1, 2]
    assert await database.read(pools.list_pools(1, ALL)) == []


async def test_a_pool_may_have_ten_thousand_members(database: Database) -> None:
    senders = await declared(database, 10_000)

    made = await database.write(pools.create_pool(1, NewPool("", {}, senders), 7))

    rows = await database.read(pools.list_members(1, made.pool_uid, ANY, Slice(10_001)))
    assert rows is not None
    assert len(rows) == 10_000


async def test_adding_a_member_again_is_harmless(database: Database) -> None:
    senders = await declared(database)
    made = await database.write(pools.create_pool(1, NewPool("", {}, senders[:2]), 7))

    uid = await database.write(pools.add_members(1, made.pool_uid, senders, 8))

    assert uid is not None
    operation = await database.read(pools.fetch_operation(1, uid, made.pool_uid))
    assert operation is not None
    assert (operation.total, operation.created) == (3, 3)
    assert await members(database, made.pool_uid) == set(senders)
    (row,) = await database.read(pools.list_pools(1, ALL, uid))
    assert (row.uid, row.updated_at) == (made.pool_uid, 8)


async def test_only_members_can_be_removed(database: Database) -> None:
    senders = await declared(database)
    made = await database.write(pools.create_pool(1, NewPool("", {}, senders[:2]), 7))

    assert await database.write(pools.remove_member(1, made.pool_uid, senders[0], 8))
    assert not await database.write(pools.remove_member(1, made.pool_uid, senders[0], 8))
    assert not await database.write(pools.remove_member(1, made.pool_uid, senders[2], 8))
    assert not await database.write(pools.remove_member(2, made.pool_uid, senders[1], 8))
    assert await members(database, made.pool_uid) == {senders[1]}


async def test_a_deleted_pool_is_out_of_sight_but_keeps_its_members_to_drain(database: Database) -> None:
    senders = await declared(database)
    made = await database.write(pools.create_pool(1, NewPool("", {}, senders), 7))

    assert not await database.write(pools.delete_pool(2, made.pool_uid, 8))
    assert await database.write(pools.delete_pool(1, made.pool_uid, 8))
    assert not await database.write(pools.delete_pool(1, made.pool_uid, 9))

    assert await database.read(pools.list_pools(1, ALL)) == []
    assert await database.read(pools.fetch_pool(1, made.pool_uid)) is None
    assert await database.write(pools.add_members(1, made.pool_uid, senders, 9)) is None
    assert not await database.write(pools.update_pool(1, made.pool_uid, 9, name="x"))
    (pool,) = await database.read(load_pools())
    assert pool.deleted
    assert len(pool.members) == 3
    assert await database.read(pools.fetch_operation(1, made.operation_uid, made.pool_uid)) is not None


async def test_an_update_changes_only_what_it_names(database: Database) -> None:
    made = await database.write(pools.create_pool(1, NewPool("old", {"a": "b"}, []), 7))

    await database.write(pools.update_pool(1, made.pool_uid, 8, tags={}))
    (row,) = await database.read(pools.list_pools(1, ALL))
    assert row == (made.pool_uid, "old", "{}", "{}", 7, 8)
    await database.write(pools.update_pool(1, made.pool_uid, 9, name="new"))
    (row,) = await database.read(pools.list_pools(1, ALL))
    assert row == (made.pool_uid, "new", "{}", "{}", 7, 9)


async def test_settings_change_one_by_one(database: Database) -> None:
    made = await database.write(pools.create_pool(1, NewPool("", {}, [], {"category": "otp", "fallbackAfter": 10}), 7))

    for change, settings in (
        ({"fallbackAfter": 20}, '{"category":"otp","fallbackAfter":20}'),
        ({"category": None}, '{"fallbackAfter":20}'),
        ({}, '{"fallbackAfter":20}'),
    ):
        await database.write(pools.update_pool(1, made.pool_uid, 8, settings=change))
        (row,) = await database.read(pools.list_pools(1, ALL))
        assert row.settings == settings


async def test_hidden_pools_stand_for_each_sender_and_for_the_account_and_are_made_once(database: Database) -> None:
    await declared(database, 3)
    assert await database.write(pools.ensure_hidden_pools(1, 7)) == 4
    assert await database.write(pools.ensure_hidden_pools(1, 8)) == 0
    await declared(database, 5)
    assert await database.write(pools.ensure_hidden_pools(1, 9)) == 2
    assert await database.write(pools.ensure_hidden_pools(2, 9)) == 1

    found = [pool for pool in await database.read(load_pools()) if pool.account_id == 1]
    assert all(pool.hidden for pool in found)
    assert [pool.members for pool in found if pool.everyone] == [()]
    assert sorted(len(pool.members) for pool in found if not pool.everyone) == [1] * 5
    assert len({pool.members[0].sender_id for pool in found if pool.members}) == 5
    assert await database.read(pools.list_pools(1, ALL)) == []


async def test_of_the_hidden_pools_only_the_accounts_own_can_be_read(database: Database) -> None:
    senders = await declared(database, 2)
    await database.write(pools.ensure_hidden_pools(1, 7))

    def hidden() -> Script[Any]:
        return (yield select(sender_pool.c.uid, sender_pool.c.kind))

    for uid, kind in await database.read(hidden()):
        found = await database.read(pools.fetch_pool(1, uid))
        assert (found is not None) == (kind == "account")
        assert not await database.write(pools.delete_pool(1, uid, 8))
        if found is not None:
            assert found.everyone
            assert await members(database, uid) == set(senders)
            assert await database.read(pools.fetch_pool(2, uid)) is None
