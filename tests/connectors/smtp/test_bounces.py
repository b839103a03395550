"""Bounces, notifications and complaints say what they mean, and nothing where they are not ours."""

from __future__ import annotations

from typing import Any

import pytest
from tests.connectors.smtp.conftest import BOUNCES, SECRET
from tests.connectors.smtp.relay import notification

from sendpool.connectors.base import OptedOut, Receipt, ReceiptState
from sendpool.connectors.smtp.bounces import BounceReader, Heard
from sendpool.connectors.smtp.tokens import Tokens
from sendpool.domain.failures import FailureClass as F
from sendpool.domain.sender import Channel

UID = f"{0xABC << 6:032x}"
TOKENS = Tokens(SECRET)
READER = BounceReader(TOKENS, BOUNCES)
BACK = f"bounce+{TOKENS.token(UID)}@{BOUNCES}"


def told(raw: bytes, to: str = BACK, sender: str | None = "") -> Receipt:
    (receipt,) = READER.read(raw, [to], sender).receipts
    return receipt


def test_golden_notifications(vectors: Any) -> None:
    for (action, status, diagnostic), state, failure, code in vectors["notifications"]:
        receipt = told(notification("no@a.example", action, status, diagnostic=diagnostic))
        assert (receipt.carrier_id, receipt.state.name, receipt.failure, receipt.code) == (UID, state, failure, code)


def test_a_notification_is_known_by_its_envelope_id_where_its_address_says_nothing() -> None:
    raw = notification("no@a.example", "failed", "5.1.1", envelope=TOKENS.token(UID))

    assert told(raw, "postmaster@example.com").failure is F.RECIPIENT


def test_a_notification_is_known_by_the_headers_that_it_quotes() -> None:
    raw = notification("no@a.example", "failed", "5.1.1", headers=f"X-Sendpool: {TOKENS.seal(UID, 'no@a.example')}")

    assert told(raw, "postmaster@example.com").carrier_id == UID


def test_a_forwarded_notification_is_known_by_where_it_was_delivered() -> None:
    raw = f"Delivered-To: {BACK}\r\n".encode() + notification("no@a.example", "delivered", "2.0.0")

    assert told(raw, "all@example.com").state is ReceiptState.DELIVERED


@pytest.mark.parametrize("envelope", ["", UID, f"{UID}-{'0' * 10}"])
def test_a_forged_notification_says_nothing(envelope: str) -> None:
    raw = notification("no@a.example", "failed", "5.1.1", envelope=envelope, headers="X-Sendpool: forged")

    assert READER.read(raw, [f"bounce+{UID}-{'0' * 10}@{BOUNCES}"], "") == Heard()


def plain(body: str, headers: str = "") -> bytes:
    head = f"From: MAILER-DAEMON@old.example\r\nSubject: failure notice\r\n{headers}"
    return f"{head}\r\nHi. This is the qmail-send program.\r\n{body}\r\n".encode()


@pytest.mark.parametrize(
    ("body", "failure", "code"),
    [
        ("<no@a.example>: 550 5.1.1 user unknown", F.RECIPIENT, "5.1.1"),
        ("Remote host said: 552 5.3.4 message too big", F.CONTENT, "5.3.4"),
        ("Remote host said: 550 mailbox unavailable", F.RECIPIENT, "550"),
        ("I could not deliver it, sorry.", F.RECIPIENT, "5.0.0"),
    ],
)
def test_a_bounce_in_a_form_of_its_own_is_read_by_its_first_code(body: str, failure: F, code: str) -> None:
    receipt = told(plain(body))

    assert (receipt.state, receipt.failure, receipt.code) == (ReceiptState.UNDELIVERED, failure, code)


@pytest.mark.parametrize(
    ("raw", "sender"),
    [
        (plain("I am away.", "Auto-Submitted: auto-replied\r\n"), ""),
        (plain("I am away.", "X-Autoreply: yes\r\n"), ""),
        (plain("I am away.", "Precedence: auto_reply\r\n"), ""),
        (plain("550 5.1.1 is what I got"), "ana@example.org"),
        (plain("not yet: 4.4.1, I go on trying"), ""),
        (b"", ""),
        (b"\xff\xfe\r\n\r\n\x00", "ana@example.org"),
    ],
)
def test_answers_of_people_and_machines_are_no_bounces(raw: bytes, sender: str) -> None:
    assert READER.read(raw, [BACK], sender) == Heard()


def complaint(kind: str, field: str) -> bytes:
    return "\r\n".join(
        [
            "From: <abuse@isp.example>",
            'Content-Type: multipart/report; report-type=feedback-report; boundary="b"',
            "MIME-Version: 1.0",
            "",
            "--b",
            "Content-Type: message/feedback-report",
            "",
            f"Feedback-Type: {kind}",
            "Version: 1",
            "",
            "--b",
            "Content-Type: message/rfc822",
            "",
            f"X-Sendpool: {field}",
            "From: shop@example.com",
            "",
            "Buy",
            "--b--",
            "",
        ]
    ).encode()


def test_who_complains_has_opted_out() -> None:
    sealed = TOKENS.seal(UID, "ana@example.org")

    heard = READER.read(complaint("abuse", sealed), [f"abuse@{BOUNCES}"], "abuse@isp.example")

    assert heard == Heard(opted_out=[OptedOut(Channel.EMAIL, "ana@example.org", "smtp/complaint")])


@pytest.mark.parametrize(("kind", "field"), [("not-spam", "ours"), ("abuse", "gAAAAforged"), ("abuse", "")])
def test_a_complaint_of_another_kind_or_about_nobody_knows_what_says_nothing(kind: str, field: str) -> None:
    sealed = TOKENS.seal(UID, "ana@example.org") if field == "ours" else field

    assert READER.read(complaint(kind, sealed), [BACK]) == Heard()
