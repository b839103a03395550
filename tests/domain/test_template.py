"""What each channel is told of a template: the richest of its content types that it can show."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sendpool.domain import rcs_content, whatsapp_content
from sendpool.domain.template import modules_of

TEXT = {"twilio/text": {"body": "Dear {{1}}"}}
MEDIA = {"twilio/media": {"body": "Look", "media": ["https://a.example/1.png", "https://a.example/2.png"]}}
REPLY = {"twilio/quick-reply": {"body": "Come?", "actions": [{"title": "Yes", "id": "y"}, {"title": "No"}]}}
CALL = {
    "twilio/call-to-action": {
        "body": "Questions?",
        "actions": [
            {"type": "URL", "title": "Read", "url": "https://a.example/faq"},
            {"type": "PHONE_NUMBER", "title": "Call", "phone": "+12034458910"},
        ],
    }
}
CARD = {
    "twilio/card": {
        "title": "Parcel",
        "subtitle": "4711",
        "body": "On its way",
        "media": ["https://a.example/1.png"],
        "actions": [{"type": "URL", "title": "Track", "url": "https://a.example/t"}, {"title": "Stop"}],
    }
}
APPROVED = {"whatsapp/template": {"name": "order_ready", "language": {"code": "en_US"}}}


@pytest.mark.parametrize("types", [TEXT, MEDIA, REPLY, CALL, CARD, {**CARD, **TEXT}, {**MEDIA, **TEXT, **APPROVED}])
def test_every_channel_gets_what_its_provider_takes(types: dict[str, Any]) -> None:
    modules = modules_of(types)

    rcs_content.read_module(modules["RCS"])
    assert modules["SMS"].get("text") or modules["SMS"]["media"]
    if not isinstance(modules["WHATSAPP"].get("text"), str):
        whatsapp_content.check_module(modules["WHATSAPP"])


def test_rcs_shows_the_card_and_sms_says_the_text() -> None:
    modules = modules_of({**TEXT, **CARD, **MEDIA})

    card = modules["RCS"]["richCard"]["standaloneCard"]["cardContent"]
    assert (card["title"], card["description"]) == ("Parcel", "4711\nOn its way")
    assert [next(iter(one)) for one in card["suggestions"]] == ["action", "reply"]
    assert modules["SMS"] == {
        "text": "Look",
        "media": [{"url": "https://a.example/1.png"}, {"url": "https://a.example/2.png"}],
    }


def test_where_there_is_only_a_card_sms_says_what_stands_on_it() -> None:
    sms = modules_of(CARD)["SMS"]

    assert sms["text"] == "Parcel\n4711\nOn its way\nTrack: https://a.example/t"
    assert sms["media"] == [{"url": "https://a.example/1.png"}]
    assert modules_of(CALL)["SMS"]["text"] == "Questions?\nRead: https://a.example/faq\nCall: +12034458910"


def test_whatsapp_gets_its_approved_template_before_anything_else() -> None:
    assert modules_of({**TEXT, **APPROVED})["WHATSAPP"] == {"template": APPROVED["whatsapp/template"]}
    assert modules_of(APPROVED).keys() == {"WHATSAPP"}
    assert "interactive" in modules_of(REPLY)["WHATSAPP"]
    assert modules_of(MEDIA)["WHATSAPP"] == {"image": {"link": "https://a.example/1.png", "caption": "Look"}}
    assert modules_of(TEXT)["WHATSAPP"] == {"text": "Dear {{1}}"}


@pytest.mark.parametrize(
    "types",
    [
        {},
        {"twilio/carousel": {}},
        {"twilio/text": {}},
        {"twilio/text": {"body": ""}},
        {"twilio/media": {"media": []}},
        {"twilio/quick-reply": {"body": "x", "actions": []}},
        {"twilio/card": {"title": "x", "actions": [{"title": "x", "type": "URL"}]}},
        {"twilio/card": {"title": "x", "actions": [{"title": "x", "url": "https://a.example"}]}},
        {"twilio/card": {"title": "x", "actions": [{"title": "x"}] * 5}},
        {"whatsapp/template": {"name": "x"}},
    ],
)
def test_what_is_no_content_type_is_refused(types: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        modules_of(types)
