"""What a pool says of its messages: `category` and `fallbackAfter`, our extensions."""

from __future__ import annotations

from typing import Any

import pytest

from sendpool.domain.message import Category
from sendpool.store.roster import load_pools


async def made(client: Any, body: Any) -> dict[str, Any]:
    answer = await client.post("/v1/SenderPools", body)
    assert answer.status == 202, answer.body
    (pool,) = (await client.get(f"/v1/SenderPools?operationId={answer.json['operationId']}")).json["senderPools"]
    found: dict[str, Any] = pool
    return found


def settings(pool: dict[str, Any]) -> dict[str, Any]:
    return {name: pool[name] for name in ("category", "fallbackAfter") if name in pool}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({}, {}),
        ({"category": "otp"}, {"category": "otp"}),
        ({"category": "BULK"}, {"category": "bulk"}),
        ({"fallbackAfter": 5}, {"fallbackAfter": 5}),
        ({"fallbackAfter": 86_400}, {"fallbackAfter": 86_400}),
        ({"category": "Transactional", "fallbackAfter": 7.5}, {"category": "transactional", "fallbackAfter": 7.5}),
    ],
)
async def test_settings_of_a_new_pool_are_shown_where_it_has_them(
    given: Any, shown: Any, client: Any, conforms: Any
) -> None:
    pool = await made(client, given)

    conforms(pool, "SenderPool")
    assert settings(pool) == shown
    assert (await client.get(f"/v1/SenderPools/{pool['id']}")).json == pool


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"name": "new"}, {"category": "otp", "fallbackAfter": 10}),
        ({"category": "bulk"}, {"category": "bulk", "fallbackAfter": 10}),
        ({"fallbackAfter": 20}, {"category": "otp", "fallbackAfter": 20}),
        ({"fallbackAfter": None}, {"category": "otp"}),
        ({"category": None}, {"fallbackAfter": 10}),
        ({"category": None, "fallbackAfter": None}, {}),
        ({"category": None, "fallbackAfter": 30}, {"fallbackAfter": 30}),
    ],
)
async def test_a_change_leaves_the_settings_that_it_does_not_name(change: Any, shown: Any, client: Any) -> None:
    pool = await made(client, {"name": "old", "tags": {"a": "b"}, "category": "otp", "fallbackAfter": 10})

    answer = await client.patch(f"/v1/SenderPools/{pool['id']}", change)

    assert answer.status == 202
    changed = (await client.get(f"/v1/SenderPools/{pool['id']}")).json
    assert settings(changed) == shown
    assert (changed["name"], changed["tags"]) == (change.get("name", "old"), {"a": "b"})


async def test_taking_away_what_is_not_set_changes_nothing(client: Any) -> None:
    pool = await made(client, {})

    assert (await client.patch(f"/v1/SenderPools/{pool['id']}", {"fallbackAfter": None})).status == 202
    assert settings((await client.get(f"/v1/SenderPools/{pool['id']}")).json) == {}


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    ("body", "contexts"),
    [
        ({"category": "marketing"}, ["$.category"]),
        ({"category": 1}, ["$.category"]),
        ({"fallbackAfter": 4.9}, ["$.fallbackAfter"]),
        ({"fallbackAfter": 86_401}, ["$.fallbackAfter"]),
        ({"fallbackAfter": -1}, ["$.fallbackAfter"]),
        ({"fallbackAfter": "10"}, ["$.fallbackAfter"]),
        ({"fallbackAfter": True}, ["$.fallbackAfter"]),
        ({"fallbackAfter": []}, ["$.fallbackAfter"]),
        ({"fallbackAfter": 10**300}, ["$.fallbackAfter"]),
        ({"category": "", "fallbackAfter": 0}, ["$.category", "$.fallbackAfter"]),
        ({"preference": "sticky"}, ["$.preference"]),
        ({"reach": []}, ["$.reach"]),
    ],
)
async def test_any_other_setting_is_refused(method: str, body: Any, contexts: Any, client: Any) -> None:
    pool = await made(client, {})
    path = "/v1/SenderPools" if method == "POST" else f"/v1/SenderPools/{pool['id']}"

    answer = await client.post(path, body, method=method)

    assert (answer.status, answer.contexts, set(answer.codes)) == (400, contexts, {60701})


@pytest.mark.parametrize("body", [{"category": None}, {"fallbackAfter": None}])
async def test_a_new_pool_has_nothing_to_take_away(body: Any, client: Any) -> None:
    assert (await client.post("/v1/SenderPools", body)).contexts == [f"$.{next(iter(body))}"]


async def test_sending_follows_the_settings(world: Any) -> None:
    await made(world.client, {"category": "otp", "fallbackAfter": 10})

    (pool,) = [pool for pool in await world.services.database.read(load_pools()) if not pool.hidden]

    assert pool.category is Category.OTP
    assert pool.rules is not None
    assert pool.rules.fallback_after == 10
