"""Callbacks are taken only with a right signature, judged by the golden vectors and by Twilio's own validator."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from sendpool.connectors.base import Inbound, Receipt, ReceiptState
from sendpool.connectors.twilio.callbacks import Forged, Secrets, inbound_of, read_signed, receipt_of, signature
from sendpool.domain.failures import FailureClass as F
from sendpool.domain.sender import Channel

SECRETS = Secrets("12345", {"k1": "12345"})
URL = "https://router.example/callbacks/tw/status?m=SM01"


def headers(one: dict[str, str]) -> dict[str, str]:
    said = {"x-twilio-signature": one["signature"]}
    return {**said, "x-twilio-webhooks-signature-settings": one["settings"]} if "settings" in one else said


def test_what_is_signed_as_in_the_vectors_is_taken(vectors: Any) -> None:
    for one in vectors["callbacks"]:
        read_signed(one["url"], headers(one), one["body"].encode(), SECRETS)


@pytest.mark.parametrize("change", ["url", "body", "signature", "settings"])
def test_any_change_is_forged(vectors: Any, change: str) -> None:
    for one in vectors["callbacks"]:
        changed = {**one, change: one.get(change, "key=k2,algorithm=HMAC_SHA256") + "x"}

        with pytest.raises(Forged):
            read_signed(changed["url"], headers(changed), changed["body"].encode(), SECRETS)


@pytest.mark.parametrize(
    ("secrets", "settings"),
    [
        (Secrets("", {}), ""),
        (Secrets("12345", {}), "key=k1,algorithm=HMAC_SHA256"),
        (Secrets("12345", {"k1": "12345"}), "key=k1,algorithm=HMAC_MD5"),
        (Secrets("12345", {"k1": "12345"}), "key=k2,algorithm=HMAC_SHA256"),
    ],
)
def test_without_the_secret_or_the_algorithm_everything_is_forged(secrets: Secrets, settings: str) -> None:
    given = {"x-twilio-signature": signature(URL, {}, "12345"), "x-twilio-webhooks-signature-settings": settings}

    with pytest.raises(Forged):
        read_signed(URL, given, b"", secrets)


HOSTS = st.sampled_from(["a.example", "a.example:8443", "a.example:443", "127.0.0.1:80", "[::1]", "[::1]:8080"])
FIELDS = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=4), st.text(st.characters(codec="utf-8"), max_size=9)
)


@given(HOSTS, FIELDS)
def test_twilios_own_validator_takes_what_we_sign_and_we_what_it_signs(host: str, fields: dict[str, str]) -> None:
    url = f"https://{host}/callbacks/tw/status?m=SM01"
    theirs = RequestValidator("12345").compute_signature(url, fields)
    ours = signature(url, {name: [value] for name, value in fields.items()}, "12345")

    form = read_signed(url, {"x-twilio-signature": theirs}, urlencode(fields).encode(), SECRETS)

    assert ours == theirs
    assert {name: values[0] for name, values in form.items()} == fields


def status(**fields: str) -> dict[str, list[str]]:
    return {name: [value] for name, value in {"MessageSid": "SM99", **fields}.items()}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"MessageStatus": "queued"}, None),
        ({"MessageStatus": "sent"}, Receipt("SM01", ReceiptState.PROGRESS, None, "sent")),
        ({"MessageStatus": "delivered"}, Receipt("SM01", ReceiptState.DELIVERED, None, "delivered")),
        ({"MessageStatus": "read"}, Receipt("SM01", ReceiptState.READ, None, "read")),
        (
            {"MessageStatus": "undelivered", "ErrorCode": "30003"},
            Receipt("SM01", ReceiptState.UNDELIVERED, F.ABSENT, "30003", "twilio/30003"),
        ),
        (
            {"MessageStatus": "failed", "ErrorCode": "30007"},
            Receipt("SM01", ReceiptState.UNDELIVERED, F.POLICY, "30007", "twilio/30007"),
        ),
        ({"MessageStatus": "failed"}, Receipt("SM01", ReceiptState.UNDELIVERED, F.TRANSIENT, "30008", "twilio/30008")),
        (
            {"MessageStatus": "failed", "ErrorCode": "30026"},
            Receipt("SM01", ReceiptState.UNDELIVERED, F.TRANSIENT, "30026", "twilio/30008"),
        ),
        (
            {"MessageStatus": "failed", "ErrorCode": "30036"},
            Receipt("SM01", ReceiptState.EXPIRED, F.EXPIRED, "30036", "twilio/30036"),
        ),
        ({"MessageStatus": "canceled"}, Receipt("SM01", ReceiptState.REVOKED, F.EXPIRED, "canceled", "class/EXPIRED")),
    ],
)
def test_each_status_says_what_the_page_says(fields: dict[str, str], expected: Receipt | None) -> None:
    assert receipt_of(URL, status(**fields)) == expected


def test_a_status_at_an_address_of_a_services_own_is_known_by_twilios_sid() -> None:
    found = receipt_of("https://router.example/callbacks/tw/status", status(MessageStatus="delivered"))

    assert found is not None
    assert found.carrier_id == "SM99"


def test_a_message_of_a_person_comes_with_its_files() -> None:
    form = status(
        From="whatsapp:+447700900001", To="whatsapp:+15550783881", Body="Hi", NumMedia="1", MediaUrl0="https://m/1"
    )

    assert inbound_of(form) == Inbound(
        Channel.WHATSAPP, "+447700900001", "+15550783881", "Hi", "SM99", media=("https://m/1",)
    )
    assert inbound_of(status(From="+447700900001", To="")) is None


def test_the_body_of_the_vectors_is_a_receipt(vectors: Any) -> None:
    one = vectors["callbacks"][0]
    form = {name: [value] for name, value in parse_qsl(one["body"])}

    found = receipt_of(one["url"], form)

    assert found == Receipt("msg-01J", ReceiptState.UNDELIVERED, F.ABSENT, "30003", "twilio/30003")
