"""WhatsApp through the real server, connector and webhook: delivered, after SMS has failed, known again in doubt."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest

from sendpool.simulate.script import Refuse
from sendpool.simulate.whatsapp import WhatsAppPlatform
from sendpool.simulate.whatsapp_script import WhatsAppScript, parse_whatsapp_fault

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig, Server

#: The number of the platform's own script.
NUMBER_ID, WHATSAPP, SMS = "1065", "+12034458910", "+12034458911"
#: What users are told of a free message to somebody who has not written to us.
OUTSIDE_WINDOW = 63016
TOKEN, APP_SECRET, VERIFY_TOKEN = "journey-token", "journey-app-secret", "journey-verify-token"

Platforms = Callable[..., Awaitable[WhatsAppPlatform]]


@pytest.fixture
async def platforms() -> AsyncIterator[Platforms]:
    """Makes WhatsApp platforms on real sockets."""
    async with AsyncExitStack() as stack:

        async def start(*faults: str, **more: Any) -> WhatsAppPlatform:
            parsed = tuple(map(parse_whatsapp_fault, faults))
            script = WhatsAppScript(
                port=0, token=TOKEN, app_secret=APP_SECRET, faults=parsed, receipt_delay=0.05, **more
            )
            return await stack.enter_async_context(WhatsAppPlatform(script))

        yield start


DECLARED = f'[[connections.senders]]\nchannel = "WHATSAPP"\naddress = "{WHATSAPP}"\nphone_number_id = "{NUMBER_ID}"\n'


def connection(platform: WhatsAppPlatform, senders: str = DECLARED) -> str:
    """The connection of the configuration that reaches a platform."""
    return (
        f'[[connections]]\nname = "meta"\ntype = "whatsapp"\nbase_url = "{platform.url}"\naccess_token = "{TOKEN}"\n'
        f'app_secret = "{APP_SECRET}"\nverify_token = "{VERIFY_TOKEN}"\nreconnect_min = 0.1\nreconnect_max = 0.5\n'
        f'window_template = {{ name = "notice", language = "en_US" }}\n'
        f"{senders}"
    )


async def serve(rig: Rig, platform: WhatsAppPlatform, *more: str) -> Server:
    """A server whose webhook the platform knows."""
    server = await rig.server(connection(platform), *more)
    platform.webhook.url = f"{server.base}/callbacks/meta/events"
    await rig.until(lambda: platform.connections_made, what="the server knows the platform")
    return server


def tried(message: dict[str, Any]) -> list[tuple[str, str]]:
    """(channel, status) of each attempt."""
    return [(attempt["channel"], attempt["status"]) for attempt in message["attempts"]]


async def test_messages_are_delivered_once_though_answers_get_lost_and_the_webhook_is_guarded(
    rig: Rig, platforms: Platforms
) -> None:
    platform = await platforms("drop after=5 times=3 answered=false", read_delay=0.1)
    server = await serve(rig, platform)
    webhook = platform.webhook
    pool = await server.pool(WHATSAPP)
    to = [{"address": phone, "channel": "WHATSAPP"} for phone in rig.phones(20)]

    assert await webhook.verify("1158201444", VERIFY_TOKEN) == (200, b"1158201444")
    assert (await webhook.verify("1158201444", "another"))[0] == 403
    operation = await server.send(pool, to)
    await server.wait_stats(operation, read=20)

    assert platform.drops == 3
    assert {(one.number, one.text) for one in platform.messages} == {(NUMBER_ID, "Hello, World!")}
    assert sorted(one.phone for one in platform.messages) == sorted(rig.phones(20))
    for message in await server.fetch_all(operation):
        assert tried(message) == [("WHATSAPP", "READ")]
        assert message["from"]["address"] == WHATSAPP

    body, headers = webhook.notification({"statuses": []})
    assert (await webhook.post_as_it_is(body + b" ", headers))[0] == 401
    assert await platform.send_text("+447700900123", NUMBER_ID, "Thank you")
    (listed,) = await server.pages("/v1/Messages?status=INBOUND", "messages")
    heard = await server.message(listed["id"])
    assert (heard["content"]["text"], heard["from"]["address"]) == ("Thank you", "+447700900123")
    assert [(one["address"], one["channel"]) for one in heard["to"]] == [(WHATSAPP, "WHATSAPP")]


async def test_whatsapp_takes_what_sms_could_not_deliver_as_a_template_where_it_must(
    rig: Rig, platforms: Platforms
) -> None:
    platform = await platforms("closed-window", templates=("notice",))
    centre = await rig.centre(Refuse(status="0x0b", always=True))
    server = await serve(rig, platform, rig.smpp("carrier", centre.port, [(SMS, 100)]))
    await rig.linked(centre)
    pool = await server.pool(reach=["SMS", "WHATSAPP"])

    operation = await server.send(pool, rig.phones(5))
    await server.wait_stats(operation, delivered=5)

    for message in await server.fetch_all(operation):
        assert tried(message) == [("SMS", "FAILED"), ("WHATSAPP", "UNDELIVERED"), ("WHATSAPP", "DELIVERED")]
        assert message["attempts"][1]["error"]["code"] == OUTSIDE_WINDOW
    assert Counter(one.kind for one in platform.messages) == {"text": 5, "template": 5}
    assert platform.totals().delivered == 5


async def test_numbers_of_the_business_account_become_senders_by_themselves(rig: Rig, platforms: Platforms) -> None:
    platform = await platforms()
    account = f'business_account_id = "{platform.script.business_account_id}"\n'
    server = await rig.server(connection(platform, account))
    platform.webhook.url = f"{server.base}/callbacks/meta/events"
    await rig.until(server.senders, what="the number is a sender")

    operation = await server.send(await server.pool(), [{"address": rig.phones(1)[0], "channel": "WHATSAPP"}])
    await server.wait_stats(operation, delivered=1)
    assert (await server.senders())[WHATSAPP]["displayName"] == "Sendpool"

    # A server that starts while Meta is away knows the numbers that it had.
    await platform.begin_outage()
    await server.kill()
    await server.start()
    assert list(await server.senders("?status=ACTIVATED")) == [WHATSAPP]


async def test_who_is_known_not_to_have_written_gets_the_template_at_once(rig: Rig, platforms: Platforms) -> None:
    platform = await platforms("closed-window", templates=("notice",))
    server = await serve(rig, platform)
    pool = await server.pool(WHATSAPP)
    to = [{"address": phone, "channel": "WHATSAPP"} for phone in rig.phones(2)]
    operation = await server.send(pool, to)
    await server.wait_stats(operation, delivered=2)
    for message in await server.fetch_all(operation):
        assert tried(message) == [("WHATSAPP", "UNDELIVERED"), ("WHATSAPP", "DELIVERED")], "nobody can know yet"

    # The server has heard this number for a day.
    assert await server.stop() == 0
    with closing(sqlite3.connect(server.database)) as database, database:
        day = 25 * 3_600 * 1_000_000
        assert database.execute("UPDATE window_hearing SET since_at = since_at - ?", (day,)).rowcount == 1
        database.execute("UPDATE uptime SET began_at = began_at - ?", (day,))
    await server.start()
    platform.webhook.url = f"{server.base}/callbacks/meta/events"
    assert await platform.send_text(to[0]["address"], NUMBER_ID, "Hi")
    operation = await server.send(pool, to)
    await server.wait_stats(operation, delivered=2)

    kinds = {one.phone: one.kind for one in platform.messages[-2:]}
    assert kinds == {to[0]["address"]: "text", to[1]["address"]: "template"}
    messages = {one["to"][0]["address"]: one for one in await server.fetch_all(operation)}
    assert all(tried(one) == [("WHATSAPP", "DELIVERED")] for one in messages.values())
    told = await rig.run(server, "explain", messages[to[1]["address"]]["id"])
    assert "so it went as a template at once" in " ".join(told.stdout.split())
