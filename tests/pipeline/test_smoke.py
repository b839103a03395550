from __future__ import annotations
from pathlib import Path
import time
from tests.pipeline.conftest import *

@virtually
async def test_smoke(fresh: Path) -> None:
    a = Carrier()
    async with world(fresh, a=Line(a, {"+1203000001": 10, "+1203000002": 10})) as w:
        t=time.time()
        op = await w.send(*everyone(100))
        await w.until_states(DELIVERED=100)
        print(w.now, time.time()-t, w.store.commits)
        print(await w.attempts(op.operation_id), await w.events(op.operation_id))

@virtually
async def test_failover(fresh: Path) -> None:
    a, b = Carrier(), Carrier()
    a.answer = lambda s, p: refused("0x0a")
    async with world(fresh, a=Line(a, {"+1203000001": 10}), b=Line(b, {"+1203000002": 10})) as w:
        t=time.time()
        op = await w.send(*everyone(20))
        await w.until_states(DELIVERED=20)
        print(w.now, time.time()-t, w.store.commits)
        print(await w.attempts(op.operation_id), await w.events(op.operation_id))
