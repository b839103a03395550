"""Content by channel: read, refused with the place that is wrong, and shown as it came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sendpool.api.sending import read_send
from sendpool.domain.message import on_channel
from sendpool.domain.request import Refused, SendRequest
from sendpool.domain.sender import Channel

PHONE = {"address": "+19143188062", "channel": "PHONE"}

SMS = {"sms": {"text": "Your parcel is on its way"}}
REPLY = {"reply": {"text": "Yes", "postbackData": "y"}}
FILE = {"contentInfo": {"fileUrl": "https://media.example/1.jpg", "thumbnailUrl": "https://media.example/s.jpg"}}
CARD = {"title": "Parcel", "description": "On its way", "media": {**FILE, "height": "TALL"}, "suggestions": [REPLY]}
EVENT = {
    "startTime": "2026-11-22T10:00:00Z",
    "endTime": "2026-11-22T11:00:00+00:30",
    "title": "Visit",
    "description": "At the shop",
}


def action(**what: Any) -> dict[str, Any]:
    return {"action": {"text": "Do", "postbackData": "d", **what}}


def standalone(card: Any, **more: Any) -> dict[str, Any]:
    return {"richCard": {"standaloneCard": {"cardContent": card, **more}}}


def carousel(*cards: Any) -> dict[str, Any]:
    return {"richCard": {"carouselCard": {"cardWidth": "MEDIUM", "cardContents": list(cards)}}}


def read(content: Any) -> SendRequest:
    return read_send(json.dumps({"to": [PHONE], "content": content}).encode(), 1)


def refused(content: Any) -> list[tuple[int, str | None]]:
    return [(problem.code, problem.context) for problem in problems(content)]


def problems(content: Any) -> Any:
    with pytest.raises(Refused) as caught:
        read(content)
    return caught.value.problems


RCS = [
    {"text": "Hi"},
    {"text": "x" * 3072, "suggestions": [REPLY] * 11},
    {"media": FILE},
    {"media": {**FILE, "height": "SHORT"}, "suggestions": [REPLY]},
    standalone(CARD, cardOrientation="HORIZONTAL", thumbnailImageAlignment="LEFT"),
    standalone({"title": "Parcel", "suggestions": [REPLY] * 4}),
    carousel(CARD, {"title": "Second"}),
    {"text": "Hi", "suggestions": [action(openUrlAction={"url": "https://a.example"})]},
    {"text": "Hi", "suggestions": [action(dialAction={"phoneNumber": "+447700900123"})]},
    {"text": "Hi", "suggestions": [action(viewLocationAction={"query": "coffee"})]},
    {"text": "Hi", "suggestions": [action(viewLocationAction={"latLong": {"latitude": 90, "longitude": -0.1}})]},
    {"text": "Hi", "suggestions": [action(createCalendarEventAction=EVENT)]},
    {"text": "Hi", "suggestions": [action(shareLocationAction={})]},
]


@pytest.mark.parametrize("module", RCS)
def test_an_rcs_module_keeps_the_providers_schema_as_it_came(module: Any) -> None:
    content = read({"modules": [{"rcs": module}, SMS]}).content

    assert content.text == ""
    assert content.modules == {"RCS": module, "SMS": SMS["sms"]}
    assert on_channel(content, Channel.SMS).text == SMS["sms"]["text"]
    assert not content.says_on(Channel.WHATSAPP)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"modules": None}, [(60701, "$.content.modules")]),
        ({"modules": SMS}, [(60701, "$.content.modules")]),
        ({"modules": []}, [(60701, "$.content.modules")]),
        ({"modules": [SMS] * 5}, [(60701, "$.content.modules")]),
        ({"modules": [SMS, None, "x"]}, [(60701, "$.content.modules[1]"), (60701, "$.content.modules[2]")]),
        ({"modules": [{}]}, [(60701, "$.content.modules[0]")]),
        ({"modules": [{**SMS, "rcs": {"text": "Hi"}}]}, [(60701, "$.content.modules[0]")]),
        ({"modules": [SMS, SMS]}, [(60701, "$.content.modules[1].sms")]),
        ({"modules": [{"SMS": {"text": "x"}}]}, [(60701, "$.content.modules[0]")]),
        ({"modules": [{"whatsapp": []}]}, [(60701, "$.content.modules[0].whatsapp")]),
        ({"modules": [{"whatsapp": {"text": ""}}]}, [(60701, "$.content.modules[0].whatsapp.text")]),
        ({"modules": [{"whatsapp": {"text": "x" * 4097}}]}, [(21617, "$.content.modules[0].whatsapp.text")]),
        ({"modules": [{"whatsapp": {}}]}, [(60701, "$.content.modules[0].whatsapp")]),
        ({"modules": [{"whatsapp": {"body": "x"}}]}, [(60701, "$.content.modules[0].whatsapp")]),
        ({"modules": [SMS], "text": "Hi"}, [(60701, "$.content")]),
        ({"modules": [SMS], "media": []}, [(60701, "$.content")]),
        ({"modules": [SMS], "contentId": "x"}, [(60701, "$.content"), (60701, "$.content.contentId")]),
        ({"modules": [{"sms": "x"}]}, [(60701, "$.content.modules[0].sms")]),
        ({"modules": [{"sms": {}}]}, [(60701, "$.content.modules[0].sms.text")]),
        ({"modules": [{"sms": {"text": 1}}]}, [(60701, "$.content.modules[0].sms.text")]),
        ({"modules": [{"sms": {"text": ""}}]}, [(60701, "$.content.modules[0].sms.text")]),
        ({"modules": [{"sms": {"text": "x" * 1601}}]}, [(21617, "$.content.modules[0].sms.text")]),
        ({"modules": [{"sms": {"text": "a\0"}}]}, [(60701, "$.content.modules[0].sms.text")]),
        ({"modules": [{"sms": {"text": "Hi {{name"}}]}, [(60701, "$.content.modules[0].sms.text")]),
        ({"modules": [{"sms": {"text": "x", "media": []}}]}, [(60701, "$.content.modules[0].sms.media")]),
        ({"modules": [{"sms": {"media": []}}]}, [(60701, "$.content.modules[0].sms.media")]),
        (
            {"modules": [{"sms": {"media": [{"url": "ftp://x.example/"}]}}]},
            [(60701, "$.content.modules[0].sms.media[0].url")],
        ),
        ({"modules": [{"sms": {"text": "x", "body": "x"}}]}, [(60701, "$.content.modules[0].sms")]),
        (
            {"modules": [{"sms": {}}, {"rcs": {}}]},
            [(60701, "$.content.modules[0].sms.text"), (60701, "$.content.modules[1].rcs")],
        ),
    ],
)
def test_modules_that_cannot_be_sent_are_refused_never_ignored(content: Any, found: Any) -> None:
    assert refused(content) == found


@pytest.mark.parametrize(
    ("module", "place"),
    [
        (None, ""),
        ([], ""),
        ({}, ""),
        ({"suggestions": [REPLY]}, ""),
        ({"text": "x", "media": FILE}, ""),
        ({"text": "x", "colour": "red"}, ""),
        ({**standalone(CARD), "suggestions": [REPLY]}, ""),
        ({"text": ""}, ".text"),
        ({"text": 1}, ".text"),
        ({"text": "Hi {{name"}, ".text"),
        ({"text": "a\0"}, ".text"),
        ({"media": {}}, ".media"),
        ({"media": {"contentInfo": {}}}, ".media.contentInfo"),
        ({"media": {"contentInfo": {"fileUrl": ""}}}, ".media.contentInfo.fileUrl"),
        ({"media": {"contentInfo": {"fileUrl": "{{url}}"}}}, ".media.contentInfo.fileUrl"),
        ({"media": {"fileName": "files/1"}}, ".media.fileName"),
        ({"media": {**FILE, "height": "secret"}}, ".media.height"),
        ({"richCard": {}}, ".richCard"),
        (standalone({}), ".richCard.standaloneCard.cardContent"),
        (standalone({"title": ""}), ".richCard.standaloneCard.cardContent.title"),
        (standalone({"title": "{% if x %}"}), ".richCard.standaloneCard.cardContent.title"),
        (standalone(CARD, cardOrientation="x"), ".richCard.standaloneCard.cardOrientation"),
        (
            standalone({"title": "x", "suggestions": [REPLY] * 5}),
            ".richCard.standaloneCard.cardContent.suggestions",
        ),
        (carousel(CARD), ".richCard.carouselCard.cardContents"),
        (carousel(CARD, {}), ".richCard.carouselCard.cardContents[1]"),
        (
            carousel(CARD, {**CARD, "suggestions": [REPLY, {"reply": {"text": "x"}}]}),
            ".richCard.carouselCard.cardContents[1].suggestions[1].reply",
        ),
        (
            carousel(CARD, {**CARD, "suggestions": [REPLY, {"reply": {"text": "{{x | y}}", "postbackData": "y"}}]}),
            ".richCard.carouselCard.cardContents[1].suggestions[1].reply.text",
        ),
        ({"text": "x", "suggestions": [REPLY] * 12}, ".suggestions"),
        ({"text": "x", "suggestions": [REPLY, None]}, ".suggestions[1]"),
        ({"text": "x", "suggestions": [{**REPLY, **action(shareLocationAction={})}]}, ".suggestions[0]"),
        (
            {"text": "x", "suggestions": [{"reply": {"text": "x" * 26, "postbackData": "y"}}]},
            ".suggestions[0].reply.text",
        ),
        ({"text": "x", "suggestions": [REPLY, action()]}, ".suggestions[1].action"),
        (
            {"text": "x", "suggestions": [action(shareLocationAction={}, dialAction={"phoneNumber": "+447700900123"})]},
            ".suggestions[0].action",
        ),
        (
            {"text": "x", "suggestions": [action(viewLocationAction={"latLong": {"latitude": 91, "longitude": 0}})]},
            ".suggestions[0].action.viewLocationAction.latLong.latitude",
        ),
        (
            {"text": "x", "suggestions": [action(viewLocationAction={})]},
            ".suggestions[0].action.viewLocationAction",
        ),
        (
            {"text": "x", "suggestions": [action(createCalendarEventAction={**EVENT, "endTime": EVENT["startTime"]})]},
            ".suggestions[0].action.createCalendarEventAction",
        ),
        (
            {"text": "x", "suggestions": [action(createCalendarEventAction={**EVENT, "endTime": "tomorrow"})]},
            ".suggestions[0].action.createCalendarEventAction",
        ),
        (
            {
                "text": "x",
                "suggestions": [action(createCalendarEventAction={**EVENT, "endTime": "2026-11-23T10:00:00"})],
            },
            ".suggestions[0].action.createCalendarEventAction",
        ),
    ],
)
def test_what_is_wrong_with_an_rcs_module_is_named_by_its_place(module: Any, place: str) -> None:
    (problem,) = problems({"modules": [SMS, {"rcs": module}]})

    assert (problem.code, problem.context) == (60701, f"$.content.modules[1].rcs{place}")
    assert "secret" not in problem.message


def test_an_rcs_text_that_is_too_long_has_the_code_of_long_texts() -> None:
    assert refused({"modules": [{"rcs": {"text": "x" * 3073}}]}) == [(21617, "$.content.modules[0].rcs.text")]


def test_an_rcs_module_may_not_be_larger_than_the_provider_takes() -> None:
    link = action(openUrlAction={"url": "😀" * 2048})
    card = {"title": "x", "suggestions": [link] * 4}

    assert refused({"modules": [{"rcs": carousel(*[card] * 10)}]}) == [(60701, "$.content.modules[0].rcs")]


@pytest.mark.parametrize("name", ["x" * 1_000_000, "\u202e\n", "x - at `$.text", "x - at `$.bogus", "x`"])
def test_a_fields_name_can_neither_flood_nor_forge_a_problem(name: str) -> None:
    at_root = {"text": "x", name: 1}
    inside = {"media": {**FILE, name: 1}}

    for module, context in ((at_root, "$.content.modules[0].rcs"), (inside, "$.content.modules[0].rcs.media")):
        (problem,) = problems({"modules": [{"rcs": module}]})
        assert problem.context == context
        assert problem.message.isascii()
        assert problem.message.isprintable()
        assert len(problem.message) < 300


WHATSAPP = [
    {"text": "Hi {{ name }}"},
    {"type": "text", "text": {"body": "Hi", "preview_url": False}},
    {"image": {"link": "https://media.example/1.jpg", "caption": "{{ name }}"}},
    {"document": {"id": "1234", "filename": "a.pdf"}},
    {
        "template": {
            "name": "order_ready",
            "language": {"code": "en_US"},
            "components": [
                {"type": "body", "parameters": [{"type": "text", "text": "{{ order }}"}]},
                {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "A17"}]},
            ],
        }
    },
    {
        "interactive": {
            "type": "button",
            "body": {"text": "Ok?"},
            "action": {"buttons": [{"type": "reply", "reply": {"id": "y", "title": "{{ yes | default: 'Yes' }}"}}]},
        }
    },
    {
        "interactive": {
            "type": "list",
            "header": {"type": "text", "text": "Times"},
            "body": {"text": "When?"},
            "action": {"button": "Choose", "sections": [{"rows": [{"id": "1", "title": "Now"}]}]},
        }
    },
    {
        "interactive": {
            "type": "cta_url",
            "body": {"text": "Track"},
            "action": {"name": "cta_url", "parameters": {"display_text": "Go", "url": "https://a.example/{{ id }}"}},
        }
    },
    {"location": {"latitude": 51.5, "longitude": -0.1, "name": "Here"}},
]


@pytest.mark.parametrize("module", WHATSAPP)
def test_a_whatsapp_module_is_the_providers_own_message_as_it_came(module: Any) -> None:
    content = read({"modules": [{"whatsapp": module}]}).content

    assert content.modules == {"WHATSAPP": module}
    assert content.liquid == ("{{" in json.dumps(module))


@pytest.mark.parametrize(
    ("module", "place"),
    [
        ({"type": "image", "text": {"body": "Hi"}}, ""),
        ({"text": {"body": "x"}, "image": {"id": "1"}}, ""),
        ({"to": "447700900123", "text": {"body": "x"}}, ""),
        ({"text": {"body": ""}}, ".text.body"),
        ({"text": {"body": "x" * 4097}}, ".text.body"),
        ({"image": {}}, ".image"),
        ({"image": {"link": "ftp://x.example"}}, ".image.link"),
        ({"image": {"link": "{{ url }}"}}, ".image.link"),
        ({"template": {"name": "x", "language": {}}}, ".template.language"),
        ({"interactive": {"type": "secret", "body": {"text": "x"}}}, ".interactive.type"),
        (
            {"interactive": {"type": "button", "body": {"text": "x"}, "action": {"buttons": []}}},
            ".interactive.action.buttons",
        ),
        ({"location": {"latitude": 91, "longitude": 0}}, ".location.latitude"),
        ({"image": {"id": "1", "caption": "{{ x"}}, ".image.caption"),
        ({"image": {"id": "1", "caption": "a\0"}}, ".image.caption"),
    ],
)
def test_what_is_wrong_with_a_whatsapp_module_is_named_by_its_place(module: Any, place: str) -> None:
    (problem,) = problems({"modules": [SMS, {"whatsapp": module}]})

    assert (problem.code, problem.context) == (60701, f"$.content.modules[1].whatsapp{place}")
    assert "secret" not in problem.message


def test_liquid_may_stand_in_every_text_of_a_module_whatever_it_becomes() -> None:
    """Limits of the provider hold for what comes out, not for the markup."""
    long = "{{ name | default: 'somebody whose name is not known' }}"
    chips = [
        {"reply": {"text": long, "postbackData": "{{ id }}"}},
        action(openUrlAction={"url": "https://a.example/{{ id }}"}),
        action(dialAction={"phoneNumber": "{{ phone }}"}),
        action(createCalendarEventAction={**EVENT, "startTime": "{{ start }}", "title": long}),
    ]

    assert read({"modules": [{"rcs": standalone({**CARD, "title": long, "suggestions": chips})}]}).content.liquid
    assert refused({"modules": [{"rcs": standalone({"title": "x"}, cardOrientation="{{ x }}")}]})


async def test_a_message_shows_every_module_as_it_was_sent(world: Any, conforms: Any) -> None:
    client = world.client
    modules = [{"rcs": standalone(CARD)}, SMS]
    operation_id = await client.sent(content={"modules": modules})
    (listed,) = await client.listed(f"?operationId={operation_id}")

    answer = await client.get(f"/v1/Messages/{listed['id']}")

    conforms(answer.json, "Message")
    assert answer.json["content"] == {"modules": modules}
    assert "content" not in listed


async def test_a_channel_without_a_module_drops_out_of_the_plan(client: Any) -> None:
    whatsapp = {"address": "+19143188063", "channel": "WHATSAPP"}
    operation_id = await client.sent(to=[PHONE, whatsapp], content={"modules": [SMS]})

    stats = (await client.get(f"/v1/Messages/Operations/{operation_id}")).json["stats"]

    assert (stats["total"], stats["unaddressable"]) == (1, 1)
