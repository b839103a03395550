"""What operations say to single recipients, from acceptance to the wire."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import Line, World, virtually, world

from sendpool.domain.message import Content, has_markup
from sendpool.domain.request import Accepted, PoolOrigin, Recipient, Refused, SendRequest
from sendpool.domain.sender import Channel
from sendpool.pipeline.draft import AT_ONCE
from sendpool.pipeline.render import EMPTY, UNFIT, Unsayable, say
from sendpool.store.database import Query, Script

NUMBER = "+447700900100"
AT = 1_700_000_000_000_000


def lines(*, up: bool = True) -> dict[str, Line]:
    carrier = Carrier()
    carrier.up = up
    return {"s": Line(carrier, {NUMBER: 1_000.0})}


async def send(w: World, content: Content, *variables: dict[str, str] | None, **more: Any) -> Accepted:
    recipients = [Recipient(f"+44770091{i:04}", "P", values) for i, values in enumerate(variables)]
    request = SendRequest(
        account_id=w.account_id, origin=PoolOrigin(w.pool), recipients=recipients, content=content, **more
    )
    return await w.engine.intake.accept(request)


def said(w: World) -> list[tuple[str, str]]:
    return sorted((one.submission.recipient, one.submission.content.text) for one in w.lines["s"].carrier.sent)


HELLO = Content(text="Hello {{ name | default: 'there' }}", liquid=True)


@virtually
async def test_each_recipient_is_sent_their_own_text(fresh: Path) -> None:
    async with world(fresh, **lines()) as w:
        accepted = await send(w, HELLO, {"name": "Ada"}, None, {"name": ""}, {"name": "Bob", "unused": "x"})
        await w.until(lambda: len(said(w)) == 4)

        assert [text for _, text in said(w)] == ["Hello Ada", "Hello there", "Hello there", "Hello Bob"]
        await w.until_states(DELIVERED=4, operation=accepted)


@virtually
async def test_large_requests_carry_variables_through_chunks(fresh: Path) -> None:
    number = AT_ONCE + 3
    async with world(fresh, **lines()) as w:
        await send(w, HELLO, *({"name": f'"{i}" é'} for i in range(number)))
        await w.until(lambda: len(said(w)) == number)

        assert [text for _, text in said(w)] == [f'Hello "{i}" é' for i in range(number)]


@virtually
async def test_segments_are_those_of_each_recipients_text(fresh: Path) -> None:
    async with world(fresh, **lines()) as w:
        await send(w, HELLO, {"name": "Ada"}, {"name": "x" * 160}, {"name": "я" * 70})
        await w.until_states(DELIVERED=3)

        assert await w.rows("SELECT segments FROM message ORDER BY id") == [(1,), (2,), (2,)]
        assert await w.rows("SELECT segments FROM attempt ORDER BY id") == [(1,), (2,), (2,)]


@pytest.mark.parametrize("number", [1, AT_ONCE + 1])
@virtually
async def test_a_recipient_for_whom_nothing_comes_out_fails_alone(number: int, fresh: Path) -> None:
    """Its message is born FAILED behind the others: one event, an error of its own, never an attempt."""
    async with world(fresh, **lines()) as w:
        accepted = await send(w, Content(text="{{ a }}", liquid=True), None, *[{"a": "x"}] * number, {"a": "y" * 1_601})
        await w.until_states(DELIVERED=number, FAILED=2)

        first = accepted.operation_id
        failed = await w.rows("SELECT id - ?, error_code, attempts FROM message WHERE state = 7 ORDER BY id", first)
        assert failed == [(number, EMPTY, 0), (number + 1, UNFIT, 0)]
        assert await w.events(first + number) == [7]
        counters = await w.rows("SELECT total, recipients, failed, unaddressable, state FROM operation")
        assert counters == [(number + 2, number + 2, 2, 0, 3)]
        assert len(said(w)) == number


@virtually
async def test_an_operation_that_says_nothing_to_anybody_is_completed_at_once(fresh: Path) -> None:
    async with world(fresh, **lines()) as w:
        accepted = await send(w, Content(text="{{ a }}", liquid=True), None, None)

        assert await w.rows("SELECT state, total, queued, failed FROM operation") == [(3, 2, 0, 2)]
        assert sorted(await w.events(accepted.operation_id)) == [7, 1026, 1027]
        assert (await send(w, HELLO, None)).operation_id == accepted.operation_id + 2


@virtually
async def test_what_was_accepted_is_said_after_a_restart_as_well(fresh: Path) -> None:
    async with world(fresh, **lines(up=False)) as w:
        await send(w, HELLO, {"name": "Ada"})
    async with world(fresh, **lines()) as w:
        await w.until(lambda: len(said(w)) == 1)

        assert said(w)[0][1] == "Hello Ada"


def _replaced(content: str) -> Script[None]:
    yield Query("UPDATE operation_content SET content = ?", (content,))


@virtually
async def test_a_text_that_cannot_be_said_any_more_ends_its_attempt_by_name(fresh: Path) -> None:
    async with world(fresh, **lines(up=False)) as w:
        await send(w, HELLO, {"name": "Ada"})
    async with world(fresh, **lines(up=False)) as w:
        broken = json.dumps({"text": "{{ name | divided_by: 0 }}", "liquid": True})
        await w.store.write(_replaced(broken))
    async with world(fresh, **lines()) as w:
        await w.until_states(FAILED=1)

        assert await w.rows("SELECT failure, rule FROM attempt") == [("CONTENT", "sendpool/unsayable")]
        assert not said(w)


@virtually
async def test_a_template_that_is_too_dear_for_everybody_is_refused(fresh: Path) -> None:
    dear = Content(text="{% for i in (1..900) %}{{ '' | append: i | upcase | strip | size }}{% endfor %}", liquid=True)
    async with world(fresh, **lines()) as w:
        with pytest.raises(Refused, match="too long") as caught:
            await send(w, dear, *[None] * 2_000)

        assert caught.value.problems[0].context == "$.content"


def test_plain_content_holds_no_markup_and_costs_nothing() -> None:
    assert not has_markup("100 % {of} }} %}")


@pytest.mark.parametrize("name", ["a\0b", "%00"])
def test_no_nul_gets_into_a_text(name: str) -> None:
    content = Content(text="{{ name | url_decode }}", liquid=True)

    with pytest.raises(Unsayable):
        say(content, Channel.SMS, {"name": name}, AT)


@pytest.mark.parametrize("name", ["\u202e\u200f\u2066", "\u0301", "\U0001f468\u200d\U0001f469", "\r\n\t"])
def test_marks_of_direction_and_combining_characters_are_carried_as_they_are(name: str) -> None:
    assert say(Content(text="x{{ name }}", liquid=True), Channel.SMS, {"name": name}, AT).text == f"x{name}"


RICH = Content(
    modules={
        "RCS": {"text": "Hi", "suggestions": [{"reply": {"text": "{{ chip }}", "postbackData": "x"}}]},
        "SMS": {"text": "Hi {{ name }}"},
    },
    liquid=True,
)


@virtually
async def test_a_channel_whose_limits_a_recipients_values_break_drops_out_of_their_plan(fresh: Path) -> None:
    agent = {"r": Line(Carrier(), {"agent": 1_000.0}, Channel.RCS)}
    async with world(fresh, **lines(), **agent) as w:
        accepted = await send(w, RICH, {"chip": "Yes"}, {"chip": "y" * 26, "name": "Ana"}, {"name": "z" * 1_601})
        await w.until_states(DELIVERED=2, FAILED=1, operation=accepted)

        assert await w.rows("SELECT plan, error_code FROM message ORDER BY id") == [
            ("RS", None),
            ("S", None),
            ("RS", UNFIT),
        ]
        (rich,) = [one.submission.content.rich for one in w.lines["r"].carrier.sent]
        assert rich is not None
        assert rich["suggestions"][0]["reply"]["text"] == "Yes"
        assert [text for _, text in said(w)] == ["Hi Ana"]


@virtually
async def test_a_person_with_several_addresses_keeps_those_of_the_steps_that_are_left(fresh: Path) -> None:
    agent = {"r": Line(Carrier(), {"agent": 1_000.0}, Channel.RCS)}
    async with world(fresh, **lines(), **agent) as w:
        person = Recipient("+447700910001 +447700910002", "PP", {"chip": "y" * 26, "name": "Ana"})
        origin = PoolOrigin(w.pool)
        request = SendRequest(account_id=w.account_id, origin=origin, recipients=[person], content=RICH)
        await w.engine.intake.accept(request)
        await w.until_states(DELIVERED=1)

        (row,) = await w.rows("SELECT plan, address, space FROM message")
        assert tuple(row) == ("SS", "+447700910001 +447700910002", "PP")


@virtually
async def test_a_templates_defaults_stand_where_a_recipient_has_nothing(fresh: Path) -> None:
    content = Content(
        modules={"SMS": {"text": "Dear {{1}}"}}, liquid=True, content_id="HX1", defaults={"1": "customer"}
    )
    async with world(fresh, **lines()) as w:
        await send(w, content, {"1": "Ana"}, None)
        await w.until(lambda: len(said(w)) == 2)

        assert [text for _, text in said(w)] == ["Dear Ana", "Dear customer"]
