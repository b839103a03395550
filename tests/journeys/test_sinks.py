"""Events reach a webhook that the vendor's own client has subscribed, signed as both of its clients check."""

from __future__ import annotations

import asyncio
from typing import Any

from standardwebhooks.webhooks import Webhook
from tests.journeys.conftest import ACCOUNT_SID, AUTH_TOKEN, Rig, Server
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from sendpool.domain.event_types import KINDS, PREFIX
from sendpool.testing.sinks import SinkServer

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
        await rig.until(lambda: len(sink.seen) == 40, what="forty events are taken")

    kinds = [event["type"] for event in sink.events()]
    assert sorted(set(kinds)) == [f"{PREFIX}message.delivered", f"{PREFIX}message.queued"]
    assert set(sink.seen.values()) == {1}
    for one in sink.taken:
        signature = one.headers["x-twilio-signature"]
        assert RequestValidator(AUTH_TOKEN).validate(one.url, one.body.decode(), signature)
        assert not RequestValidator("another").validate(one.url, one.body.decode(), signature)
    whsec = __import__("json").loads(secret)["secret"]
    assert Webhook(whsec).verify(sink.taken[-1].body, sink.taken[-1].headers)
