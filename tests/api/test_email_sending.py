"""Requests to `POST /Emails`: what each limit lets through, and everything that is wrong in one answer."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from sendpool.api.email_contents import LONGEST_TEMPLATE, MAX_MARKUP
from sendpool.api.email_sending import MAX_NAME, read_emails
from sendpool.domain.email_content import read_module
from sendpool.domain.message import Category
from sendpool.domain.request import AddressOrigin, PoolOrigin, Recipient, Refused, SenderOrigin, SendRequest
from sendpool.domain.schedule import Moment
from sendpool.domain.sender import Channel

ANA = {"address": "ana@example.test"}
MAILBOX = {"address": "support@coolcompany.com"}
LETTER = {"subject": "Hello", "html": "<p>Hello</p>"}
FILE = {"filename": "a.txt", "content": base64.b64encode(b"text").decode()}
SENDER_LIKE = "comms_sender_01h9krwprkeee8fzqspvwy6nq8"
POOL_LIKE = "comms_senderpool_01h9krwprkeee8fzqspvwy6nq8"


def read(**changes: Any) -> SendRequest:
    body = {"from": MAILBOX, "to": [ANA], "content": LETTER, **changes}
    body["from"] = body.pop("origin", body["from"])
    return read_emails(json.dumps({name: value for name, value in body.items() if value is not ...}).encode(), 7)


def refused(**changes: Any) -> list[str | None]:
    with pytest.raises(Refused) as caught:
        read(**changes)
    assert caught.value.status == 400
    return [problem.context for problem in caught.value.problems]


def module(request: SendRequest) -> Any:
    return request.content.modules[Channel.EMAIL]


def test_a_plain_request_is_read_as_it_stands() -> None:
    request = read()

    assert (request.account_id, request.kind) == (7, "email")
    assert request.origin == AddressOrigin("support@coolcompany.com", Channel.EMAIL)
    assert request.recipients == [Recipient("ana@example.test", "E")]
    assert module(request) == {**LETTER, "text": "Hello"}
    assert (request.tags, request.category, request.validity) == ({}, None, None)


def test_everything_that_a_request_may_hold_is_read() -> None:
    request = read(
        origin={**MAILBOX, "name": "Cool Support"},
        to=[{**ANA, "name": "Ana Díaz"}, {**ANA, "name": None}, {**ANA, "name": ""}],
        content={**LETTER, "text": "Hi", "attachments": [FILE]},
        tags={"campaign": "launch"},
        ipPoolName="pool-a",
        category="bulk",
        validity=60,
    )

    assert [one.name for one in request.recipients] == ["Ana Díaz", None, None]
    assert request.tags == {"campaign": "launch"}
    assert (request.category, request.validity) == (Category.BULK, 60)
    email = read_module(module(request))
    assert (email.text, email.from_name, email.ip_pool) == ("Hi", "Cool Support", "pool-a")
    assert email.attachments[0].data == b"text"


def test_a_sender_or_a_pool_may_send_too() -> None:
    by_sender, by_pool = read(origin={"senderId": SENDER_LIKE, "name": "Us"}), read(origin={"senderPoolId": POOL_LIKE})

    assert isinstance(by_sender.origin, SenderOrigin)
    assert module(by_sender)["fromName"] == "Us"
    assert isinstance(by_pool.origin, PoolOrigin)


@pytest.mark.parametrize(
    ("changes", "contexts"),
    [
        ({"origin": ..., "to": ..., "content": ...}, ["$.from", "$.to", "$.content"]),
        ({"origin": "x"}, ["$.from"]),
        ({"origin": {}}, ["$.from"]),
        ({"origin": {**MAILBOX, "senderId": SENDER_LIKE}}, ["$.from"]),
        ({"origin": {"name": "Us"}}, ["$.from"]),
        ({"origin": {"address": "x"}}, ["$.from.address"]),
        ({"origin": {"address": None}}, ["$.from.address"]),
        ({"origin": {"senderId": "x"}}, ["$.from.senderId"]),
        ({"origin": {"senderPoolId": "x"}}, ["$.from.senderPoolId"]),
        ({"origin": {**MAILBOX, "channel": "EMAIL"}}, ["$.from"]),
        ({"origin": {**MAILBOX, "name": "a\r\nBcc: x@y.example"}}, ["$.from.name"]),
        ({"origin": {**MAILBOX, "name": "x" * (MAX_NAME + 1)}}, ["$.from.name"]),
        ({"origin": {**MAILBOX, "name": 1}}, ["$.from.name"]),
        ({"to": ANA}, ["$.to"]),
        ({"to": []}, ["$.to"]),
        ({"to": [ANA] * 10_001}, ["$.to"]),
        ({"to": ["ana@example.test", ANA, 1]}, ["$.to[0]", "$.to[2]"]),
        ({"to": [{}]}, ["$.to[0].address"]),
        ({"to": [{"address": 1}]}, ["$.to[0].address"]),
        ({"to": [{"address": "a@b.example>"}]}, ["$.to[0].address"]),
        ({"to": [{**ANA, "name": ["x"]}]}, ["$.to[0].name"]),
        ({"to": [{**ANA, "nmae": "x"}]}, ["$.to[0]"]),
        ({"content": "x"}, ["$.content"]),
        ({"content": {}}, ["$.content.subject", "$.content.html"]),
        ({"content": {**LETTER, "body": "x"}}, ["$.content"]),
        ({"content": {**LETTER, "subject": ""}}, ["$.content.subject"]),
        ({"content": {**LETTER, "subject": "x" * 999}}, ["$.content.subject"]),
        ({"content": {**LETTER, "subject": "a\nBcc: x@y.example"}}, ["$.content.subject"]),
        ({"content": {**LETTER, "html": ""}}, ["$.content.html"]),
        ({"content": {**LETTER, "html": 1}}, ["$.content.html"]),
        ({"content": {**LETTER, "text": None}}, ["$.content.text"]),
        ({"content": {**LETTER, "text": "a\0"}}, ["$.content.text"]),
        ({"content": {**LETTER, "attachments": FILE}}, ["$.content.attachments"]),
        ({"content": {**LETTER, "attachments": [FILE] * 101}}, ["$.content.attachments"]),
        ({"tags": {str(i): "x" for i in range(11)}}, ["$.tags"]),
        ({"tags": {"k": "x" * 257}}, ["$.tags"]),
        ({"ipPoolName": "x"}, ["$.ipPoolName"]),
        ({"ipPoolName": "x" * 65}, ["$.ipPoolName"]),
        ({"ipPoolName": 12}, ["$.ipPoolName"]),
        ({"category": "spam"}, ["$.category"]),
        ({"validity": 0}, ["$.validity"]),
        ({"cc": []}, [None]),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(changes: dict[str, Any], contexts: list[str | None]) -> None:
    assert refused(**changes) == contexts


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"filename": ...}, "filename"),
        ({"filename": ""}, "filename"),
        ({"filename": "x" * 256}, "filename"),
        ({"filename": "a\r\nb"}, "filename"),
        ({"content": ...}, "content"),
        ({"content": "not base64!"}, "content"),
        ({"content": "YQ"}, "content"),
        ({"content": 1}, "content"),
        ({"type": "png"}, "type"),
        ({"contentType": "image/png\r\nX: y"}, "contentType"),
        ({"contentId": "<logo>"}, "contentId"),
        ({"content_id": ""}, "content_id"),
        ({"disposition": "hidden"}, "disposition"),
        ({"disposition": ["inline"]}, "disposition"),
    ],
)
def test_an_attachment_that_no_mail_can_carry_is_refused(changes: dict[str, Any], field: str) -> None:
    file = {name: value for name, value in {**FILE, **changes}.items() if value is not ...}

    assert refused(content={**LETTER, "attachments": [FILE, file]}) == [f"$.content.attachments[1].{field}"]


def test_what_stands_at_a_limit_is_taken() -> None:
    file = {**FILE, "filename": "x" * 255, "type": "image/svg+xml", "contentId": "a@b", "disposition": "inline"}
    request = read(
        origin={**MAILBOX, "name": "x" * MAX_NAME},
        to=[ANA] * 10_000,
        content={"subject": "x" * 998, "html": "<", "text": "", "attachments": [file] * 100},
        tags={str(i) * 64: "x" * 256 for i in range(10)},
        ipPoolName="x" * 64,
    )

    assert len(request.recipients) == 10_000
    assert read(ipPoolName="ab", content={**LETTER, "attachments": []}).kind == "email"


def test_everything_wrong_is_said_in_one_answer() -> None:
    found = refused(origin={"address": "x"}, to=[ANA, {"address": "y"}], content={"html": ""}, ipPoolName="x", more=1)

    assert found == [None, "$.from.address", "$.to[1].address", "$.content.subject", "$.content.html", "$.ipPoolName"]


def test_liquid_and_its_variables_are_read() -> None:
    plain, request = (
        read(),
        read(
            to=[{**ANA, "variables": {"name": "Ana", "note": ""}}, {**ANA, "variables": {}}],
            content={"subject": "Hi {{ name }}", "html": "<p>{{ name | upcase }}</p>"},
        ),
    )

    assert not plain.personal
    assert request.personal
    assert [one.variables for one in request.recipients] == [{"name": "Ana", "note": ""}, None]
    assert module(request)["text"] == "{{ name | upcase }}"


def test_a_text_that_the_htmls_liquid_leaves_in_pieces_is_made_later() -> None:
    request = read(content={"subject": "x", "html": "<a {% if a %} href='{{ b }}'>{% endif %}x</a>"})

    assert "text" not in module(request)
    assert request.content.liquid


@pytest.mark.parametrize(
    ("changes", "contexts"),
    [
        ({"to": [{**ANA, "variables": ["x"]}]}, ["$.to[0].variables"]),
        ({"to": [ANA, {**ANA, "variables": {"name": 1}}]}, ["$.to[1].variables"]),
        ({"content": {**LETTER, "subject": "{{ name"}}, ["$.content.subject"]),
        ({"content": {**LETTER, "html": "{% if %}"}}, ["$.content.html"]),
        ({"content": {**LETTER, "text": "{% render 'x' %}"}}, ["$.content.text"]),
        ({"content": {**LETTER, "html": "{{ a }}" * (MAX_MARKUP + 1)}}, ["$.content.html"]),
        ({"content": {**LETTER, "html": "{{ a }}" + "x" * LONGEST_TEMPLATE}}, ["$.content.html"]),
    ],
)
def test_liquid_that_cannot_be_carried_out_is_refused(changes: dict[str, Any], contexts: list[str]) -> None:
    assert refused(**changes) == contexts


def test_liquid_at_its_limits_is_taken() -> None:
    html = "{{ a }}" * MAX_MARKUP

    assert read(content={**LETTER, "html": html + "x" * (LONGEST_TEMPLATE - len(html))}).personal
    assert not read(content={**LETTER, "html": "x" * (LONGEST_TEMPLATE + 1)}).personal


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b"null"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as caught:
        read_emails(body, 7)
    assert caught.value.status == 400


def test_emails_may_be_scheduled() -> None:
    assert read(schedule={"sendAt": ["1970-01-01T00:00:01Z"]}).send_at == Moment(1_000_000)
    assert refused(schedule={"sendAt": ["soon"]}) == ["$.schedule.sendAt[0]"]
