"""Every refusal of a relay gets its class: by its enhanced code, else by its words, else by what was refused."""

from __future__ import annotations

from typing import Any

import pytest

from sendpool.connectors.base import Rejected, Throttled
from sendpool.connectors.smtp.replies import Reply, Stage, code_of, enhanced_in, meaning_of, refusal
from sendpool.domain.failures import FailureClass as F


def reply(text: str) -> Reply:
    code, _, words = text.partition(" ")
    return Reply(int(code), words)


def test_golden_replies(vectors: Any) -> None:
    for text, stage, failure, code in vectors["replies"]:
        found = meaning_of(reply(text), Stage(stage))
        assert (found[0], found[1].failure) == (code, failure), text


def test_a_greylisted_message_is_not_tried_again_before_five_minutes() -> None:
    _, found = meaning_of(reply("450 4.7.1 Greylisted, try again in 300 seconds"), Stage.RCPT)

    assert found.after is not None
    assert found.after >= 300


@pytest.mark.parametrize(
    ("text", "stage", "code", "failure"),
    [
        ("421 closing", Stage.MAIL, "421", F.TRANSIENT),
        ("421 4.3.2 shutting down", Stage.RCPT, "421", F.TRANSIENT),
        ("421 4.7.0 too many messages", Stage.RCPT, "4.7.28", F.THROTTLED),
        ("450 4.7.1 rate limit exceeded", Stage.MAIL, "4.7.28", F.THROTTLED),
        ("451 local error", Stage.MAIL, "451/mail", F.TRANSIENT),
        ("451 4.4.7 timeout", Stage.DATA, "451", F.TRANSIENT),
        ("452 4.2.2 over quota", Stage.RCPT, "4.2.2", F.ABSENT),
        ("452 out of space", Stage.DATA, "452/data", F.TRANSIENT),
        ("550 sender not allowed", Stage.MAIL, "5.7.1", F.SENDER),
        ("550 no", Stage.MAIL, "550/mail", F.SENDER),
        ("550 no", Stage.DATA, "550/data", F.CONTENT),
        ("550 5.7.1 relaying denied", Stage.RCPT, "5.7.1", F.SENDER),
        ("554 5.7.1 message looks like spam", Stage.DATA, "5.7.1/content", F.POLICY),
        ("550 5.7.1 no", Stage.RCPT, "5.7.1", F.SENDER),
        ("554 rejected as spam", Stage.DATA, "5.7.1/content", F.POLICY),
        ("554 failed", Stage.DATA, "554", F.CONTENT),
        ("554 no", Stage.RCPT, "554/rcpt", F.RECIPIENT),
        ("553 5.1.8 bad", Stage.MAIL, "5.1.8", F.SENDER),
        ("553 bad", Stage.MAIL, "553/mail", F.SENDER),
        ("550 5.0.0 no", Stage.RCPT, "550", F.RECIPIENT),
        ("550 5.9.9 what", Stage.RCPT, "550", F.RECIPIENT),
        ("599 5.9.9 what", Stage.RCPT, "5.9.9", F.TRANSIENT),
        ("502 5.5.1 unknown command", Stage.MAIL, "5.5.1", F.REQUEST),
    ],
)
def test_refusals(text: str, stage: Stage, code: str, failure: F) -> None:
    found = meaning_of(reply(text), stage)

    assert (found[0], found[1].failure) == (code, failure)


def test_a_mailbox_that_gets_too_much_pauses_its_recipient_alone() -> None:
    assert refusal(reply("450 4.2.1 too fast"), Stage.RCPT) == Throttled("pair", None, "4.2.1")


def test_a_refusal_names_its_row() -> None:
    assert refusal(reply("550 5.1.1 no"), Stage.RCPT) == Rejected(F.RECIPIENT, "5.1.1", "pair", "smtp/5.1.1")


@pytest.mark.parametrize(
    ("text", "code"),
    [("550 5.1.1 no", "5.1.1"), ("by 10.5.1.1 (5.4.4)", "5.4.4"), ("version 12.5.1", ""), ("", "")],
)
def test_a_code_is_found_among_words_but_not_in_addresses(text: str, code: str) -> None:
    assert enhanced_in(text) == code


def test_a_code_of_the_first_line_alone_counts() -> None:
    assert code_of(Reply(550, "sorry 5.1.1"), Stage.RCPT) == "550"
