"""A server on PostgreSQL: the same main job, the same promises, and a database that goes away for a while."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest

from sendpool.testing.postgres_server import DURABLE, PostgresServer, postgres_server

if TYPE_CHECKING:
    from tests.journeys.conftest import Answer, Rig, Server

    from sendpool.simulate.centre import MessageCentre

SENDERS = [("+12034458910", 100.0), ("+12034458911", 100.0)]
SANDBOX = [("SMS", "+12034458910", 100.0)]
#: Seconds that a database is stopped for.
FROZEN = 5.0
KEY = 'secret_key = "the key of a journey"'


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with postgres_server(DURABLE) as server:
        yield server


async def server_on(postgres: PostgresServer, rig: Rig, *connections: str) -> Server:
    """A server on this database."""
    server = await rig.server(start=False)
    server.url = postgres.url()
    server.write(*connections, server=KEY)
    await server.start()
    return server


def arrived(centre: MessageCentre, number: int) -> bool:
    return len(centre.submits) >= number


async def test_main_job_runs_on_postgresql_and_survives_kill_9(rig: Rig, postgres: PostgresServer) -> None:
    centre = await rig.centre(answer_delay="0.05-0.2", receipt_delay=0.1)
    server = await server_on(postgres, rig, rig.smpp("carrier", centre.port, SENDERS))
    pool = await server.pool()
    operation = await server.send(pool, rig.phones(800))

    await rig.until(partial(arrived, centre, 200), what="some are at the carrier")
    await server.kill()
    await server.start()
    await rig.until(partial(left_the_queue, server, operation), 30.0, "everything has left")
    await rig.until(lambda: centre.totals().receipts_waiting == 0, what="the receipts are delivered")

    stats = await server.stats(operation)
    marked = await server.messages(operation, "&ambiguous=true")
    assert stats["total"] == 800
    assert stats["delivered"] + stats["sent"] == 800
    assert stats["sent"] == len(marked)
    at_the_carrier = Counter(submit.destination for submit in centre.submits)
    assert at_the_carrier.total() == len(at_the_carrier)
    assert set(rig.phones(800)) <= at_the_carrier.keys() | {str(one["to"][0]["address"]) for one in marked}
    assert await server.stop() == 0
    assert not server.events(level="error")


async def left_the_queue(server: Server, operation: str) -> bool:
    return (await server.stats(operation))["queued"] == 0


async def test_database_that_crashes_is_answered_503_and_everything_goes_on_without_a_restart(
    rig: Rig, postgres: PostgresServer
) -> None:
    centre = await rig.centre(receipt_delay=0.1)
    server = await server_on(postgres, rig, rig.smpp("carrier", centre.port, SENDERS))
    pool = await server.pool()
    first = await server.send(pool, rig.phones(50))
    await server.wait_stats(first, delivered=50)

    postgres.stop(signal.SIGQUIT)
    body = {"from": {"senderPoolId": pool}, "to": [{"address": rig.phones(1)[0], "channel": "PHONE"}]}
    refused = await server.call("POST", "/v1/Messages", {**body, "content": {"text": "Hello"}}, 503)
    assert "try again" in refused["errors"][0]["message"]
    await server.call("GET", f"/v1/Messages/Operations/{first}", expect=503)
    postgres.start()

    second = await send_when_back(rig, server, pool)
    await server.wait_stats(second, delivered=50)
    assert await server.stop() == 0


async def test_database_that_is_stopped_in_its_tracks_is_answered_503_and_goes_on_where_it_was(
    rig: Rig, postgres: PostgresServer
) -> None:
    centre = await rig.centre(receipt_delay=0.1)
    server = await server_on(postgres, rig, rig.smpp("carrier", centre.port, SENDERS))
    pool = await server.pool()
    first = await server.send(pool, rig.phones(600))
    await rig.until(partial(arrived, centre, 100), what="some are at the carrier")

    postgres.freeze()
    try:
        frozen_at = time.monotonic()
        answers: list[Answer] = []
        while len(answers) < 3 or time.monotonic() - frozen_at < FROZEN:
            answers.append(await ask_to_send(rig, server, pool))
    finally:
        postgres.freeze(frozen=False)
    assert [answer.status for answer in answers] == [503] * len(answers)
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)

    second = await send_when_back(rig, server, pool, 5_000)
    for operation, total in ((first, 600), (second, 50)):
        await rig.until(partial(accounted, server, operation, total), 30.0, "all are delivered or of unknown fate")
    copies = Counter(submit.destination for submit in centre.submits)
    assert set(copies.values()) == {1}
    assert (await rig.command(server, "audit"))["sound"]
    assert await server.stop() == 0


async def ask_to_send(rig: Rig, server: Server, pool: str) -> Answer:
    """One request to send, whatever is answered."""
    to = [{"address": rig.phones(1, 9_000)[0], "channel": "PHONE"}]
    body = json.dumps({"from": {"senderPoolId": pool}, "to": to, "content": {"text": "Hello"}}).encode()
    headers = {"Authorization": rig.authorization, "Content-Type": "application/json"}
    return await server.ask("POST", "/v1/Messages", body, headers)


async def accounted(server: Server, operation: str, total: int) -> bool:
    """Whether all of it is delivered or said to be of unknown fate."""
    stats = await server.stats(operation)
    unknown = await server.messages(operation, "&ambiguous=true")
    return stats["delivered"] + len(unknown) == total and stats["sent"] == len(unknown)


async def send_when_back(rig: Rig, server: Server, pool: str, first: int = 100) -> str:
    """Send as a client does that is answered 503: again and again."""
    operation = ""

    async def sent() -> bool:
        nonlocal operation
        try:
            operation = await server.send(pool, rig.phones(50, first))
        except AssertionError:
            return False
        return True

    await rig.until(sent, 20.0, "the server takes requests again")
    return operation


async def test_a_second_server_on_one_database_shares_it(rig: Rig, postgres: PostgresServer) -> None:
    server = await server_on(postgres, rig, rig.sandbox(SANDBOX))
    second = await server_on(postgres, rig, rig.sandbox(SANDBOX))

    await server.call("POST", "/v1/SenderPools", {"name": "told", "senders": []}, 202)
    found = lambda: second.pages("/v1/SenderPools", "senderPools")  # noqa: E731
    await rig.until(found, what="the other one knows the new pool")
    listed = await rig.command(second, "nodes")
    assert [one["state"] for one in listed["nodes"]] == ["running", "running"]
    assert listed["differences"] == []


async def test_commands_work_with_and_without_a_running_server(rig: Rig, postgres: PostgresServer) -> None:
    server = await server_on(postgres, rig, rig.sandbox(SANDBOX))
    made = await rig.command(server, "accounts", "create", "Sales")
    assert await server.stop() == 0

    listed = await rig.command(server, "accounts", "list")
    assert made["sid"] in {account["sid"] for account in listed}
