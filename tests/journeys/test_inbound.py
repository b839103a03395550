"""A text that somebody writes to one of our numbers is stored before the carrier is told so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.journeys.conftest import until

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig

SENDER = "+12034458910"
PHONE = "+447700900001"
TEXT = "Ja, bitte: 5 € 🎉"
#: The ordinal of INBOUND in event numbers.
INBOUND = 9
LONG = "Sehr geehrte Damen und Herren, " * 12
RECEIVED = "com.twilio.comms-api.message.inbound-received"


async def test_inbound_text_is_stored_before_it_is_acknowledged(rig: Rig) -> None:
    centre = await rig.centre()
    server = await rig.server(rig.smpp("carrier", centre.port, [(SENDER, 10)]))
    await rig.linked(centre)

    status = await centre.send_text(PHONE, SENDER, TEXT)
    # Whatever happens after the acknowledgement, the text is there.
    await server.kill()

    assert status == 0
    assert server.rows("SELECT number % 16 FROM event") == [(INBOUND,)]
    await server.start()
    (listed,) = await server.pages("/v1/Messages?status=INBOUND", "messages")
    message = await server.message(listed["id"])
    sender_id = (await server.senders())[SENDER]["id"]
    assert message["status"] == "INBOUND"
    assert message["content"]["text"] == TEXT
    assert (message["from"]["address"], message["from"]["channel"]) == (PHONE, "SMS")
    assert message["from"]["senderId"] == sender_id
    assert [(to["address"], to["channel"]) for to in message["to"]] == [(SENDER, "PHONE")]
    assert message["attempts"] == []


async def test_many_inbound_texts_arrive_while_others_leave(rig: Rig) -> None:
    centre = await rig.centre(receipt_delay=0.05)
    server = await rig.server(rig.smpp("carrier", centre.port, [(SENDER, 100)]))
    pool = await server.pool()
    operation = await server.send(pool, rig.phones(50))

    statuses = [await centre.send_text(phone, SENDER, f"Answer {n}") for n, phone in enumerate(rig.phones(20))]

    assert statuses == [0] * 20
    await server.wait_stats(operation, delivered=50)
    inbound = await server.pages("/v1/Messages?status=INBOUND", "messages")
    assert sorted(message["from"]["address"] for message in inbound) == rig.phones(20)


async def test_long_text_is_one_message_of_its_session_and_stop_is_answered_once(rig: Rig) -> None:
    centre = await rig.centre()
    server = await rig.server(rig.smpp("carrier", centre.port, [(SENDER, 10)]))
    await rig.linked(centre)

    assert await centre.send_text(PHONE, SENDER, LONG) == 0
    assert await centre.send_text(PHONE, SENDER, "Stop!") == 0
    await until(lambda: len(centre.submits) == 1)
    assert await centre.send_text(PHONE, SENDER, "STOP") == 0

    listed = await server.pages("/v1/Messages?status=INBOUND", "messages")
    texts = [(await server.message(one["id"]))["content"]["text"] for one in listed]
    assert texts == ["STOP", "Stop!", LONG]
    told = (await server.call("GET", f"/v1/Events?type={RECEIVED}"))["events"]
    assert {one["data"]["session_id"] for one in told} == {
        related["id"] for one in listed for related in one["related"] if related["name"] == "SESSION"
    }
    assert len({one["data"]["session_id"] for one in told}) == 1
    operation = await server.send(await server.pool(), [PHONE])
    errors = await server.call("GET", f"/v1/Messages/Operations/{operation}/Errors")
    assert "21610" in str(errors)
    assert [submit.destination.lstrip("+") for submit in centre.submits] == [PHONE.lstrip("+")]
