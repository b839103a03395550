"""What a call is, what an answer means, and what is repeated: rules without a connection."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.client import BadRequest, OutcomeUnknown, ServerFault, Settings, TooMany, UnexpectedAnswer, Unreachable
from sendpool.client import requests as ask
from sendpool.client.calls import Call, Fault, Reply, pause_before_repeat, retry_after, settle

POOL, SENDER = "comms_senderpool_01h9krwprkeee8fzqspvwy6nq8", "comms_sender_01h9krwprkeee8fzqspvwy6nq8"
ACCEPTED = '{"operationId":"comms_operation_x","operationLocation":"https://x"}'
SEND = ask.send("+447700900123", "Hi")
UNKEYED = Settings(account_sid="AC", auth_token="x", base_url="http://x/v1", keys=False).fit(SEND)
FETCH = ask.fetch_message("comms_message_x")


def test_a_send_says_what_the_contract_says() -> None:
    call = ask.send(
        ["+447700900123", {"address": "+447700900124", "channel": "WHATSAPP", "variables": {"name": "Ana"}}],
        "Hi",
        from_=POOL,
        media=["https://shop.example/a.pdf"],
        send_at=datetime(2026, 12, 1, 9, 30, tzinfo=UTC),
        tags={"campaign": "launch"},
        priority="high",
    )

    assert call.body == {
        "from": {"senderPoolId": POOL},
        "to": [
            {"address": "+447700900123", "channel": "PHONE"},
            {"address": "+447700900124", "channel": "WHATSAPP", "variables": {"name": "Ana"}},
        ],
        "content": {"text": "Hi", "media": [{"url": "https://shop.example/a.pdf"}]},
        "schedule": {"sendAt": ["2026-12-01T09:30:00+00:00"]},
        "tags": {"campaign": "launch"},
        "priority": "high",
    }


def test_who_sends_may_be_a_sender_an_address_or_left_open() -> None:
    whole = {"address": "+12034458910", "channel": "SMS"}

    assert ask.send("+447700900123", "Hi", from_=SENDER).body["from"] == {"senderId": SENDER}
    assert ask.send("+447700900123", "Hi", from_=whole).body["from"] == whole
    assert "from" not in SEND.body
    with pytest.raises(ValueError, match=r"\+12034458910.* is no id .* say \{"):
        ask.send("+447700900123", "Hi", from_="+12034458910")


def test_every_send_has_a_key_of_its_own_unless_it_is_given_one() -> None:
    assert SEND.key
    assert SEND.key != ask.send("+447700900123", "Hi").key
    assert ask.send("+447700900123", "Hi", idempotency_key="mine").headers["Idempotency-Key"] == "mine"
    assert "Idempotency-Key" not in UNKEYED.headers


def test_ids_are_escaped_in_paths() -> None:
    assert ask.fetch_message("../Senders?x=1").path == "/Messages/..%2FSenders%3Fx%3D1"


@pytest.mark.parametrize(
    ("call", "outcome", "again"),
    [
        (SEND, Reply(429, {}, b""), True),
        (UNKEYED, Reply(429, {}, b""), True),
        (SEND, Reply(503, {}, b""), True),
        (UNKEYED, Reply(503, {}, b""), False),
        (UNKEYED, Reply(503, {"retry-after": "1"}, b""), True),
        (SEND, Reply(502, {}, b""), True),
        (UNKEYED, Reply(504, {}, b""), False),
        (FETCH, Reply(504, {}, b""), True),
        (FETCH, Reply(500, {}, b""), False),
        (FETCH, Reply(404, {}, b""), False),
        (FETCH, Reply(200, {}, b""), False),
        (SEND, Fault("cut", left=True), True),
        (UNKEYED, Fault("cut", left=True), False),
        (UNKEYED, Fault("refused", left=False), True),
        (FETCH, Fault("cut", left=True), True),
    ],
)
def test_only_what_does_no_harm_is_made_again(call: Call[Any], outcome: Reply | Fault, again: bool) -> None:
    pause = pause_before_repeat(call, outcome, 1, 5, 0.5)

    assert (pause is not None) is again
    assert pause_before_repeat(call, outcome, 5, 5, 0.5) is None


@given(st.integers(0, 3600), st.floats(0, 1), st.integers(1, 9))
def test_nobody_comes_back_before_the_server_said(asked: int, chance: float, tried: int) -> None:
    pause = pause_before_repeat(SEND, Reply(429, {"retry-after": str(asked)}, b""), tried, 10, chance)

    assert pause is not None
    assert asked <= pause <= asked + 1


def test_retry_after_may_be_a_date() -> None:
    headers = {"retry-after": "Fri, 27 Nov 2026 00:00:30 GMT", "date": "Fri, 27 Nov 2026 00:00:00 GMT"}

    assert retry_after(Reply(503, headers, b"")) == 30
    assert retry_after(Reply(503, {"retry-after": "soon"}, b"")) is None
    assert retry_after(Reply(503, {"retry-after": "Fri, 27 Nov 2026 00:00:30 GMT"}, b"")) is None


def test_an_error_has_every_problem_a_code_and_what_to_do() -> None:
    errors = [
        {"code": 21211, "message": "no number", "context": "$.to[0].address"},
        {"code": 60701, "message": "no text"},
    ]
    reply = Reply(400, {}, json.dumps({"errors": errors, "code": 21211}).encode())

    with pytest.raises(BadRequest) as raised:
        settle(SEND, reply)

    assert (raised.value.code, raised.value.status, len(raised.value.problems)) == (21211, 400, 2)
    assert str(raised.value) == (
        "400: $.to[0].address: no number (21211), no text (60701); correct what is named and send it again"
    )


def test_errors_of_others_are_told_as_well() -> None:
    with pytest.raises(TooMany) as flat:
        settle(FETCH, Reply(429, {"retry-after": "7"}, b'{"code": 20429, "message": "slow down"}'))
    with pytest.raises(ServerFault, match="HTTP status 502"):
        settle(FETCH, Reply(502, {}, b"<html>Bad gateway"))
    with pytest.raises(UnexpectedAnswer, match="check that the base URL"):
        settle(SEND, Reply(200, {}, b"<html>Welcome"))

    assert (flat.value.code, flat.value.retry_after) == (20429, 7)


def test_a_lost_answer_is_in_doubt_only_where_something_was_sent() -> None:
    with pytest.raises(OutcomeUnknown, match="same idempotency key"):
        settle(SEND, Fault("cut", left=True))
    with pytest.raises(Unreachable):
        settle(SEND, Fault("refused", left=False))
    with pytest.raises(Unreachable):
        settle(FETCH, Fault("cut", left=True))


def test_the_answer_is_a_typed_value_and_may_have_more_than_we_know() -> None:
    accepted = settle(SEND, Reply(202, {}, ACCEPTED.replace("}", ',"new":1}').encode()))

    assert accepted.operation_id == "comms_operation_x"
    assert accepted.estimated_completion is None


def test_settings_come_from_arguments_else_from_the_environment() -> None:
    environ = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t", "SENDPOOL_URL": "https://sms.example.com/x/"}

    assert Settings.of(environ).base_url == "https://sms.example.com/x/v1"
    assert Settings.of(environ, base_url="https://h/preview").base_url == "https://h/preview"
    assert Settings.of(environ, account_sid="AC2").credentials == ("AC2", "t")
    with pytest.raises(ValueError, match="no credentials: give account_sid and auth_token, or set TWILIO_ACCOUNT_SID"):
        Settings.of({})
    with pytest.raises(ValueError, match="is none; write for example http"):
        Settings.of(environ, base_url="sms.example.com")
