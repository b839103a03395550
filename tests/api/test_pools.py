from __future__ import annotations

from typing import Any

import pytest

UNKNOWN_POOL = "/v1/SenderPools/comms_senderpool_01h9krwprkeee8fzqspvwy6nq8"
UNKNOWN_SENDER = "comms_sender_01h9krwprkeee8fzqspvwy6nq8"


@pytest.fixture
async def senders(client: Any) -> list[str]:
    return [sender["id"] for sender in (await client.get("/v1/Senders")).json["senders"]]


async def made(client: Any, body: Any) -> dict[str, Any]:
    """Make a pool and find it as clients do."""
    answer = await client.post("/v1/SenderPools", body)
    assert answer.status == 202, answer.body
    (pool,) = (await client.get(f"/v1/SenderPools?operationId={answer.json['operationId']}")).json["senderPools"]
    found: dict[str, Any] = pool
    return found


async def members(client: Any, pool: dict[str, Any], query: str = "") -> set[str]:
    answer = await client.get(f"/v1/SenderPools/{pool['id']}/Senders{query}")
    assert answer.status == 200, answer.body
    return {sender["id"] for sender in answer.json["senders"]}


async def test_a_pool_is_there_when_its_operation_is_answered(client: Any, senders: Any, conforms: Any) -> None:
    body = {"name": "Alerts", "tags": {"a": "b"}, "senders": [{"senderId": sender} for sender in senders[:2]]}
    answer = await client.post("/v1/SenderPools", body)

    operation = await client.get(answer.json["operationLocation"].removeprefix("http://localhost:8080"))
    conforms(operation.json, "SenderPoolOperation")
    assert operation.json["status"] == "COMPLETED"
    assert operation.json["stats"] == {"total": 2, "queued": 0, "created": 2, "failed": 0}
    (pool,) = (await client.get(answer.headers["resource-location"].removeprefix("http://localhost:8080"))).json[
        "senderPools"
    ]
    assert (pool["name"], pool["tags"]) == ("Alerts", {"a": "b"})
    fetched = await client.get(f"/v1/SenderPools/{pool['id']}")
    assert fetched.json == pool
    conforms(pool, "SenderPool")
    assert await members(client, pool) == set(senders[:2])


@pytest.mark.parametrize("body", [{}, {"senders": []}, {"tags": {}}])
async def test_everything_about_a_new_pool_is_optional(body: Any, client: Any) -> None:
    pool = await made(client, body)

    assert (pool["name"], pool["tags"]) == ("", {})


@pytest.mark.parametrize(
    ("body", "contexts"),
    [
        ({"name": ""}, ["$.name"]),
        ({"name": None}, ["$.name"]),
        ({"name": 1}, ["$.name"]),
        ({"name": "x" * 257}, ["$.name"]),
        ({"name": "a\0b"}, ["$.name"]),
        ({"tags": []}, ["$.tags"]),
        ({"tags": {"a": "{{b}}"}}, ["$.tags"]),
        ({"senders": None}, ["$.senders"]),
        ({"senders": {"senderId": UNKNOWN_SENDER}}, ["$.senders"]),
        ({"senders": [{"senderId": UNKNOWN_SENDER}] * 10_001}, ["$.senders"]),
        ({"senders": [UNKNOWN_SENDER]}, ["$.senders[0]"]),
        ({"senders": [{}]}, ["$.senders[0].senderId"]),
        ({"senders": [{"senderId": "comms_sender_123"}]}, ["$.senders[0].senderId"]),
        ({"senders": [{"senderId": UNKNOWN_SENDER}]}, ["$.senders[0].senderId"]),
        ({"senders": [{"senderId": UNKNOWN_SENDER + "000"}]}, ["$.senders[0].senderId"]),
        ({"senders": [{"senderId": UNKNOWN_SENDER}] * 2}, ["$.senders[1].senderId"]),
        ({"senders": [{"senderId": UNKNOWN_SENDER, "weight": 0}]}, ["$.senders[0].weight"]),
        ({"senders": [{"senderId": UNKNOWN_SENDER, "weight": 1001}]}, ["$.senders[0].weight"]),
        ({"senders": [{"senderId": UNKNOWN_SENDER, "weight": "2"}]}, ["$.senders[0].weight"]),
        ({"senders": [{"senderId": UNKNOWN_SENDER, "tier": -1}]}, ["$.senders[0].tier"]),
        ({"senders": [{"senderId": UNKNOWN_SENDER, "tier": 100}]}, ["$.senders[0].tier"]),
        ({"senders": [{"senderId": UNKNOWN_SENDER, "tier": 1.5}]}, ["$.senders[0].tier"]),
        ({"senders": [{"senderId": UNKNOWN_SENDER, "tier": True}]}, ["$.senders[0].tier"]),
        ({"senders": [{"sender": UNKNOWN_SENDER}]}, ["$.senders[0]", "$.senders[0].senderId"]),
        ({"preference": "stickier"}, ["$.preference"]),
        ({"category": "otp", "reach": []}, ["$.reach"]),
        ({"nmae": "x", "tags": 1}, [None, "$.tags"]),
    ],
)
async def test_a_pool_that_cannot_be_made_says_why(
    body: Any, contexts: list[str | None], still: Any, conforms: Any
) -> None:
    answer = await still.post("/v1/SenderPools", body)

    assert answer.status == 400
    assert answer.contexts == contexts
    conforms(answer.json, "ErrorResponse")
    assert (await still.get("/v1/SenderPools")).json["senderPools"] == []


