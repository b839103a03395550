from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.api import sending
from sendpool.api.problems import MAX_PROBLEMS
from sendpool.api.sending import read_send
from sendpool.domain.request import AccountOrigin, Recipient, Refused, SendRequest
from sendpool.domain.schedule import Moment

PHONE = {"address": "+15551230001", "channel": "PHONE"}
OPERATION_LIKE = "comms_senderpool_01h9krwprkeee8fzqspvwy6nq8"


def read(**changes: Any) -> SendRequest:
    body = {"to": [PHONE], "content": {"text": "Hi"}, **changes}
    return read_send(json.dumps({name: value for name, value in body.items() if value is not ...}).encode(), 7)


def refused(**changes: Any) -> list[tuple[int, str | None]]:
    with pytest.raises(Refused) as caught:
        read(**changes)
    assert caught.value.status == 400
    return [(problem.code, problem.context) for problem in caught.value.problems]


def test_a_plain_send_is_read_as_it_stands() -> None:
    request = read()

    assert request.account_id == 7
    assert request.origin == AccountOrigin()
    assert request.recipients == [Recipient("+15551230001", "P")]
    assert request.content.text == "Hi"
    assert request.tags == {}
    assert request.validity is None


@pytest.mark.parametrize(
    ("channel", "space"),
    [("PHONE", "P"), ("phone", "P"), ("Phone", "P"), ("WHATSAPP", "W"), ("whatsapp", "W"), ("WhatsApp", "W")],
)
def test_a_recipients_channel_may_have_any_case(channel: str, space: str) -> None:
    assert read(to=[{"address": "+15551230001", "channel": channel}]).recipients == [Recipient("+15551230001", space)]


def test_email_recipients_are_our_extension() -> None:
    assert read(to=[{"address": "ana@example.test", "channel": "email"}, PHONE]).recipients == [
        Recipient("ana@example.test", "E"),
        Recipient("+15551230001", "P"),
    ]


def test_recipients_may_repeat() -> None:
    assert len(read(to=[PHONE] * 3).recipients) == 3


@pytest.mark.parametrize(
    ("to", "problems"),
    [
        (..., [(60701, "$.to")]),
        (None, [(60701, "$.to")]),
        ("+15551230001", [(60701, "$.to")]),
        (PHONE, [(60701, "$.to")]),
        ([], [(60701, "$.to")]),
        ([PHONE] * 10_001, [(60701, "$.to")]),
        ([None, [], "x", 1, True], [(60701, f"$.to[{i}]") for i in range(5)]),
        ([{}], [(60701, "$.to[0].channel"), (60701, "$.to[0].address")]),
        ([{"address": "+15551230001"}], [(60701, "$.to[0].channel")]),
        ([{"channel": "PHONE"}], [(60701, "$.to[0].address")]),
        ([PHONE, {**PHONE, "channel": "SMS"}], [(60701, "$.to[1].channel")]),
        ([{**PHONE, "channel": None}], [(60701, "$.to[0].channel")]),
        ([{**PHONE, "channel": ["PHONE"]}], [(60701, "$.to[0].channel")]),
        ([{**PHONE, "address": 15551230001}], [(60701, "$.to[0].address")]),
        ([{**PHONE, "address": ""}], [(21211, "$.to[0].address")]),
        ([{**PHONE, "address": "5551230001"}], [(21211, "$.to[0].address")]),
        ([{**PHONE, "address": "+15551230001\n+15551230002"}], [(21211, "$.to[0].address")]),
        ([{**PHONE, "address": "\0"}], [(21211, "$.to[0].address")]),
        ([PHONE, {**PHONE, "address": "+999123456789"}], [(21614, "$.to[1].address")]),
        ([{"address": "ana", "channel": "EMAIL"}], [(60701, "$.to[0].address")]),
        ([{**PHONE, "adress": "x"}], [(60701, "$.to[0]")]),
        ([{**PHONE, "variables": None}], [(60701, "$.to[0].variables")]),
        ([{**PHONE, "variables": []}], [(60701, "$.to[0].variables")]),
        ([PHONE, {**PHONE, "variables": {"name": 1}}], [(60701, "$.to[1].variables")]),
        ([{**PHONE, "variables": {"": "x", "y": None}}], [(60701, "$.to[0].variables")] * 2),
        ([{**PHONE, "variables": {"n" * 129: "x"}}], [(60701, "$.to[0].variables")]),
        ([{**PHONE, "variables": {"name": "x" * 2049}}], [(60701, "$.to[0].variables")]),
        ([{**PHONE, "variables": {"name": "\0"}}], [(60701, "$.to[0].variables")]),
        ([{**PHONE, "variables": {str(i): "" for i in range(101)}}], [(60701, "$.to[0].variables")]),
    ],
)
def test_each_recipient_that_is_wrong_is_named(to: Any, problems: list[Any]) -> None:
    assert refused(to=to) == problems


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (..., [(60701, "$.content")]),
        (None, [(60701, "$.content")]),
        ("Hi", [(60701, "$.content")]),
        ({}, [(60701, "$.content.text")]),
        ({"text": None}, [(60701, "$.content.text")]),
        ({"text": 1}, [(60701, "$.content.text")]),
        ({"text": ""}, [(60701, "$.content.text")]),
        ({"text": "x" * 1601}, [(21617, "$.content.text")]),
        ({"text": "a\0b"}, [(60701, "$.content.text")]),
        ({"text": "Hi {{name"}, [(60701, "$.content.text")]),
        ({"text": "Hi {{ name | nofilter }}"}, [(60701, "$.content.text")]),
        ({"text": "{% include 'x' %}"}, [(60701, "$.content.text")]),
        ({"text": "{{x}}" + "x" * 6396}, [(21617, "$.content.text")]),
        ({"text": "{% if x %}"}, [(60701, "$.content.text")]),
        ({"text": "Hi", "media": []}, [(60701, "$.content.media")]),
        ({"media": [{"url": "https://example.test/x.png"}] * 11}, [(60701, "$.content.media")]),
        ({"media": {"url": "https://example.test/x.png"}}, [(60701, "$.content.media")]),
        ({"media": ["https://a.example", {}]}, [(60701, "$.content.media[0]"), (60701, "$.content.media[1].url")]),
        ({"media": [{"url": "", "kind": "x"}]}, [(60701, "$.content.media[0]"), (60701, "$.content.media[0].url")]),
        ({"media": [{"url": "file:///etc/passwd"}]}, [(60701, "$.content.media[0].url")]),
        ({"media": [{"url": "https://"}]}, [(60701, "$.content.media[0].url")]),
        ({"media": [{"url": "https://a.example/ b"}]}, [(60701, "$.content.media[0].url")]),
        ({"media": [{"url": "{{x}}"}]}, [(60701, "$.content.media[0].url")]),
        ({"media": [{"url": "https://{{x}}/"}]}, [(60701, "$.content.media[0].url")]),
        ({"media": [{"url": "https://a.example{{x}}"}]}, [(60701, "$.content.media[0].url")]),
        ({"media": [{"url": "https://a.example/{{x"}]}, [(60701, "$.content.media[0].url")]),
        ({"media": [{"url": "https://a.example/" + "x" * 2030}] * 4}, [(21617, "$.content.media")]),
        ({"contentId": "HX" + "0" * 35}, [(60701, "$.content.contentId")]),
        ({"contentId": "HX" + "0" * 25}, [(60701, "$.content.contentId")]),
        ({"text": "Hi", "body": "x"}, [(60701, "$.content")]),
    ],
)
def test_content_that_cannot_be_sent_is_refused_never_ignored(content: Any, problems: list[Any]) -> None:
    assert refused(content=content) == problems


