"""What a pool says of its messages: `category`, `fallbackAfter` and the like, our extensions."""

from __future__ import annotations

from typing import Any

import pytest

from sendpool.domain.destinations import Countries
from sendpool.domain.health import Thresholds
from sendpool.domain.message import Category
from sendpool.domain.policy import Duplicates, OpenOutcome, PoolRules
from sendpool.domain.pool import Choice
from sendpool.domain.preference import Preference
from sendpool.domain.quiet import QuietHours
from sendpool.domain.sender import Channel
from sendpool.store.roster import load_pools

SETTINGS = (
    *("category", "fallbackAfter", "duplicates", "openOutcome"),
    *("preference", "grace", "reach", "countries", "quietHours", "health"),
)


async def made(client: Any, body: Any) -> dict[str, Any]:
    answer = await client.post("/v1/SenderPools", body)
    assert answer.status == 202, answer.body
    (pool,) = (await client.get(f"/v1/SenderPools?operationId={answer.json['operationId']}")).json["senderPools"]
    found: dict[str, Any] = pool
    return found


def settings(pool: dict[str, Any]) -> dict[str, Any]:
    return {name: pool[name] for name in SETTINGS if name in pool}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({}, {}),
        ({"category": "otp"}, {"category": "otp"}),
        ({"category": "BULK"}, {"category": "bulk"}),
        ({"fallbackAfter": 5}, {"fallbackAfter": 5}),
        ({"fallbackAfter": 86_400}, {"fallbackAfter": 86_400}),
        ({"category": "Transactional", "fallbackAfter": 7.5}, {"category": "transactional", "fallbackAfter": 7.5}),
        ({"duplicates": "Tolerate"}, {"duplicates": "tolerate"}),
        ({"duplicates": "avoid", "openOutcome": "FAILOVER"}, {"duplicates": "avoid", "openOutcome": "failover"}),
        ({"openOutcome": "report"}, {"openOutcome": "report"}),
        ({"preference": "Sticky"}, {"preference": "sticky"}),
        ({"preference": "spread"}, {"preference": "spread"}),
        ({"grace": 1, "reach": ["rcs", "SMS"]}, {"grace": 1, "reach": ["RCS", "SMS"]}),
        ({"reach": ["WHATSAPP"]}, {"reach": ["WHATSAPP"]}),
        ({"countries": {"allow": ["us", "CA", "US"]}}, {"countries": {"allow": ["US", "CA"]}}),
        ({"countries": {"deny": []}}, {"countries": {"deny": []}}),
        ({"health": {"off": True}}, {"health": {"off": True}}),
        ({"health": {"minSample": 15, "step": 3600}}, {"health": {"minSample": 15, "step": 3600}}),
        ({"health": {"off": False, "worseBy": 0.9}}, {"health": {"off": False, "worseBy": 0.9}}),
        ({"quietHours": {"start": "21:00", "end": "08:00"}}, {"quietHours": {"start": "21:00", "end": "08:00"}}),
        (
            {"quietHours": {"start": "00:00", "end": "23:59", "exempt": ["OTP", "bulk"]}},
            {"quietHours": {"start": "00:00", "end": "23:59", "exempt": ["otp", "bulk"]}},
        ),
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
        ({"duplicates": "never"}, ["$.duplicates"]),
        ({"duplicates": True, "openOutcome": ["report"]}, ["$.duplicates", "$.openOutcome"]),
        ({"openOutcome": "fail"}, ["$.openOutcome"]),
        ({"preference": "best"}, ["$.preference"]),
        ({"preference": ["sticky"]}, ["$.preference"]),
        ({"grace": 0.5}, ["$.grace"]),
        ({"grace": 301}, ["$.grace"]),
        ({"grace": "10"}, ["$.grace"]),
        ({"reach": []}, ["$.reach"]),
        ({"reach": "SMS"}, ["$.reach"]),
        ({"reach": ["SMS", "sms"]}, ["$.reach"]),
        ({"reach": ["EMAIL"]}, ["$.reach"]),
        ({"reach": [{}]}, ["$.reach"]),
        ({"countries": {}}, ["$.countries"]),
        ({"countries": ["US"]}, ["$.countries"]),
        ({"countries": {"only": ["US"]}}, ["$.countries", "$.countries"]),
        ({"countries": {"allow": ["US", "UK"], "deny": "FR"}}, ["$.countries.allow[1]", "$.countries.deny"]),
        ({"countries": {"allow": ["US", 1]}}, ["$.countries.allow[1]"]),
        ({"countries": {"allow": ["US"] * 301}}, ["$.countries.allow"]),
        ({"quietHours": "night"}, ["$.quietHours"]),
        ({"health": False}, ["$.health"]),
        ({"health": {}}, ["$.health"]),
        (
            {"health": {"minSample": 14, "worseBy": 0.04, "trickle": 0.6, "step": "30"}},
            [f"$.health.{name}" for name in ("minSample", "worseBy", "trickle", "step")],
        ),
        ({"health": {"minSample": 30.5}}, ["$.health.minSample"]),
        ({"health": {"off": "yes"}}, ["$.health.off"]),
        ({"quietHours": {}}, ["$.quietHours.start", "$.quietHours.end"]),
        ({"quietHours": {"start": "9 pm", "end": "24:00"}}, ["$.quietHours.start", "$.quietHours.end"]),
        ({"quietHours": {"start": "08:00", "end": "08:00"}}, ["$.quietHours"]),
        ({"quietHours": {"start": "21:00", "end": "08:00", "zone": "UTC"}}, ["$.quietHours"]),
        ({"quietHours": {"start": "21:00", "end": "08:00", "exempt": ["news"]}}, ["$.quietHours.exempt"]),
        ({"quietHours": {"start": "21:00", "end": "08:00", "exempt": ["otp", "OTP"]}}, ["$.quietHours.exempt"]),
    ],
)
async def test_any_other_setting_is_refused(method: str, body: Any, contexts: Any, client: Any) -> None:
    pool = await made(client, {})
    path = "/v1/SenderPools" if method == "POST" else f"/v1/SenderPools/{pool['id']}"

    answer = await client.post(path, body, method=method)

    assert (answer.status, answer.contexts, set(answer.codes)) == (400, contexts, {60701})


