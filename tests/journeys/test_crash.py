"""Kill -9 in the middle: what was accepted is there, and nothing is sent twice that is not marked as perhaps sent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sendpool.simulate.script import NoAnswer

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig

SENDERS = [("+12034458910", 100.0), ("+12034458911", 100.0)]


async def test_two_kills_lose_nothing_and_double_only_what_is_marked(rig: Rig) -> None:
    centre = await rig.centre(answer_delay="0.1-0.4", receipt_delay=0.1)
    server = await rig.server(rig.smpp("carrier", centre.port, SENDERS))
    pool = await server.pool()
    operations = [await server.send(pool, rig.phones(100, first)) for first in range(0, 400, 100)]

    for reached in (80, 220):
        await rig.until(lambda reached=reached: len(centre.submits) >= reached, what=f"{reached} are at the carrier")
        await server.kill()
        await server.start()
        stored = {found["id"] for found in await server.pages("/v1/Messages/Operations", "operations")}
        assert stored >= set(operations)

    async def settled() -> bool:
        stats = [await server.stats(operation) for operation in operations]
        return all(one["queued"] == 0 for one in stats)

    await rig.until(settled, 20.0, "everything has left")
    at_the_carrier = Counter(submit.destination for submit in centre.submits)
    await rig.until(lambda: centre.totals().receipts_waiting == 0, what="the receipts are delivered")

    marked = {
        message["to"][0]["address"]
        for operation in operations
        for message in await server.messages(operation, "&ambiguous=true")
    }
    once_marked = server.rows("SELECT count(*) FROM attempt WHERE marks & 2")[0][0]
    assert once_marked > 0
    assert set(rig.phones(400)) <= at_the_carrier.keys() | marked
    assert at_the_carrier.total() - len(at_the_carrier) <= once_marked
    for operation in operations:
        stats = await server.stats(operation)
        assert stats["total"] == 100
        assert stats["delivered"] + stats["sent"] == 100


async def test_receipt_after_a_restart_settles_what_was_ambiguous_when_its_id_is_known(rig: Rig) -> None:
    # The second part of each text is taken, reported and never answered: its attempt is of unknown fate, but the
    # first part's id is stored.
    centre = await rig.centre(NoAnswer(share=0.5), receipt_delay=3.0)
    server = await rig.server(rig.smpp("carrier", centre.port, SENDERS, response_timeout=1))
    pool = await server.pool()
    operation = await server.send(pool, rig.phones(20), "A text of more than one part. " * 12)

    async def ambiguous() -> int:
        return len(await server.messages(operation, "&ambiguous=true"))

    await rig.until(ambiguous, what="messages are ambiguous")
