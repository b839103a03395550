"""What customers would be told of a message's way, from the rows that its commits have left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
from tests.pipeline.carriers import Carrier, refused
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.domain.event_types import KINDS, schema_of
from sendpool.pipeline.notify.tell import Teller
from sendpool.store.feed import feed_page
from sendpool.store.notices import Notice, write_notices

FIRST, SECOND = "+12030000001", "+12030000002"


@virtually
async def test_a_failover_is_told_in_order_with_the_sender_of_each_attempt(fresh: Path) -> None:
    a, b = Carrier(), Carrier()
    a.answer = lambda submission, part: refused("0x0a")
    async with world(fresh, a=Line(a, {FIRST: 100}), b=Line(b, {SECOND: 1})) as w:
        await w.send(*everyone(1))
        await w.until_states(DELIVERED=1)
        events = await told(w)

    of_message = [event for event in events if "message_id" in event["data"]]
    assert [short(event) for event in of_message] == [
        ("message.queued", None, None, None),
        ("sendpool.attempt.ended", "1", FIRST, "21606"),
        ("message.sent", "2", SECOND, None),
        ("message.delivered", "2", SECOND, None),
    ]
    assert of_message[0]["data"]["from"]["id"].startswith("comms_senderpool_")
    assert all(event["data"]["to"] == {"address": everyone(1)[0], "channel": "PHONE"} for event in of_message)
    assert [short(event)[0] for event in events if event not in of_message] == [
        "operation.processing",
        "operation.completed",
    ]


async def told(w: World, after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
    """Events after a position, as they are handed over."""
    rows = await w.store.read(feed_page(after, limit))
    return [msgspec.json.decode(one.body) for one in await w.store.read(Teller().tell(rows))]


def short(event: dict[str, Any]) -> tuple[str, str | None, str | None, str | None]:
    data = event["data"]
    name = event["type"].removeprefix("com.twilio.comms-api.")
    return name, data.get("attempt"), data.get("from", {}).get("address"), data.get("error_code")


@virtually
async def test_events_are_read_on_from_a_position(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {FIRST: 100})) as w:
        await w.send(*everyone(3))
        await w.until_states(DELIVERED=3)
        whole = await w.store.read(feed_page(0, 100))
        first = await w.store.read(feed_page(0, 4))
        rest = await w.store.read(feed_page(first[-1].position, 100))
        upto = await w.store.read(feed_page(0, 100, first[-1].position))

    assert [row.position for row in [*first, *rest]] == [row.position for row in whole]
    assert upto == first
    assert len(whole) == 2 + 3 * 3


@virtually
async def test_every_event_keeps_to_the_schema_of_its_type(fresh: Path) -> None:
    a = Carrier()
    a.answer = lambda submission, part: refused("0x0a")
    async with world(fresh, a=Line(a, {FIRST: 100}), b=Line(Carrier(), {SECOND: 1})) as w:
        await w.send(*everyone(2))
        await w.until_states(DELIVERED=2)
        await w.store.write(write_notices([Notice(1, "sendpool.connection.down", "a", {"reason": "no route"}, 5)]))
        events = await told(w)

    assert len({event["id"] for event in events}) == len(events)
    assert {event["type"].partition(".")[0] for event in events} == {"com", "sendpool"}
    for event in events:
        kind = KINDS[event["type"]]
        jsonschema_rs.validate(schema_of(kind), event["data"])
        assert event["dataschema"] == kind.schema
