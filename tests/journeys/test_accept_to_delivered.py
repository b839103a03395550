"""From the guides' own requests to delivered messages: nothing but HTTP in front, SMPP and the sandbox behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig, Server

    from sendpool.simulate.centre import MessageCentre

SMS, OTHER_SMS, WHATSAPP = "+12034458910", "+12034458911", "+12034458912"
#: 3GPP 23.038: a long text in the GSM alphabet has 153 septets in each part, in UCS-2 67 units.
LONG = "All work and no play makes Jack a dull boy. " * 9
UNICODE = "Здравствуй, мир! Ваш заказ готов 🎉"

CREATE_WITH_TAGS = b"""
{
  "name": "Sales Leads - APAC",
  "tags": {
    "region": "APAC"
  }
}"""
CREATE_WITH_SENDERS = """{
    "name": "My First Pool",
    "senders": [
        { "senderId": "%s" },
        { "senderId": "%s" }
    ]
}"""
ADD = """{
  "senderId": "%s"
}"""
SEND_TO_A_PHONE = """{
  "from": {
    "senderPoolId": "%s"
  },
  "to": [
    {
      "address": "+19143188062",
      "channel": "PHONE"
    }
  ],
  "content": {
    "text": "Now I'm just using some of my senders!"
  }
}"""
SEND_TO_BOTH = """{
    "from": {
        "senderPoolId": "%s"
    },
    "to": [
        {
            "address": "+19143188062",
            "channel": "PHONE"
        },
        {
            "address": "+19143188063",
            "channel": "WHATSAPP"
        }
    ],
    "content": {
        "text": "Hello, World!"
    }
}"""


async def curl(rig: Rig, server: Server, method: str, path: str, body: str | bytes | None = None) -> Any:
    """The request as the guides' command lines make it."""
    headers = {"Authorization": rig.authorization}
    if body is not None:
        headers["Content-Type"] = "application/json"
    answer = await server.ask(method, path, body.encode() if isinstance(body, str) else body, headers)
    assert answer.status < 300, answer
    return answer.json


def arrived(centre: MessageCentre, destination: str) -> str:
    """The text that a phone puts together from its parts, whatever order they came in."""
    parts = sorted(
        (submit for submit in centre.submits if submit.destination == destination), key=lambda one: one.place.part
    )
    assert [part.place.part for part in parts] == list(range(1, parts[0].place.parts + 1))
    assert len({part.place.reference for part in parts}) == 1
    return "".join(part.text for part in parts)


async def test_requests_of_the_guides_deliver_by_sms_and_whatsapp(rig: Rig) -> None:
    centre = await rig.centre(receipt_delay=0.05)
    carrier = rig.smpp("carrier-a", centre.port, [(SMS, 10), (OTHER_SMS, 10)])
    server = await rig.server(carrier, rig.sandbox([("WHATSAPP", WHATSAPP, 80)]))

    listed = (await curl(rig, server, "GET", "/preview/Senders?status=ACTIVATED"))["senders"]
    ids = {sender["address"]: sender["id"] for sender in listed}
    assert {(sender["channel"], sender["address"], sender["status"]) for sender in listed} == {
        ("SMS", SMS, "ACTIVATED"),
        ("SMS", OTHER_SMS, "ACTIVATED"),
        ("WHATSAPP", WHATSAPP, "ACTIVATED"),
    }
    await curl(rig, server, "POST", "/preview/SenderPools", CREATE_WITH_TAGS)
    await curl(rig, server, "POST", "/preview/SenderPools", CREATE_WITH_SENDERS % (ids[SMS], ids[WHATSAPP]))
    pools = {pool["name"]: pool for pool in (await curl(rig, server, "GET", "/preview/SenderPools"))["senderPools"]}
    assert pools["Sales Leads - APAC"]["tags"] == {"region": "APAC"}
    tagged, first = pools["Sales Leads - APAC"]["id"], pools["My First Pool"]["id"]
    await curl(rig, server, "POST", f"/preview/SenderPools/{tagged}/Senders", ADD % ids[OTHER_SMS])

    one = (await curl(rig, server, "POST", "/preview/Messages", SEND_TO_A_PHONE % tagged))["operationId"]
    both = (await curl(rig, server, "POST", "/preview/Messages", SEND_TO_BOTH % first))["operationId"]
    await server.wait_stats(one, delivered=1)
    await server.wait_stats(both, delivered=2)

    by_source = {submit.source: submit for submit in centre.submits}
    assert len(centre.submits) == 2
    assert by_source[OTHER_SMS].text == "Now I'm just using some of my senders!"
    assert (by_source[SMS].destination, by_source[SMS].text) == ("+19143188062", "Hello, World!")
    channels = {message["attempts"][0]["channel"] for message in await server.fetch_all(both)}
    assert channels == {"SMS", "WHATSAPP"}


async def test_delivered_operation_is_completed_with_right_counters_and_one_event_for_each_change(rig: Rig) -> None:
    centre = await rig.centre(receipt_delay=0.05)
    server = await rig.server(rig.smpp("carrier-a", centre.port, [(SMS, 100)]))
    pool = await server.pool()

    operation = await server.send(pool, ["+19143188062", "+447700900001"])
    await server.wait_stats(operation, delivered=2)

    found = await server.operation(operation)
    expected = {"total": 2, "recipients": 2, "attempts": 2, "delivered": 2}
    assert found["status"] == "COMPLETED"
    assert {name: number for name, number in found["stats"].items() if number} == expected
    # Event numbers are attempt x 16 + the message's state: SENT 3 and DELIVERED 4; QUEUED 2 is before any attempt.
    rows = server.rows("SELECT subject_id, number FROM event WHERE number < 1024 ORDER BY subject_id, number")
    of_each = {subject: [number for key, number in rows if key == subject] for subject, _ in rows}
    assert list(of_each.values()) == [[2, 19, 20], [2, 19, 20]]


async def test_long_and_unicode_texts_arrive_whole(rig: Rig) -> None:
    centre = await rig.centre(receipt_delay=0.05)
    server = await rig.server(rig.smpp("carrier-a", centre.port, [(SMS, 50)]))
    pool = await server.pool()

    long = await server.send(pool, ["+447700900001"], LONG)
    emoji = await server.send(pool, ["+447700900002"], UNICODE)
    both = await server.send(pool, ["+447700900003"], UNICODE * 4)
    for operation in (long, emoji, both):
        await server.wait_stats(operation, delivered=1)

    assert arrived(centre, "+447700900001") == LONG
    assert arrived(centre, "+447700900002") == UNICODE
    assert arrived(centre, "+447700900003") == UNICODE * 4
    parts = [submit.place.parts for submit in centre.submits]
    assert sorted(parts) == [1, 3, 3, 3, 3, 3, 3]
    message = (await server.fetch_all(long))[0]
    assert message["content"]["text"] == LONG
    assert [attempt["status"] for attempt in message["attempts"]] == ["DELIVERED"]
