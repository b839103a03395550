"""Events of a whole server reach a stream of a real NATS server, which is killed in the middle."""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import nats
import pytest
from nats.js.api import StreamConfig
from tests.journeys.conftest import Rig
from tests.journeys.test_sinks import ANYWHERE, client_of
from twilio.rest import Client

from sendpool.domain.event_types import KINDS, PREFIX
from sendpool.testing.nats_server import NatsServer, NoNats, binary, nats_server

#: Seconds for events to come: they take only what a busy machine leaves of its processors, for two minutes at most.
PATIENCE = 240.0
TOKEN = "journey-broker-token"


@pytest.fixture
def broker() -> Iterator[NatsServer]:
    try:
        binary()
    except NoNats as error:
        pytest.skip(str(error))
    with nats_server(f"authorization {{token: {TOKEN}}}") as server:
        yield server


def subscribe(client: Client, url: str) -> Any:
    sink = client.events.v1.sinks.create(
        description="journey", sink_configuration={"servers": [url], "token": TOKEN}, sink_type="nats"
    )
    names = [PREFIX + name for name in ("message.queued", "message.sent", "message.delivered")]
    wanted = [{"type": name, "schema_version": KINDS[name].version} for name in names]
    client.events.v1.subscriptions.create(description="all", sink_sid=sink.sid, types=wanted)
    return sink


async def stored(broker: NatsServer) -> list[tuple[str, dict[str, Any]]]:
    """Subjects and events of the stream, in its order."""
    client = await nats.connect(broker.url, token=TOKEN)
    stream = client.jetstream()
    state = (await stream.stream_info("EVENTS")).state
    subscription = await stream.subscribe("sendpool.>", ordered_consumer=True)
    got = [await subscription.next_msg(timeout=5) for _ in range(state.messages)]
    await client.close()
    return [(one.subject, json.loads(one.data)) for one in got]


async def count(broker: NatsServer) -> int:
    client = await nats.connect(broker.url, token=TOKEN)
    try:
        return int((await client.jetstream().stream_info("EVENTS")).state.messages)
    finally:
        await client.close()


async def test_a_broker_that_is_killed_in_the_middle_gets_every_event_once_and_in_order(
    rig: Rig, broker: NatsServer
) -> None:
    server = await rig.server(rig.sandbox([("SMS", "+12025550100", 1_000)]), server=ANYWHERE)
    connected = await nats.connect(broker.url, token=TOKEN)
    await connected.jetstream().add_stream(StreamConfig(name="EVENTS", subjects=["sendpool.>"]))
    await connected.close()
    events = client_of(server).events.v1
    sink = await asyncio.to_thread(subscribe, client_of(server), broker.url)

    assert (await asyncio.to_thread(events.sinks(sink.sid).sink_test.create)).result == "submitted"

    async def test_came() -> bool:
        return await count(broker) == 1

    await rig.until(test_came, within=PATIENCE, what="the test event is in the stream")
    ((subject, test),) = await stored(broker)
    assert subject == "sendpool.com.twilio.eventstreams.test-event"
    validate = events.sinks(sink.sid).sink_validate.create
    assert (await asyncio.to_thread(validate, test_id=test["data"]["test_id"])).result == "valid"
    assert (await asyncio.to_thread(events.sinks(sink.sid).fetch)).status == "active"

    messages = 1_000
    operation = await server.send(await server.pool(), rig.phones(messages))

    async def some_came() -> bool:
        return await count(broker) > 200

    await rig.until(some_came, within=PATIENCE, what="some events are in the stream", every=0.01)
    await asyncio.to_thread(broker.stop)
    await server.wait_stats(operation, delivered=messages)

    async def shown(name: str, outcome: str = "") -> float:
        text = (await server.ask("GET", "/metrics")).body.decode()
        found = re.search(rf'^{name}{{[^}}]*{outcome}[^}}]*sink="{sink.sid}"}} (\S+)$', text, re.MULTILINE)
        return float(found[1]) if found else -1

    async def is_down() -> bool:
        return await shown("sendpool_sink_down") == 1 and await shown("sendpool_sink_oldest_age_seconds") > 1

    await rig.until(is_down, within=PATIENCE, what="the sink is shown to be down")
    assert await shown("sendpool_events_offered_total", "refused") > 0
    await asyncio.to_thread(broker.start)

    async def all_came() -> bool:
        return await count(broker) >= 1 + 3 * messages

    await rig.until(all_came, within=PATIENCE, what="every event is in the stream")

    async def is_up() -> bool:
        return await shown("sendpool_sink_down") == await shown("sendpool_sink_oldest_age_seconds") == 0

    await rig.until(is_up, within=PATIENCE, what="the sink is shown to be well")
    assert await shown("sendpool_events_offered_total", "taken") >= 3 * messages
    assert await shown("sendpool_sink_dead_events") == 0
    kinds = defaultdict(list)
    for subject, event in (await stored(broker))[1:]:
        assert subject == f"sendpool.{event['type']}"
        kinds[event["data"]["message_id"]].append(event["type"].rpartition(".")[2])
    assert len(kinds) == messages
    assert set(map(tuple, kinds.values())) == {("queued", "sent", "delivered")}
