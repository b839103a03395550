"""What the webhook is told is believed only with the right signature, and read by its fields."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from sendpool.connectors.base import Inbound, Receipt, ReceiptState
from sendpool.connectors.rcs.events import (
    Forged,
    Handshake,
    Launch,
    Notice,
    Unreadable,
    UserMessage,
    WrongHandshake,
    inbound_of,
    read,
    receipt_of,
    signature,
)
from sendpool.domain.failures import FailureClass
from sendpool.domain.sender import Channel

TOKEN = "SJENCPGJESMGUFPY"
OURS = "0b0c6b9a-6f43-4a0e-9d2a-0c8f3f1f0a01"


def envelope(data: object, token: str = TOKEN, **attributes: str) -> tuple[dict[str, str], bytes]:
    octets = data if isinstance(data, bytes) else json.dumps(data).encode()
    message = {"data": base64.b64encode(octets).decode(), "attributes": attributes, "messageId": "1"}
    return {"x-goog-signature": signature(token, octets)}, json.dumps({"message": message}).encode()


def heard(data: object, **attributes: str) -> Any:
    return read(*envelope(data, **attributes), TOKEN)


def test_golden_delivered(vectors: Any) -> None:
    golden = vectors["events"]["delivered"]

    notice = read({"x-goog-signature": golden["signature"]}, golden["body"].encode(), TOKEN)

    assert notice == Notice(
        phone="+447700900123", event_type="DELIVERED", event_id="e1", message_id=OURS, agent_id="a1"
    )
    assert isinstance(notice, Notice)
    assert receipt_of(notice) == Receipt(OURS, ReceiptState.DELIVERED, None, "DELIVERED")
    assert signature(TOKEN, golden["data"].encode()) == golden["signature"]


def test_golden_ttl_revoked(vectors: Any) -> None:
    golden = vectors["events"]["ttl revoked"]
    body = json.dumps({"message": {"data": golden["encoded"]}}).encode()

    notice = read({"x-goog-signature": golden["signature"]}, body, TOKEN)

    assert isinstance(notice, Notice)
    assert notice.phone == "+447700900123"
    assert receipt_of(notice) == Receipt(
        OURS, ReceiptState.EXPIRED, FailureClass.EXPIRED, "TTL_EXPIRATION_REVOKED", "rcs/TTL_EXPIRATION_REVOKED"
    )


def test_golden_handshake(vectors: Any) -> None:
    body = vectors["events"]["handshake"].encode()

    assert read({}, body, TOKEN) == Handshake(secret="1234567890")
    for token in ("another", ""):
        with pytest.raises(WrongHandshake):
            read({}, body, token)


@pytest.mark.parametrize(
    "said", ["", "okvGXcZPsoPGGum2iSFXUXbv5rGB", signature("another", b"{}"), "ünsigned", "A" * 10_000]
)
def test_a_wrong_signature_is_forged(vectors: Any, said: str) -> None:
    body = vectors["events"]["delivered"]["body"].encode()

    with pytest.raises(Forged):
        read({"x-goog-signature": said}, body, TOKEN)


def test_a_missing_signature_is_forged_and_so_is_everything_without_our_token(vectors: Any) -> None:
    golden = vectors["events"]["delivered"]

    with pytest.raises(Forged):
        read({}, golden["body"].encode(), TOKEN)
    with pytest.raises(Forged):
        read(*envelope(json.loads(golden["data"]), token=""), "")


def test_the_signature_is_over_the_decoded_data_not_over_the_body(vectors: Any) -> None:
    body = vectors["events"]["delivered"]["body"].encode()

    with pytest.raises(Forged):
        read({"x-goog-signature": signature(TOKEN, body)}, body, TOKEN)


@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b"[]", b"{}", b'{"message":{}}', b'{"message":{"data":"%%%"}}', b"\xff\xfe"]
)
def test_what_is_no_envelope_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable) as error:
        read({"x-goog-signature": "x"}, body, TOKEN)

    assert not error.value.signed


@pytest.mark.parametrize("data", [b"nonsense", b"[]", b'{"eventType":5}', b'{"text":"hi"}', b"\xff"])
def test_signed_words_that_we_do_not_know_are_told_apart(data: bytes) -> None:
    with pytest.raises(Unreadable) as error:
        heard(data)

    assert error.value.signed


@pytest.mark.parametrize(
    ("event_type", "state", "failure", "rule"),
    [
        ("DELIVERED", ReceiptState.DELIVERED, None, ""),
        ("READ", ReceiptState.READ, None, ""),
        ("TTL_EXPIRATION_REVOKED", ReceiptState.EXPIRED, FailureClass.EXPIRED, "rcs/TTL_EXPIRATION_REVOKED"),
        *[
            (kind, ReceiptState.UNKNOWN, FailureClass.AMBIGUOUS, "rcs/TTL_EXPIRATION_REVOKE_FAILED")
            for kind in ("TTL_EXPIRATION_REVOKE_FAILED", "TTL_EXPIRATION_SOMETHING_NEW")
        ],
    ],
)
def test_events_about_a_message_are_receipts(
    event_type: str, state: ReceiptState, failure: FailureClass | None, rule: str
) -> None:
    notice = Notice(phone="+447700900123", event_type=event_type, message_id=OURS)

    assert receipt_of(notice) == Receipt(OURS, state, failure, event_type, rule)


@pytest.mark.parametrize("event_type", ["IS_TYPING", "SUBSCRIBE", "UNSUBSCRIBE", "SOMETHING_NEW"])
def test_other_events_are_none(event_type: str) -> None:
    assert receipt_of(Notice(phone="+447700900123", event_type=event_type, message_id=OURS)) is None


def test_an_event_without_a_message_is_no_receipt() -> None:
    assert receipt_of(Notice(phone="+447700900123", event_type="DELIVERED")) is None


@pytest.mark.parametrize(
    ("said", "text", "known_by", "more"),
    [
        ({"text": "Hi", "messageId": "m1"}, "Hi", "m1", {}),
        ({"text": "", "messageId": "m1"}, "", "m1", {}),
        (
            {"suggestionResponse": {"postbackData": "y", "text": "Yes"}, "messageId": "m2"},
            "Yes",
            "m2",
            {"postback": "y"},
        ),
        (
            {"suggestionResponse": {"postbackData": "y", "type": "ACTION"}, "eventId": "e2"},
            "y",
            "e2",
            {"postback": "y"},
        ),
        (
            {"userFile": {"payload": {"fileUri": "https://f.example/1", "mimeType": "image/png"}}},
            "https://f.example/1",
            None,
            {"media": ("https://f.example/1",)},
        ),
        ({"location": {"latitude": 51.5, "longitude": -0.12}, "messageId": "m3"}, "geo:51.5,-0.12", "m3", {}),
    ],
)
def test_what_a_person_says_is_inbound(
    said: dict[str, Any], text: str, known_by: str | None, more: dict[str, Any]
) -> None:
    message = heard({"senderPhoneNumber": "+447700900123", "agentId": "a1", **said})

    assert isinstance(message, UserMessage)
    assert inbound_of(message, "a1") == Inbound(Channel.RCS, "+447700900123", "a1", text, known_by, **more)


def test_a_tapped_chip_keeps_what_we_had_put_behind_it() -> None:
    tapped = {"postbackData": "order-7", "text": "Yes", "type": "REPLY"}

    message = heard({"senderPhoneNumber": "+447700900123", "suggestionResponse": tapped, "messageId": "m2"})

    assert message.suggestion_response.postback_data == "order-7"


def test_a_launch_is_told_by_its_attribute() -> None:
    data = {"eventId": "e3", "agentId": "a1", "regionId": "/v1/regions/uk", "newLaunchState": "LAUNCHED"}

    launch = heard(data, type="agent_launch_event")

    assert launch == Launch(event_id="e3", agent_id="a1", region_id="/v1/regions/uk", new_launch_state="LAUNCHED")
