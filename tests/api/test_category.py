from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from sendpool.api.sending import read_send
from sendpool.domain.message import Category
from sendpool.domain.request import Refused
from sendpool.store.database import Script
from sendpool.store.tables import operation

PHONE = {"address": "+19143188062", "channel": "PHONE"}


def body(category: Any, **recipient: Any) -> bytes:
    return json.dumps({"to": [{**PHONE, **recipient}], "content": {"text": "Hi"}, "category": category}).encode()


def _categories() -> Script[list[str]]:
    rows = yield select(operation.c.category).order_by(operation.c.id)
    return [row[0] for row in rows]


@pytest.mark.parametrize("channel", ["PHONE", "Phone"], ids=["quickly", "thoroughly"])
@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("transactional", Category.TRANSACTIONAL),
        ("otp", Category.OTP),
        ("bulk", Category.BULK),
        ("OTP", Category.OTP),
        ("Bulk", Category.BULK),
    ],
)
def test_a_category_may_have_any_case(given: str, read: Category, channel: str) -> None:
    assert read_send(body(given, channel=channel), 1).category is read


def test_a_send_without_a_category_leaves_it_to_its_pool() -> None:
    assert read_send(json.dumps({"to": [PHONE], "content": {"text": "Hi"}}).encode(), 1).category is None


@pytest.mark.parametrize("category", [None, "", "marketing", "otp ", 1, True, [], ["otp"], {}])
def test_any_other_category_is_refused(category: Any) -> None:
    with pytest.raises(Refused) as caught:
        read_send(body(category), 1)

    assert [(problem.code, problem.context) for problem in caught.value.problems] == [(60701, "$.category")]


async def test_a_requests_category_goes_before_its_pools(world: Any) -> None:
    client = world.client
    pool_id = await client.pool_of("+12034458910")
    await client.patch(f"/v1/SenderPools/{pool_id}", {"category": "bulk"})

    await client.sent(origin={"senderPoolId": pool_id})
    await client.sent(origin={"senderPoolId": pool_id}, category="OTP")
    await client.sent()

    assert await world.services.database.read(_categories()) == ["bulk", "otp", "transactional"]
