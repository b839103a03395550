"""Templates are filled in as values, never as text of JSON, of a URL or of a header; hashes are the vectors'."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.connectors.base import (
    AttemptKey,
    CallbackRequest,
    CarrierId,
    ConnectionSettings,
    Rejected,
    Submission,
    Uncertain,
)
from sendpool.connectors.http.callbacks import Forged, check
from sendpool.connectors.http.checks import read_settings
from sendpool.connectors.http.replies import Replies
from sendpool.connectors.http.requests import UNFIT_TEMPLATE, Requests, UnfitSubmission
from sendpool.connectors.http.settings import Basic, Hmac, Response, Success
from sendpool.connectors.http.templates import Template, at, text_at
from sendpool.connectors.web import Reply
from sendpool.domain.failures import FailureClass
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
#: A golden vector: secret, timestamp, body and what the header holds.
VECTOR = (
    "whs-1",
    "1763773260",
    b'{"id":"p1","status":"delivered"}',
    "54881821d7e2bb83eb8fc43d1627b2be092f4c438cafb8905a6ba611a647f837",
)


def requests(**options: Any) -> Requests:
    return Requests(read_settings(ConnectionSettings(name="api", type="http", options=options)), "api")


def submission(text: str = "Hi", sender: str = "+12034458910", validity: int | None = None) -> Submission:
    return Submission(
        attempt=AttemptKey(1, 1),
        channel=Channel.SMS,
        sender=sender,
        recipient="+447700900001",
        content=Content(text=text),
        segments=1,
        reference=0,
        validity=validity,
        parts=1,
        options={},
        public_id="SM01",
    )


@given(TEXTS)
def test_any_text_arrives_as_it_is_in_json_in_a_form_and_in_a_url(text: str) -> None:
    url = "https://a.example/{{text}}?t={{text}}"
    body = {"text": "{{text}}", "said": "<{{text}}>", "ttl": "{{validity}}", "n": 1, "list": ["{{validity}}", "x"]}

    as_json = requests(request={"url": url, "json": body}).message(submission(text), 0.0)
    as_form = requests(request={"url": url, "form": {"t": "{{text}}", "n": 1}}).message(submission(text), 0.0)

    assert json.loads(as_json.body) == {"text": text, "said": f"<{text}>", "n": 1, "list": ["x"]}
    assert parse_qs(as_form.body.decode(), keep_blank_values=True) == {"t": [text], "n": ["1"]}
    assert unquote(urlsplit(as_json.url).path) == f"/{text}"
    assert parse_qs(urlsplit(as_json.url).query, keep_blank_values=True) == {"t": [text]}


def test_a_field_alone_keeps_its_kind() -> None:
    made = requests(request={"url": "https://a.example/", "json": {"ttl": "{{validity}}", "ms": "{{validity_ms}}"}})

    assert json.loads(made.message(submission(validity=60), 0.0).body) == {"ttl": 60, "ms": 60_000}


def test_no_text_of_a_client_makes_a_header_of_its_own() -> None:
    made = requests(request={"url": "https://a.example/", "headers": {"X-Text": "{{text}}"}})

    assert made.message(submission("fine"), 0.0).headers["X-Text"] == "fine"
    for text in ("a\r\nX-Evil: 1", "Приве́т", "\x00"):
        with pytest.raises(UnfitSubmission) as unfit:
            made.message(submission(text), 0.0)
        assert unfit.value.outcome == UNFIT_TEMPLATE


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ({"type": "basic", "username": "u", "password": "p"}, {"Authorization": "Basic dTpw"}),
        ({"type": "bearer", "token": "t"}, {"Authorization": "Bearer t"}),
        ({"type": "header", "name": "X-Key", "value": "k"}, {"X-Key": "k"}),
        (
            {
                "type": "hmac",
                "secret": VECTOR[0],
                "header": "X-Signature",
                "input": "{{timestamp}}.{{body}}",
                "timestamp_header": "X-Timestamp",
                "prefix": "v1=",
            },
            {"X-Signature": f"v1={VECTOR[3]}", "X-Timestamp": VECTOR[1]},
        ),
    ],
)
def test_each_kind_of_auth_is_a_header(auth: dict[str, str], expected: dict[str, str]) -> None:
    body = {"id": "p1", "status": "delivered"}
    made = requests(request={"url": "https://a.example/", "json": body}, auth=auth)

    post = made.message(submission(), float(VECTOR[1]) + 0.5)

    assert post.body == VECTOR[2]
    assert expected.items() <= post.headers.items()


def _asked(body: bytes, signature: str, stamp: str = VECTOR[1]) -> CallbackRequest:
    return CallbackRequest("https://h/", {"x-signature": signature, "x-timestamp": stamp}, body)


VERIFY = Hmac(secret=VECTOR[0], header="X-Signature", input="{{timestamp}}.{{body}}", timestamp_header="X-Timestamp")


def test_a_callback_signed_as_in_the_vector_is_taken_for_five_minutes() -> None:
    for now in (1763773260.0, 1763773260.0 + 299, 1763773260.0 - 299):
        check(VERIFY, "POST", _asked(VECTOR[2], VECTOR[3]), "https://h/", now)


@pytest.mark.parametrize(
    ("request_", "now"),
    [
        (_asked(VECTOR[2] + b" ", VECTOR[3]), 1763773260.0),
        (_asked(VECTOR[2], VECTOR[3][:-1] + "8"), 1763773260.0),
        (_asked(VECTOR[2], ""), 1763773260.0),
        (_asked(VECTOR[2], "é"), 1763773260.0),
        (_asked(VECTOR[2], VECTOR[3]), 1763773260.0 + 301),
        (_asked(VECTOR[2], VECTOR[3], "1763773261"), 1763773260.0),
        (_asked(VECTOR[2], VECTOR[3], "soon"), 1763773260.0),
        (_asked(VECTOR[2], VECTOR[3], ""), 1763773260.0),
    ],
)
def test_any_other_is_forged(request_: CallbackRequest, now: float) -> None:
    with pytest.raises(Forged):
        check(VERIFY, "POST", request_, "https://h/", now)


def test_a_callback_may_come_with_user_and_password() -> None:
    verify = Basic(username="u", password="p")
    check(verify, "POST", CallbackRequest("https://h/", {"authorization": "Basic dTpw"}, b""), "https://h/", 0.0)

    with pytest.raises(Forged):
        check(verify, "POST", CallbackRequest("https://h/", {"authorization": "Basic dTpx"}, b""), "https://h/", 0.0)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a.0.b-c", "1"), ("a.1", ""), ("a.x", ""), ("a.0", ""), ("n", "7"), ("t", "true"), ("z", ""), ("n.m", "")],
)
def test_a_path_leads_to_what_stands_there(path: str, expected: str) -> None:
    document = {"a": [{"b-c": "1"}], "n": 7, "t": True, "z": None}

    assert text_at(document, path) == expected
    assert at(document, "") is document


def test_a_template_without_a_value_says_nothing() -> None:
    assert Template("a {{b}}", ["b"]).text({"b": None}) is None
    assert Template("a {{ b }}", ["b"]).text({"b": False}) == "a false"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b'{"ok":true,"id":5}', CarrierId("SM01", "5")),
        (200, b'{"ok":true}', Uncertain("the answer has no id; check response.id")),
        (200, b"<html>", Uncertain("the answer does not say whether the message was taken; check response.success")),
        (200, b'{"ok":false,"e":"dup","id":6}', CarrierId("SM01", "6")),
        (200, b'{"ok":false,"e":"x"}', Rejected(FailureClass.SENDER, "x", "sender", "connection/SENDER")),
        (400, b"", Rejected(FailureClass.CONTENT, "400", "message", "http/400")),
        (401, b"", Rejected(FailureClass.ACCOUNT, "401", "connection", "http/401")),
        (502, b"<html>", Uncertain("the carrier answers 502")),
        (302, b"", Rejected(FailureClass.TRANSIENT, "302", "message", "http/?")),
    ],
)
def test_an_answer_is_judged_by_what_it_says_then_by_its_status(status: int, body: bytes, expected: Any) -> None:
    success = Success(path="ok", equals=[True])
    replies = Replies(Response(success=success, id="id", codes=["e"], classes={"x": "SENDER", "dup": "OK"}))

    assert replies.judge(Reply(status, {}, body), "SM01") == expected
