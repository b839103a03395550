"""Requests are those of the golden vectors, octet by octet, and what WhatsApp cannot carry never becomes one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sendpool.connectors.base import AttemptKey, Submission
from sendpool.connectors.whatsapp.content import (
    OUTSIDE_WINDOW,
    UNFIT_CONTENT,
    UnfitSubmission,
    as_template,
    message_object,
)
from sendpool.connectors.whatsapp.requests import UNFIT_ADDRESS, Requests, digits_of, secret_proof
from sendpool.connectors.whatsapp.settings import WhatsAppSettings, WindowTemplate
from sendpool.domain.failures import Repair
from sendpool.domain.message import Content, on_channel
from sendpool.domain.sender import Channel
from sendpool.domain.whatsapp_content import check_module

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "msg-01J"


def submission(content: Content, recipient: str = "+447700900123", public_id: str = NAME) -> Submission:
    return Submission(
        AttemptKey(1, 1),
        Channel.WHATSAPP,
        "+15550783881",
        recipient,
        content,
        1,
        0,
        None,
        1,
        {"phone_number_id": 1065},
        public_id=public_id,
    )


def written(content: Content, **options: Any) -> dict[str, Any]:
    post = Requests(WhatsAppSettings(access_token="t", **options)).message(submission(content))
    said: dict[str, Any] = json.loads(post.body)
    return said


def module(kind: str, said: Any) -> Content:
    """A content of the API with a module for WhatsApp, as it reaches the connector."""
    return on_channel(Content(modules={"WHATSAPP": {kind: said}}), Channel.WHATSAPP)


def bare(vector: str) -> tuple[str, Mapping[str, Any]]:
    """Type and object of a golden body."""
    said = json.loads(vector)
    return said["type"], said[said["type"]]


def test_golden_text_is_written_octet_by_octet(vectors: Any) -> None:
    requests = Requests(WhatsAppSettings(access_token="t"))

    post = requests.message(submission(Content(text="Hi")))

    assert post.body == vectors["requests"]["text"].encode()
    assert post.url == "https://graph.facebook.com/v23.0/1065/messages"


@pytest.mark.parametrize("name", ["template", "image", "buttons"])
def test_golden_modules_are_written_octet_by_octet(name: str, vectors: Any) -> None:
    vector = vectors["requests"][name]
    kind, said = bare(vector)
    requests = Requests(WhatsAppSettings(access_token="t"))

    body = requests.message(submission(module(kind, said))).body

    assert body == vector[:-1].encode() + b',"biz_opaque_callback_data":"msg-01J"}'


def test_golden_proof_of_the_secret_is_part_of_the_url(vectors: Any) -> None:
    proof = secret_proof(vectors["app_secret"], vectors["access_token"])
    settings = WhatsAppSettings(
        access_token=vectors["access_token"], app_secret=vectors["app_secret"], prove_secret=True, version="v25.0"
    )

    assert proof == vectors["appsecret_proof"]
    url = Requests(settings).message(submission(Content(text="Hi"))).url
    assert url == f"https://graph.facebook.com/v25.0/1065/messages?appsecret_proof={proof}"


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (
            Content(text="Look", media=("https://m.example/1.jpg",)),
            "image",
            {"link": "https://m.example/1.jpg", "caption": "Look"},
        ),
        (Content(media=("https://m.example/1.mp3",)), "audio", {"link": "https://m.example/1.mp3"}),
        (Content(media=("https://m.example/a.pdf?x=1",)), "document", {"link": "https://m.example/a.pdf?x=1"}),
        (
            Content(text="Two", media=("https://m.example/1.mp4", "https://m.example/2.png")),
            "video",
            {"link": "https://m.example/1.mp4", "caption": "Two\nhttps://m.example/2.png"},
        ),
        (
            Content(text="Hear", media=("https://m.example/1.mp3",)),
            "text",
            {"preview_url": False, "body": "Hear\nhttps://m.example/1.mp3"},
        ),
        (
            Content(text="x" * 1020, media=("https://m.example/1.png", "https://m.example/2.png")),
            "text",
            {"preview_url": False, "body": "x" * 1020 + "\nhttps://m.example/1.png\nhttps://m.example/2.png"},
        ),
        (
            Content(rich={"type": "location", "location": {"latitude": 1, "longitude": 2}}),
            "location",
            {"latitude": 1, "longitude": 2},
        ),
    ],
    ids=["picture", "audio", "document", "two files", "audio with words", "no room below", "module with type"],
)
def test_what_a_content_becomes(content: Content, kind: str, said: Any) -> None:
    assert message_object(content) == (kind, said)
    assert written(content)["type"] == kind
    assert written(content)[kind] == said


def test_index_of_a_button_becomes_a_text() -> None:
    button = {"type": "button", "sub_type": "url", "index": 0, "parameters": [{"type": "text", "text": "A17"}]}
    content = module("template", {"name": "n", "language": {"code": "en"}, "components": [button]})

    assert written(content)["template"]["components"] == [{**button, "index": "0"}]


def test_previews_are_shown_where_the_connection_says_so() -> None:
    assert written(Content(text="https://x.example"), preview_urls=True)["text"]["preview_url"] is True


@pytest.mark.parametrize(
    "content",
    [
        Content(),
        Content(text="x" * 4097),
        Content(rich={"image": {"caption": "neither link nor id"}}),
        Content(rich={"text": {"body": ""}}),
        Content(rich={}),
    ],
    ids=["nothing", "too long", "no file", "empty text", "empty module"],
)
def test_what_breaks_a_limit_is_refused_here(content: Content) -> None:
    with pytest.raises(UnfitSubmission) as unfit:
        message_object(content)

    assert unfit.value.outcome == UNFIT_CONTENT


NOTICE = WindowTemplate(name="notice", language="de")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (Content(text="Your order\nis on\tits way"), "Your order is on its way"),
        (Content(text="a          b"), "a    b"),
        (Content(text="Look", media=("https://m.example/1.jpg",)), "Look https://m.example/1.jpg"),
        (Content(rich={"text": {"body": "Hi", "preview_url": True}}), "Hi"),
        (Content(rich={"interactive": {"type": "button", "body": {"text": "Ok?"}}}), "Ok?"),
    ],
    ids=["lines", "blanks", "file", "module", "buttons"],
)
def test_a_text_becomes_the_parameter_of_a_template(content: Content, words: str) -> None:
    kind, said = as_template(content, NOTICE)

    assert kind == "template"
    assert said == {
        "name": "notice",
        "language": {"code": "de"},
        "components": [{"type": "body", "parameters": [{"type": "text", "text": words}]}],
    }
    check_module({kind: said})


def test_a_template_may_name_its_parameter_or_have_none() -> None:
    named = as_template(Content(text="Hi"), WindowTemplate(name="n", parameter_name="words"))[1]
    fixed = as_template(Content(rich={"image": {"id": "1"}}), WindowTemplate(name="n", text=False))[1]

    assert named["components"][0]["parameters"] == [{"type": "text", "parameter_name": "words", "text": "Hi"}]
    assert fixed == {"name": "n", "language": {"code": "en_US"}}


@pytest.mark.parametrize("content", [Content(rich={"image": {"id": "1"}}), Content(text="x" * 1025), Content(text=" ")])
def test_what_no_template_can_say_stays_outside_the_window(content: Content) -> None:
    with pytest.raises(UnfitSubmission) as unfit:
        as_template(content, NOTICE)

    assert unfit.value.outcome == OUTSIDE_WINDOW


def test_only_an_attempt_that_repairs_becomes_a_template_that_of_the_number_first() -> None:
    requests = Requests(WhatsAppSettings(access_token="t", window_template=NOTICE))
    plain = submission(Content(text="Hi"))
    repairing = plain._replace(repair=Repair.TEMPLATE)
    own = repairing._replace(options={"phone_number_id": 7, "window_template": {"name": "own"}})

    said = [json.loads(requests.message(one).body) for one in (plain, repairing, own, plain)]

    assert [one["type"] for one in said] == ["text", "template", "template", "text"]
    assert [one["template"]["name"] for one in said[1:3]] == ["notice", "own"]


@pytest.mark.parametrize("address", ["447700900123", "+0447700900123", "+1", "", "a@b.example", "+٤٤٧٧٠٠٩٠٠١٢٣"])
def test_what_is_no_number_is_refused_here(address: str) -> None:
    assert digits_of(address) is None
    with pytest.raises(UnfitSubmission) as unfit:
        Requests(WhatsAppSettings(access_token="t")).message(submission(Content(text="Hi"), address))

    assert unfit.value.outcome == UNFIT_ADDRESS
