"""One test for each row of the table "Limits" of the contract's behaviour, at both edges: what is just inside is
accepted, what is just outside is refused with its code and place.
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

from tests.api.conftest import microseconds

from sendpool.api.app import create_app
from sendpool.api.rates import RequestRates
from sendpool.config import SERVER_SETTINGS
from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.domain import ids
from sendpool.domain.message import LONGEST_TEXT
from sendpool.domain.sender import Channel
from sendpool.pipeline.retain import Retention
from sendpool.pipeline.roster import load_roster
from sendpool.store.database import Query, Script
from sendpool.store.senders import store_inventory

BEHAVIOUR = Path(__file__).parents[1] / "contract" / "behaviour.md"
PHONE = {"address": "+19143188062", "channel": "PHONE"}
SEND = {"to": [PHONE], "content": {"text": "Hi"}}
MAIL: dict[str, Any] = {
    "from": {"address": "support@coolcompany.com"},
    "to": [{"address": "ana@example.test"}],
    "content": {"subject": "Hello", "html": "<p>Hello</p>"},
}
INVALID, TOO_LONG, TOO_LARGE, TOO_MANY = 60701, 21617, 20413, 20429
MEGABYTE = 1024 * 1024


def phones(count: int) -> list[dict[str, str]]:
    """So many recipients, each another."""
    return [{"address": f"+1914{n:07d}", "channel": "PHONE"} for n in range(count)]


async def takes(client: Any, body: Any, path: str = "/v1/Messages", method: str = "POST") -> None:
    answer = await client.post(path, body, method=method)
    assert answer.status in (200, 202), answer.body[:500]


async def refuses(client: Any, body: Any, context: str, code: int = INVALID, path: str = "/v1/Messages") -> None:
    answer = await client.post(path, body)
    assert (answer.status, answer.codes, answer.contexts) == (400, [code], [context]), answer.body[:500]


def test_every_limit_of_the_contract_has_a_test() -> None:
    part = BEHAVIOUR.read_text(encoding="utf-8").partition("## 16. Limits\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in part.splitlines() if line.startswith("| ")][2:]

    assert len(rows) == 14
    for row in rows:
        assert f"test_{re.sub(r'[^a-z]+', '_', row.lower())}" in globals(), row


async def test_addresses_per_connected_recipient(client: Any) -> None:
    await takes(client, SEND | {"to": [{"addresses": phones(10)}]})
    await refuses(client, SEND | {"to": [{"addresses": phones(11)}]}, "$.to[0].addresses")
    await refuses(client, SEND | {"to": [{"addresses": []}]}, "$.to[0].addresses")


async def test_recipients_per_send(client: Any) -> None:
    for count in (1, 10_000):
        await takes(client, {**SEND, "to": phones(count)})
    for count in (0, 10_001):
        await refuses(client, {**SEND, "to": phones(count)}, "$.to")


async def test_media_per_text_content(client: Any) -> None:
    def send(count: int, **text: str) -> dict[str, Any]:
        return {**SEND, "content": {**text, "media": [{"url": f"https://example.com/{n}.png"} for n in range(count)]}}

    for body in (send(1), send(10), send(1, text="Hi"), send(10, text="Hi")):
        await takes(client, body)
    for count in (0, 11):
        await refuses(client, send(count, text="Hi"), "$.content.media")


async def test_modules(client: Any) -> None:
    def send(*modules: Any) -> dict[str, Any]:
        return {**SEND, "content": {"modules": list(modules)}}

    sms, rcs = {"sms": {"text": "Hi"}}, {"rcs": {"text": "Hi"}}
    await takes(client, send(sms))
    await takes(client, send(sms, rcs))
    await refuses(client, send(), "$.content.modules")
    await refuses(client, send(sms, sms), "$.content.modules[1].sms")
    await refuses(client, send(sms, rcs, sms, rcs, sms), "$.content.modules")


async def test_rcs_suggestions(client: Any) -> None:
    def beside(count: int) -> dict[str, Any]:
        return {"text": "Hi", "suggestions": replies(count)}

    def inside(count: int) -> dict[str, Any]:
        return {"richCard": {"standaloneCard": {"cardContent": {"title": "Hi", "suggestions": replies(count)}}}}

    def replies(count: int) -> list[Any]:
        return [{"reply": {"text": f"Yes {n}", "postbackData": "y"}} for n in range(count)]

    def send(module: Any) -> dict[str, Any]:
        return {**SEND, "content": {"modules": [{"rcs": module}]}}

    rcs = "$.content.modules[0].rcs"
    for module in (beside(0), beside(11), inside(0), inside(4)):
        await takes(client, send(module))
    await refuses(client, send(beside(12)), f"{rcs}.suggestions")
    await refuses(client, send(inside(5)), f"{rcs}.richCard.standaloneCard.cardContent.suggestions")


async def test_tags(client: Any) -> None:
    def tags(count: int, key: int = 1, value: int = 1) -> dict[str, str]:
        return {f"{n}{'k' * (key - 1)}": "v" * value for n in range(count)}

    for given in (tags(0), tags(10), tags(1, key=128), tags(1, value=256), {"A.z_0~9-": "A.z_0~9-"}):
        await takes(client, {**SEND, "tags": given})
        await takes(client, {"tags": given}, "/v1/SenderPools")
    for given in (tags(11), tags(1, key=129), tags(1, value=257), tags(1, value=0), {"": "v"}, {"k": "a b"}):
        await refuses(client, {**SEND, "tags": given}, "$.tags")
        await refuses(client, {"tags": given}, "$.tags", path="/v1/SenderPools")


async def test_page_size(client: Any) -> None:
    for size in (1, 1000):
        assert (await client.get(f"/v1/Messages?pageSize={size}")).status == 200
        await takes(client, {"address": "+12034458910", "channel": "SMS", "pageSize": size}, "/v1/Senders/Search")
    for size in (0, 1001, -1):
        answer = await client.get(f"/v1/Messages?pageSize={size}")
        assert (answer.status, answer.codes, answer.contexts) == (400, [INVALID], ["$.pageSize"])
        body = {"address": "+12034458910", "channel": "SMS", "pageSize": size}
        await refuses(client, body, "$.pageSize", path="/v1/Senders/Search")


async def test_resolve_recipients_explicit_senders(client: Any) -> None:
    def ask(recipients: int, senders: int | None = None) -> dict[str, Any]:
        asked: dict[str, Any] = {"recipientAddresses": phones(recipients)}
        if senders is not None:
            asked["senderAddresses"] = [{"address": f"+1203{n:07d}", "channel": "SMS"} for n in range(senders)]
        return asked

    path = "/v1/Senders/Resolve"
    for asked in (ask(1), ask(100), ask(1, 1), ask(100, 100)):
        await takes(client, asked, path)
    for recipients in (0, 101):
        await refuses(client, ask(recipients), "$.recipientAddresses", path=path)
    for senders in (0, 101):
        await refuses(client, ask(1, senders), "$.senderAddresses", path=path)


async def test_resolve_results(client: Any) -> None:
    for recipients, pairs in ((1, 3), (3, 9), (4, 10), (100, 10)):
        answer = await client.post("/v1/Senders/Resolve", {"recipientAddresses": phones(recipients)})
        assert len(answer.json["results"]) == pairs


def numbers(count: int) -> ConnectionSettings:
    """A connection with so many senders."""
    senders = (SenderSettings(channel=Channel.SMS, address=f"+1202{n:07d}") for n in range(count))
    return ConnectionSettings(name="many", type="sandbox", senders=tuple(senders))


async def test_pool_senders_at_creation_per_add(world: Any) -> None:
    client = world.client
    await world.write(store_inventory(world.accounts[0].id, (numbers(10_001),), microseconds()))
    world.engine.use_roster(await world.engine.database.read(load_roster()))
    members: list[dict[str, str]] = []
    token = ""
    while len(members) < 10_001:
        page = (await client.get(f"/v1/Senders?pageSize=1000{token}")).json
        members += [{"senderId": one["id"]} for one in page["senders"]]
        token = f"&pageToken={page['pagination']['next']}"

    pools = "/v1/SenderPools"
    for count in (0, 1, 10_000):
        await takes(client, {"senders": members[:count]}, pools)
    await refuses(client, {"senders": members[:10_001]}, "$.senders", path=pools)
    await refuses(client, {"senders": [members[0], members[0]]}, "$.senders[1].senderId", path=pools)

    (pool, *_) = (await client.get(f"{pools}?pageSize=1")).json["senderPools"]
    added = f"{pools}/{pool['id']}/Senders"
    for count in (1, 1_000):
        await takes(client, members[:count], added)
    for some in ([], members[:1_001]):
        await refuses(client, some, "$.senders", path=added)
    await refuses(client, [members[0], members[0]], "$.senders[1].senderId", path=added)


async def test_email_request_size_ippoolname(world: Any) -> None:
    client = world.client
    client.app = create_app(dataclasses.replace(world.services, max_body=64 * MEGABYTE))

    def padded(size: int) -> bytes:
        """An email of exactly so many bytes, by its text."""
        bare = {**MAIL, "content": {**MAIL["content"], "text": ""}}
        room = size - len(json.dumps(bare))
        return json.dumps({**bare, "content": {**MAIL["content"], "text": "x" * room}}).encode()

    await takes(client, padded(5 * MEGABYTE), "/v1/Emails")
    too_large = await client.post("/v1/Emails", padded(5 * MEGABYTE + 1))
    assert (too_large.status, too_large.codes) == (413, [TOO_LARGE])
    for length in (2, 64):
        await takes(client, {**MAIL, "ipPoolName": "p" * length}, "/v1/Emails")
    for length in (0, 1, 65):
        await refuses(client, {**MAIL, "ipPoolName": "p" * length}, "$.ipPoolName", path="/v1/Emails")


async def test_retention(world: Any) -> None:
    days = next(setting for setting in SERVER_SETTINGS if setting.key == "retention_days").default
    assert isinstance(days, int | float)
    client, day = world.client, 86_400_000_000

    async def canceled(ago: float) -> str:
        """An operation that ended so many days ago, on a server that ran all the time."""
        operation_id: str = await client.sent()
        await takes(client, {}, f"/v1/Messages/Operations/{operation_id}/Cancel")
        await world.write(older(operation_id, int(ago * day)))
        return operation_id

    def older(operation_id: str, by: int) -> Script[None]:
        key = "(SELECT id FROM operation WHERE uid = ?)"
        uid, now = ids.parse_operation(operation_id), microseconds()
        yield Query(f"UPDATE message SET updated_at = updated_at - {by} WHERE operation_id = {key}", (uid,))
        columns = ("created_at", "updated_at", "deadline")
        sums = ", ".join(f"{column} = {column} - {by}" for column in columns)
        yield Query(f"UPDATE operation SET {sums} WHERE uid = ?", (uid,))
        yield Query("INSERT OR REPLACE INTO uptime (id, began_at, ended_at) VALUES (1, ?, ?)", (now - 30 * day, now))

    young, old = await canceled(6.99), await canceled(7.01)
    assert days == 7
    await Retention(world.engine, 7.0).once()

    assert (await client.get(f"/v1/Messages/Operations/{young}")).status == 200
    assert len(await client.listed(f"?operationId={young}")) == 1
    assert (await client.get(f"/v1/Messages/Operations/{old}")).status == 404
    assert await client.listed(f"?operationId={old}") == []


async def test_error_context(client: Any) -> None:
    deep: Any = {"reply": {"text": "", "postbackData": "y"}}
    card = {"title": "Hi", "suggestions": [deep]}
    carousel = {"rcs": {"richCard": {"carouselCard": {"cardContents": [card] * 10}}}}
    bodies = [
        {**SEND, "to": [*phones(9_999), {"address": "x" * 5_000, "channel": "PHONE"}]},
        {**SEND, "to": [{**PHONE, "x" * 5_000: 1}]},
        {**SEND, "tags": {"k" * 5_000: "v"}},
        {**SEND, "content": {"modules": [carousel]}},
        {**SEND, "from": {"senderPoolId": "x" * 5_000, "channels": {"priority": [{"channel": "x" * 5_000}]}}},
    ]

    for body in bodies:
        answer = await client.post("/v1/Messages", body)
        assert answer.status == 400
        for context in filter(None, answer.contexts):
            assert re.fullmatch(r"\$(\.[A-Za-z]+(\[[0-9]+\])*)+", context)
            assert len(context) <= 160


async def test_text_length_request_rate(world: Any) -> None:
    client = world.client
    for length in (1, LONGEST_TEXT):
        await takes(client, {**SEND, "content": {"text": "x" * length}})
    await refuses(client, {**SEND, "content": {"text": "x" * (LONGEST_TEXT + 1)}}, "$.content.text", TOO_LONG)
    await refuses(client, {**SEND, "content": {"text": ""}}, "$.content.text")

    hand = 0.0
    limited = RequestRates(10.0, 3.0, lambda: hand)
    client.app = create_app(dataclasses.replace(world.services, rates=limited))
    assert [(await client.get("/v1/Senders")).status for _ in range(3)] == [200] * 3
    refused = await client.get("/v1/Senders")
    assert (refused.status, refused.codes, refused.headers["retry-after"]) == (429, [TOO_MANY], "1")
    hand = 1.0
    assert (await client.get("/v1/Senders")).status == 200
