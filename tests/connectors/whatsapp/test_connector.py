"""The connector posts each message once and hears what became of it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from sendpool.connectors.base import (
    CallbackRequest,
    CarrierId,
    Inbound,
    Receipt,
    ReceiptState,
    Rejected,
    Throttled,
    Unavailable,
    Uncertain,
)
from sendpool.connectors.whatsapp.content import UNFIT_CONTENT
from sendpool.connectors.whatsapp.requests import UNFIT_ADDRESS, UNKNOWN_NUMBER
from sendpool.domain.failures import FailureClass as F
from sendpool.domain.failures import Repair
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.simulate.whatsapp_script import Number

if TYPE_CHECKING:
    from tests.connectors.whatsapp.conftest import Rehearse, Rig

PERSON = "+447700900001"
OURS, NUMBER_ID = "+15550783881", "1065"
NUMBER = Number(id=NUMBER_ID, display_phone_number="+1 555-078-3881")


def states(rig: Rig) -> list[ReceiptState]:
    return [receipt.state for receipt in rig.inbox.stored]


async def wait_stored(rig: Rig, number: int) -> None:
    await rig.inbox.wait_for(lambda inbox: len(inbox.stored) >= number, 100.0)


# Sending


async def test_a_message_is_posted_under_our_name_and_reported_delivered_and_read(rehearse: Rehearse) -> None:
    rig = await rehearse(read_delay=1)
    connector = await rig.opened()
    sent = rig.submission()

    outcome = await rig.outcome(connector, sent)
    await wait_stored(rig, 3)

    (message,) = rig.platform.messages
    assert outcome == CarrierId(sent.public_id) == CarrierId(connector.carrier_id(sent.public_id))
    assert (message.number, message.phone, message.text) == (NUMBER_ID, PERSON, "Hi")
    assert message.opaque == sent.public_id
    assert states(rig) == [ReceiptState.PROGRESS, ReceiptState.DELIVERED, ReceiptState.READ]
    assert {receipt.carrier_id for receipt in rig.inbox.stored} == {sent.public_id}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("refuse status=131026", Rejected(F.CHANNEL, "131026", "pair", "whatsapp/131026")),
        ("refuse status=33", Rejected(F.SENDER, "33", "sender", "whatsapp/33")),
        ("refuse status=131000 http=500", Rejected(F.TRANSIENT, "131000", "message", "whatsapp/131000")),
        ("closed-window at_once=true", Rejected(F.CONTENT, "131047", "message", "whatsapp/131047")),
        ("refuse status=131056", Throttled("pair", None, "131056")),
        ("throttle mps=1", CarrierId(f"SM{1001 << 6 | 1:032x}")),
    ],
)
async def test_an_answer_is_told_at_once_and_nothing_is_repeated(
    rehearse: Rehearse, fault: str, expected: object
) -> None:
    rig = await rehearse(fault)

    assert await rig.outcome(await rig.opened()) == expected
    assert len(rig.platform.messages) == 1


async def test_too_fast_is_throttled_and_the_first_one_goes(rehearse: Rehearse) -> None:
    rig = await rehearse("throttle mps=1")
    connector = await rig.opened()

    await rig.outcome(connector, rig.submission(1))

    assert await rig.outcome(connector, rig.submission(2)) == Throttled("sender", None, "130429")


async def test_a_token_that_is_refused_is_the_connections_fault(rehearse: Rehearse) -> None:
    rig = await rehearse(token="another")

    assert await rig.outcome(await rig.opened()) == Rejected(F.ACCOUNT, "190", "connection", "whatsapp/190")


async def test_what_fails_later_is_a_receipt_with_its_class(rehearse: Rehearse) -> None:
    rig = await rehearse("undelivered err=131026")
    await rig.outcome(await rig.opened())

    await wait_stored(rig, 2)

    name = rig.submission().public_id
    assert rig.inbox.stored[-1] == Receipt(name, ReceiptState.UNDELIVERED, F.CHANNEL, "131026", "whatsapp/131026")


async def test_without_an_answer_it_is_uncertain_and_posted_once(rehearse: Rehearse) -> None:
    rig = await rehearse("no-answer")
    began = asyncio.get_running_loop().time()

    outcome = await rig.outcome(await rig.opened(response_timeout=2))

    assert isinstance(outcome, Uncertain)
    assert asyncio.get_running_loop().time() - began < 5
    assert len(rig.platform.messages) == 1


async def test_a_status_tells_of_a_message_whose_answer_was_lost(rehearse: Rehearse) -> None:
    rig = await rehearse("drop after=1 answered=false")
    outcome = await rig.outcome(await rig.opened())

    await wait_stored(rig, 2)

    assert isinstance(outcome, Uncertain)
    assert {receipt.carrier_id for receipt in rig.inbox.stored} == {rig.submission().public_id}
    assert states(rig) == [ReceiptState.PROGRESS, ReceiptState.DELIVERED]


async def test_a_status_before_the_answer_is_a_receipt_all_the_same(rehearse: Rehearse) -> None:
    rig = await rehearse("early-receipt")

    outcome = await rig.outcome(await rig.opened())

    assert outcome == CarrierId(rig.submission().public_id)
    assert ReceiptState.DELIVERED in states(rig)


async def test_what_is_refused_outside_the_window_arrives_as_a_template(rehearse: Rehearse) -> None:
    rig = await rehearse("closed-window at_once=true", templates=("notice",))
    connector = await rig.opened(window_template={"name": "notice"})

    refused = await rig.outcome(connector)
    taken = await rig.outcome(connector, rig.submission(n=2, repair=Repair.TEMPLATE))

    assert refused == Rejected(F.CONTENT, "131047", "message", "whatsapp/131047")
    assert isinstance(taken, CarrierId)
    assert [message.kind for message in rig.platform.messages] == ["text", "template"]
    await rig.inbox.wait_for(lambda inbox: ReceiptState.DELIVERED in [one.state for one in inbox.stored])


async def test_more_than_200_a_second_go_over_connections_that_are_kept(rehearse: Rehearse) -> None:
    rig = await rehearse(answer_delay=0.2)
    connector = await rig.opened(window=100)
    began = asyncio.get_running_loop().time()

    await connector.submit([rig.submission(n) for n in range(300)])
    await rig.inbox.wait_for(lambda inbox: len(inbox.outcome_list) == 300, 100.0)

    assert asyncio.get_running_loop().time() - began <= 1.5
    assert rig.platform.connections_made <= 101


async def test_what_whatsapp_cannot_carry_is_refused_here(rig: Rig) -> None:
    connector = await rig.opened()

    assert await rig.outcome(connector, rig.submission(1, recipient="ana@example.com")) == UNFIT_ADDRESS
    assert await rig.outcome(connector, rig.submission(2, content=Content(text="x" * 4097))) == UNFIT_CONTENT
    assert not rig.platform.messages


async def test_link_that_is_down_says_why_without_a_number(rig: Rig) -> None:
    connector = await rig.opened()
    await rig.platform.begin_outage()

    await rig.inbox.wait_for(lambda inbox: not inbox.is_up, 100.0)

    assert isinstance(await rig.outcome(connector), Unavailable)
    assert rig.inbox.links[-1].detail.startswith(f"no connection to {rig.platform.url}")
    await rig.platform.end_outage()
    await rig.inbox.wait_for(lambda inbox: inbox.is_up, 100.0)


# The business account


async def test_a_number_without_id_gets_it_from_the_business_account(rehearse: Rehearse) -> None:
    others = tuple(Number(id=str(n), display_phone_number=f"+1 555-100-{n}") for n in range(2000, 2150))
    rig = await rehearse(numbers=(*others, NUMBER))
    connector = await rig.opened(business_account_id="1020", phone_number_id=None)

    assert isinstance(await rig.outcome(connector, rig.submission(options={})), CarrierId)
    assert rig.platform.messages[0].number == NUMBER_ID
    assert rig.platform.inventories == 2
    assert await rig.platform.webhook.send_text(PERSON, NUMBER, "Hi")
    assert rig.inbox.texts[0].recipient == OURS


async def test_a_number_that_the_account_does_not_have_is_the_senders_fault(rehearse: Rehearse) -> None:
    rig = await rehearse(numbers=(Number(id="9", display_phone_number="+1 555-100-2000"),))
    with capture_logs() as logs:
        connector = await rig.opened(business_account_id=1020, phone_number_id=None)

    assert await rig.outcome(connector, rig.submission(options={})) == UNKNOWN_NUMBER
    (told,) = [entry for entry in logs if entry["event"] == "whatsapp.numbers_cannot_send"]
    assert told["unknown_to_the_account"] == 1


async def test_without_the_accounts_word_nothing_leaves_a_number_without_id(rehearse: Rehearse) -> None:
    rig = await rehearse()
    connector = rig.connector(business_account_id="4711", phone_number_id=None)
    await connector.open(rig.inbox)
    await rig.inbox.wait_for(lambda inbox: bool(inbox.links))

    assert not rig.inbox.is_up
    assert rig.inbox.links[0].detail.startswith("the business account tells nothing of its numbers: 33")


async def test_an_account_that_tells_nothing_stops_nobody_whose_id_is_known(rehearse: Rehearse) -> None:
    rig = await rehearse()
    with capture_logs() as logs:
        connector = await rig.opened(business_account_id="4711")

    assert isinstance(await rig.outcome(connector), CarrierId)
    assert "whatsapp.no_inventory" in [entry["event"] for entry in logs]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"status": "BANNED"}, "its status is BANNED"),
        ({"status": "NEWLY_INVENTED"}, "its status is NEWLY_INVENTED"),
        ({"account_mode": "SANDBOX"}, "it is a sandbox's"),
        ({"platform_type": "ON_PREMISE"}, "it is on ON_PREMISE"),
    ],
)
async def test_a_number_that_cannot_send_is_told(rehearse: Rehearse, change: dict[str, str], fault: str) -> None:
    rig = await rehearse(numbers=(replace(NUMBER, **change),))
    with capture_logs() as logs:
        await rig.opened(business_account_id="1020")

    (told,) = [entry for entry in logs if entry["event"] == "whatsapp.numbers_cannot_send"]
    assert told["numbers"] == [f"{NUMBER_ID}: {fault}"]


async def test_every_number_that_can_send_is_a_sender(rehearse: Rehearse) -> None:
    fast = Number(id="1", display_phone_number="+1 (555) 100-2000", verified_name="Shop", throughput="HIGH")
    banned = Number(id="2", display_phone_number="+1 555-100-2001", status="BANNED")
    rig = await rehearse(numbers=(NUMBER, fast, banned))
    connector = await rig.opened(business_account_id="1020")

    found = await connector.inventory()

    assert found is not None
    assert [(one.address, one.display_name, one.mps) for one in found] == [
        (OURS, "Sendpool", 80.0),
        ("+15551002000", "Shop", 1000.0),
    ]
    assert found[1].options == {"phone_number_id": "1", "found": True}
    assert (found[1].limits.pair_seconds, found[1].limits.pair_burst) == (6.0, 45)


async def test_without_an_answer_nobody_can_say_which_numbers_there_are(rehearse: Rehearse) -> None:
    rig = await rehearse()
    refused = await rig.opened(business_account_id="4711")
    closed = rig.connector(business_account_id="1020")

    assert await refused.inventory() is None
    assert await closed.inventory() is None


async def test_news_of_a_number_has_the_account_asked_again(rehearse: Rehearse) -> None:
    rig = await rehearse()
    connector = await rig.opened(business_account_id="1020")
    assert rig.platform.inventories == 1
    body, headers = rig.platform.webhook.notification({"event": "FLAGGED"}, "phone_number_quality_update")

    assert (await connector.receive(headers, body)).status == 200
    async with asyncio.timeout(100):
        while rig.platform.inventories < 2:
            await asyncio.sleep(0.1)

    assert rig.inbox.is_up


# The webhook


def posted(rig: Rig, said: str = "delivered") -> tuple[dict[str, str], bytes]:
    """A status as the platform posts it, signed."""
    status = {"id": "wamid.A", "status": said, "timestamp": "1", "biz_opaque_callback_data": "SM1"}
    body, headers = rig.platform.webhook.notification(
        {"metadata": {"phone_number_id": NUMBER_ID}, "statuses": [status]}
    )
    return headers, body


async def test_webhook_is_one_path_below_the_connections_name(rig: Rig) -> None:
    assert [(one.method, one.path) for one in rig.connector().routes()] == [("GET", "/events"), ("POST", "/events")]


async def test_verification_is_answered_only_for_our_token(rig: Rig) -> None:
    connector = await rig.opened()

    assert await rig.platform.webhook.verify("1158201444", "vt") == (200, b"1158201444")
    assert await rig.platform.webhook.verify("1158201444", "another") == (403, b"")
    assert connector.forged == 1


async def test_forged_event_is_refused_and_counted(rig: Rig) -> None:
    connector = await rig.opened()
    headers, body = posted(rig)
    with capture_logs() as logs:
        for _ in range(5):
            assert (await connector.receive({"x-hub-signature-256": "sha256=guessed"}, body)).status == 401
        assert (await connector.receive({}, body)).status == 401
        assert (await connector.receive(headers, body + b" ")).status == 401

    assert connector.forged == 7
    assert rig.inbox.offered == []
    assert [entry["so_far"] for entry in logs if entry["event"] == "whatsapp.forged_event"] == [1, 2, 4]
    assert (await connector.receive(headers, body)).status == 200
    assert len(rig.inbox.stored) == 1


async def test_without_an_app_secret_every_event_is_refused_and_the_operator_told(rig: Rig) -> None:
    with capture_logs() as logs:
        connector = await rig.opened(app_secret=None)

    assert (await connector.receive(*posted(rig))).status == 401
    assert "whatsapp.no_app_secret" in [entry["event"] for entry in logs]


async def test_event_that_is_not_stored_is_asked_for_again(rig: Rig) -> None:
    connector = await rig.opened()
    rig.inbox.failures = 1

    assert (await connector.receive(*posted(rig))).status == 503
    assert (await connector.receive(*posted(rig))).status == 200


async def test_events_are_asked_for_again_before_open_and_after_close(rig: Rig) -> None:
    connector = rig.connector()
    assert (await connector.receive(*posted(rig))).status == 503
    await connector.open(rig.inbox)
    await connector.close()

    assert (await connector.receive(*posted(rig))).status == 503


async def test_a_connector_that_only_listens_takes_events(rig: Rig) -> None:
    connector = rig.connector()
    connector.listen(rig.inbox)

    assert (await connector.receive(*posted(rig))).status == 200
    assert rig.inbox.links == []


async def test_what_the_platform_says_in_new_words_is_acknowledged_and_counted(rig: Rig) -> None:
    connector = await rig.opened()
    body, headers = rig.platform.webhook.notification({"statuses": [{"status": 5}]})

    assert (await connector.receive(headers, body)).status == 200
    assert connector.ignored == 1


async def test_handler_of_the_route_receives(rig: Rig) -> None:
    connector = await rig.opened()
    headers, body = posted(rig)

    answer = await connector.routes()[1].handle(CallbackRequest("https://sms.example.com/events", headers, body))

    assert answer.status == 200


async def test_texts_and_taps_arrive_at_the_sender_as_it_is_declared(rig: Rig) -> None:
    await rig.opened()
    button: dict[str, Any] = {"type": "button", "button": {"text": "Yes", "payload": "y"}}
    number = rig.platform.numbers[NUMBER_ID]

    assert await rig.platform.webhook.send_text(PERSON, number, "STOP", message_id="m1")
    assert await rig.platform.webhook.send_message(PERSON, number, button, message_id="m2")

    assert rig.inbox.texts == [
        Inbound(Channel.WHATSAPP, PERSON, OURS, "STOP", "m1"),
        Inbound(Channel.WHATSAPP, PERSON, OURS, "Yes", "m2", postback="y"),
    ]


# Secrets


async def test_no_credential_text_or_number_is_in_logs_outcomes_or_link_details(
    rig: Rig, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with capture_logs() as logs:
        connector = await rig.opened()
        await rig.outcome(connector, rig.submission(1, content=Content(text="secret words")))
        headers, body = posted(rig)
        await connector.receive({}, body)
        unreadable, signed = rig.platform.webhook.notification({"statuses": PERSON})
        await connector.receive(signed, unreadable)
        rig.inbox.failures = 1
        await connector.receive(headers, body)
        await rig.platform.begin_outage()
        await rig.outcome(connector, rig.submission(2))
        await rig.inbox.wait_for(lambda inbox: not inbox.is_up, 100.0)
        await connector.close()

    said = json.dumps([logs, rig.inbox.links, [o for _, _, o in rig.inbox.outcome_list]], default=repr)
    said += caplog.text + "".join(capsys.readouterr()) + repr(vars(connector)["_options"])
    for secret in ("EAAtoken", "app-secret-1", "secret words"):
        assert secret not in said
    assert "7700900" not in said
