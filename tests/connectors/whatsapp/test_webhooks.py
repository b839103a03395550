"""What the platform posts is checked by its signature, then read; a part that cannot be read takes no other with it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendpool.connectors.base import Inbound, Receipt, ReceiptState
from sendpool.connectors.whatsapp import webhooks
from sendpool.connectors.whatsapp.webhooks import SIGNATURE, Forged, Said, Unreadable, challenge_of, signature
from sendpool.domain.failures import FailureClass as F
from sendpool.domain.sender import Channel

SECRET = "app-secret-1"
OURS = {"1065": "+15550783881"}
PERSON = "+447700900123"


def read(body: bytes, secret: str = SECRET) -> Said:
    return webhooks.read({SIGNATURE: signature(SECRET, body)}, body, secret, OURS)


def told(*changes: Any, field: str = "messages", phone_number_id: str = "1065") -> bytes:
    metadata = {"display_phone_number": "15550783881", "phone_number_id": phone_number_id}
    values = [{"field": field, "value": {"metadata": metadata, **change}} for change in changes]
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1020", "changes": values}]}).encode()


def status(said: str, **more: Any) -> dict[str, Any]:
    return {"id": "wamid.A", "status": said, "timestamp": "1", "biz_opaque_callback_data": "SM1", **more}


def message(kind: str, **more: Any) -> dict[str, Any]:
    return {"from": PERSON[1:], "id": "wamid.B", "timestamp": "1", "type": kind, **more}


@pytest.mark.parametrize("name", ["empty", "window_closed", "delivered", "inbound"])
def test_golden_signatures(name: str, vectors: Any) -> None:
    vector = vectors["webhooks"][name]
    body = vector["body"].encode()

    assert signature(vectors["app_secret"], body) == vector["signature"]
    webhooks.read({SIGNATURE: vector["signature"]}, body, vectors["app_secret"], OURS)


def test_golden_failure_is_a_receipt_that_asks_for_a_template(vectors: Any) -> None:
    said = read(vectors["webhooks"]["window_closed"]["body"].encode())

    assert said.receipts == [
        Receipt("msg-01J", ReceiptState.UNDELIVERED, F.CONTENT, "131047", "whatsapp/131047"),
    ]


def test_golden_delivery_is_a_receipt(vectors: Any) -> None:
    said = read(vectors["webhooks"]["delivered"]["body"].encode())

    assert said == Said(
        [Receipt("msg-01J", ReceiptState.DELIVERED, None, "delivered")], [], [], {"+15550783881": False}, 0
    )


def test_golden_text_of_a_person(vectors: Any) -> None:
    said = read(vectors["webhooks"]["inbound"]["body"].encode())

    assert said.inbound == [Inbound(Channel.WHATSAPP, PERSON, "+15550783881", "STOP", "wamid.BBB")]


def test_golden_verification(vectors: Any) -> None:
    vector = vectors["verify"]
    url = f"https://sms.example.com/callbacks/meta/events?{vector['query']}"

    assert challenge_of(url, vector["token"]) == vector["answer"]
    assert challenge_of(url, "another") is None
    assert challenge_of(url, "") is None
    assert challenge_of(url.replace("subscribe", "unsubscribe"), vector["token"]) is None
    assert challenge_of("https://sms.example.com/", vector["token"]) is None


@settings(max_examples=30)
@given(st.binary(max_size=50), st.text(max_size=80))
def test_whatever_is_not_signed_with_our_secret_is_forged(body: bytes, given_signature: str) -> None:
    with pytest.raises(Forged):
        webhooks.read({SIGNATURE: given_signature}, body, SECRET, OURS)


def test_without_a_secret_everything_is_forged() -> None:
    body = told({"statuses": [status("delivered")]})

    with pytest.raises(Forged):
        webhooks.read({SIGNATURE: signature("", body)}, body, "", OURS)
    with pytest.raises(Forged):
        webhooks.read({}, body, SECRET, OURS)


def test_a_body_that_was_written_anew_is_forged(vectors: Any) -> None:
    vector = vectors["webhooks"]["inbound"]
    anew = json.dumps(json.loads(vector["body"]), ensure_ascii=False, separators=(",", ":")).encode()

    with pytest.raises(Forged):
        webhooks.read({SIGNATURE: vector["signature"]}, anew, SECRET, OURS)


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b"{}", b'{"entry":5}', b"\xff"])
def test_what_is_signed_and_none_of_the_platforms_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read(body)


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("sent", ReceiptState.PROGRESS),
        ("delivered", ReceiptState.DELIVERED),
        ("read", ReceiptState.READ),
        ("played", ReceiptState.READ),
    ],
)
def test_statuses(said: str, state: ReceiptState) -> None:
    assert read(told({"statuses": [status(said)]})).receipts == [Receipt("SM1", state, None, said)]


@pytest.mark.parametrize(
    ("errors", "failure", "code", "rule"),
    [
        ([{"code": 131026}], F.CHANNEL, "131026", "whatsapp/131026"),
        ([{"code": "131049"}], F.CAP, "131049", "whatsapp/131049"),
        ([{"code": 131050}], F.CONSENT, "131050", "whatsapp/131050"),
        ([{"code": 424242}], F.TRANSIENT, "424242", "whatsapp/?"),
        ([], F.TRANSIENT, "none", "whatsapp/?"),
    ],
)
def test_failures_have_the_class_of_their_code(errors: Any, failure: F, code: str, rule: str) -> None:
    said = read(told({"statuses": [status("failed", errors=errors)]}))

    assert said.receipts == [Receipt("SM1", ReceiptState.UNDELIVERED, failure, code, rule)]


def test_many_statuses_and_texts_in_one_body_all_count_and_bad_ones_alone_are_left_out() -> None:
    good = status("delivered")
    stranger = {name: value for name, value in good.items() if name != "biz_opaque_callback_data"}
    body = told(
        {"statuses": [good, {"id": 5}, stranger, status("deleted")]},
        {"messages": [message("text", text={"body": "Hi"}), {"id": "wamid.C"}]},
        {"statuses": "nonsense"},
    )

    said = read(body)

    assert [receipt.carrier_id for receipt in said.receipts] == ["SM1"]
    assert [one.text for one in said.inbound] == ["Hi"]
    assert said.ignored == 5


@pytest.mark.parametrize(
    ("what", "text", "postback"),
    [
        (message("button", button={"text": "Yes", "payload": "y"}), "Yes", "y"),
        (
            message("interactive", interactive={"type": "button_reply", "button_reply": {"id": "y", "title": "Yes"}}),
            "Yes",
            "y",
        ),
        (
            message("interactive", interactive={"type": "list_reply", "list_reply": {"id": "r1", "title": "Row"}}),
            "Row",
            "r1",
        ),
        (message("image", image={"id": "1", "mime_type": "image/jpeg", "caption": "Look"}), "Look", None),
        (message("audio", audio={"id": "1"}), "", None),
        (message("location", location={"latitude": 1.5, "longitude": -2}), "geo:1.5,-2", None),
        (message("reaction", reaction={"message_id": "wamid.A", "emoji": "👍"}), "👍", None),
    ],
)
def test_what_people_send_becomes_a_text(what: dict[str, Any], text: str, postback: str | None) -> None:
    (heard,) = read(told({"messages": [what]})).inbound

    assert heard == Inbound(Channel.WHATSAPP, PERSON, "+15550783881", text, "wamid.B", postback=postback)


def test_a_person_without_a_number_is_known_by_their_user_id() -> None:
    what = {"from_user_id": "GB.1349", "id": "wamid.B", "type": "text", "text": {"body": "Hi"}}

    said = read(told({"messages": [what]}))

    assert [one.sender for one in said.inbound] == ["GB.1349"]
    assert said.heard == {"+15550783881": True}, "somebody's window is open, and nobody knows whose"


def test_numbers_that_are_told_of_are_heard_and_who_calls_one_may_be_written_to() -> None:
    text = message("text", text={"body": "Hi"})
    call = {"calls": [{"from": PERSON[1:], "event": "connect"}]}

    assert read(told({"statuses": [status("sent")]}, {"messages": [text]})).heard == {"+15550783881": False}
    assert read(told({"messages": [{**text, "id": 7}]})).heard == {"+15550783881": True}, "it cannot be read"
    assert read(told(call, field="calls")).heard == {"+15550783881": True}
    assert read(told({"event": "FLAGGED"}, field="account_update")).heard == {}, "not how texts come"


def test_a_number_that_is_not_declared_is_named_as_it_is_shown() -> None:
    (heard,) = read(told({"messages": [message("text", text={"body": "Hi"})]}, phone_number_id="9")).inbound

    assert heard.recipient == "+15550783881"


@pytest.mark.parametrize("kind", ["system", "unsupported"])
def test_what_is_no_message_of_a_person_changes_nothing(kind: str) -> None:
    assert read(told({"messages": [message(kind)]})) == Said([], [], [], {"+15550783881": True}, 1), (
        "they may have opened a window"
    )


def test_news_of_the_account_are_named() -> None:
    body = told({"display_phone_number": "1", "event": "FLAGGED"}, field="phone_number_quality_update")

    assert read(body) == Said([], [], ["phone_number_quality_update"], {}, 0)
