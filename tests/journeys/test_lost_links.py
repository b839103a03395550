"""Links that end at the worst moment: after a submit was taken and before it is answered, and without a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from sendpool.simulate.script import Drop
from sendpool.testing.proxy import Proxy

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig, Server

    from sendpool.simulate.centre import MessageCentre

SENDER = [("+12034458910", 100.0)]
#: The `error.code` of an attempt whose fate is or was unknown.
AMBIGUOUS = 30410
WINDOW = 20


async def test_a_link_that_drops_before_it_answers_marks_what_it_took_and_doubles_nothing(rig: Rig) -> None:
    every, times, total = 25, 4, 200
    drop = Drop(after=every, times=times, answered=False)
    centre = await rig.centre(drop, receipt_delay=0.2)
    server = await rig.server(rig.smpp("carrier", centre.port, SENDER, window=WINDOW))
    pool = await server.pool()

    operation = await server.send(pool, rig.phones(total))
    marked = await settled(rig, server, operation, total)

    assert centre.totals().drops == times
    # One link at a time, so the last submit of each link that fell is the one that was taken and never answered.
    unanswered = {centre.submits[every * turn - 1].destination for turn in range(1, times + 1)}
    assert unanswered <= marked
    assert_accounted(rig, centre, marked, total)
    assert len(marked) <= times * WINDOW
    assert (await rig.command(server, "audit"))["sound"]
    assert not server.events(level="error")


async def test_a_carrier_that_vanishes_without_a_word_is_noticed_and_what_it_had_is_marked(rig: Rig) -> None:
    total = 200
    centre = await rig.centre(answer_delay=0.1, receipt_delay=0.2)
    async with Proxy(port=centre.port) as proxy:
        # An answer may take far longer than the test: only the asking for a sign of life can notice.
        timers = {"enquire_link": 1.0, "enquire_timeout": 1.0, "response_timeout": 300.0}
        server = await rig.server(rig.smpp("carrier", proxy.port, SENDER, window=WINDOW, **timers))
        pool = await server.pool()
        operation = await server.send(pool, rig.phones(total))
        await rig.until(lambda: len(centre.submits) >= 40, what="some are at the carrier")

        proxy.stall()
        await rig.until(partial(noticed, server), 10.0, "the silence is noticed")
        # What was still on its way is lost with the old link; a new one gets through.
        await proxy.cut()
        proxy.resume()
        marked = await settled(rig, server, operation, total)

    assert marked
    assert len(marked) <= WINDOW
    assert_accounted(rig, centre, marked, total)
    assert (await rig.command(server, "audit"))["sound"]
    assert not server.events(level="error")


def noticed(server: Server) -> bool:
    return "no sign of life within 1 s" in server.log_text()


async def settled(rig: Rig, server: Server, operation: str, total: int) -> set[str]:
    """Wait until all are delivered or stated to be of unknown fate; brings the phones whose fate was ever unknown."""

    async def done() -> bool:
        stats = await server.stats(operation)
        unknown = await server.messages(operation, "&ambiguous=true")
        return stats["delivered"] + len(unknown) == total and stats["sent"] == len(unknown)

    await rig.until(done, 30.0, "every message is delivered or said to be of unknown fate", 0.2)
    return {phone_of(one) for one in await server.fetch_all(operation) if was_unknown(one)}


def assert_accounted(rig: Rig, centre: MessageCentre, marked: set[str], total: int) -> None:
    """Every message is at the carrier or marked, and none is there twice."""
    copies = Counter(submit.destination for submit in centre.submits)
    assert copies.keys() | marked == set(rig.phones(total))
    assert set(copies.values()) == {1}


def was_unknown(message: Mapping[str, Any]) -> bool:
    return any((attempt.get("error") or {}).get("code") == AMBIGUOUS for attempt in message["attempts"])


def phone_of(message: Mapping[str, Any]) -> str:
    return str(message["to"][0]["address"])
