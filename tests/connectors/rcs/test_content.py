"""Rich content keeps the provider's schema and its limits."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from sendpool.connectors.rcs.content import ContentMessage, as_text, read_module

REPLY = {"reply": {"text": "Yes", "postbackData": "y"}}
CARD = {"title": "T"}
TALL = {"title": "T", "media": {"height": "TALL", "contentInfo": {"fileUrl": "https://media.example/1.jpg"}}}
OPEN = {"action": {"text": "Open", "postbackData": "o", "openUrlAction": {"url": "https://a.example"}}}


def read(message: object) -> ContentMessage:
    return msgspec.convert(message, ContentMessage)


def carousel(*cards: object, width: str = "MEDIUM") -> dict[str, Any]:
    return {"richCard": {"carouselCard": {"cardWidth": width, "cardContents": cards}}}


def standalone(card: object) -> dict[str, Any]:
    return {"richCard": {"standaloneCard": {"cardContent": card}}}


@pytest.mark.parametrize(
    "message",
    [
        {"text": "x" * 3072, "suggestions": [REPLY] * 11},
        {"contentInfo": {"fileUrl": "https://media.example/1.pdf", "forceRefresh": True}, "suggestions": [REPLY]},
        {"fileName": "files/1"},
        standalone({"title": "x" * 200, "description": "x" * 2000, "suggestions": [OPEN] * 4}),
        carousel(*[CARD] * 10),
        carousel(TALL, CARD),
    ],
)
def test_content_within_the_limits_is_taken_and_written_as_it_came(message: object) -> None:
    assert json.loads(msgspec.json.encode(read(message))) == json.loads(json.dumps(message))


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"suggestions": [REPLY]},
        {"text": ""},
        {"text": "x" * 3073},
        {"text": "x", "fileName": "files/1"},
        {"text": "x", "suggestions": [REPLY] * 12},
        {"text": "x", "suggestions": [{"reply": {"text": "x" * 26, "postbackData": "y"}}]},
        {"text": "x", "suggestions": [{"reply": {"text": "x", "postbackData": "y" * 2049}}]},
        {"text": "x", "suggestions": [{**REPLY, **OPEN}]},
        {"text": "x", "suggestions": [{"action": {"text": "x", "postbackData": "y"}}]},
        {"text": "x", "colour": "red"},
        standalone({}),
        standalone({"title": "x" * 201}),
        standalone({"description": "x" * 2001}),
        standalone({"title": "x", "suggestions": [REPLY] * 5}),
        standalone({"media": {"height": "MEDIUM"}}),
        carousel(CARD),
        carousel(*[CARD] * 11),
        carousel(TALL, CARD, width="SMALL"),
        {"richCard": {}},
    ],
)
def test_content_beyond_the_limits_is_refused(message: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(message)


def test_golden_carousel_of_one_card_is_refused(vectors: Any) -> None:
    with pytest.raises(msgspec.ValidationError, match="cardContents"):
        read(json.loads(vectors["requests"]["carousel of one"])["contentMessage"])


@pytest.mark.parametrize(
    "action",
    [
        {"dialAction": {"phoneNumber": "+447700900123"}},
        {"openUrlAction": {"url": "https://a.example", "application": "BROWSER"}},
        {"viewLocationAction": {"latLong": {"latitude": 51.5, "longitude": -0.12}, "label": "London"}},
        {"viewLocationAction": {"query": "coffee"}},
        {"shareLocationAction": {}},
        {
            "createCalendarEventAction": {
                "startTime": "2025-11-22T10:00:00Z",
                "endTime": "2025-11-22T11:00:00Z",
                "title": "Visit",
                "description": "At the shop",
            }
        },
    ],
)
def test_every_action_is_taken_and_written_as_it_came(action: dict[str, Any]) -> None:
    message = {"text": "x", "suggestions": [{"action": {"text": "Do", "postbackData": "d", **action}}]}

    assert json.loads(msgspec.json.encode(read(message))) == message


def test_module_of_the_api_becomes_a_message() -> None:
    file = {"contentInfo": {"fileUrl": "https://media.example/1.jpg"}}

    assert read_module({"text": "Hi", "suggestions": [REPLY]}) == read({"text": "Hi", "suggestions": [REPLY]})
    assert read_module({"media": file, "suggestions": [REPLY]}) == read({**file, "suggestions": [REPLY]})
    assert read_module({"media": {"fileName": "files/1"}}) == read({"fileName": "files/1"})
    assert read_module(standalone(CARD)) == read(standalone(CARD))


@pytest.mark.parametrize("module", [{}, {"text": "x", "media": {"fileName": "files/1"}}, {"media": {}}])
def test_module_without_exactly_one_content_is_refused(module: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="exactly one of"):
        read_module(module)


def test_card_media_has_a_height_even_where_nobody_names_one() -> None:
    card = {"media": {"contentInfo": {"fileUrl": "https://media.example/1.jpg"}}}

    written = json.loads(msgspec.json.encode(read_module(standalone(card))))

    assert written["richCard"]["standaloneCard"]["cardContent"]["media"]["height"] == "MEDIUM"


def test_rich_content_as_text_keeps_what_can_be_read_and_the_links() -> None:
    card = {**TALL, "title": "Parcel", "description": "On its way", "suggestions": [OPEN, REPLY]}
    call = {"action": {"text": "Call", "postbackData": "c", "dialAction": {"phoneNumber": "+447700900123"}}}

    assert as_text(read(standalone(card))) == (
        "Parcel\nOn its way\nhttps://media.example/1.jpg\nOpen: https://a.example"
    )
    assert as_text(read({"text": "Hi", "suggestions": [call]})) == "Hi\nCall: +447700900123"
    assert as_text(read({"contentInfo": {"fileUrl": "https://media.example/1.pdf"}})) == "https://media.example/1.pdf"
