from __future__ import annotations
import pytest, asyncio
@pytest.mark.parametrize("n", range(12))
async def test_it(rig, n):
    centre = await rig.centre(receipt_delay=0.05)
    server = await rig.server(rig.smpp("carrier", centre.port, [("+12034458910", 10)]))
    pool = await server.pool()
    op = await server.send(pool, rig.phones(150))
    try:
        await rig.until(lambda: centre.submits, within=5)
    except AssertionError:
        print("LINKS", centre.links, [l.bound for l in centre.links], centre.totals())
        print(await server.stats(op))
        print(server.rows("select * from outq limit 3"), server.rows("select count(*) from outq"), server.rows("select count(*) from attempt"), server.rows("select * from chunk"))
        print((await server.ask("GET", "/metrics")).body.decode()[-3000:])
        print(server.log_text())
        raise
