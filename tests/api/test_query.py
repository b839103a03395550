from __future__ import annotations

import pytest

from sendpool.api.query import Query, parse_instant
from sendpool.domain import ids
from sendpool.domain.request import Refused

OPERATION_UID = (1 << 60 << 20).to_bytes(16, "big")
OPERATION = ids.operation_id(OPERATION_UID)


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:01z", 1_000_000),
        ("1970-01-01 00:00:01Z", 1_000_000),
        ("1970-01-01T00:00:00.5Z", 500_000),
        ("1970-01-01T00:00:00.123456789Z", 123_456),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T01:00:00 01:00", 0),
        ("1969-12-31T23:00:00-01:00", 0),
        ("1969-12-31T23:59:59.5Z", -500_000),
        ("2026-12-01T09:30:00Z", 1_796_117_400_000_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140_000_000),
        ("9999-12-31T23:59:59-23:59", 253_402_387_139_000_000),
    ],
)
def test_rfc_3339_instants_are_read(text: str, microseconds: int) -> None:
    assert parse_instant(text) == microseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-12-01",
        "2026-12-01T09:30:00",
        "2026-12-01T09:30Z",
        "2026-13-01T09:30:00Z",
        "2026-02-30T09:30:00Z",
        "2026-12-01T24:00:00Z",
        "2026-12-01T23:59:61Z",
        "2026-12-01T09:30:00+24:00",
        "2026-12-01T09:30:00+01:60",
        "0000-01-01T00:00:00Z",
        "2026-12-01T09:30:00Z ",
        "1764581400",
        "٢٠٢٦-12-01T09:30:00Z",
        "9" * 10_000,
    ],
)
def test_anything_else_is_no_instant(text: str) -> None:
    assert parse_instant(text) is None


@pytest.mark.parametrize(
    ("raw", "context"),
    [
        (b"status=bogus", "$.status"),
        (b"status=", "$.status"),
        (b"status=%zz", "$.status"),
        (b"status=%ff", "$.status"),
        (b"status=%00", "$.status"),
        (b"status=A&status=B", "$.status"),
        (b"startDate=yesterday", "$.startDate"),
        (b"startDate=2026-01-02T00:00:00Z&endDate=2026-01-01T00:00:00Z", "$.endDate"),
        (b"startDate=2026-01-01T00:00:00Z&endDate=2026-01-01T00:00:00Z", "$.endDate"),
        (b"pageSize=0", "$.pageSize"),
        (b"pageSize=1001", "$.pageSize"),
        (b"pageSize=-1", "$.pageSize"),
        (b"pageSize=1.0", "$.pageSize"),
        (b"pageSize=", "$.pageSize"),
        (b"pageSize=%D9%A3", "$.pageSize"),
        (b"pageSize=" + b"9" * 5_000, "$.pageSize"),
        (b"tags=a", "$.tags"),
        (b"tags=a:b;c", "$.tags"),
        (b"tags=a:b:c", "$.tags"),
        (b"tags=%20:b", "$.tags"),
        (b"operationId=comms_operation_12345", "$.operationId"),
        (b"operationId=", "$.operationId"),
        (b"operationId=comms_message_01h9krwprkeee8fzqspvwy6nq8", "$.operationId"),
        (b"operation_id=x", "$.operationId"),
        (
            b"operationId=comms_operation_01h9krwprkeee8fzqspvwy6nq8&operation_id=comms_operation_01h9krwprkeee8fzqspvwy6nq9",
            "$.operationId",
        ),
        (b"profile=x", "$.profile"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_named(raw: bytes, context: str) -> None:
    query = Query(raw)
    query.choice("status", {"SENT": 1})
    query.created()
    query.tags()
    query.operation("operationId", "operation_id")
    query.reference("profile", "mem_profile")
    query.page_size()

    with pytest.raises(Refused) as caught:
        query.findings.refuse()

    assert [problem.context for problem in caught.value.problems] == [context]


def test_all_problems_of_a_query_are_found() -> None:
    query = Query(b"status=x&startDate=x&endDate=x&pageSize=x")
    query.choice("status", {"SENT": 1})
    query.created()
    query.page_size()

    with pytest.raises(Refused) as caught:
        query.findings.refuse()

    assert len(caught.value.problems) == 4


def test_filters_have_any_case_and_a_normal_form() -> None:
    query = Query(b"status=sEnT&tags=b:2;a:1;;&operation_id=" + OPERATION.encode() + b"&utm=x")

    assert query.choice("status", {"SENT": 3}) == 3
    assert query.tags() == {"a": "1", "b": "2"}
    assert query.operation("operationId", "operation_id") == OPERATION_UID
    assert query.filters == {"status": "SENT", "tags": "a:1;b:2", "operationId": OPERATION}
    assert not query.findings
    assert not query.matches_nothing


@pytest.mark.parametrize(
    "raw",
    [
        b"operationId=" + OPERATION.encode() + b"0",
        b"operationId=" + ids.encode(ids.OPERATION, OPERATION_UID).encode(),
        b"tags=a:1;a:2",
        b"sessionId=x",
    ],
)
def test_a_filter_that_nothing_can_pass_is_no_error(raw: bytes) -> None:
    query = Query(raw)
    query.operation("operationId")
    query.tags()
    query.nothing_has("sessionId")

    assert not query.findings
    assert query.matches_nothing


def test_a_query_with_more_parameters_than_anybody_sends_is_refused() -> None:
    with pytest.raises(Refused):
        Query(b"&".join(b"a=b" for _ in range(101)))
