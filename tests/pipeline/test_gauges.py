"""What is shown of queues, doubts and the database, to whoever watches them."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any, cast

import asyncpg
from prometheus_client.parser import text_string_to_metric_families
from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.connectors.base import Receipt, ReceiptState, Uncertain
from sendpool.domain import ids
from sendpool.domain.pool import Pool
from sendpool.domain.request import AccountOrigin
from sendpool.metrics import Metrics
from sendpool.pipeline import sweep
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.gauges import NAMED_POOLS, Gauges
from sendpool.pipeline.roster import Roster
from sendpool.store.database import Query, Script
from sendpool.store.horizon import held_horizon
from sendpool.store.postgres import Postgres
from sendpool.store.sqlite import Sqlite
from sendpool.testing.postgres_server import postgres_server

NUMBER = "+12030000001"


def shown(metrics: Metrics) -> dict[str, float]:
    """Samples by name, and by name and label."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        " ".join([one.name, *one.labels.values()]): one.value
        for family in families
        for one in family.samples
        if one.name.startswith("sendpool")
    }


async def looked(w: World) -> dict[str, float]:
    """What is shown after the next rare look."""
    await asyncio.sleep(sweep.RARELY * sweep.EVERY + 2)
    return shown(w.engine.metrics)


@virtually
async def test_queues_are_shown_by_pool_with_their_age(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        carrier.link(up=False)
        pool = ids.encode(ids.POOL, w.pool)
        await w.send(*everyone(3))
        await w.send(*everyone(2, first=50), origin=AccountOrigin())
        await asyncio.sleep(60)

        found = await looked(w)
        assert found[f"sendpool_pool_queue_depth {pool}"] == 3
        assert found["sendpool_pool_queue_depth direct"] == 2
        assert 60 <= found[f"sendpool_pool_queue_age_seconds {pool}"] <= 70
        assert 60 <= found["sendpool_queue_oldest_age_seconds"] <= 70
        assert found["sendpool_queue_depth"] == found["sendpool_messages_waiting"] == 5

        carrier.link(up=True)
        await w.until_states(DELIVERED=5)
        found = await looked(w)
        assert f"sendpool_pool_queue_depth {pool}" not in found
        assert found["sendpool_queue_depth"] == found["sendpool_messages_waiting"] == 0


@virtually
async def test_what_is_in_doubt_is_shown(fresh: Path) -> None:
    carrier = Carrier()
    carrier.answer = lambda submission, part: Uncertain("silence")
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        await w.send(*everyone(4))
        await w.until(lambda: len(carrier.sent) == 4)
        assert carrier.inbox is not None
        await carrier.inbox.receipts([Receipt("nobody's", ReceiptState.DELIVERED, None, "")])

        found = await looked(w)

        assert found["sendpool_ambiguous_messages"] == 4
        assert found["sendpool_receipts_waiting"] == 1
        assert 3 <= found["sendpool_receipts_waiting_age_seconds"] <= 10


def test_there_are_not_more_series_than_pools_worth_naming() -> None:
    engine = Engine(cast(Any, None), Metrics())
    gauges = Gauges(engine)
    pools = [_pool(number) for number in range(1, 60)]
    engine.use_roster(Roster([], pools))

    gauges._show_pools(Counter({pool.id: pool.id for pool in pools}), {pool.id: float(pool.id) for pool in pools})

    depths = "sendpool_pool_queue_depth"
    found = {name: value for name, value in shown(engine.metrics).items() if name.startswith(depths)}
    assert len(found) == NAMED_POOLS + 1
    assert sum(found.values()) == sum(range(1, 60))
    assert found["sendpool_pool_queue_depth other"] == sum(range(1, 60 - NAMED_POOLS))


def _pool(number: int) -> Pool:
    return Pool(id=number, uid=number.to_bytes(16, "big"), account_id=1)


async def test_a_transaction_that_somebody_holds_open_is_seen(fresh: Path) -> None:
    sqlite = Sqlite(fresh)
    assert await held_horizon(sqlite) is None
    await sqlite.close()
    with postgres_server() as server:
        database = await Postgres.connect(server.url(), readers=1)
        holder = await asyncpg.connect(server.url())
        try:
            before = await held_horizon(database)
            transaction = holder.transaction(isolation="repeatable_read")
            await transaction.start()
            await holder.fetchval("SELECT count(*) FROM operation")
            for _ in range(20):
                await database.write(_something())
            held = await held_horizon(database)
            await transaction.rollback()
            after = await held_horizon(database)
        finally:
            await holder.close()
            await database.close()
    assert before is not None
    assert held is not None
    assert after is not None
    assert held.transactions >= 20 > max(before.transactions, after.transactions)
    assert held.seconds > max(before.seconds, after.seconds)


def _something() -> Script[None]:
    yield Query("INSERT INTO uptime (id, began_at, ended_at) SELECT count(*) + 1, 1, 1 FROM uptime")
