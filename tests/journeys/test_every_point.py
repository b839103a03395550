"""kill -9 at every boundary between two stages in turn: nothing is lost, and nothing doubled in silence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import aiohttp
import pytest
from tests.journeys.reckoning import KILLED, Books

from sendpool.failpoints import POINTS, VARIABLE
from sendpool.simulate.rcs import RcsPlatform
from sendpool.simulate.rcs_script import RcsScript
from sendpool.store.sqlite import connect, transact
from sendpool.testing.invariants import contradictions

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig, Server

SENDERS = [("+12034458910", 400.0), ("+12034458911", 400.0)]
#: A text of three parts.
LONG, PARTS = "A text of three parts. " * 18, 3
#: More than what becomes rows at once.
MANY = 520
#: Points that a send leads to by itself, whatever the channel.
OF_SENDS = (
    *("accept.waiting", "accept.applied", "accept.committed", "claim.applied", "claim.committed"),
    *("answer.heard", "answer.taken", "result.applied", "result.committed"),
    *("receipt.heard", "receipt.applied", "receipt.committed", "sweep.applied", "sweep.committed"),
)
OF_SMPP = ("submit.written", "receipt.acknowledged")
OF_CHUNKS = ("expansion.applied", "expansion.committed")
OF_CHANGES = ("change.applied", "change.committed")
OF_DRAINS = ("drain.begun", "drain.disconnected")
OF_REVOKES = ("revoke.decided", "revoke.answered")
AGENT, TOKEN, CLIENT_TOKEN = "parcels@rbm.goog", "journey-token", "journey-client-token"


def test_no_point_is_forgotten() -> None:
    tried = {*OF_SENDS, *OF_SMPP, *OF_CHUNKS, *OF_CHANGES, *OF_DRAINS, *OF_REVOKES, "rescue.applied"}

    assert tried == set(POINTS)


async def test_a_server_killed_at_every_point_loses_nothing_over_smpp(rig: Rig) -> None:
    centre = await rig.centre(answer_delay="0-0.05", receipt_delay="0-0.1", resend_after=1.0)
    server = await rig.server(rig.smpp("carrier", centre.port, SENDERS))
    books = Books(rig, server, await server.pool())
    await server.kill()

    def sends(point: str, many: int = 30) -> Callable[[], Awaitable[object]]:
        phones = rig.phones(many + 20, first=1_000 * list(POINTS).index(point))

        async def ask() -> None:
            await books.ask(f"{point} otp", phones[many : many + 10], category="otp")
            await books.ask(f"{point} long", phones[many + 10 :], LONG, PARTS)
            await books.ask(f"{point}", phones[:many])

        return ask

    for point in (*OF_SENDS, *OF_SMPP):
        await books.die_at(point, sends(point))
    for point in OF_CHUNKS:
        await books.die_at(point, sends(point, MANY))
    for point in OF_CHANGES:
        await books.die_at(point, partial(change, server))
    for point in OF_DRAINS:
        server.variables = {VARIABLE: f"{point}=kill"}
        await server.start()
        await sends(point)()
        assert await server.stop() == KILLED
        books.note()
    # A server that dies while it marks what another one left, and that one too.
    await books.die_at("claim.committed", partial(books.ask, "before the rescue", rig.phones(20, 90_000)))
    in_flight = books.in_flight
    server.variables = {VARIABLE: "rescue.applied=kill"}
    for _ in range(2):
        server.spawn()
        assert await server.died() == KILLED
    assert in_flight == books.in_flight > 0

    server.variables = {}
    await server.start()
    await books.ask_again()
    await rig.until(books.settled, 60.0, "everything is delivered or of unknown fate")
    states = await books.reckon(submit.destination for submit in centre.submits if not submit.status)
    assert states["DELIVERED"] > states["SENT"]
    await in_order(server)


async def change(server: Server) -> None:
    """Make a pool, whoever answers."""
    try:
        await server.pool()
    except (aiohttp.ClientError, ConnectionError):
        return


async def in_order(server: Server) -> None:
    """It ends in order, and its database holds nothing that cannot be true together."""
    assert await server.stop() == 0
    with closing(connect(server.database)) as database:
        assert transact(database, contradictions()) == []


async def test_a_server_killed_at_every_point_loses_nothing_over_rcs(rig: Rig) -> None:
    script = RcsScript(port=0, token=TOKEN, client_token=CLIENT_TOKEN, receipt_delay=0.05)
    async with RcsPlatform(script) as platform:
        server = await rig.server(rcs_connection(platform))
        books = Books(rig, server, await server.pool())
        await server.kill()

        for point in OF_SENDS:
            phones = rig.phones(20, first=1_000 * list(POINTS).index(point))
            await books.die_at(point, partial(ask_by_rcs, platform, server, books, point, phones))

        await server.start()
        platform.webhook.url = f"{server.base}/callbacks/rcs/events"
        await books.ask_again()
        await rig.until(books.settled, 60.0, "everything is delivered or of unknown fate")
        await books.reckon(one.phone for one in platform.messages if one.status == 200 and not one.repeated)
        await in_order(server)


@pytest.mark.parametrize(
    ("category", "settings"),
    [("otp", {}), ("transactional", {"duplicates": "tolerate"}), ("transactional", {})],
)
async def test_a_server_killed_while_it_takes_messages_back_sends_each_of_them_once(
    category: str, settings: dict[str, str], rig: Rig
) -> None:
    tolerates = category == "otp" or bool(settings)
    async with RcsPlatform(RcsScript(port=0, token=TOKEN, client_token=CLIENT_TOKEN)) as platform:
        platform.deliveries.silent = True
        centre = await rig.centre(receipt_delay=0.05)
        server = await rig.server(rcs_connection(platform), rig.smpp("carrier", centre.port, SENDERS))
        pool = await server.pool(AGENT, SENDERS[0][0], fallbackAfter=5, **settings)
        books = Books(rig, server, pool, tolerates=tolerates)
        await server.kill()

        for n, point in enumerate(OF_REVOKES):
            phones = rig.phones(5, first=10 * n)
            # Of one that was asked back twice nobody knows whether it arrived: only where a second copy does no harm
            # does it go on by SMS. Elsewhere it says that its fate is unknown.
            await books.die_at(point, partial(ask_by_rcs, platform, server, books, point, phones, category=category))

        await server.start()
        platform.webhook.url = f"{server.base}/callbacks/rcs/events"
        if tolerates:
            await rig.until(partial(delivered, server, books, 10), 60.0, "everything has gone by SMS")
        await rig.until(books.settled, 60.0, "everything is delivered or of unknown fate")
        states = await books.reckon(one.destination for one in centre.submits)
        assert states.total() == 10
        # What the server had asked for before it died at an answer is in doubt, and nothing else.
        assert 1 <= states["SENT"] <= 5 or (tolerates and not states["SENT"])
        assert {one.state for one in platform.messages} <= {"revoked", "expired"}
        await in_order(server)


async def delivered(server: Server, books: Books, messages: int) -> bool:
    """Whether so many messages are delivered."""
    stats = [await server.stats(one) for one in books.operations.values()]
    return sum(one["delivered"] for one in stats) == messages


def rcs_connection(platform: RcsPlatform) -> str:
    """The connection of the configuration that reaches a platform."""
    return (
        f'[[connections]]\nname = "rcs"\ntype = "rcs"\nbase_url = "{platform.url}"\ntoken = "{TOKEN}"\n'
        f'client_token = "{CLIENT_TOKEN}"\nreconnect_min = 0.1\nreconnect_max = 0.5\n'
        f'[[connections.senders]]\nchannel = "RCS"\naddress = "{AGENT}"\nmps = 200\n'
    )


async def ask_by_rcs(
    platform: RcsPlatform, server: Server, books: Books, key: str, phones: list[str], category: str = "transactional"
) -> None:
    """Ask for a send, after the platform has learned where this run of the server listens."""
    platform.webhook.url = f"{server.base}/callbacks/rcs/events"
    await books.ask(key, phones, category=category)