async def test_members_are_added_as_an_object_or_an_array_and_twice_is_harmless(
    client: Any, senders: Any, conforms: Any
) -> None:
    pool = await made(client, {})
    path = f"/v1/SenderPools/{pool['id']}/Senders"

    one = await client.post(path, {"senderId": senders[0]})
    more = await client.post(path, [{"senderId": sender} for sender in senders[:3]])

    assert one.status == more.status == 202
    assert await members(client, pool) == set(senders[:3])
    location = more.json["operationLocation"]
    assert location == f"http://localhost:8080{path}/Operations/{more.json['operationId']}"
    assert more.headers["resource-location"] == f"http://localhost:8080{path}"
    alias = await client.get(location.removeprefix("http://localhost:8080"))
    direct = await client.get(f"/v1/SenderPools/Operations/{more.json['operationId']}")
    assert alias.json == direct.json
    assert direct.json["stats"] == {"total": 3, "queued": 0, "created": 3, "failed": 0}
    conforms(direct.json, "SenderPoolOperation")
    other = await made(client, {})
    assert (
        await client.get(f"/v1/SenderPools/{other['id']}/Senders/Operations/{more.json['operationId']}")
    ).status == 404


@pytest.mark.parametrize("body", [[], {}, None, "x", [[]], [{"senderId": 1}], [{"senderId": UNKNOWN_SENDER}] * 1001])
async def test_members_that_cannot_be_added_change_nothing(body: Any, client: Any, senders: Any) -> None:
    pool = await made(client, {"senders": [{"senderId": senders[0]}]})

    assert (await client.post(f"/v1/SenderPools/{pool['id']}/Senders", body)).status == 400
    assert await members(client, pool) == {senders[0]}


async def test_members_have_weights_and_tiers_that_adding_again_changes(client: Any, senders: Any) -> None:
    first = {"senderId": senders[0], "weight": 2.5, "tier": 1}
    pool = await made(client, {"senders": [first, {"senderId": senders[1]}]})
    path = f"/v1/SenderPools/{pool['id']}/Senders"

    async def shares() -> dict[str, Any]:
        answer = await client.get(path)
        return {one["id"]: (one["weight"], one["tier"]) for one in answer.json["senders"]}

    assert await shares() == {senders[0]: (2.5, 1), senders[1]: (1.0, 0)}

    assert (await client.post(path, [{"senderId": senders[0], "tier": 0}, {"senderId": senders[1]}])).status == 202
    assert await shares() == {senders[0]: (2.5, 0), senders[1]: (1.0, 0)}

    assert (await client.post(path, {"senderId": senders[1], "weight": 4})).status == 202
    assert await shares() == {senders[0]: (2.5, 0), senders[1]: (4.0, 0)}
    assert "weight" not in (await client.get(f"/v1/Senders/{senders[0]}")).json


