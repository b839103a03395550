"""Every change of a pool by the API is noted, with whose credentials it was made."""

from __future__ import annotations

from typing import Any

from sendpool.api.auth import Accounts
from sendpool.store.admin_log import list_log
from sendpool.store.keys import create_key, load_keys

FIRST = "+12034458910"


async def noted(world: Any) -> list[tuple[str, str, str, str]]:
    rows = await world.engine.database.read(list_log(100))
    return [row[2:] for row in reversed(rows) if row.actor != "configuration"]


async def test_changes_of_pools_are_noted_with_account_and_ids(world: Any) -> None:
    client = world.client
    sid = world.accounts[0].sid
    sender = (await client.senders())[FIRST]
    pool = await client.pool_of()

    await client.patch(f"/v1/SenderPools/{pool}", {"name": "other", "fallbackAfter": None})
    await client.post(f"/v1/SenderPools/{pool}/Senders", [{"senderId": sender}])
    await client.delete(f"/v1/SenderPools/{pool}/Senders/{sender}")
    await client.delete(f"/v1/SenderPools/{pool}")

    assert await noted(world) == [
        (sid, "pool.created", pool, '{"name":"pool","senders":0}'),
        (sid, "pool.changed", pool, '{"changed":["name","fallbackAfter"]}'),
        (sid, "pool.senders_added", pool, f'{{"senders":["{sender}"],"count":1}}'),
        (sid, "pool.sender_removed", pool, f'{{"sender":"{sender}"}}'),
        (sid, "pool.deleted", pool, "{}"),
    ]


async def test_what_changed_nothing_is_not_noted(world: Any) -> None:
    client = world.client
    pool = await client.pool_of()
    await client.delete(f"/v1/SenderPools/{pool}")
    before = await noted(world)

    assert (await client.delete(f"/v1/SenderPools/{pool}")).status == 404
    assert (await client.patch(f"/v1/SenderPools/{pool}", {"name": "x"})).status == 404
    assert (await client.post("/v1/SenderPools", {"senders": [{"senderId": pool}]})).status == 400
    assert (await world.other.patch(f"/v1/SenderPools/{pool}", {"name": "x"})).status == 404

    assert await noted(world) == before


async def test_a_change_with_a_key_names_the_key(world: Any) -> None:
    key = await world.write(create_key(world.accounts[0].id, "robot", 1))
    accounts: Accounts = world.services.accounts
    accounts.replace(world.accounts, await world.engine.database.read(load_keys()))

    await world.client.as_account(key.sid, key.secret).pool_of()

    assert [actor for actor, *_ in await noted(world)] == [key.sid]
    assert len((await world.client.get("/v1/SenderPools")).json["senderPools"]) == 1
