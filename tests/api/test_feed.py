"""`GET /Events`: pages without gaps, waiting, streams, and nobody else's events."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from sendpool.domain.event_types import PREFIX
from sendpool.store.database import Query


async def pulled(client: Any, query: str = "") -> tuple[list[dict[str, Any]], str]:
    answer = await client.get(f"/v1/Events{query}")
    assert answer.status == 200, answer.body
    assert answer.json["gap"] is False
    return answer.json["events"], answer.json["after"]


async def test_pages_follow_each_other_without_a_gap(client: Any) -> None:
    for _ in range(5):
        await client.sent()

    whole, end = await pulled(client)
    parts: list[dict[str, Any]] = []
    after = "0"
    while True:
        page, after = await pulled(client, f"?after={after}&limit=3")
        if not page:
            break
        parts += page

    assert parts == whole
    assert len(whole) == 10
    assert after == end
    assert {event["type"] for event in whole} == {f"{PREFIX}message.queued", f"{PREFIX}operation.processing"}


async def test_types_can_be_picked_and_unknown_ones_are_named(client: Any) -> None:
    await client.sent()

    events, _ = await pulled(client, f"?type={PREFIX}message.queued,{PREFIX}message.read")
    wrong = await client.get("/v1/Events?type=x&limit=1001&after=-1")

    assert [event["type"] for event in events] == [f"{PREFIX}message.queued"]
    assert (wrong.status, wrong.contexts) == (400, ["$.after", "$.limit", "$.type"])


async def test_nobody_sees_events_of_another_account(world: Any) -> None:
    await world.client.sent()

    assert (await pulled(world.other))[0] == []
    assert len((await pulled(world.client))[0]) == 2


async def test_a_page_waits_for_what_is_to_come(client: Any) -> None:
    _, after = await pulled(client)
    waiting = asyncio.create_task(pulled(client, f"?after={after}&wait=30"))
    await asyncio.sleep(0)
    await client.sent()

    events, _ = await asyncio.wait_for(waiting, 10)
    assert events


async def test_what_was_removed_is_a_gap(world: Any) -> None:
    for _ in range(3):
        await world.client.sent()
    _, after = await pulled(world.client, "?limit=1")

    def remove() -> Any:
        yield Query("DELETE FROM event WHERE position < 5")

    await world.write(remove())
    answer = await world.client.get(f"/v1/Events?after={after}")
    assert answer.json["gap"] is True
    assert len(answer.json["events"]) == 2


async def stream(world: Any, headers: dict[str, str], enough: int) -> list[dict[str, str]]:
    """Frames of a stream until there are enough, then the client hangs up."""
    client = world.client
    got = bytearray()
    gone = asyncio.Event()
    scope = {
        "type": "http", "method": "GET", "path": "/v1/Events", "query_string": b"", "root_path": "", "scheme": "http",
        "server": ("127.0.0.1", 1), "client": ("127.0.0.1", 2), "http_version": "1.1", "raw_path": b"/v1/Events",
        "headers": [(b"host", b"x"), (b"authorization", client.authorization), (b"accept", b"text/event-stream")]
        + [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(event: Any) -> None:
        got.extend(event.get("body", b""))
        if got.count(b"\ndata: ") >= enough:
            gone.set()

    await asyncio.wait_for(client.app(scope, receive, send), 10)
    frames = [dict(line.split(": ", 1) for line in frame.splitlines()) for frame in got.decode().split("\n\n") if frame]
    return [frame for frame in frames if "data" in frame]


async def test_a_stream_goes_on_and_can_be_taken_up_again(world: Any) -> None:
    await world.client.sent()

    frames = await stream(world, {}, 2)
    await world.client.sent()
    rest = await stream(world, {"last-event-id": frames[-1]["id"]}, 2)

    whole, _ = await pulled(world.client)
    assert [json.loads(frame["data"]) for frame in frames + rest] == whole
    assert [frame["event"] for frame in frames + rest] == [event["type"] for event in whole]
