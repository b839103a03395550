"""Kill -9 in the middle: what was accepted is there, and nothing is sent twice that is not marked as perhaps sent."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from sendpool.simulate.script import NoAnswer, Undelivered

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig

    from sendpool.simulate.centre import MessageCentre

SENDERS = [("+12034458910", 100.0), ("+12034458911", 100.0)]
#: Phones to which something may have been sent, for all that anybody knows.
MARKED = "SELECT m.address FROM attempt a JOIN message m ON m.id = a.id / 64 WHERE a.marks & 2"
#: The `error.code` of an attempt whose fate is or was unknown.
AMBIGUOUS = 30410


async def test_two_kills_lose_nothing_and_double_only_what_is_marked(rig: Rig) -> None:
    centre = await rig.centre(answer_delay="0.1-0.4", receipt_delay=0.1)
    server = await rig.server(rig.smpp("carrier", centre.port, SENDERS))
    pool = await server.pool()
    operations = [await server.send(pool, rig.phones(100, first)) for first in range(0, 400, 100)]

    for reached in (80, 220):
        await rig.until(partial(arrived, centre, reached), what=f"{reached} are at the carrier")
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
        phone_of(message) for operation in operations for message in await server.messages(operation, "&ambiguous=true")
    }
    once_marked = server.rows("SELECT count(*) FROM attempt WHERE marks & 2")[0][0]
    assert once_marked > 0
    assert set(rig.phones(400)) <= at_the_carrier.keys() | marked
    assert at_the_carrier.total() - len(at_the_carrier) <= once_marked
    for phone in (phone for phone, copies in at_the_carrier.items() if copies > 1):
        assert server.rows(f"{MARKED} AND m.address = ?", phone)
    for operation in operations:
        stats = await server.stats(operation)
        assert stats["total"] == 100
        assert stats["delivered"] + stats["sent"] == 100


@pytest.mark.parametrize("fronts", [0, 2])
async def test_what_many_callers_were_answered_outlives_kills_and_is_sent_once(rig: Rig, fronts: int) -> None:
    """One message a request and no key, so that what is asked for in one turn is accepted together (`crowd`)."""
    centre = await rig.centre(receipt_delay=0.05)
    server = await rig.server(
        rig.smpp("carrier", centre.port, [("+12034458910", 1_000.0)]), server=f"front_processes = {fronts}"
    )
    pool = await server.pool()
    #: By phone: the operation that a caller was told of.
    answered: dict[str, str] = {}
    phones = (rig.phones(1, number)[0] for number in count())
    ended = asyncio.Event()

    async def caller() -> None:
        while not ended.is_set():
            phone = next(phones)
            try:
                answered[phone] = await server.send(pool, [phone])
            except (aiohttp.ClientError, OSError):
                # Nobody knows whether it was taken, so nobody asks for this one again.
                await asyncio.sleep(0.1)

    calling = [asyncio.create_task(caller()) for _ in range(20)]
    for more in (200, 200):
        await rig.until(partial(grown, answered, len(answered) + more), what="more are answered")
        await server.kill()
        await server.start()
    await rig.until(partial(grown, answered, len(answered) + 100), what="more are answered")
    ended.set()
    await asyncio.gather(*calling)

    stored = {found["id"] for found in await server.pages("/v1/Messages/Operations", "operations")}
    assert set(answered.values()) <= stored
    assert len(set(answered.values())) == len(answered)
    await rig.until(lambda: not server.rows("SELECT 1 FROM message WHERE state < 3 LIMIT 1"), 30.0, "all have left")
    await rig.until(lambda: centre.totals().receipts_waiting == 0, what="the receipts are delivered")
    marked = {row[0] for row in server.rows(MARKED)}
    at_the_carrier = Counter(submit.destination for submit in centre.submits)
    assert answered.keys() <= at_the_carrier.keys() | marked
    assert {phone for phone, copies in at_the_carrier.items() if copies > 1} <= marked


async def test_receipt_after_a_restart_settles_what_was_ambiguous_when_its_id_is_known(rig: Rig) -> None:
    # Some parts are never answered, so the crash leaves attempts of unknown fate, of some of which one id is known.
    # Its receipt says that the phone does not exist (MAP error 1), which settles the whole text.
    faults = NoAnswer(share=0.5), Undelivered(err="001")
    centre = await rig.centre(*faults, receipt_delay=5.0)
    connection = rig.smpp("carrier", centre.port, SENDERS[:1], receipt_error_table="map")
    server = await rig.server(connection)
    pool = await server.pool()
    operation = await server.send(pool, rig.phones(10), "A text of two parts. " * 10)
    await rig.until(lambda: len(centre.submits) == 20, what="both parts of all are at the carrier")
    answered = Counter(submit.destination for submit in centre.submits if submit.answered)
    known = {phone for phone, parts in answered.items() if parts == 1}
    unknown = set(rig.phones(10)) - answered.keys()
    assert known
    assert unknown
    stored = "SELECT count(*) FROM segment"
    await rig.until(lambda: server.rows(stored) == [(answered.total(),)], what="the answers are stored")

    await server.kill()
    await server.start()
    assert {phone_of(message) for message in await server.messages(operation, "&ambiguous=true")} == known | unknown

    await server.wait_stats(operation, undelivered=10 - len(unknown))
    left = await server.messages(operation, "&ambiguous=true")
    assert {phone_of(message) for message in left} == unknown
    for message in await server.fetch_all(operation):
        was_ambiguous = phone_of(message) in known | unknown
        assert len(message["attempts"]) == 1
        assert (message["attempts"][0]["error"]["code"] == AMBIGUOUS) is was_ambiguous
    assert len(centre.submits) == 20


def grown(answered: Mapping[str, str], number: int) -> bool:
    return len(answered) >= number


def arrived(centre: MessageCentre, number: int) -> bool:
    return len(centre.submits) >= number


def phone_of(message: dict[str, Any]) -> str:
    return str(message["to"][0]["address"])