async def test_one_unknown_sender_among_known_ones_adds_none(client: Any, senders: Any) -> None:
    pool = await made(client, {})
    body = [{"senderId": senders[0]}, {"senderId": UNKNOWN_SENDER}, {"senderId": senders[1]}]

    answer = await client.post(f"/v1/SenderPools/{pool['id']}/Senders", body)

    assert (answer.status, answer.contexts, answer.codes) == (400, ["$.senders[1].senderId"], [20404])
    assert await members(client, pool) == set()


async def test_members_are_listed_with_the_filters_of_senders(client: Any, senders: Any, conforms: Any) -> None:
    pool = await made(client, {"senders": [{"senderId": sender} for sender in senders]})

    answer = await client.get(f"/v1/SenderPools/{pool['id']}/Senders?pageSize=2")
    conforms(answer.json, "SenderPage")
    assert len(answer.json["senders"]) == 2
    assert len(await members(client, pool, "?channel=sms&status=ACTIVATED")) == 2
    assert await members(client, pool, "?status=DEACTIVATED") == set()


async def test_a_member_is_removed_and_goes_on_to_exist(client: Any, senders: Any, conforms: Any) -> None:
    pool = await made(client, {"senders": [{"senderId": sender} for sender in senders[:2]]})
    path = f"/v1/SenderPools/{pool['id']}/Senders/{senders[0]}"

    answer = await client.delete(path)

    assert answer.status == 202
    conforms(answer.json, "ResourceReference")
    assert answer.json == {
        "resourceId": senders[0],
        "resourceLocation": f"http://localhost:8080/v1/Senders/{senders[0]}",
    }
    assert await members(client, pool) == {senders[1]}
    assert (await client.delete(path)).status == 404
    assert (await client.get(f"/v1/Senders/{senders[0]}")).status == 200


async def test_a_patch_changes_what_it_names(client: Any, conforms: Any) -> None:
    pool = await made(client, {"name": "old", "tags": {"a": "b"}})
    path = f"/v1/SenderPools/{pool['id']}"

    renamed = await client.patch(path, {"name": "new"})
    assert renamed.status == 202
    conforms(renamed.json, "ResourceReference")
    assert renamed.json == {"resourceId": pool["id"], "resourceLocation": f"http://localhost:8080{path}"}
    after = (await client.get(path)).json
    assert (after["name"], after["tags"]) == ("new", {"a": "b"})
    assert after["updatedAt"] >= pool["updatedAt"]
    assert after["createdAt"] == pool["createdAt"]

    await client.patch(path, {"tags": {"c": "d"}})
    assert (await client.get(path)).json["tags"] == {"c": "d"}


@pytest.mark.parametrize(
    "body", [{}, [], None, {"name": ""}, {"name": None}, {"tags": None}, {"senders": []}, {"x": 1}]
)
async def test_a_patch_that_names_nothing_it_may_change_is_a_400(body: Any, client: Any) -> None:
    pool = await made(client, {"name": "old"})

    assert (await client.patch(f"/v1/SenderPools/{pool['id']}", body)).status == 400
    assert (await client.get(f"/v1/SenderPools/{pool['id']}")).json == pool


async def test_a_deleted_pool_is_gone_at_once(client: Any, senders: Any, conforms: Any) -> None:
    pool = await made(client, {"senders": [{"senderId": senders[0]}]})
    path = f"/v1/SenderPools/{pool['id']}"

    deleted = await client.delete(path)

    assert deleted.status == 202
    conforms(deleted.json, "ResourceReference")
    assert (await client.get("/v1/SenderPools")).json["senderPools"] == []
    for method, target, body in (
        ("GET", path, None),
        ("DELETE", path, None),
        ("PATCH", path, {"name": "x"}),
        ("GET", f"{path}/Senders", None),
        ("POST", f"{path}/Senders", {"senderId": senders[0]}),
        ("DELETE", f"{path}/Senders/{senders[0]}", None),
    ):
        assert (await client.post(target, body, method=method)).status == 404, (method, target)
    refused = await client.post(
        "/v1/Messages",
        {
            "from": {"senderPoolId": pool["id"]},
            "to": [{"address": "+15551230001", "channel": "PHONE"}],
            "content": {"text": "Hi"},
        },
    )
    assert (refused.status, refused.contexts) == (400, ["$.from.senderPoolId"])


