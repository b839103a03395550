"""Every answer to a message gets its class."""

from __future__ import annotations

import json
from typing import Any

import pytest
from multidict import CIMultiDict

from sendpool.connectors.base import CarrierId, Rejected, Throttled, Uncertain
from sendpool.connectors.web import Reply
from sendpool.connectors.whatsapp.replies import USAGE, judge
from sendpool.domain.failures import FailureClass as F

TAKEN = b'{"messaging_product":"whatsapp","contacts":[{"input":"1"}],"messages":[{"id":"wamid.A"}]}'


def refusal(status: int, code: int, headers: dict[str, str] | None = None, **more: Any) -> Reply:
    body = json.dumps({"error": {"message": "m", "type": "OAuthException", "code": code, **more}}).encode()
    return Reply(status, CIMultiDict(headers or {}), body)


def test_acceptance_is_known_by_our_name() -> None:
    assert judge(Reply(200, {}, TAKEN), "SM1") == CarrierId("SM1")


@pytest.mark.parametrize("status", ["held_for_quality_assessment", "paused", "accepted"])
def test_what_the_platform_holds_for_now_is_accepted(status: str) -> None:
    body = b'{"messages":[{"id":"wamid.A","message_status":"%s"}]}' % status.encode()

    assert judge(Reply(200, {}, body), "SM1") == CarrierId("SM1")


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"", b"[]", b"{}", b'{"messages":[]}', b"\xff"])
def test_a_page_in_place_of_an_answer_is_no_acceptance(body: bytes) -> None:
    assert isinstance(judge(Reply(200, {}, body), "SM1"), Uncertain)


@pytest.mark.parametrize(
    ("status", "code", "failure", "scope", "rule"),
    [
        (401, 190, F.ACCOUNT, "connection", "whatsapp/190"),
        (403, 10, F.ACCOUNT, "account", "whatsapp/10"),
        (400, 33, F.SENDER, "sender", "whatsapp/33"),
        (400, 100, F.CONTENT, "message", "whatsapp/100"),
        (400, 131026, F.CHANNEL, "pair", "whatsapp/131026"),
        (400, 131047, F.CONTENT, "message", "whatsapp/131047"),
        (400, 131048, F.SENDER, "sender", "whatsapp/131048"),
        (400, 131049, F.CAP, "pair", "whatsapp/131049"),
        (400, 131050, F.CONSENT, "pair", "whatsapp/131050"),
        (400, 132007, F.POLICY, "message", "whatsapp/132007"),
        (500, 131000, F.TRANSIENT, "message", "whatsapp/131000"),
        (400, 999999, F.TRANSIENT, "message", "whatsapp/?"),
        (503, 999999, F.TRANSIENT, "message", "whatsapp/http/503"),
    ],
)
def test_refusals(status: int, code: int, failure: F, scope: str, rule: str) -> None:
    outcome = judge(refusal(status, code), "SM1")

    assert outcome == Rejected(failure, str(code), scope, rule)


def test_what_the_platform_calls_transient_is_tried_again() -> None:
    outcome = judge(refusal(400, 100, is_transient=True), "SM1")

    assert outcome == Rejected(F.TRANSIENT, "100", "message", "class/TRANSIENT")


def test_golden_pair_limit_pauses_the_pair_alone(vectors: Any) -> None:
    vector = vectors["pair_limit"]

    assert judge(Reply(vector["status"], {}, vector["body"].encode()), "SM1") == Throttled("pair", None, "131056")


@pytest.mark.parametrize(
    ("code", "scope"), [(130429, "sender"), (80007, "connection"), (4, "connection"), (131056, "pair")]
)
def test_too_fast_pauses_what_was_too_fast(code: int, scope: str) -> None:
    assert judge(refusal(400, code), "SM1") == Throttled(scope, None, str(code))


def test_the_platform_says_for_how_long() -> None:
    usage = json.dumps({"1020": [{"type": "messages", "estimated_time_to_regain_access": 5}, {"type": "x"}]})

    assert judge(refusal(400, 80007, {USAGE: usage}), "SM1") == Throttled("connection", 300.0, "80007")
    assert judge(refusal(400, 80007, {"Retry-After": "7"}), "SM1") == Throttled("connection", 7.0, "80007")
    assert judge(refusal(400, 80007, {USAGE: "no JSON"}), "SM1") == Throttled("connection", None, "80007")


def test_an_answer_without_a_code_goes_by_its_status() -> None:
    assert judge(Reply(429, {}, b"slow down"), "SM1") == Throttled("sender", None, "http/429")
    assert judge(Reply(503, {}, b""), "SM1") == Rejected(F.TRANSIENT, "http/503", "message", "whatsapp/http/503")
    assert isinstance(judge(Reply(502, {}, b"<html>"), "SM1"), Uncertain)
    assert isinstance(judge(Reply(504, {}, b""), "SM1"), Uncertain)
