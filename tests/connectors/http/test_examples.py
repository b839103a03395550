"""What the two examples of the repository say, and how they take what the APIs answer and report."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from structlog.testing import capture_logs
from vonage_http_client import Auth

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
from sendpool.connectors.http.requests import UNFIT_ADDRESS, UNFIT_CONTENT
from sendpool.domain.failures import FailureClass as F
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.simulate.telnyx import TelnyxApi

if TYPE_CHECKING:
    from tests.connectors.http.conftest import Rehearse

BOTH = pytest.mark.parametrize("name", ["vonage", "telnyx"])


@BOTH
async def test_a_message_is_taken_under_both_names_and_reported_delivered(name: str, rehearse: Rehearse) -> None:
    rig = await rehearse(name)
    sent = rig.submission(validity=600)

    outcome = await rig.outcome(await rig.opened(), sent)
    await rig.stored(2)

    (message,) = rig.api.messages
    assert outcome == CarrierId(sent.public_id, message.id)
    assert (message.to, message.text) == (sent.recipient, "Hi")
    assert sent.public_id in (message.reference, parse_qs(urlsplit(message.webhook).query).get("m", [""])[0])
    assert [one.state for one in rig.inbox.stored] == [ReceiptState.PROGRESS, ReceiptState.DELIVERED]
    assert {one.carrier_id for one in rig.inbox.stored} == {sent.public_id}


async def test_vonage_is_asked_as_its_reference_has_it(rehearse: Rehearse) -> None:
    rig = await rehearse("vonage")
    connector = await rig.opened()

    await rig.outcome(connector, rig.submission(1, validity=5))
    await rig.outcome(connector, rig.submission(2, content=Content(text="Приве́т & so = on"), sender="Cool Shop"))

    plain, other = (one.fields for one in rig.api.messages)
    address = f"{rig.callbacks.url}/callbacks/vonage/events"
    assert plain == {
        "api_key": "key-1",
        "api_secret": "secret-1",
        "to": "447700900001",
        "from": "447700900000",
        "text": "Hi",
        "type": "text",
        "ttl": "20000",
        "client-ref": rig.submission(1).public_id,
        "callback": f"{address}?key=callback-token-16",
        "status-report-req": "1",
    }
    assert (other["type"], other["from"], other["text"]) == ("unicode", "Cool Shop", "Приве́т & so = on")
    assert "ttl" not in other


async def test_telnyx_is_asked_as_its_reference_has_it(rehearse: Rehearse) -> None:
    rig = await rehearse("telnyx")

    await rig.outcome(await rig.opened(), rig.submission(content=Content(text='a "quoted" {{text}}\n')))

    assert rig.api.messages[0].fields == {
        "from": "+12034458910",
        "to": "+447700900001",
        "text": 'a "quoted" {{text}}\n',
        "webhook_url": f"{rig.callbacks.url}/callbacks/telnyx/events?m={rig.submission().public_id}",
        "use_profile_webhooks": False,
    }


@pytest.mark.parametrize(
    ("name", "fault", "expected"),
    [
        ("vonage", "refuse status=1 http=200 retry_after=3", Throttled("connection", 3.0, "1")),
        ("vonage", "refuse status=7 http=200", Rejected(F.RECIPIENT, "7", "pair", "connection/RECIPIENT")),
        ("vonage", "refuse status=9 http=200", Rejected(F.ACCOUNT, "9", "account", "connection/ACCOUNT")),
        ("vonage", "refuse status=77 http=200", Rejected(F.TRANSIENT, "77", "message", "http/?")),
        ("vonage", "refuse status=5 http=503", Rejected(F.TRANSIENT, "5", "message", "connection/TRANSIENT")),
        ("telnyx", "throttle mps=1", CarrierId(f"SM{1001 << 6 | 1:032x}", "00000000-0000-4000-8000-000000000001")),
        ("telnyx", "refuse status=10011 http=429 retry_after=9", Throttled("connection", 9.0, "10011")),
        ("telnyx", "refuse status=40300", Rejected(F.CONSENT, "40300", "pair", "connection/CONSENT")),
        ("telnyx", "refuse status=40009", Rejected(F.CONTENT, "40009", "message", "telnyx/40009")),
        ("telnyx", "refuse status=99999 http=422", Rejected(F.CONTENT, "99999", "message", "http/422")),
        ("telnyx", "refuse status=99999 http=503", Rejected(F.TRANSIENT, "99999", "message", "http/503")),
    ],
)
async def test_an_answer_means_what_the_maps_say(name: str, fault: str, expected: Any, rehearse: Rehearse) -> None:
    rig = await rehearse(name, fault)

    assert await rig.outcome(await rig.opened()) == expected
    assert len(rig.api.messages) + len(rig.api.refusals) == 1


@pytest.mark.parametrize(("name", "code"), [("vonage", "4"), ("telnyx", "10009")])
async def test_wrong_credentials_are_the_accounts_fault(name: str, code: str, rehearse: Rehearse) -> None:
    rig = await rehearse(name)
    connector = await rig.opened()
    rig.api.script = rig.api.script.__class__(secret="another")

    assert await rig.outcome(connector) == Rejected(F.ACCOUNT, code, "account", "connection/ACCOUNT")


@pytest.mark.parametrize(
    ("name", "err", "failure", "rule"),
    [
        ("vonage", "2", F.ABSENT, "connection/ABSENT"),
        ("vonage", "53", F.CONSENT, "connection/CONSENT"),
        ("telnyx", "40001", F.CHANNEL, "telnyx/40001"),
        ("telnyx", "40300", F.CONSENT, "connection/CONSENT"),
    ],
)
async def test_what_fails_later_is_a_receipt_with_its_class(
    name: str, err: str, failure: F, rule: str, rehearse: Rehearse
) -> None:
    rig = await rehearse(name, f"undelivered err={err}", sent_status=False)

    await rig.outcome(await rig.opened())
    await rig.stored(1)

    assert rig.inbox.stored == [Receipt(rig.submission().public_id, ReceiptState.UNDELIVERED, failure, err, rule)]


@BOTH
async def test_without_an_answer_it_is_uncertain_and_its_report_names_it_all_the_same(
    name: str, rehearse: Rehearse
) -> None:
    rig = await rehearse(name, "no-answer")

    outcome = await rig.outcome(await rig.opened(response_timeout=2))
    await rig.stored(2)

    assert isinstance(outcome, Uncertain)
    assert len(rig.api.messages) == 1
    assert rig.inbox.stored[-1].carrier_id == rig.submission().public_id


async def test_a_carrier_that_drops_repeats_is_asked_again(rehearse: Rehearse) -> None:
    rig = await rehearse("telnyx", "drop after=1 times=2 answered=false")
    connector = await rig.opened(
        request__idempotent=True,
        response__classes={"90001": "OK"},
    )

    outcome = await rig.outcome(connector)

    assert isinstance(outcome, CarrierId)
    assert len({one.webhook for one in rig.api.messages}) == 1
    assert len(rig.api.messages) == 3


@BOTH
async def test_a_host_that_is_not_there_means_that_nothing_left(name: str, rehearse: Rehearse) -> None:
    rig = await rehearse(name)
    connector = await rig.opened()
    await rig.api.begin_outage()

    assert isinstance(await rig.outcome(connector), Unavailable)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"recipient": "+1"}, UNFIT_ADDRESS),
        ({"recipient": "ana@example.com"}, UNFIT_ADDRESS),
        ({"content": Content()}, UNFIT_CONTENT),
        ({"content": Content(text="a" * 1_601)}, UNFIT_CONTENT),
    ],
)
async def test_what_cannot_be_carried_is_refused_here(
    changes: dict[str, Any], expected: Rejected, rehearse: Rehearse
) -> None:
    rig = await rehearse("vonage")

    assert await rig.outcome(await rig.opened(), rig.submission()._replace(**changes)) == expected
    assert rig.api.messages == []


# What is said to us


@BOTH
async def test_what_people_write_is_stored(name: str, rehearse: Rehearse) -> None:
    rig = await rehearse(name)
    await rig.opened()

    assert await rig.api.send_text("+447700900001", rig.sender, "STOP")

    (text,) = rig.inbox.texts
    assert text._replace(carrier_id=None) == Inbound(Channel.SMS, "+447700900001", rig.sender, "STOP")
    assert text.carrier_id


@BOTH
async def test_what_is_forged_is_refused_counted_and_told_of_now_and_then(name: str, rehearse: Rehearse) -> None:
    rig = await rehearse(name)
    connector = await rig.opened()
    body, headers = rig.api.received("+447700900001", rig.sender, "STOP")
    spoiled = {**headers, "telnyx-signature-ed25519": "c" * 86 + "=="}
    (route,) = connector.routes()

    with capture_logs() as logs:
        for url in ("http://h/callbacks/x/events", "http://h/callbacks/x/events?key=callback-token-17"):
            assert (await route.handle(CallbackRequest(url, spoiled, body))).status == 403
        assert (await route.handle(CallbackRequest("http://h/", {}, body))).status == 403

    assert connector.forged == 3
    assert [one["so_far"] for one in logs if one["event"] == "http.forged_callback"] == [1, 2]
    assert not rig.inbox.offered_texts


async def test_what_is_signed_names_the_message_whatever_the_address_says(rehearse: Rehearse) -> None:
    rig = await rehearse("telnyx", receipt_delay=1000)
    connector = await rig.opened()
    await rig.outcome(connector)
    (route,) = connector.routes()
    rig.api.messages[0].status = "delivered"
    body, headers = rig.api.report(rig.api.messages[0])

    turned = CallbackRequest(f"http://h/?m={rig.submission(2).public_id}", headers, body)
    assert (await route.handle(turned)).status == 200

    assert [one.carrier_id for one in rig.inbox.stored] == [rig.submission(1).public_id]


async def test_a_callback_that_is_old_or_changed_is_forged(rehearse: Rehearse) -> None:
    rig = await rehearse("telnyx")
    connector = await rig.opened()
    api = rig.api
    assert isinstance(api, TelnyxApi)
    (route,) = connector.routes()
    old, headers = api.signed("message.received", {"direction": "inbound"}, at=1_000_000)
    fresh, given = api.signed("message.received", {"direction": "inbound"})

    assert (await route.handle(CallbackRequest("http://h/", headers, old))).status == 403
    assert (await route.handle(CallbackRequest("http://h/", given, fresh + b" "))).status == 403
    assert (await route.handle(CallbackRequest("http://h/", given, fresh))).status == 200
    assert (connector.forged, connector.ignored) == (2, 1)


async def test_fields_that_vonages_own_package_signed_are_taken_and_others_are_not(rehearse: Rehearse) -> None:
    rig = await rehearse("vonage")
    verify = {"type": "fields", "secret": "signature-secret-16", "timestamp_field": "timestamp"}
    connector = await rig.opened(callback__verify=verify)
    (route,) = connector.routes()
    theirs = Auth(api_key="key-1", signature_secret="signature-secret-16", signature_method="sha256")
    fields = {"msisdn": "447700900001", "to": "447700900000", "text": "a&b=ž", "messageId": "1", "timestamp": _now()}
    old = {**fields, "timestamp": _now(-400)}

    async def status(said: dict[str, str]) -> int:
        by_json = CallbackRequest("http://h/", {}, json.dumps(said).encode())
        by_form = CallbackRequest("http://h/", {}, urlencode(said).encode())
        (one,) = {(await route.handle(request)).status for request in (by_json, by_form)}
        return one

    assert await status({**fields, "sig": theirs.sign_params(dict(fields))}) == 200
    assert await status({**fields, "sig": theirs.sign_params(dict(fields)).upper()}) == 200
    assert await status({**fields, "text": "no", "sig": theirs.sign_params(dict(fields))}) == 403
    assert await status({**old, "sig": theirs.sign_params(dict(old))}) == 403
    assert await status(fields) == 403
    assert (await route.handle(CallbackRequest("http://h/", {}, b"[1]"))).status == 403


def _now(ahead: int = 0) -> str:
    return str(int(time.time()) + ahead)


@BOTH
async def test_no_secret_is_in_logs_or_in_words(name: str, rehearse: Rehearse) -> None:
    rig = await rehearse(name, "refuse status=4 http=401")

    with capture_logs() as logs:
        connector = await rig.opened()
        await rig.outcome(connector)
        await rig.api.begin_outage()
        await asyncio.sleep(1)

    said = json.dumps(logs, default=repr) + repr(connector._options) + repr(rig.inbox.links)
    assert "secret-1" not in said
    assert "callback-token" not in said