def test_texts_and_media_with_liquid_are_templates() -> None:
    media = "https://media.example/{{ id | url_encode }}.jpg?x=#1"
    ana = {**PHONE, "variables": {"id": "", "name": "Ana"}}
    found = read(to=[ana], content={"text": "Hi", "media": [{"url": media}]})

    assert found.content.liquid
    assert found.content.media == (media,)
    assert found.recipients[0].variables == ana["variables"]
    assert read(content={"text": "{{ name }}" + "{% if a %}{% endif %}" * 300}).content.liquid
    assert not read(content={"text": "100 %"}).content.liquid


@pytest.mark.parametrize("text", ["x", "x" * 1600, "\u202eright to left", "line\nbreak\ttab", "😀" * 1600, "{name}"])
def test_texts_of_up_to_1600_characters_are_carried_as_they_are(text: str) -> None:
    assert read(content={"text": text}).content.text == text


@pytest.mark.parametrize(
    ("tags", "count"),
    [
        (None, 1),
        ([], 1),
        ({"a": 1}, 1),
        ({"a": None}, 1),
        ({"": "b"}, 1),
        ({"a": ""}, 1),
        ({"a" * 129: "b"}, 1),
        ({"a": "b" * 257}, 1),
        ({"a b": "c"}, 1),
        ({"ü": "c"}, 1),
        ({"a": "ü"}, 1),
        ({"a": "b\n"}, 1),
        ({"a": "{{name"}, 1),
        ({"a": "{{name}}" + "x" * 1_020}, 1),
        ({"{{name}}": "a"}, 1),
        ({"a b": "c d", "e f": 1}, 4),
        ({str(i): "x" for i in range(11)}, 1),
    ],
)
def test_tags_outside_the_limits_are_refused_without_repeating_them(tags: Any, count: int) -> None:
    assert refused(tags=tags) == [(60701, "$.tags")] * count


def test_tags_at_the_limits_are_kept() -> None:
    tags = {f"{i}" + "k" * 127: "v" * 256 for i in range(10)}

    assert read(tags=tags).tags == tags


