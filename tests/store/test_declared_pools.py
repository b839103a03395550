"""Declared pools stay in step with their declaration, and keep their ids."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from sendpool.domain.pool import DeclaredMember, DeclaredPool, Member
from sendpool.domain.preference import Preference
from sendpool.domain.sender import Channel
from sendpool.store.database import Script
from sendpool.store.declared_pools import UnknownMember, store_pools
from sendpool.store.pools import NewPool, create_pool
from sendpool.store.roster import load_pools
from sendpool.store.tables import sender, sender_pool

ACCOUNT = 7


def members(*found: tuple[str, float, int]) -> tuple[DeclaredMember, ...]:
    return tuple(
        DeclaredMember(channel=Channel.SMS, address=address, weight=weight, tier=tier)
        for address, weight, tier in found
    )


async def make_senders(database: Any, *addresses: str) -> dict[str, int]:
    def script() -> Script[dict[str, int]]:
        for i, address in enumerate(addresses):
            yield sender.insert().values(
                uid=b"sender%d" % i,
                account_id=ACCOUNT,
                connection_id=1,
                channel="SMS",
                address=address,
                active=1,
                tags="{}",
                mps=1.0,
                options="{}",
                created_at=0,
                updated_at=0,
            )
        rows = yield select(sender.c.address, sender.c.id)
        return dict(list(rows))

    found: dict[str, int] = await database.write(script())
    return found


async def pools(database: Any) -> dict[str, Any]:
    """Pools that are not deleted, by name."""

    def names() -> Script[dict[int, str]]:
        rows = yield select(sender_pool.c.id, sender_pool.c.name)
        return dict(list(rows))

    by_id = await database.read(names())
    return {by_id[pool.id]: pool for pool in await database.read(load_pools()) if not pool.deleted}


async def test_a_declared_pool_appears_changes_and_goes(database: Any) -> None:
    keys = await make_senders(database, "+1", "+2", "+3")
    first = DeclaredPool(name="alerts", settings={"preference": "sticky"}, members=members(("+1", 1, 0), ("+2", 2, 1)))

    await database.write(store_pools(ACCOUNT, [first], 1))
    made = (await pools(database))["alerts"]

    assert made.choice.preference is Preference.STICKY
    assert set(made.members) == {
        Member(sender_id=keys["+1"]),
        Member(sender_id=keys["+2"], weight=2.0, tier=1),
    }

    changed = DeclaredPool(name="alerts", settings={"category": "otp"}, members=members(("+2", 3, 0), ("+3", 1, 0)))
    await database.write(store_pools(ACCOUNT, [changed], 2))
    now = (await pools(database))["alerts"]

    assert (now.id, now.uid) == (made.id, made.uid)
    assert now.choice.preference is Preference.SPREAD
    assert now.category == "otp"
    assert set(now.members) == {Member(sender_id=keys["+2"], weight=3.0), Member(sender_id=keys["+3"])}

    await database.write(store_pools(ACCOUNT, [], 3))
    assert await pools(database) == {}
    deleted = [pool for pool in await database.read(load_pools()) if pool.deleted]
    assert [(pool.id, len(pool.members)) for pool in deleted] == [(made.id, 2)]

    await database.write(store_pools(ACCOUNT, [changed], 4))
    assert (await pools(database))["alerts"].id != made.id


async def test_what_stays_as_it_is_is_not_touched(database: Any) -> None:
    await make_senders(database, "+1")
    pool = DeclaredPool(name="alerts", settings={"grace": 5.0}, members=members(("+1", 1, 0)))
    await database.write(store_pools(ACCOUNT, [pool], 1))

    await database.write(store_pools(ACCOUNT, [pool], 2))

    def times() -> Script[list[Any]]:
        return list((yield select(sender_pool.c.created_at, sender_pool.c.updated_at)))

    assert [tuple(row) for row in await database.read(times())] == [(1, 1)]


async def test_pools_of_the_api_and_of_others_are_left_alone(database: Any) -> None:
    await database.write(create_pool(ACCOUNT, NewPool("alerts", {}, []), 1))
    await database.write(store_pools(8, [DeclaredPool(name="theirs")], 1))

    await database.write(store_pools(ACCOUNT, [DeclaredPool(name="mine")], 2))
    await database.write(store_pools(ACCOUNT, [], 3))

    assert sorted(await pools(database)) == ["alerts", "theirs"]


async def test_a_member_that_is_not_there_undoes_it_all(database: Any) -> None:
    await make_senders(database, "+1")
    bad = DeclaredPool(name="bad", members=members(("+1", 1, 0), ("+9", 1, 0)))

    with pytest.raises(UnknownMember, match=r"there is no SMS sender \+9 in this account; declare it") as raised:
        await database.write(store_pools(ACCOUNT, [DeclaredPool(name="good"), bad], 1))

    assert (raised.value.pool, raised.value.position) == (bad, 1)
    assert await pools(database) == {}
