"""RCS first, through the real server, connector and webhook: two attempts recorded, caches corrected, taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from sendpool.simulate.rcs import RcsPlatform
from sendpool.simulate.rcs_script import NoRcs, RcsFault, RcsScript, RefuseRequest

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig, Server

    from sendpool.simulate.centre import MessageCentre

AGENT, SMS = "parcels@rbm.goog", "+12034458910"
TOKEN, CLIENT_TOKEN = "journey-token", "journey-client-token"
NO_RCS = 61337
#: The shortest that a pool may say, and what passes until the SMS: the carrier's margin and the race.
FALLBACK_AFTER = 5
TAKEN_BACK_WITHIN = FALLBACK_AFTER + 5 + 5 + 3
#: An event's number within its message: attempt x 16, and 13 for a receipt after the end.
LATE_FOR_FIRST_ATTEMPT = 1 * 16 + 13

Platforms = Callable[..., Awaitable[RcsPlatform]]


@pytest.fixture
async def platforms() -> AsyncIterator[Platforms]:
    """Makes RCS platforms on real sockets."""
    async with AsyncExitStack() as stack:

        async def start(*faults: RcsFault) -> RcsPlatform:
            script = RcsScript(port=0, token=TOKEN, client_token=CLIENT_TOKEN, faults=faults, receipt_delay=0.05)
            return await stack.enter_async_context(RcsPlatform(script))

        yield start


def connection(platform: RcsPlatform) -> str:
    """The connection of the configuration that reaches a platform."""
    return (
        f'[[connections]]\nname = "rcs"\ntype = "rcs"\nbase_url = "{platform.url}"\ntoken = "{TOKEN}"\n'
        f'client_token = "{CLIENT_TOKEN}"\nreconnect_min = 0.1\nreconnect_max = 0.5\n'
        f'[[connections.senders]]\nchannel = "RCS"\naddress = "{AGENT}"\nmps = 100\n'
    )


async def serve(rig: Rig, platform: RcsPlatform) -> tuple[Server, MessageCentre]:
    """A server between a platform and a carrier, whose webhook the platform knows."""
    centre = await rig.centre(receipt_delay=0.05)
    server = await rig.server(connection(platform), rig.smpp("carrier", centre.port, [(SMS, 100)]))
    platform.webhook.url = f"{server.base}/callbacks/rcs/events"
    await rig.linked(centre)
    await rig.until(lambda: platform.connections_made, what="the server knows the platform")
    return server, centre


def tried(message: dict[str, Any]) -> list[tuple[str, str]]:
    """(channel, status) of each attempt."""
    return [(attempt["channel"], attempt["status"]) for attempt in message["attempts"]]


async def only(server: Server, operation: str) -> dict[str, Any]:
    """The one message of an operation, with its attempts."""
    return (await server.fetch_all(operation))[0]


def revoked(platform: RcsPlatform) -> Sequence[str]:
    """Phones that will not get their message by RCS: it was taken back, or its time was over just before that."""
    return [message.phone for message in platform.messages if message.state in ("revoked", "expired")]


async def test_phones_with_rcs_get_it_and_others_a_single_sms(rig: Rig, platforms: Platforms) -> None:
    platform = await platforms(NoRcs(destination="*2"))
    server, centre = await serve(rig, platform)
    pool = await server.pool()

    operation = await server.send(pool, rig.phones(30))
    await server.wait_stats(operation, delivered=30)

    for message in await server.fetch_all(operation):
        channel = "SMS" if message["to"][0]["address"].endswith("2") else "RCS"
        assert tried(message) == [(channel, "DELIVERED")]
    assert (platform.totals().delivered, platform.totals().refused) == (27, 0)
    assert len(centre.submits) == 3


async def test_refused_send_is_two_attempts_and_the_next_message_skips_rcs(rig: Rig, platforms: Platforms) -> None:
    platform = await platforms(RefuseRequest(status=404))
    server, centre = await serve(rig, platform)
    pool = await server.pool()
    phone = rig.phones(1)

    first = await server.send(pool, phone)
    await server.wait_stats(first, delivered=1)
    second = await server.send(pool, phone)
    await server.wait_stats(second, delivered=1)

    message = await only(server, first)
    assert tried(message) == [("RCS", "FAILED"), ("SMS", "DELIVERED")]
    assert message["attempts"][0]["error"]["code"] == NO_RCS
    assert "error" not in message["attempts"][1]
    assert message["from"]["address"] == SMS
    assert (await server.stats(first))["attempts"] == 2
    assert tried(await only(server, second)) == [("SMS", "DELIVERED")]
    assert len(platform.messages) == 1
    assert len(centre.submits) == 2


async def test_silent_rcs_is_taken_back_and_a_late_delivery_is_recorded(rig: Rig, platforms: Platforms) -> None:
    platform = await platforms()
    platform.deliveries.silent = True
    server, centre = await serve(rig, platform)
    pool = await server.pool(fallbackAfter=FALLBACK_AFTER)

    operation = await server.send(pool, rig.phones(3))
    await server.wait_stats(operation, TAKEN_BACK_WITHIN, delivered=3)

    assert sorted(revoked(platform)) == rig.phones(3)
    assert len(centre.submits) == 3
    for message in await server.fetch_all(operation):
        assert tried(message) == [("RCS", "UNDELIVERED"), ("SMS", "DELIVERED")]

    late = platform.messages[0]
    told = {
        "senderPhoneNumber": late.phone,
        "eventType": "DELIVERED",
        "eventId": "late",
        "messageId": late.message_id,
        "agentId": late.agent,
    }
    assert await platform.webhook.tell(told, {"message_type": "EVENT"}) == 200
    message = next(one for one in await server.fetch_all(operation) if one["to"][0]["address"] == late.phone)
    assert tried(message) == [("RCS", "DELIVERED"), ("SMS", "DELIVERED")]
    assert message["status"] == "DELIVERED"
    assert message["from"]["address"] == SMS
    found = server.rows(
        "SELECT m.address FROM event e JOIN message m ON m.id = e.subject_id WHERE e.number = ?", LATE_FOR_FIRST_ATTEMPT
    )
    assert found == [(late.phone,)]


async def test_kill_in_the_middle_of_a_timed_wait_neither_loses_nor_doubles(rig: Rig, platforms: Platforms) -> None:
    platform = await platforms()
    platform.deliveries.silent = True
    server, centre = await serve(rig, platform)
    pool = await server.pool(fallbackAfter=FALLBACK_AFTER)
    operation = await server.send(pool, rig.phones(5))
    await server.wait_stats(operation, sent=5)
    await asyncio.sleep(2)

    await server.kill()
    await server.start()
    platform.webhook.url = f"{server.base}/callbacks/rcs/events"
    await server.wait_stats(operation, TAKEN_BACK_WITHIN, delivered=5)

    assert sorted(revoked(platform)) == rig.phones(5)
    assert len(platform.messages) == 5
    assert sorted(submit.destination for submit in centre.submits) == rig.phones(5)
    for message in await server.fetch_all(operation):
        assert tried(message) == [("RCS", "UNDELIVERED"), ("SMS", "DELIVERED")]
