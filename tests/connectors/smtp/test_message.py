"""What an email looks like on the wire, and that it is signed as it is sent."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from tests.connectors.smtp.conftest import BOUNCES, MODULE, SECRET, SENDER, settings, submission

from sendpool.connectors.smtp.letters import Letters
from sendpool.connectors.smtp.session import Offers, wired
from sendpool.connectors.smtp.settings import read_settings
from sendpool.connectors.smtp.tokens import Tokens
from sendpool.domain.message import Category, Content

ALL = Offers(pipelining=True, eight_bit=True, utf8=True, notifications=True, size=0, messages=0)
BARE = Offers(pipelining=False, eight_bit=False, utf8=False, notifications=False, size=0, messages=0)
LINK: dict[str, Any] = {"secret": SECRET, "public_url": "https://send.example.com/"}


def written(offers: Offers = ALL, sender: dict[str, Any] | None = None, **given: Any) -> bytes:
    """The octets of an email, dots as they were; *given*: options of the connection and changes to the submission."""
    changes = {key: given.pop(key) for key in list(given) if key in ("content", "name", "category", "recipient")}
    made = settings(25, sender=sender, **given)
    options = read_settings(made)
    letters = Letters(made, options, Tokens(options.secret) if options.secret else None, lambda: 1.7e9)
    sent = submission(**changes)._replace(options=sender or {})
    return letters.write(sent, offers).message.replace(b"\r\n..", b"\r\n.")


def parsed(raw: bytes) -> EmailMessage:
    found = message_from_bytes(raw, policy=default)
    assert isinstance(found, EmailMessage)
    return found


def test_an_email_has_what_every_email_needs() -> None:
    message = parsed(written(name="Ana Díaz"))

    assert str(message["From"]) == f"Cool Shop <{SENDER}>"
    assert str(message["To"]) == "Ana Díaz <reader1@example.org>"
    assert message["Subject"] == "Your order"
    assert message["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    assert message["Message-ID"].endswith("@example.com>")
    assert message["Auto-Submitted"] == "auto-generated"
    assert [one.get_content_type() for one in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert message.get_body(("plain",)).get_content().strip() == "It is on its way."  # type: ignore[union-attr]
    assert message.get_body(("html",)).get_content().strip() == "<p>It is on its way.</p>"  # type: ignore[union-attr]


def test_the_name_of_the_request_goes_before_the_senders_own() -> None:
    message = parsed(written(content=Content(rich={**MODULE, "fromName": "Zoë"})))

    assert message["From"].addresses[0].display_name == "Zoë"


def test_golden_subject(vectors: Any) -> None:
    said, encoded = vectors["subject"]

    assert f"Subject: {encoded}\r\n".encode() in written(content=Content(rich={**MODULE, "subject": said}))


def test_golden_leading_dots_are_doubled(vectors: Any) -> None:
    plain, stuffed = (line.encode() for line in vectors["stuffing"])

    assert wired(b"a\r\n" + plain + b"\r\n") == b"a\r\n" + stuffed + b"\r\n"


@given(st.binary())
def test_no_octets_end_a_message_early(raw: bytes) -> None:
    out = wired(raw)

    assert out.endswith(b"\r\n")
    assert b"\r\n.\r\n" not in b"\r\n" + out
    assert b"\r" not in out.replace(b"\r\n", b"")
    assert b"\n" not in out.replace(b"\r\n", b"")


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=200))
def test_no_text_makes_a_header_of_its_own(subject: str, name: str, text: str) -> None:
    subject, name, text = (one.encode(errors="ignore").decode() for one in (subject, name, text))
    said = {**MODULE, "subject": f"{subject}\r\nBcc: x@y.example", "text": text, "fromName": f"{name}\nX-Evil: 1"}

    raw = written(BARE, content=Content(rich=said), name=f"{name}\r\nX-Evil: 2")

    names = {name.lower() for name in parsed(raw)}
    assert not names & {"bcc", "x-evil"}
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_files_go_along_and_pictures_stay_inside_the_text() -> None:
    files = [
        {"filename": "rechnung-ü.pdf", "content": "b25lIGNha2U=", "type": "application/pdf"},
        {"filename": "logo.png", "content": "UE5H", "type": "image/png", "contentId": "logo"},
        {"filename": "mail.eml", "content": "U3ViamVjdDogYQ0KDQpi", "type": "message/rfc822"},
        {"filename": "plain", "content": "aGk="},
    ]

    message = parsed(written(content=Content(rich={**MODULE, "attachments": files})))

    found = {one.get_filename(): one for one in message.walk() if one.get_filename()}
    assert found["rechnung-ü.pdf"].get_content() == b"one cake"
    assert found["rechnung-ü.pdf"]["Content-Disposition"].content_disposition == "attachment"
    assert (found["logo.png"]["Content-ID"], found["logo.png"].get_content()) == ("<logo>", b"PNG")
    assert found["mail.eml"].get_content_type() == "application/octet-stream"
    assert found["mail.eml"].get_content() == b"Subject: a\r\n\r\nb"
    related = next(one for one in message.walk() if one.get_content_type() == "multipart/related")
    assert [one.get_content_type() for one in related.iter_parts()] == ["text/html", "image/png"]


def test_headers_of_connection_and_sender_and_the_address_for_answers() -> None:
    own = {"reply_to": "help@example.com", "headers": {"X-Campaign": "küche", "X-Both": "sender"}}

    raw = written(sender=own, headers={"X-Team": "a", "X-Both": "connection"}, ip_pool_header="X-IP-Pool",
                  content=Content(rich={**MODULE, "ipPoolName": "warm"}))  # fmt: skip

    message = parsed(raw)
    assert message["Reply-To"] == "help@example.com"
    assert (message["X-Team"], message["X-Both"], message["X-Campaign"]) == ("a", "sender", "küche")
    assert message["X-IP-Pool"] == "warm"


@pytest.mark.parametrize(
    ("whole", "named", "shown"),
    [
        (True, "ana@example.com", "ana@example.com"),
        (True, "Ana@EXAMPLE.com", "Ana@EXAMPLE.com"),
        (True, None, SENDER),
        (True, "ana@sub.example.com", SENDER),
        (False, "ana@example.com", SENDER),
    ],
)
def test_a_sender_of_a_whole_domain_writes_as_the_mailbox_that_is_named(
    whole: bool, named: str | None, shown: str
) -> None:
    module = MODULE if named is None else {**MODULE, "fromAddress": named}
    made = settings(25, sender={"whole_domain": whole})
    letters = Letters(made, read_settings(made), None, lambda: 1.7e9)

    letter = letters.write(submission(content=Content(rich=module)), ALL)

    assert parsed(letter.message)["From"].addresses[0].addr_spec == shown
    assert letter.envelope.mail.startswith(f"MAIL FROM:<{shown}>".encode())


def test_bulk_alone_carries_the_link_to_unsubscribe_on_one_line() -> None:
    raw = written(category=Category.BULK, **LINK)
    message = parsed(raw)

    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    sealed = message["List-Unsubscribe"].removeprefix("<https://send.example.com/callbacks/relay/unsubscribe?t=")
    said = Tokens(SECRET).unseal(sealed.removesuffix(">"))
    assert said is not None
    assert said.address == "reader1@example.org"
    assert message["Auto-Submitted"] is None
    assert parsed(written(**LINK))["List-Unsubscribe"] is None


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A key's file, and its public half as DNS has it."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path = tmp_path_factory.mktemp("dkim") / "key.pem"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path.write_bytes(made.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    public = made.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    return path, b"v=DKIM1; k=rsa; p=" + b"".join(public.splitlines()[1:-1])


def test_a_signature_holds_for_what_is_sent_and_for_the_link(key: tuple[Path, bytes]) -> None:
    path, record = key
    said = Content(rich={**MODULE, "text": "ž\rbare\n.dot\n" + "long " * 400, "subject": "Žluť " * 30})
    names = []

    def look_up(name: bytes, timeout: float = 5) -> bytes:
        names.append(name)
        return record

    signed: dict[str, Any] = {"dkim_selector": "s1", "dkim_key_file": str(path), "bounce_domain": BOUNCES}
    raw = written(category=Category.BULK, content=said, **signed, **LINK)

    assert raw.isascii(), "what is signed needs no other encoding on its way"
    assert dkim.verify(raw, dnsfunc=look_up)
    assert names == [b"s1._domainkey.example.com."]
    fields = str(parsed(raw)["DKIM-Signature"])
    assert "list-unsubscribe-post" in fields
    assert not dkim.verify(raw.replace(b"List-Unsubscribe: <https", b"List-Unsubscribe: <http"), dnsfunc=look_up)
    assert not dkim.verify(b"From: evil@example.com\r\n" + raw, dnsfunc=look_up), "From is signed twice"
