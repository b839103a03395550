from __future__ import annotations

from typing import Any

import pytest

from sendpool.domain.email_content import LONGEST_SUBJECT, write_module
from sendpool.pipeline.email_templates import EmailTemplate, EmptyEmail
from sendpool.pipeline.liquid import BadLiquid, Unrenderable

MOMENT = 1_700_000_000_000_000


def filled(variables: dict[str, str], **content: Any) -> dict[str, Any]:
    module = write_module({"subject": "Hello {{ name }}", "html": "<p>Hi {{ name }}</p>", **content}, "Us {{ name }}")
    return EmailTemplate(module).fill(variables, MOMENT)


def test_a_value_is_text_in_the_html_and_itself_elsewhere() -> None:
    assert filled({"name": "<Ana & Ben>"}) == {
        "subject": "Hello <Ana & Ben>",
        "html": "<p>Hi &lt;Ana &amp; Ben&gt;</p>",
        "text": "Hi <Ana & Ben>",
        "fromName": "Us {{ name }}",
    }


def test_a_text_of_its_own_is_filled_in_and_attachments_stay_as_they_are() -> None:
    files = [{"filename": "{{ name }}.txt", "content": "e3sgbmFtZSB9fQ=="}]

    email = filled({"name": "Ana"}, text="For {{ name | upcase }}", attachments=files)

    assert email["text"] == "For ANA"
    assert email["attachments"] is files


def test_a_module_without_a_text_gets_it_from_the_html_that_came_out() -> None:
    module = {"subject": "x", "html": "<p>Hi {{ name }}</p>{% if name %}<p>you</p>{% endif %}"}

    assert EmailTemplate(module).fill({"name": "A & B"}, MOMENT)["text"] == "Hi A & B\n\nyou"


@pytest.mark.parametrize("value", ["Ana\r\nBcc: ben@example.test", "Ana\nBcc: ben@example.test", "Ana\x85\u2028Bcc: x"])
def test_a_value_writes_no_header_of_its_own(value: str) -> None:
    subject = filled({"name": value})["subject"]

    assert subject.startswith("Hello Ana Bcc:")
    assert len(subject.splitlines()) == 1


@pytest.mark.parametrize(
    "content",
    [{"subject": "{{ name }}"}, {"subject": " {{ name }} \t"}, {"html": "{{ name }}"}, {"html": " {{ name }}\n"}],
)
def test_what_comes_out_empty_is_nothing_to_send(content: dict[str, str]) -> None:
    with pytest.raises(EmptyEmail):
        filled({}, **content)


@pytest.mark.parametrize("values", [{"name": "x" * LONGEST_SUBJECT}, {"other": "\0"}])
def test_what_comes_out_unusable_is_told(values: dict[str, str]) -> None:
    with pytest.raises(Unrenderable):
        filled(values, text="{{ other }}")


def test_a_document_may_be_longer_than_any_text() -> None:
    html = "<p>{{ name }}</p>" * 1_000 + "x" * 100_000

    assert len(filled({"name": "y" * 100}, html=html)["html"]) == 100_000 + 1_000 * 107


@pytest.mark.parametrize("field", ["subject", "html", "text"])
def test_what_is_no_liquid_is_refused(field: str) -> None:
    with pytest.raises(BadLiquid):
        filled({}, **{field: "{% if %}"})
