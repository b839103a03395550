"""Several processes write one database: whatever gets in whose way, nothing is lost, doubled or miscounted."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from tests.pipeline.carriers import Carrier, receipt, refused
from tests.pipeline.nodes import Cluster, cluster
from tests.pipeline.worlds import everyone
from tests.store.conftest import empty_database

from sendpool.connectors.base import CarrierId, Outcome, ReceiptState, Submission
from sendpool.domain.throughput import Bucket
from sendpool.pipeline.cancel import Wish, cancel
from sendpool.pipeline.links import Link
from sendpool.testing.invariants import contradictions
from sendpool.testing.postgres_server import PostgresServer, postgres_server


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture
async def url(postgres: PostgresServer) -> str:
    return await empty_database(postgres)


class Whimsical(Carrier):
    """Refuses some and loses the receipts of none; some receipts say that the phone was not reached."""

    def __init__(self, seed: int) -> None:
        super().__init__(answer_after=0.01, report_after=0.02)
        self._chance = random.Random(seed)
        self.answer = self._answer_one
        self.report = self._report_one

    def _answer_one(self, submission: Submission, part: int) -> Outcome | None:
        if self._chance.random() < 0.1:
            return refused("0x14" if self._chance.random() < 0.3 else "0x08")
        return CarrierId(self.name_of(submission, part))

    def _report_one(self, submission: Submission, part: int) -> Sequence[ReceiptState]:
        failed = self._chance.random() < 0.1
        return (ReceiptState.UNDELIVERED,) if failed else (ReceiptState.DELIVERED,)


async def check(made: Cluster, carriers: Sequence[Carrier], messages: int) -> None:
    """Nothing contradicts itself, and nobody was sent an attempt twice."""
    assert await made.store.read(contradictions()) == []
    states = await made.states()
    assert sum(states.values()) == messages
    sent = Counter(one.key for carrier in carriers for one in carrier.sent)
    assert not [key for key, times in sent.items() if times > 1]


async def all_ended(made: Cluster) -> bool:
    rows = await made.rows("SELECT count(*) FROM message WHERE state IN (1, 2, 3)")
    return bool(rows[0][0] == 0)


@pytest.mark.parametrize("nodes", [2, 3])
async def test_nodes_share_the_queue_of_a_pool_and_send_each_message_once(url: str, nodes: int) -> None:
    carriers = [Carrier(answer_after=0.01, report_after=0.02) for _ in range(nodes)]
    async with cluster(url, carriers) as made:
        for node in range(nodes):
            await made.send(node, everyone(300, first=node * 1000))

        await made.until(lambda: all_ended(made), "all are delivered")
        await check(made, carriers, 300 * nodes)
        assert await made.states() == {"DELIVERED": 300 * nodes}
        assert all(carrier.sent for carrier in carriers)


@pytest.mark.parametrize(("nodes", "seed"), [(2, 1), (2, 2), (3, 3)])
async def test_whatever_fails_at_random_nothing_is_lost_doubled_or_miscounted(url: str, nodes: int, seed: int) -> None:
    carriers = [Whimsical(seed * 10 + i) for i in range(nodes)]
    async with cluster(url, carriers, seed, conflicts=0.15, failures=0.05) as made:
        databases = [node.database for node in made.nodes]
        accepted = 0
        for n in range(6):
            try:
                await made.send(n % nodes, everyone(120, first=n * 1000))
            except Exception:  # noqa: BLE001 - a 503 of a commit that was undone: the client would ask again
                continue
            accepted += 120

        await made.until(lambda: all_ended(made), "everything has an end", 120.0)
        for database in databases:
            database.conflicts = database.failures = 0.0
        await check(made, carriers, accepted)
        assert accepted
        assert sum(database.done["conflict"] for database in databases) > 0
        assert sum(database.done["failure"] for database in databases) > 0


async def test_receipts_that_land_on_any_node_settle_what_another_one_sent(url: str) -> None:
    silent = [Carrier(answer_after=0.01) for _ in range(2)]
    for carrier in silent:
        carrier.report = lambda submission, part: ()
    async with cluster(url, silent) as made:
        await made.send(0, everyone(200))
        await made.until(lambda: sum(len(carrier.sent) for carrier in silent) == 200, "all are at a carrier")

        for carrier, node in zip(silent, reversed(made.nodes), strict=True):
            owner = made.nodes[0] if node is made.nodes[1] else made.nodes[1]
            (link,) = owner.engine.sending.links.values()
            other = Link(link.connection_id, link.name, link.kind, carrier, Bucket(None, None))
            for one in carrier.sent:
                name = carrier.name_of(one.submission, 1)
                # Twice, at both nodes, and perhaps before the id is stored.
                node.engine.receipts(other, [receipt(name, ReceiptState.DELIVERED)])
                owner.engine.receipts(link, [receipt(name, ReceiptState.DELIVERED)])

        await made.until(lambda: all_ended(made), "all are delivered", 30.0)
        await check(made, silent, 200)


async def test_what_one_node_accepts_another_one_sends_though_it_has_never_heard_of_the_queue(url: str) -> None:
    carriers = [Carrier(answer_after=0.01, report_after=0.02) for _ in range(2)]
    async with cluster(url, carriers) as made:
        carriers[0].link(up=False)
        await made.send(0, everyone(50))

        await made.until(lambda: all_ended(made), "all are delivered", 20.0)
        await check(made, carriers, 50)
        assert len(carriers[1].sent) == 50


async def test_a_message_is_canceled_or_sent_whichever_node_is_asked(url: str) -> None:
    carriers = [Carrier(answer_after=0.01, report_after=0.02, window=5) for _ in range(2)]
    async with cluster(url, carriers) as made:
        operations = [await made.send(0, everyone(150, first=n * 1000)) for n in range(3)]

        for operation in operations:
            await cancel(made.nodes[1].engine, Wish(made.account_id, operation.uid))

        await made.until(lambda: all_ended(made), "everything has an end")
        await check(made, carriers, 450)
        states = await made.states()
        assert states["CANCELED"] > 0
        canceled = {row[0] for row in await made.rows("SELECT id FROM message WHERE state = 8")}
        assert not canceled & {one.key[0] for carrier in carriers for one in carrier.sent}