@pytest.mark.parametrize("body", [{name: None} for name in SETTINGS])
async def test_a_new_pool_has_nothing_to_take_away(body: Any, client: Any) -> None:
    assert (await client.post("/v1/SenderPools", body)).contexts == [f"$.{next(iter(body))}"]


async def test_what_a_pool_chooses_by_is_replaced_and_taken_away(client: Any) -> None:
    pool = await made(client, {"preference": "match", "countries": {"allow": ["US"]}, "grace": 5})
    path = f"/v1/SenderPools/{pool['id']}"

    assert (await client.patch(path, {"countries": {"deny": ["FR"]}, "grace": None})).status == 202

    assert settings((await client.get(path)).json) == {"preference": "match", "countries": {"deny": ["FR"]}}


async def test_choosing_follows_the_settings(world: Any) -> None:
    await made(
        world.client,
        {
            "preference": "sticky",
            "grace": 3,
            "reach": ["SMS", "WHATSAPP"],
            "countries": {"allow": ["US"], "deny": ["CA"]},
            "quietHours": {"start": "21:00", "end": "08:30", "exempt": []},
            "health": {"off": True, "minSample": 100, "trickle": 0.1},
        },
    )

    (pool,) = [pool for pool in await world.services.database.read(load_pools()) if not pool.hidden]

    assert pool.choice == Choice(
        preference=Preference.STICKY,
        grace=3,
        reach=(Channel.SMS, Channel.WHATSAPP),
        countries=Countries(only=frozenset({"US"}), never=frozenset({"CA"})),
        quiet=QuietHours(start=1260, end=510, exempt=frozenset()),
        heeds_health=False,
        thresholds=Thresholds(min_sample=100, trickle=0.1),
    )


async def test_sending_follows_the_settings(world: Any) -> None:
    await made(world.client, {"category": "otp", "fallbackAfter": 10})

    (pool,) = [pool for pool in await world.services.database.read(load_pools()) if not pool.hidden]

    assert pool.category is Category.OTP
    assert pool.rules is not None
    assert pool.rules.fallback_after == 10


@pytest.mark.parametrize(
    ("given", "rules"),
    [
        ({}, None),
        ({"duplicates": "tolerate"}, PoolRules(duplicates=Duplicates.TOLERATE)),
        ({"openOutcome": "failover"}, PoolRules(open_outcome=OpenOutcome.FAILOVER)),
        (
            {"fallbackAfter": 5, "duplicates": "avoid", "openOutcome": "report"},
            PoolRules(fallback_after=5, duplicates=Duplicates.AVOID, open_outcome=OpenOutcome.REPORT),
        ),
    ],
)
async def test_doubt_is_dealt_with_as_the_settings_say(given: Any, rules: PoolRules | None, world: Any) -> None:
    await made(world.client, given)

    (pool,) = [pool for pool in await world.services.database.read(load_pools()) if not pool.hidden]

    assert pool.rules == rules
