"""Whatever a log call is given, no text, token or full number leaves it."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest
import structlog

from sendpool import logs
from sendpool.connectors.base import AttemptKey, Submission
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel

NUMBER = "+447700900123"
TEXT = "Your code is 482913"
TOKEN = "1f0c9d2ab34e56f708192a3b4c5d6e7f"
PASSWORD = "hush-hush-9"


@pytest.fixture(autouse=True)
def _leave_logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def out() -> io.StringIO:
    """The JSON log of a server whose only configured secret is PASSWORD."""
    stream = io.StringIO()
    logs.configure("debug", secrets=[PASSWORD], stream=stream)
    return stream


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


class Pair(NamedTuple):
    address: str
    text: str


class Stage(IntEnum):
    SENT = 3


SUBMISSION = Submission(
    attempt=AttemptKey(1, 1),
    channel=Channel.SMS,
    sender="+12034458910",
    recipient=NUMBER,
    content=Content(text=TEXT),
    segments=1,
    reference=0,
    validity=None,
    parts=1,
    options={"password": PASSWORD},
)

#: Every way in which something that is not for logs may be given to one.
FIELDS: dict[str, Any] = {
    "a number by itself": {"detail": NUMBER},
    "a number in a sentence": {"reason": f"no route to {NUMBER}, gave up"},
    "a number with spaces": {"reason": "no route to +44 7700 900123"},
    "a number in a URL": {"path": "/v1/Senders?address=%2B447700900123"},
    "a number without plus as an address": {"recipient": "447700900123"},
    "a number without plus anywhere": {"reason": "rejected 447700900123."},
    "a number with a prefix 00": {"reason": "to 00447700900123"},
    "a number as an integer": {"to": 447700900123},
    "numbers in a list": {"addresses": [NUMBER, "447700900123"]},
    "a number in a mapping": {"request": {"to": [{"address": NUMBER}]}},
    "a number as a key": {"counts": {NUMBER: 1}},
    "a number under an id": {"carrier_id": NUMBER},
    "a number that WhatsApp calls an id": {"wa_id": NUMBER.removeprefix("+"), "recipient_id": NUMBER.removeprefix("+")},
    "a number in an exception": {"error": ValueError(f"bad address {NUMBER}")},
    "a number as bytes": {"source": NUMBER.encode()},
    "a text by its name": {"text": TEXT},
    "a content by its name": {"content": TEXT},
    "a body as bytes": {"body": TEXT.encode()},
    "a short message": {"short_message": TEXT},
    "a text in a mapping": {"request": {"content": {"text": TEXT}}},
    "a content value": {"what": Content(text=TEXT)},
    "a submission": {"what": SUBMISSION},
    "a submission in a list": {"batch": [SUBMISSION]},
    "another tuple": {"what": Pair(NUMBER, TEXT)},
    "a token by its name": {"auth_token": TOKEN},
    "a token by its form": {"detail": TOKEN},
    "a password by its name": {"smpp_password": "unknown-to-the-configuration"},
    "a password by its value": {"detail": f"bind with {PASSWORD} refused"},
    "basic credentials": {"header": "Basic QUM6dG9rZW4tb2YtdGhlLWFjY291bnQ="},
    "a bearer token": {"header": "Bearer abcdef123456"},
    "credentials in a URL": {"sink": "https://user:pass@example.com/hook"},
    "an API key": {"api_key": "SKsecretsecret"},
    "an email address": {"reason": "no mailbox someone@example.com"},
}
FORBIDDEN = (
    *(NUMBER, NUMBER[1:], "7700 900123", TEXT, "482913", TOKEN, PASSWORD, "unknown-to-the-configuration"),
    *("QUM6dG9r", "abcdef123456", "user:pass", "SKsecret", "someone@"),
)


@pytest.mark.parametrize("fields", FIELDS.values(), ids=FIELDS.keys())
@pytest.mark.parametrize("as_json", [True, False], ids=["json", "text"])
def test_no_field_gives_away_a_number_text_or_token(fields: dict[str, Any], as_json: bool) -> None:
    out = io.StringIO()
    logs.configure("debug", json=as_json, secrets=[PASSWORD], stream=out)

    structlog.get_logger().info("something happened", **fields)

    assert "something happened" in out.getvalue()
    assert not [word for word in FORBIDDEN if word in out.getvalue()]


#: What gives itself away by its form alone, so that even a library's sentence may not hold it.
FORMS = [
    value
    for name, fields in FIELDS.items()
    for value in fields.values()
    if isinstance(value, str)
    and not name.startswith(("a text", "a content", "a short message", "a password by its name", "an API key"))
]


@pytest.mark.parametrize("value", FORMS)
def test_no_message_of_a_library_gives_away_a_number_or_token(out: io.StringIO, value: str) -> None:
    logging.getLogger("some.library").warning("trouble with +%s and %s", NUMBER[1:], value)

    assert "trouble with +4477…123" in lines(out)[0]["event"]
    assert not [word for word in FORBIDDEN if word in out.getvalue()]


def test_traceback_has_neither_numbers_nor_local_variables(out: io.StringIO) -> None:
    recipient = NUMBER

    def fail(secret_text: str) -> None:
        raise ValueError(f"cannot send to {recipient} with {PASSWORD}")

    for as_json in (True, False):
        logs.configure("debug", json=as_json, secrets=[PASSWORD], stream=out)
        try:
            fail(TEXT)
        except ValueError:
            structlog.get_logger().exception("send failed")
            logging.getLogger("some.library").exception("send failed")

    assert out.getvalue().count("ValueError: cannot send to +4477…123 with [hidden]") == 4
    assert not [word for word in FORBIDDEN if word in out.getvalue()]


def test_what_is_harmless_stays_readable(out: io.StringIO) -> None:
    harmless = {
        "message_id": "comms_message_01h9krwprkeee8fzqspvwy6nq8",
        "attempt_id": f"SM{TOKEN}",
        "carrier_id": "1234567890",
        "sender": "INFO",
        "source": "62442",
        "connection": "carrier-a",
        "at": "2026-11-22T04:03:00.123456Z",
        "took": 0.25,
        "window": 200,
        "bytes": 123_456_789,
        "up": True,
        "detail": "no connection to 127.0.0.1:2775: Connect call failed ('127.0.0.1', 2775)",
        "error": None,
    }

    structlog.get_logger().warning("receipts 3 of 4", **harmless)

    line = lines(out)[0]
    assert {key: line[key] for key in harmless} == harmless
    assert line["event"] == "receipts 3 of 4"
    assert line["level"] == "warning"
    assert line["timestamp"].endswith("Z")


def test_values_are_shown_as_people_write_them(out: io.StringIO) -> None:
    uid = UUID("01900000-0000-7000-8000-000000000000")

    structlog.get_logger().info("x", state=Stage.SENT, uid=uid, path=Path("a/b"), raw_value=b"abc", kind=object())

    line = lines(out)[0]
    assert (line["state"], line["uid"], line["path"], line["raw_value"]) == ("SENT", str(uid), "a/b", "<3 bytes>")
    assert line["kind"] == "<object>"


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("+447700900123", "+4477…123"),
        ("447700900123", "4477…123"),
        ("+12034458910", "+1203…910"),
        ("+4912345678", "+4912…78"),
        ("+1234567", "+1…67"),
        ("%2B447700900123", "+4477…123"),
        ("+44 (7700) 900-123", "+4477…123"),
    ],
)
def test_mask_leaves_the_ends_and_hides_four_digits_or_more(number: str, masked: str) -> None:
    assert logs.mask(number) == masked


def test_bound_fields_are_in_every_line(out: io.StringIO) -> None:
    log = structlog.get_logger().bind(message_id="comms_message_1")

    with structlog.contextvars.bound_contextvars(attempt_id="SM1"):
        log.info("one")
        logging.getLogger("some.library").info("two")
    log.info("three")

    assert [(line["event"], line.get("message_id"), line.get("attempt_id")) for line in lines(out)] == [
        ("one", "comms_message_1", "SM1"),
        ("two", None, "SM1"),
        ("three", "comms_message_1", None),
    ]


def test_level_holds_for_us_and_for_libraries() -> None:
    out = io.StringIO()
    logs.configure("warning", stream=out)

    structlog.get_logger().info("quiet")
    logging.getLogger("some.library").info("quiet")
    structlog.get_logger().warning("loud")
    logging.getLogger("some.library").warning("loud")
    logging.getLogger("uvicorn.access").info("quiet")

    assert [line["event"] for line in lines(out)] == ["loud", "loud"]


def test_configuring_again_replaces_and_does_not_double() -> None:
    first, second = io.StringIO(), io.StringIO()
    logs.configure(stream=first)
    log = structlog.get_logger()
    log.info("one")
    logs.configure(stream=second)

    log.info("two")
    logging.getLogger("some.library").warning("three")

    assert [line["event"] for line in lines(first)] == ["one"]
    assert [line["event"] for line in lines(second)] == ["two", "three"]


def test_very_long_and_very_deep_values_are_cut(out: io.StringIO) -> None:
    nested: Any = "bottom"
    for _ in range(20):
        nested = [nested]

    structlog.get_logger().info("x", detail="a" * 5000, nested=nested)

    assert len(lines(out)[0]["detail"]) == 2000
    assert "bottom" not in out.getvalue()


def test_structs_and_tuples_show_only_their_type(out: io.StringIO) -> None:
    structlog.get_logger().info("x", one=SUBMISSION, two=msgspec.defstruct("Thing", ["text"])(TEXT))

    assert (lines(out)[0]["one"], lines(out)[0]["two"]) == ("<Submission>", "<Thing>")


class Full(io.StringIO):
    """A file on a disk without room."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    logs.configure(stream=Full())

    structlog.get_logger().error("one")
