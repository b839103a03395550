"""Events reach a webhook that the vendor's own client has subscribed, signed as both of its clients check."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook
from tests.journeys.conftest import ACCOUNT_SID, AUTH_TOKEN, Rig, Server
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from sendpool.domain.event_types import KINDS, PREFIX
from sendpool.testing.sinks import SinkServer

#: Seconds for events to come: they take only what a busy machine leaves of its processors, for two minutes at most.
PATIENCE = 240.0
ANYWHERE = 'allow_private_networks = ["127.0.0.0/8"]'


def client_of(server: Server) -> Client:
    """The vendor's client with only its host rewritten."""
    client = Client(ACCOUNT_SID, AUTH_TOKEN)
    client.events.base_url = server.base
    return client


def subscribe(client: Client, url: str, *types: str) -> tuple[Any, Any]:
    sink = client.events.v1.sinks.create(
        description="journey", sink_configuration={"destination": url, "method": "POST"}, sink_type="webhook"
    )
    wanted = [{"type": PREFIX + name, "schema_version": KINDS[PREFIX + name].version} for name in types]
    return sink, client.events.v1.subscriptions.create(description="all", sink_sid=sink.sid, types=wanted)


async def test_what_happens_to_a_message_reaches_a_webhook_signed(rig: Rig) -> None:
    server = await rig.server(rig.sandbox([("SMS", "+12025550100", 100)]), server=ANYWHERE)
    async with SinkServer() as sink:
        client = client_of(server)
        sid = (await asyncio.to_thread(subscribe, client, sink.url, "message.queued", "message.delivered"))[0].sid
        secret = (await asyncio.to_thread(client.request, "POST", f"{server.base}/v1/Sinks/{sid}/Secret")).text
        operation = await server.send(await server.pool(), rig.phones(20))
        await server.wait_stats(operation, delivered=20)
        await rig.until(lambda: len(sink.seen) == 40, within=PATIENCE, what="forty events are taken")

    kinds = [event["type"] for event in sink.events()]
    assert sorted(set(kinds)) == [f"{PREFIX}message.delivered", f"{PREFIX}message.queued"]
    assert set(sink.seen.values()) == {1}
    for one in sink.taken:
        signature = one.headers["x-twilio-signature"]
        assert RequestValidator(AUTH_TOKEN).validate(one.url, one.body.decode(), signature)
        assert not RequestValidator("another").validate(one.url, one.body.decode(), signature)
    whsec = json.loads(secret)["secret"]
    assert Webhook(whsec).verify(sink.taken[-1].body, sink.taken[-1].headers)


async def test_the_vendors_client_manages_all_of_event_streams(rig: Rig) -> None:
    server = await rig.server(rig.sandbox([("SMS", "+12025550100", 100)]), server=ANYWHERE)
    async with SinkServer() as place:
        await asyncio.to_thread(_manage, client_of(server), place)


def _manage(client: Client, place: SinkServer) -> None:
    events = client.events.v1
    delivered, failed = f"{PREFIX}message.delivered", f"{PREFIX}message.failed"
    sink, subscription = subscribe(client, place.url, "message.delivered")
    spare, _ = subscribe(client, place.url + "/spare", "message.failed")

    assert (sink.status, sink.sink_type, sink.date_created.year >= 2026) == ("initialized", "webhook", True)
    assert events.sinks(sink.sid).fetch().sink_configuration["destination"] == place.url
    assert events.sinks(sink.sid).update(description="renamed").description == "renamed"
    assert [one.sid for one in events.sinks.list(in_use=True)] == [sink.sid, spare.sid]
    assert events.sinks.list(in_use=False) == []
    assert [one.sid for one in events.sinks.list(page_size=1)] == [sink.sid, spare.sid]

    assert events.sinks(sink.sid).sink_test.create().result == "submitted"
    test = _wait_for_test(place)
    assert events.sinks(sink.sid).sink_validate.create(test_id="wrong").result == "invalid"
    assert events.sinks(sink.sid).sink_validate.create(test_id=test).result == "valid"
    assert [one.sid for one in events.sinks.list(status="active")] == [sink.sid]

    of = events.subscriptions(subscription.sid)
    assert [one.sid for one in events.subscriptions.list(sink_sid=sink.sid)] == [subscription.sid]
    assert of.update(description="d").description == "d"
    assert of.fetch().sink_sid == sink.sid
    assert of.subscribed_events.create(type=failed, schema_version=3).schema_version == 3
    assert of.subscribed_events(failed).update(schema_version=4).schema_version == 4
    assert of.subscribed_events(failed).fetch().account_sid == ACCOUNT_SID
    assert [one.type for one in of.subscribed_events.list()] == [delivered, failed]
    assert of.subscribed_events(delivered).delete()
    assert [one.type for one in of.subscribed_events.list()] == [failed]

    assert len(events.event_types.list()) == len(KINDS)
    kind = events.event_types(delivered).fetch()
    (listed,) = events.event_types.list(schema_id=kind.schema_id)
    schema = events.schemas(kind.schema_id).fetch()
    version = events.schemas(kind.schema_id).versions(schema.latest_version).fetch()
    assert (listed.type, schema.latest_version) == (delivered, KINDS[delivered].version)
    assert [one.schema_version for one in events.schemas(kind.schema_id).versions.list()] == [version.schema_version]

    with pytest.raises(TwilioRestException) as refused:
        events.sinks(spare.sid).delete()
    assert (refused.value.status, refused.value.code) == (409, 20409)
    for one in events.subscriptions.list():
        assert events.subscriptions(one.sid).delete()
    assert events.sinks(spare.sid).delete()
    with pytest.raises(TwilioRestException) as gone:
        events.sinks(spare.sid).fetch()
    assert gone.value.status == 404
    with pytest.raises(TwilioRestException) as wrong:
        events.sinks.create(description="x", sink_configuration={"destination": "ftp://x"}, sink_type="kinesis")
    assert wrong.value.status == 400
    with pytest.raises(TwilioRestException, match='type kafka are not offered by Sendpool; use "webhook" or "nats"'):
        events.sinks.create(description="x", sink_configuration={"destination": "http://x"}, sink_type="kafka")


def _wait_for_test(place: SinkServer) -> str:
    end = time.monotonic() + 15
    while time.monotonic() < end:
        for event in place.events():
            if event["type"] == "com.twilio.eventstreams.test-event":
                return str(event["data"]["test_id"])
        time.sleep(0.05)
    raise AssertionError("no test event came")


async def test_kill_9_in_the_middle_of_deliveries_loses_no_event(rig: Rig) -> None:
    server = await rig.server(rig.sandbox([("SMS", "+12025550100", 2_000)]), server=ANYWHERE)
    async with SinkServer() as place:
        place.answer = lambda n: 500 if n % 10 == 3 else (0.3 if n % 7 == 0 else 200)
        await asyncio.to_thread(subscribe, client_of(server), place.url, "message.queued", "message.delivered")
        operation = await server.send(await server.pool(), rig.phones(3_000))
        for _ in range(3):
            taken = len(place.seen)
            await rig.until(lambda: len(place.seen) > taken, within=PATIENCE, what="some more events are taken")  # noqa: B023
            await server.kill()
            await server.start()

        async def all_taken() -> bool:
            # The sandbox dies with its server, and so do the receipts that it had still to give.
            stats = await server.stats(operation)
            return not stats["queued"] and len(place.seen) == 3_000 + stats["delivered"]

        await rig.until(all_taken, within=PATIENCE, what="every event is taken")

    told = {(event["data"]["message_id"], event["type"]) for event in place.events()}
    assert len(told) == len(place.seen) > 5_000