@pytest.mark.parametrize(("validity", "seconds"), [(1, 1), (172_800, 172_800), (60.0, 60)])
def test_validity_is_whole_seconds_up_to_two_days(validity: Any, seconds: int) -> None:
    assert read(validity=validity).validity == seconds


@pytest.mark.parametrize("validity", [0, -1, 172_801, 1.5, 1e300, True, "60", None, [], {}, 10**300])
def test_any_other_validity_is_refused(validity: Any) -> None:
    assert refused(validity=validity) == [(60701, "$.validity")]


@pytest.mark.parametrize(("value", "priority"), [("high", "high"), ("LOW", "low"), ("Normal", "normal")])
def test_a_priority_is_one_of_three_in_any_case(value: str, priority: str) -> None:
    assert read(priority=value).priority == priority
    assert read().priority == "normal"


@pytest.mark.parametrize("value", [None, {}, "otp", 1, "highest"])
def test_any_other_priority_is_refused(value: Any) -> None:
    assert refused(priority=value) == [(60701, "$.priority")]


def test_a_schedule_says_when_to_send() -> None:
    assert read().send_at is None
    assert read(schedule={"sendAt": ["1970-01-01T00:00:01Z"]}).send_at == Moment(1_000_000)
    assert read(schedule={"sendAt": ["1970-01-01T00:00:01"]}).send_at == Moment(1_000_000, local=True)


@pytest.mark.parametrize(
    ("field", "hint"),
    [
        ("From", "did you mean from?"),
        ("contents", "did you mean content?"),
        ("Tags", "did you mean tags?"),
        ("send_at", None),
        ("\u202e" * 100, None),
        ("x" * 1_000_000, None),
    ],
)
def test_an_unknown_field_is_refused_with_a_hint(field: str, hint: str | None) -> None:
    with pytest.raises(Refused) as caught:
        read(**{field: 1})

    (problem,) = caught.value.problems
    assert problem.context is None
    assert problem.message.isascii()
    assert len(problem.message) < 300
    assert ("did you mean" in problem.message) == (hint is not None)
    assert hint is None or problem.message.endswith(hint)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    problems = refused(
        to=[{**PHONE, "address": "x"}, PHONE, {}],
        content={"text": "", "media": []},
        tags={"a b": "c"},
        validity=0,
        schedule={},
        bogus=1,
        **{"from": {"senderId": "comms_sender_123"}},
    )

    assert problems == [
        (60701, None),
        (21211, "$.to[0].address"),
        (60701, "$.to[2].channel"),
        (60701, "$.to[2].address"),
        (60701, "$.content.text"),
        (60701, "$.content.media"),
        (60701, "$.from.senderId"),
        (60701, "$.schedule.sendAt"),
        (60701, "$.tags"),
        (60701, "$.validity"),
    ]


def test_a_list_of_problems_ends_with_how_many_more_there_are() -> None:
    with pytest.raises(Refused) as caught:
        read(to=[{**PHONE, "address": "x"}] * 5_000)

    problems = caught.value.problems
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1].message == "and 4,900 more problems"
    assert all(len(problem.context or "") <= 160 for problem in problems)


def test_problems_repeat_no_address_and_no_text() -> None:
    with pytest.raises(Refused) as caught:
        read(to=[{"address": "secret-address", "channel": "secret-channel"}], content={"text": "secret" * 1000})

    assert "secret" not in str(caught.value)


def test_problems_with_good_recipients_do_not_look_at_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "_thoroughly", None)

    assert refused(content={"text": ""}) == [(60701, "$.content.text")]


_ADDRESSES = st.sampled_from(["+15551230001", "+447911123456", "+999123456789", "", "+1555", "a@b.example", "+1555\n"])
_CHANNELS = st.sampled_from(["PHONE", "phone", "Phone", "WHATSAPP", "EMAIL", "SMS", None])
_RECIPIENTS: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"address": _ADDRESSES, "channel": _CHANNELS},
    optional={"variables": st.sampled_from([{}, {"a": "b"}, {"a": ""}, {"a": 1}, {"": "b"}, {"a": "\0"}, None, []])},
)


@given(
    st.lists(_RECIPIENTS, max_size=4),
    st.sampled_from([{"text": "Hi"}, {"text": ""}, {}, {"text": "{{x"}]),
    st.sampled_from([0, 500]),
)
def test_both_ways_of_reading_agree(to: list[Any], content: Any, many: int) -> None:
    """Whatever the number of recipients from which on those that are alike are kept as their addresses."""
    body = json.dumps({"to": to, "content": content, "tags": {"a": "b"}}).encode()

    def outcome() -> Any:
        try:
            request = read_send(body, 1)
        except Refused as error:
            return error.problems
        return list(request.recipients), request.content.text, request.tags

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sending, "_MANY", many)
        quick = outcome()
        patch.setattr(sending, "_quickly", lambda _: None)
        assert outcome() == quick
