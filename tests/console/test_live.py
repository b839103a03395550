"""The stream of figures: one reader for everybody, each account's own, and nobody when nobody looks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest
from tests.console.conftest import Site

from sendpool.api.auth import Caller
from sendpool.api.exchange import Request, Streaming
from sendpool.console import live as module
from sendpool.console.live import MOST_VIEWERS, Live
from sendpool.domain import ids
from sendpool.domain.request import Refused
from sendpool.domain.states import AttemptState, MessageState
from sendpool.store.database import Script
from sendpool.store.feed import operation_key
from sendpool.store.outbox import write_events


async def nothing() -> Any:
    raise AssertionError


def viewer(site: Site, account: int = 1) -> Request:
    return Request(site.world.services, "console", Caller(account, "AC"), {}, {}, nothing)


async def opened(live: Live, request: Request) -> AsyncGenerator[bytes, None]:
    stream = await live.stream(request)
    assert isinstance(stream, Streaming)
    assert stream.content_type == b"text/event-stream"
    await anext(stream.chunks)
    return stream.chunks


async def frame(chunks: AsyncGenerator[bytes, None]) -> Any:
    text = await asyncio.wait_for(anext(chunks), 10)
    assert text.startswith(b"data: ")
    return json.loads(text[6:])


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK", 0.01)


async def test_each_account_is_told_what_waits_of_its_own(site: Site) -> None:
    await site.world.client.sent(to=[{"address": f"+1914318806{n}", "channel": "PHONE"} for n in range(3)])
    live = Live(site.world.services)
    mine, other = await opened(live, viewer(site)), await opened(live, viewer(site, 2))

    first, second = await asyncio.gather(frame(mine), frame(other))

    assert (first["queued"], first["operations"], first["funnel"]["accepted"]) == (3, 1, 3)
    assert (second["queued"], second["operations"], second["funnel"]["accepted"]) == (0, 0, 0)
    assert first["oldest"] >= 0
    assert second["oldest"] is None
    await mine.aclose()
    await other.aclose()


async def test_viewers_of_an_account_share_what_is_made_once(site: Site) -> None:
    live = Live(site.world.services)
    streams = [await opened(live, viewer(site)) for _ in range(3)]

    frames = await asyncio.gather(*(asyncio.wait_for(anext(one), 10) for one in streams))

    assert all(one is frames[0] for one in frames)
    for one in streams:
        await one.aclose()


async def test_nobody_reads_when_nobody_looks(site: Site) -> None:
    live = Live(site.world.services)
    stream = await opened(live, viewer(site))
    await frame(stream)
    task = live._task
    assert task is not None

    await stream.aclose()

    await asyncio.wait_for(task, 10)


async def test_there_is_an_end_to_viewers(site: Site) -> None:
    live = Live(site.world.services)
    streams = [await opened(live, viewer(site)) for _ in range(MOST_VIEWERS)]

    with pytest.raises(Refused):
        await live.stream(viewer(site))

    for one in streams:
        await one.aclose()


async def test_a_server_that_ends_lets_its_viewers_go(site: Site) -> None:
    ready = True
    services = site.world.services
    live = Live(replace(services, ready=lambda: ready))
    stream = await opened(live, viewer(site))
    await frame(stream)

    ready = False

    # It ends by itself: else this would go on for ever.
    async with asyncio.timeout(10):
        assert len([one async for one in stream]) <= 2


async def test_who_failed_and_who_took_over_is_in_the_figures(site: Site) -> None:
    operation = await site.world.client.sent()
    senders = (await (await site.sign_in()).ask("GET", "/console/api/SendersNow")).json["senders"]
    key = {one["address"]: one["key"] for one in senders}
    await site.world.tried(operation, 1, "+12034458910", AttemptState.REJECTED)
    await site.world.tried(operation, 2, "+12034458911", AttemptState.ACCEPTED)
    await site.world.write(_sent_by_the_second(operation, site.world.services.now()))
    live = Live(site.world.services)
    stream = await opened(live, viewer(site))

    found = await frame(stream)

    assert found["flows"] == [{"from": key["+12034458910"], "to": key["+12034458911"], "n": 1}]
    await stream.aclose()


def _sent_by_the_second(operation_id: str, now: int) -> Script[None]:
    uid = ids.parse_operation(operation_id)
    assert uid is not None
    key = yield from operation_key(uid)
    assert key is not None
    yield from write_events([(key, 32 + int(MessageState.SENT), None, now)])
