"""The connector posts each message once, looks for what became of one without an answer, and hears by callback."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from sendpool.connectors.base import (
    AttemptKey,
    CallbackRequest,
    CarrierId,
    Inbound,
    Receipt,
    ReceiptState,
    Rejected,
    SenderSettings,
    Throttled,
    Unavailable,
    Uncertain,
)
from sendpool.domain.failures import FailureClass as F
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.simulate.twilio_script import Number

if TYPE_CHECKING:
    from tests.connectors.twilio.conftest import Rehearse, Rig

SERVICE = "MG00000000000000000000000000000001"


async def test_a_message_is_taken_under_both_names_and_reported_delivered(rig: Rig) -> None:
    connector = await rig.opened()
    sent = rig.submission(validity=100_000)

    outcome = await rig.outcome(connector, sent)
    await rig.stored(2)

    (message,) = rig.account.messages
    assert outcome == CarrierId(sent.public_id, message.sid)
    assert (message.to, message.sender, message.body) == (sent.recipient, sent.sender, "Hi")
    assert (message.validity, message.media) == ("36000", ())
    assert [one.state for one in rig.inbox.stored] == [ReceiptState.PROGRESS, ReceiptState.DELIVERED]
    assert {one.carrier_id for one in rig.inbox.stored} == {sent.public_id}


async def test_one_connection_serves_many_messages(rig: Rig) -> None:
    connector = await rig.opened(window=1)
    await rig.outcome(connector)
    made = rig.account.connections_made

    for number in range(2, 7):
        await rig.outcome(connector, rig.submission(number))

    assert rig.account.connections_made == made


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("refuse status=21610", Rejected(F.CONSENT, "21610", "pair", "twilio/21610")),
        ("refuse status=21612", Rejected(F.SENDER, "21612", "pair", "twilio/21612")),
        ("refuse status=21408 http=403", Rejected(F.SENDER, "21408", "sender_country", "twilio/21408")),
        ("refuse status=20429 http=429 retry_after=7", Throttled("connection", 7.0, "20429")),
        ("refuse status=21611", Throttled("sender", None, "21611")),
        ("throttle mps=1", CarrierId(f"SM{1001 << 6 | 1:032x}", f"SM{1:016x}{1:016x}")),
    ],
)
async def test_an_answer_is_told_at_once_and_nothing_is_repeated(
    rehearse: Rehearse, fault: str, expected: object
) -> None:
    rig = await rehearse(fault)

    assert await rig.outcome(await rig.opened()) == expected
    assert rig.account.totals().requests == 1


async def test_a_wrong_token_is_the_connections_fault(rehearse: Rehearse) -> None:
    rig = await rehearse(auth_token="another")

    assert await rig.outcome(await rig.opened()) == Rejected(F.ACCOUNT, "20003", "connection", "twilio/20003")


async def test_what_fails_later_is_a_receipt_with_its_class(rehearse: Rehearse) -> None:
    rig = await rehearse("undelivered err=30005")
    await rig.outcome(await rig.opened())

    await rig.stored(2)

    name = rig.submission().public_id
    assert rig.inbox.stored[-1] == Receipt(name, ReceiptState.UNDELIVERED, F.RECIPIENT, "30005", "twilio/30005")


# Unknown fate


async def test_a_message_without_an_answer_is_found_in_the_account(rehearse: Rehearse) -> None:
    rig = await rehearse("no-answer", "silence", sent_status=False)

    outcome = await rig.outcome(await rig.opened(response_timeout=2))

    assert outcome == CarrierId(rig.submission().public_id, rig.account.messages[0].sid)
    assert len(rig.account.messages) == 1


async def test_a_callback_proves_that_it_got_in_while_the_account_lists_nothing(rehearse: Rehearse) -> None:
    rig = await rehearse("no-answer", receipt_delay=10, sent_status=False)
    connector = await rig.opened(response_timeout=2)
    sent = rig.submission(content=Content(text="Hi"))
    await connector.submit([sent])
    await asyncio.sleep(1)
    rig.account.messages[0].body = "as nobody sent it"
    # Its callback comes 8 s after the search has begun.
    await rig.inbox.wait_for(lambda inbox: bool(inbox.outcome_list), 100.0)

    assert rig.inbox.outcomes_of(sent.attempt) == [CarrierId(sent.public_id, rig.account.messages[0].sid)]


async def test_without_proof_it_is_uncertain_after_the_search(rehearse: Rehearse) -> None:
    rig = await rehearse("refuse status=20500 http=500")
    connector = await rig.opened(search_timeout=6)
    began = asyncio.get_running_loop().time()

    outcome = await rig.outcome(connector)

    assert isinstance(outcome, Uncertain)
    assert 5 < asyncio.get_running_loop().time() - began < 9
    assert rig.account.searches > 1
    assert rig.account.totals().requests == 1


async def test_of_two_alike_none_is_taken_for_the_other(rehearse: Rehearse) -> None:
    rig = await rehearse("no-answer", "silence", sent_status=False)
    connector = await rig.opened(response_timeout=2, search_timeout=4)
    twins = [rig.submission(1), rig.submission(1)._replace(attempt=rig.submission(2).attempt, public_id="SM02")]

    await connector.submit(twins)
    await rig.inbox.wait_for(lambda inbox: len(inbox.outcome_list) == 2, 100.0)

    assert all(isinstance(outcome, Uncertain) for _, _, outcome in rig.inbox.outcome_list)


async def test_a_message_that_is_known_already_is_not_taken_for_another(rehearse: Rehearse) -> None:
    rig = await rehearse("refuse status=20500 http=500 share=0.5", seed=5)
    connector = await rig.opened(search_timeout=1)

    for n in range(8):
        await rig.outcome(
            connector, rig.submission(1, n=1)._replace(attempt=AttemptKey(1001, n + 1), public_id=f"SM{n:032x}")
        )

    sids = [outcome.also for _, _, outcome in rig.inbox.outcome_list if isinstance(outcome, CarrierId)]
    assert 0 < len(sids) == len(set(sids)) == len(rig.account.messages) < 8


async def test_a_host_that_is_not_there_means_that_nothing_left(rig: Rig) -> None:
    connector = await rig.opened()
    await rig.account.begin_outage()

    assert isinstance(await rig.outcome(connector), Unavailable)


# What is sent


async def test_services_files_and_whatsapp_go_as_the_api_has_them(rehearse: Rehearse) -> None:
    rig = await rehearse(services=(SERVICE,))
    connector = await rig.opened()
    content = Content(text="Look", media=("https://shop.example/a.png", "https://shop.example/b.png"))

    await rig.outcome(connector, rig.submission(1, sender=SERVICE))
    await rig.outcome(connector, rig.submission(2, channel=Channel.WHATSAPP, content=content))
    await rig.outcome(connector, rig.submission(3, options={"messaging_service_sid": SERVICE}))

    by_service, by_whatsapp, by_both = rig.account.messages
    assert by_service.service == by_both.service == SERVICE
    assert (by_whatsapp.sender, by_whatsapp.to) == ("whatsapp:+12034458910", "whatsapp:+447700900002")
    assert by_whatsapp.media == content.media
    assert by_both.sender == "+12034458910"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"recipient": "+1"}, "21211"),
        ({"recipient": "ana@example.com"}, "21211"),
        ({"content": Content()}, "21602"),
        ({"content": Content(text="a" * 1_601)}, "21617"),
        ({"content": Content(media=tuple("abcdefghijk"))}, "21623"),
        ({"content": Content(rich={"template": {}})}, "63005"),
    ],
)
async def test_what_cannot_be_carried_is_refused_here(rig: Rig, changes: dict[str, Any], code: str) -> None:
    outcome = await rig.outcome(await rig.opened(), rig.submission()._replace(**changes))

    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.rule) == (code, f"twilio/{code}")
    assert rig.account.totals().requests == 0


# The numbers of the account


async def test_every_number_that_can_send_is_a_sender_at_its_own_pace(rehearse: Rehearse) -> None:
    numbers = [Number(phone_number=f"+1203445{n:04}") for n in range(1_100)]
    other = (
        Number(phone_number="+18005550100", friendly_name="Toll free"),
        Number(phone_number="+447700900000"),
        Number(phone_number="+12025550100", sms=False),
        Number(phone_number="+12025550101", status="pending"),
    )
    rig = await rehearse(numbers=(*numbers, *other), short_codes=("62442",))

    found = await (await rig.opened()).inventory()

    assert found is not None
    by_address = {one.address: one for one in found}
    assert len(found) == len(by_address) == 1_103
    assert by_address["+12034450007"].mps == 1
    assert by_address["+18005550100"] == SenderSettings(
        channel=Channel.SMS, address="+18005550100", display_name="Toll free", mps=3.0, options={"found": True}
    )
    assert (by_address["+447700900000"].mps, by_address["62442"].mps) == (10, 100)
    assert rig.account.inventories == 2


async def test_an_account_that_tells_nothing_has_nobody_switched_off(rehearse: Rehearse) -> None:
    rig = await rehearse(auth_token="another")
    connector = await rig.opened()

    assert await connector.inventory() is None
    await rig.account.begin_outage()
    assert await connector.inventory() is None


# What is said to us


async def test_what_people_write_is_answered_without_a_reply(rig: Rig) -> None:
    await rig.opened()

    assert await rig.account.send_text("+447700900001", "+12034458910", "STOP", ("https://media.example/1",))

    (text,) = rig.inbox.texts
    assert text._replace(carrier_id=None) == Inbound(
        Channel.SMS, "+447700900001", "+12034458910", "STOP", media=("https://media.example/1",)
    )


async def test_what_is_forged_is_refused_counted_and_told_of_now_and_then(rig: Rig) -> None:
    connector = await rig.opened()
    status, messages = connector.routes()

    with capture_logs() as logs:
        for route in (status, messages, status):
            asked = CallbackRequest(f"{rig.callbacks.url}/callbacks/tw{route.path}", {}, b"MessageStatus=delivered")
            assert (await route.handle(asked)).status == 403

    assert connector.forged == 3
    assert [one["so_far"] for one in logs if one["event"] == "twilio.forged_callback"] == [1, 2]
    assert not rig.inbox.offered


async def test_the_address_comes_from_the_configuration_not_from_the_request(rig: Rig) -> None:
    connector = await rig.opened(public_url="https://send.example")
    body, headers = rig.account.callbacks.signed(
        "https://send.example/callbacks/tw/status?m=SM01", {"MessageSid": "SM9", "MessageStatus": "delivered"}
    )
    asked = CallbackRequest(
        "http://10.0.0.7:8080/callbacks/tw/status?m=SM01",
        {name.lower(): value for name, value in headers.items()},
        body,
    )

    assert (await connector.routes()[0].handle(asked)).status == 200
    assert [one.carrier_id for one in rig.inbox.stored] == ["SM01"]


async def test_a_shared_key_signs_as_well_as_the_token(rehearse: Rehearse) -> None:
    rig = await rehearse(signing_key=("k1", "secret-of-k1"))
    connector = await rig.opened(signing_keys={"k1": "secret-of-k1"})

    await rig.outcome(connector)
    await rig.stored(2)

    assert connector.forged == 0


async def test_no_secret_is_in_logs_or_in_words(rehearse: Rehearse) -> None:
    rig = await rehearse("refuse status=20003 http=401", auth_token="secret-11")

    with capture_logs() as logs:
        connector = await rig.opened(auth_token="secret-11", signing_keys={"k": "secret-12"})
        await rig.outcome(connector)
        await rig.account.begin_outage()
        await connector.inventory()

    said = json.dumps(logs, default=repr) + repr(connector._options) + repr(rig.inbox.links)
    assert "secret-1" not in said
