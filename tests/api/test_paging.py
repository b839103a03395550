from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

BASE = "http://localhost:8080"


async def pages(client: Any, path: str, key: str, query: str) -> list[list[str]]:
    """Follow `next` to the end, as clients do: the same filters with each token."""
    found: list[list[str]] = []
    token = None
    while True:
        answer = await client.get(f"{path}?{query}" + (f"&pageToken={token}" if token else ""))
        assert answer.status == 200, answer.body
        found.append([item["id"] for item in answer.json[key]])
        token = answer.json["pagination"]["next"]
        if token is None:
            return found


@pytest.fixture
async def filled(client: Any) -> Any:
    """Seven pools, seven operations of three messages each."""
    for i in range(7):
        await client.post("/v1/SenderPools", {"name": f"pool {i}"})
        to = [{"address": f"+1555123{i}00{j}", "channel": "PHONE"} for j in range(3)]
        await client.post("/v1/Messages", {"to": to, "content": {"text": "Hi"}, "tags": {"parity": str(i % 2)}})
    return client


@pytest.mark.parametrize(
    ("path", "key", "query", "count"),
    [
        ("/v1/Senders", "senders", "", 5),
        ("/v1/SenderPools", "senderPools", "", 7),
        ("/preview/SenderPools/Operations", "operations", "status=completed", 7),
        ("/v1/Messages/Operations", "operations", "", 7),
        ("/v1/Messages", "messages", "", 21),
        ("/preview/Messages", "messages", "tags=parity:1;", 9),
        ("/v1/Messages", "messages", "status=queued", 21),
        ("/v1/Messages", "messages", "startDate=2001-01-01T00:00:00Z", 21),
    ],
)
async def test_pages_of_any_size_make_the_same_whole(path: str, key: str, query: str, count: int, filled: Any) -> None:
    (whole,) = await pages(filled, path, key, f"{query}&pageSize=1000")
    assert len(set(whole)) == len(whole) == count

    for size in (1, 2, 3, 7, count):
        parts = await pages(filled, path, key, f"{query}&pageSize={size}")
        assert [row for page in parts for row in page] == whole
        assert all(0 < len(page) <= size for page in parts)


async def test_rows_that_appear_meanwhile_shift_nothing(filled: Any) -> None:
    before = (await filled.get("/v1/SenderPools")).json["senderPools"]
    first = (await filled.get("/v1/SenderPools?pageSize=3")).json
    await filled.post("/v1/SenderPools", {"name": "new"})

    second = (await filled.get(f"/v1/SenderPools?pageSize=100&pageToken={first['pagination']['next']}")).json

    assert first["senderPools"] + second["senderPools"] == before


async def test_a_token_is_only_good_for_the_list_the_filters_and_the_account_it_came_from(
    world: Any, filled: Any
) -> None:
    answer = await filled.get("/v1/Messages?pageSize=2&tags=parity:1")
    token = answer.json["pagination"]["next"]

    assert (await filled.get(f"/v1/Messages?tags=parity:1;&pageToken={token}")).status == 200
    assert (await filled.get(f"/preview/Messages?tags=parity:1&pageToken={token}")).status == 200
    for target in (
        f"/v1/Messages?pageToken={token}",
        f"/v1/Messages?tags=parity:0&pageToken={token}",
        f"/v1/Messages?tags=parity:1&status=SENT&pageToken={token}",
        f"/v1/Senders?pageToken={token}",
        f"/v1/Messages?tags=parity:1&pageToken={token}A",
        f"/v1/Messages?tags=parity:1&pageToken={'B' + token[1:]}",
        f"/v1/Messages?tags=parity:1&pageToken={token}&pageToken={token}",
    ):
        refused = await filled.get(target)
        assert (refused.status, refused.contexts) == (400, ["$.pageToken"]), target
    assert (await world.other.get(f"/v1/Messages?tags=parity:1&pageToken={token}")).status == 400


@pytest.mark.parametrize(
    "token", ["", "%00", "%ff", "ü", "=", "====", "AAAA", "-_-_", "x" * 20_000, "https://", "http://["]
)
@pytest.mark.parametrize("path", ["/v1/Senders", "/v1/Messages", "/v1/SenderPools/Operations"])
async def test_garbage_is_no_token(path: str, token: str, still: Any, conforms: Any) -> None:
    answer = await still.get(f"{path}?pageToken={token}")

    assert answer.status == 400
    assert answer.contexts == ["$.pageToken"]
    conforms(answer.json, "ErrorResponse")


async def test_self_is_a_token_on_v1_and_a_url_on_preview_and_both_bring_the_page_again(filled: Any) -> None:
    for version in ("v1", "preview"):
        path = f"/{version}/Messages"
        first = (await filled.get(f"{path}?pageSize=4&status=queued")).json
        second = (await filled.get(f"{path}?pageSize=4&status=queued&pageToken={first['pagination']['next']}")).json

        for page in (first, second):
            itself = page["pagination"]["self"]
            assert itself.startswith(f"{BASE}{path}?") == (version == "preview")
            again = await filled.get(f"{path}?pageSize=4&status=queued&pageToken={quote(itself, safe='')}")
            assert again.json["messages"] == page["messages"]
            if version == "preview":
                followed = await filled.get(itself.removeprefix(BASE))
                assert followed.json["messages"] == page["messages"]


async def test_a_url_of_another_list_is_no_token(still: Any) -> None:
    assert (await still.get(f"/v1/Messages?pageToken={BASE}/preview/Senders")).status == 400
