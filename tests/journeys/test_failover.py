"""Carriers that refuse, carriers that cannot be reached: the pool delivers through the others, each message once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sendpool.simulate.script import Refuse

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig

GOOD, REFUSED, CUT_OFF = "+12034458910", "+12034458911", "+12034458912"
#: ESME_RSUBMITFAIL: the route's fault, so another sender's turn.
SUBMIT_FAILED = "0x45"
#: What the black hole may pull before it is stopped: 10 in flight, and what a probe or a race adds.
MOST_REFUSED = 30
NO_RCS = 61337


async def test_pool_with_a_refusing_and_an_unreachable_carrier_delivers_everything_once(rig: Rig) -> None:
    good = await rig.centre(receipt_delay=0.05)
    refusing = await rig.centre(Refuse(status=SUBMIT_FAILED))
    server = await rig.server(
        rig.smpp("good", good.port, [(GOOD, 100)]),
        rig.smpp("refusing", refusing.port, [(REFUSED, 100)]),
        rig.smpp("unreachable", rig.dead_port(), [(CUT_OFF, 100)]),
    )
    pool = await server.pool()
    await rig.linked(good, refusing)

    operation = await server.send(pool, rig.phones(60))
    stats = await server.wait_stats(operation, delivered=60)

    assert stats["failed"] == stats["undelivered"] == stats["sent"] == stats["queued"] == 0
    assert Counter(submit.destination for submit in good.submits) == Counter(rig.phones(60))
    assert 0 < len(refusing.submits) <= MOST_REFUSED
    assert (await server.operation(operation))["status"] == "COMPLETED"

    refused_phones = {submit.destination for submit in refusing.submits}
    for message in await server.fetch_all(operation):
        tried = [(attempt["from"]["address"], attempt["status"]) for attempt in message["attempts"]]
        assert tried[-1] == (GOOD, "DELIVERED")
        assert message["from"]["address"] == GOOD
        if message["to"][0]["address"] in refused_phones:
            assert (REFUSED, "FAILED") in tried
            assert message["attempts"][0]["error"]["code"]
        else:
            assert len(tried) == 1


async def test_phone_without_rcs_gets_the_text_by_sms(rig: Rig) -> None:
    centre = await rig.centre(receipt_delay=0.05)
    server = await rig.server(
        rig.smpp("good", centre.port, [(GOOD, 100)]), rig.sandbox([("RCS", "cool_support_agent", 20)])
    )
    pool = await server.pool()
    await rig.linked(centre)

    operation = await server.send(pool, ["+15005550002"])
    await server.wait_stats(operation, delivered=1)

    first, second = (await server.fetch_all(operation))[0]["attempts"]
    assert (first["channel"], first["status"], first["error"]["code"]) == ("RCS", "FAILED", NO_RCS)
    assert (second["channel"], second["status"]) == ("SMS", "DELIVERED")
    assert "error" not in second
    assert [submit.destination for submit in centre.submits] == ["+15005550002"]


async def test_sender_that_refuses_everything_gets_few_messages_of_its_pool(rig: Rig) -> None:
    good = await rig.centre(receipt_delay=0.05, answer_delay=0.1)
    black_hole = await rig.centre(Refuse(status=SUBMIT_FAILED))
    server = await rig.server(
        rig.smpp("good", good.port, [(GOOD, 200)]), rig.smpp("black-hole", black_hole.port, [(REFUSED, 200)])
    )
    pool = await server.pool()
    await rig.linked(good, black_hole)

    operation = await server.send(pool, rig.phones(400))
    await server.wait_stats(operation, delivered=400)

    assert 0 < len(black_hole.submits) <= MOST_REFUSED
    assert len(good.submits) == 400
