"""Every answer to a message gets its class, and says whether another try makes sense."""

from __future__ import annotations

import json
from typing import Any

import pytest
from multidict import CIMultiDict

from sendpool.connectors.base import CarrierId, Rejected, Throttled, Uncertain
from sendpool.connectors.rcs.replies import Verdict, code_of, judge
from sendpool.connectors.web import Reply, retry_after
from sendpool.domain.failures import FailureClass as F


def refusal(status: int, name: str = "", words: str = "", **headers: str) -> Reply:
    body = json.dumps({"error": {"code": status, "message": words, "status": name}}).encode()
    return Reply(status, CIMultiDict({k.replace("_", "-"): v for k, v in headers.items()}), body)


@pytest.mark.parametrize(
    ("status", "name", "failure", "code", "scope", "rule", "again", "firm"),
    [
        (400, "INVALID_ARGUMENT", F.CONTENT, "400", "message", "rcs/400", False, True),
        (400, "FAILED_PRECONDITION", F.SENDER, "400/FAILED_PRECONDITION", "sender", None, False, True),
        (401, "UNAUTHENTICATED", F.ACCOUNT, "401", "connection", "rcs/401", False, False),
        (403, "PERMISSION_DENIED", F.SENDER, "403", "sender", "rcs/403", False, False),
        (404, "NOT_FOUND", F.CHANNEL, "404", "pair", "rcs/404", False, True),
        (412, "FAILED_PRECONDITION", F.SENDER, "412", "sender", "rcs/412", False, False),
        (499, "CANCELLED", F.TRANSIENT, "499", "message", "rcs/499", True, False),
        (500, "INTERNAL", F.TRANSIENT, "500", "message", "rcs/500", True, False),
        (503, "UNAVAILABLE", F.TRANSIENT, "503", "message", "rcs/503", True, False),
        (418, "", F.TRANSIENT, "418", "message", "rcs/?", False, False),
        (302, "", F.TRANSIENT, "302", "message", "rcs/?", False, False),
    ],
)
def test_refusals(
    status: int, name: str, failure: F, code: str, scope: str, rule: str | None, again: bool, firm: bool
) -> None:
    expected = Rejected(failure, code, scope, rule or f"rcs/{code}")

    assert judge(refusal(status, name), "id") == Verdict(expected, again, firm)


@pytest.mark.parametrize("status", [502, 504, 505, 520])
def test_what_a_proxy_says_in_the_platforms_place_leaves_the_message_in_doubt(status: int) -> None:
    assert judge(refusal(status), "id") == Verdict(Uncertain(f"the platform answers {status}"), again=True)


def test_an_agent_message_is_acceptance_under_our_id() -> None:
    assert judge(Reply(200, {}, b'{"name":"phones/1/agentMessages/id"}'), "id") == Verdict(CarrierId("id"), firm=True)


@pytest.mark.parametrize("name", ["ALREADY_EXISTS", "ABORTED"])
def test_a_used_id_means_that_an_earlier_try_got_in(name: str) -> None:
    assert judge(refusal(409, name), "id") == Verdict(CarrierId("id"), firm=True)


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"", b"[]", b"\xff"])
def test_a_page_in_place_of_an_answer_is_no_acceptance(body: bytes) -> None:
    verdict = judge(Reply(200, {}, body), "id")

    assert verdict == Verdict(Uncertain("the answer is none of the RBM API; check base_url"), again=True)


def test_golden_capability_404_is_not_on_this_channel(vectors: Any) -> None:
    reply = Reply(404, {}, vectors["capabilities"]["none"].encode())

    assert judge(reply, "id").outcome == Rejected(F.CHANNEL, "404", "pair", "rcs/404")


def test_a_throttle_pauses_its_scope_for_the_time_it_names() -> None:
    assert judge(refusal(429, "RESOURCE_EXHAUSTED", Retry_After="7"), "id") == Verdict(Throttled("sender", 7.0, "429"))
    assert judge(refusal(429), "id") == Verdict(Throttled("sender", None, "429"))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("The agent has reached its limit of messages to this user.", "429/user"),
        ("Too many messages to the recipient.", "429/user"),
        ("The user's daily limit has been reached.", "429/user"),
        ("Quota exceeded for quota metric 'Requests' and limit 'Requests per minute per user'.", "429"),
        ("Quota exceeded for consumer 'project_number:1'.", "429"),
        ("", "429"),
    ],
)
def test_a_limit_towards_one_person_is_no_throttle(words: str, code: str) -> None:
    assert code_of(refusal(429, "RESOURCE_EXHAUSTED", words)) == code
    capped = judge(refusal(429, "RESOURCE_EXHAUSTED", words), "id").outcome
    if code == "429/user":
        assert capped == Rejected(F.CAP, "429/user", "pair", "rcs/429/user")


@pytest.mark.parametrize("body", [b"", b"nonsense", b'{"error":"text"}', b'{"error":{"status":5}}', b"\xff"])
def test_a_refusal_without_words_is_known_by_its_status(body: bytes) -> None:
    assert code_of(Reply(404, {}, body)) == "404"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("30", 30.0),
        ("0", 0.0),
        ("999999", 3600.0),
        ("Sat, 22 Nov 2025 01:01:30 GMT", 30.0),
        ("Sat, 22 Nov 2025 01:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        (None, None),
    ],
)
def test_retry_after_is_a_number_or_a_date(said: str | None, seconds: float | None) -> None:
    headers = CIMultiDict({"retry-after": said} if said is not None else {})

    assert retry_after(headers, lambda: 1763773260.0) == seconds