async def test_another_accounts_pools_look_unknown(world: Any) -> None:
    client, other = world.client, world.other
    created = await client.post("/v1/SenderPools", {"name": "mine"})
    operation_id = created.json["operationId"]
    (pool,) = (await client.get("/v1/SenderPools")).json["senderPools"]
    path = f"/v1/SenderPools/{pool['id']}"
    sender = (await client.get("/v1/Senders")).json["senders"][0]["id"]

    assert (await other.get("/v1/SenderPools")).json["senderPools"] == []
    assert (await other.get(f"/v1/SenderPools?operationId={operation_id}")).json["senderPools"] == []
    for target in (path, f"{path}/Senders", f"/v1/SenderPools/Operations/{operation_id}"):
        assert (await other.get(target)).status == 404
    assert (await other.patch(path, {"name": "x"})).status == 404
    assert (await other.delete(path)).status == 404
    foreign = await other.post("/v1/SenderPools", {"senders": [{"senderId": sender}]})
    assert (foreign.status, foreign.contexts) == (400, ["$.senders[0].senderId"])
    assert (await client.get(path)).json["name"] == "mine"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["b", "a"]),
        ("?startDate=2001-01-01T00:00:00Z", ["b", "a"]),
        ("?endDate=2001-01-01T00:00:00Z", []),
        ("?operationId=comms_operation_01h9krwprkeee8fzqspvwy6nq8", []),
        ("?operationId=comms_operation_01h9krwprkeee8fzqspvwy6nq8zzz", []),
    ],
)
async def test_pools_are_listed_newest_first(query: str, names: list[str], client: Any, conforms: Any) -> None:
    for name in ("a", "b"):
        await made(client, {"name": name})

    answer = await client.get(f"/v1/SenderPools{query}")

    conforms(answer.json, "SenderPoolPage")
    assert [pool["name"] for pool in answer.json["senderPools"]] == names


async def test_pool_operations_are_listed(client: Any, conforms: Any) -> None:
    await made(client, {})

    answer = await client.get("/v1/SenderPools/Operations")
    conforms(answer.json, "SenderPoolOperationPage")
    assert len(answer.json["operations"]) == 1
    assert (await client.get("/v1/SenderPools/Operations?status=processing")).json["operations"] == []
    assert (await client.get("/v1/SenderPools/Operations?status=bogus")).contexts == ["$.status"]


@pytest.mark.parametrize(
    "path", ["/v1/SenderPools/comms_senderpool_12345", UNKNOWN_POOL, UNKNOWN_POOL + "zzz", "/v1/SenderPools/%00"]
)
async def test_a_pool_that_does_not_exist_is_a_404(path: str, still: Any, conforms: Any) -> None:
    for target, method, body in (
        (path, "GET", None),
        (path, "DELETE", None),
        (path, "PATCH", {"name": "x"}),
        (f"{path}/Senders", "GET", None),
        (f"{path}/Senders", "POST", {"senderId": UNKNOWN_SENDER}),
        (f"{path}/Senders/{UNKNOWN_SENDER}", "DELETE", None),
        (f"{path}/Senders/Operations/comms_operation_01h9krwprkeee8fzqspvwy6nq8", "GET", None),
        ("/v1/SenderPools/Operations/comms_operation_12345", "GET", None),
    ):
        answer = await still.post(target, body, method=method)
        assert answer.status == 404, (method, target)
        conforms(answer.json, "ErrorResponse")


async def test_the_accounts_own_pool_can_be_read_but_not_listed_or_changed(client: Any, senders: Any) -> None:
    await client.post(
        "/v1/Messages", {"to": [{"address": "+15551230001", "channel": "PHONE"}], "content": {"text": "Hi"}}
    )
    hidden = (await client.get("/v1/Messages")).json["messages"][0]["from"]["senderPoolId"]
    path = f"/v1/SenderPools/{hidden}"

    assert (await client.get(path)).json["name"] == ""
    assert await members(client, {"id": hidden}) == set(senders)
    assert (await client.get("/v1/SenderPools")).json["senderPools"] == []
    for answer in (
        await client.patch(path, {"name": "x"}),
        await client.delete(path),
        await client.post(f"{path}/Senders", {"senderId": senders[0]}),
    ):
        assert (answer.status, answer.codes) == (409, [20409])
