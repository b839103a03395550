from __future__ import annotations

from typing import Any

import pytest

SEND = {"to": [{"address": "+15551230001", "channel": "PHONE"}], "content": {"text": "Hi"}}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"null",
        b"true",
        b"1",
        b'"text"',
        b"[]",
        b"{",
        b"{}x",
        b"{'to': 1}",
        b'{"to":NaN}',
        b"\xff\xfe",
        b'{"content":{"text":"\xff"}}',
        b'{"content":{"text":"\xed\xa0\x80"}}',
        b'{"content":{"text":"\\ud800"}}',
        b'{"\\udfff":1}',
        b"\xef\xbb\xbf{}",
        '{"to":1}'.encode("utf-16"),
        b"[" * 10_000 + b"]" * 10_000,
        b'{"to":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"content":' + b"[" * 100_000,
        b'{"validity":1e999}',
        b'{"validity":' + b"9" * 5_000 + b"}",
        b'{"validity":-' + b"9" * 300 + b"}",
    ],
)
@pytest.mark.parametrize("path", ["/v1/Messages", "/v1/SenderPools"])
async def test_a_body_that_is_no_json_object_is_a_400(path: str, body: bytes, still: Any, conforms: Any) -> None:
    answer = await still.post(path, body)

    assert answer.status == 400
    conforms(answer.json, "ErrorResponse")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "APPLICATION/JSON",
        "application/vnd.api+json",
        "",
    ],
)
async def test_json_is_taken_under_every_name_it_has(content_type: str, client: Any) -> None:
    answer = await client.post("/v1/Messages", SEND, headers={"content-type": content_type})

    assert answer.status == 202


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/jsonp"},
        {"content-type": "json"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": b"\xff\xff"},
        {"content-encoding": "gzip"},
    ],
)
async def test_any_other_media_type_is_a_415(headers: dict[str, Any], still: Any, conforms: Any) -> None:
    answer = await still.post("/v1/Messages", SEND, headers=headers)

    assert answer.status == 415
    conforms(answer.json, "ErrorResponse")


async def test_a_body_over_the_limit_is_a_413_before_it_is_read_whole(still: Any, conforms: Any) -> None:
    declared = await still.post("/v1/Messages", b"{}", headers={"content-length": "2097153"})
    absurd = await still.post("/v1/Messages", b"{}", headers={"content-length": "9" * 400})
    chunk = b" " * 1_000_000
    streamed = await still.request("POST", "/v1/Messages", chunks=[chunk, chunk, chunk, b"never read"])

    for answer in (declared, absurd, streamed):
        assert answer.status == 413
        assert answer.headers["connection"] == "close"
        conforms(answer.json, "ErrorResponse")


async def test_a_body_in_pieces_is_put_together(client: Any) -> None:
    pieces = [b'{"to":[{"address":"+1555', b'1230001","channel":"PHONE"}],', b"", b'"content":{"text":"Hi"}}']

    assert (await client.request("POST", "/v1/Messages", chunks=pieces)).status == 202


async def test_a_repeated_key_counts_as_its_last_value(client: Any) -> None:
    answer = await client.post(
        "/v1/Messages",
        b'{"to":[],"content":{"text":""},"to":[{"address":"+15551230001","channel":"PHONE"}],"content":{"text":"Hi"}}',
    )

    assert answer.status == 202


async def test_a_client_that_hangs_up_gets_no_answer_and_stores_nothing(world: Any) -> None:
    sent: list[Any] = []
    events = [
        {"type": "http.request", "body": b'{"to":', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:
        return events.pop(0)

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/Messages",
        "query_string": b"",
        "headers": [(b"authorization", world.client.authorization)],
        "server": ("127.0.0.1", 8080),
    }
    await world.client.app(scope, receive, send)

    assert sent == []
    assert (await world.client.get("/v1/Messages")).json["messages"] == []
