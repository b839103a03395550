from __future__ import annotations

import base64
from typing import Any

import pytest

from sendpool.domain.email_content import Attachment, read_module, write_module

DATA = b"\x89PNG\r\n"
FILE = {"filename": "logo.png", "content": base64.b64encode(DATA).decode()}


def test_a_module_is_the_apis_object_with_what_else_goes_onto_the_wire() -> None:
    content = {"subject": "Hello", "html": "<p>Hi</p>", "text": "Hi there", "attachments": [FILE]}

    module = write_module(content, "Cool Support", "pool-a")

    assert {name: module[name] for name in content} == content
    email = read_module(module)
    assert (email.subject, email.html, email.text) == ("Hello", "<p>Hi</p>", "Hi there")
    assert (email.from_name, email.ip_pool) == ("Cool Support", "pool-a")
    assert email.attachments == (Attachment("logo.png", "application/octet-stream", DATA, None),)


@pytest.mark.parametrize("text", [{}, {"text": ""}])
def test_a_text_that_is_missing_comes_from_the_html(text: dict[str, str]) -> None:
    module = write_module({"subject": "Hello", "html": "<p>Hi<br>there</p>", **text})

    email = read_module(module)
    assert email.text == "Hi\nthere"
    assert (email.from_name, email.ip_pool, email.attachments) == (None, None, ())


@pytest.mark.parametrize(
    ("more", "media_type", "content_id"),
    [
        ({"type": "image/png"}, "image/png", None),
        ({"contentType": "image/png"}, "image/png", None),
        ({"disposition": "attachment", "contentId": "logo"}, "application/octet-stream", None),
        ({"disposition": "inline", "contentId": "logo"}, "application/octet-stream", "logo"),
        ({"content_id": "logo"}, "application/octet-stream", "logo"),
        ({"disposition": "inline"}, "application/octet-stream", None),
    ],
)
def test_an_attachment_may_be_spelt_in_several_ways(more: dict[str, Any], media_type: str, content_id: str) -> None:
    module = write_module({"subject": "Hello", "html": "<p>Hi</p>", "attachments": [{**FILE, **more}]})

    (attachment,) = read_module(module).attachments
    assert attachment == Attachment("logo.png", media_type, DATA, content_id)
