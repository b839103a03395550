from __future__ import annotations

import base64
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formataddr
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


def test_a_mail_can_be_written_from_what_a_connector_is_handed() -> None:
    picture = {**FILE, "type": "image/png", "contentId": "logo"}
    report = {
        "filename": "Übersicht.pdf",
        "content": base64.b64encode(b"%PDF").decode(),
        "contentType": "application/pdf",
    }
    html = "<p>Žluť <img src='cid:logo' alt='Logo'></p>"
    content = {"subject": 'Žluť, "quoted"', "html": html, "attachments": [picture, report]}
    email = read_module(write_module(content, "Cool, Support"))

    mail = EmailMessage(policy=SMTP)
    mail["From"] = formataddr((email.from_name or "", "support@example.test"))
    mail["Subject"] = email.subject
    mail.set_content(email.text)
    mail.add_alternative(email.html, subtype="html")
    (_, body) = mail.iter_parts()
    for one in email.attachments:
        kind, _, subtype = one.media_type.partition("/")
        if one.content_id is None:
            mail.add_attachment(one.data, kind, subtype, filename=one.filename)
        else:
            body.add_related(one.data, kind, subtype, cid=f"<{one.content_id}>", filename=one.filename)
    read = message_from_bytes(mail.as_bytes(), policy=SMTP)

    assert (read["Subject"], read["From"].addresses[0].display_name) == (content["subject"], "Cool, Support")
    parts = {part.get_content_type(): part for part in read.walk() if not part.is_multipart()}
    assert parts["text/plain"].get_content().strip() == "Žluť Logo"
    assert parts["text/html"].get_content().strip() == html
    assert (parts["image/png"].get_content(), parts["image/png"]["Content-ID"]) == (DATA, "<logo>")
    assert (parts["application/pdf"].get_content(), parts["application/pdf"].get_filename()) == (
        b"%PDF",
        "Übersicht.pdf",
    )
