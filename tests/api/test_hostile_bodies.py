"""Bodies meant to hurt, at every path that takes one: refused in the contract's shape or carried as they are, and
never with more memory than an honest body takes.
"""

from __future__ import annotations

import json
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.hostile import BODIES, ODD_TEXTS

from sendpool.api.app import ROUTES, STREAMS

POOL, OPERATION, MESSAGE = (
    "comms_senderpool_01h9krwprkeee8fzqspvwy6nq8",
    "comms_operation_01h9krwprkeee8fzqspvwy6nq8",
    "comms_message_01h9krwprkeee8fzqspvwy6nq8",
)
_IDS = {
    "{pool_id}": POOL,
    "{operation_id}": OPERATION,
    "{message_id}": MESSAGE,
    "{sink_sid}": "DG" + "0" * 32,
    "{subscription_sid}": "DF" + "0" * 32,
}
#: The last word of paths that take no body.
_WITHOUT = ("Cancel", "Resume", "Test", "Secret")
PHONE = {"address": "+19143188062", "channel": "PHONE"}
SEND = {"to": [PHONE], "content": {"text": "Hi"}}


def taking_bodies() -> list[tuple[str, str]]:
    """Method and path of all that reads a body."""
    found = []
    for path, handlers in ROUTES.items():
        for name, value in _IDS.items():
            path = path.replace(name, value)
        taking = () if path.endswith(_WITHOUT) else ("POST", "PATCH")
        found += [(method, f"/v1{path}") for method in handlers if method in taking]
    return found


def is_form(path: str) -> bool:
    """Whether what is sent there has to be a form."""
    return any(path.startswith(f"/v1{one.partition('/{')[0]}") for one in STREAMS)


@pytest.mark.parametrize("kind", BODIES)
async def test_what_is_no_form_is_refused_wherever_one_is_sent(kind: str, still: Any, conforms: Any) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    for method, path in filter(lambda route: is_form(route[1]), taking_bodies()):
        answer = await still.post(path, BODIES[kind], method=method, headers=headers)

        assert answer.status in (400, 404, 413), (path, answer.body[:300])
        conforms(answer.json, "ErrorResponse")
        assert len(answer.body) < 10_000


@pytest.mark.parametrize("kind", BODIES)
async def test_what_is_no_json_is_a_400_wherever_it_is_sent(kind: str, still: Any, conforms: Any) -> None:
    for method, path in taking_bodies():
        answer = await still.post(path, BODIES[kind], method=method)

        assert answer.status == (415 if is_form(path) else 400), (path, answer.body[:300])
        conforms(answer.json, "ErrorResponse")
        assert len(answer.body) < 10_000


@pytest.mark.parametrize("kind", ["objects in objects", "lists in lists"])
async def test_depth_inside_a_field_is_refused_too(kind: str, still: Any) -> None:
    for field in (b"content", b"from", b"tags", b"to"):
        answer = await still.post("/v1/Messages", b'{"%s":%s}' % (field, BODIES[kind]))

        assert answer.status == 400


@pytest.mark.parametrize("text", ODD_TEXTS)
async def test_odd_text_arrives_as_it_was_sent(text: str, client: Any) -> None:
    operation_id = await client.sent(content={"text": text})

    (message,) = await client.listed(f"?operationId={operation_id}")
    fetched = await client.get(f"/v1/Messages/{message['id']}")
    assert fetched.json["content"] == {"text": text}


@pytest.mark.parametrize(
    ("body", "context"),
    [
        ({**SEND, "content": {"text": "a\0b"}}, "$.content.text"),
        ({**SEND, "content": {"modules": [{"sms": {"text": "\0"}}]}}, "$.content.modules[0].sms.text"),
        ({**SEND, "content": {"modules": [{"rcs": {"text": "\0"}}]}}, "$.content.modules[0].rcs.text"),
        ({**SEND, "to": [{**PHONE, "address": "+1914318\0"}]}, "$.to[0].address"),
        ({**SEND, "to": [{**PHONE, "address": "+19143188062\u202e"}]}, "$.to[0].address"),
        ({**SEND, "to": [{**PHONE, "address": "+١٩١٤٣١٨٨٠٦٢"}]}, "$.to[0].address"),
        ({**SEND, "to": [{**PHONE, "channel": "PHONE\0"}]}, "$.to[0].channel"),
        ({**SEND, "tags": {"a\0": "b"}}, "$.tags"),
        ({**SEND, "tags": {"a": "b\u200f"}}, "$.tags"),
        ({**SEND, "from": {"address": "a\0", "channel": "SMS"}}, "$.from.address"),
    ],
)
async def test_a_nul_or_a_mark_where_none_belongs_is_named(body: Any, context: str, still: Any) -> None:
    answer = await still.post("/v1/Messages", body)

    assert (answer.status, answer.contexts) == (400, [context])


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 400, "1" + "0" * 4_000, "-0.0", "1e-400", "0.1", "1e2"])
async def test_a_number_of_any_size_is_accepted_or_refused(number: str, still: Any, conforms: Any) -> None:
    bodies = (
        ("/v1/Messages", json.dumps({**SEND, "validity": 0})),
        ("/v1/SenderPools", json.dumps({"fallbackAfter": 0})),
        ("/v1/Senders/Search", json.dumps({"address": "+12034458910", "channel": "SMS", "pageSize": 0})),
    )
    for path, body in bodies:
        answer = await still.post(path, body.replace(": 0}", f": {number}}}").encode())

        assert answer.status in (200, 202, 400), answer.body[:300]
        if answer.status == 400:
            conforms(answer.json, "ErrorResponse")


async def test_of_a_key_that_stands_many_times_the_last_counts(client: Any) -> None:
    body = b"{" + b'"name":"x",' * 50_000 + b'"name":"last"}'

    made = await client.post("/v1/SenderPools", body)

    found = await client.get(f"/v1/SenderPools?operationId={made.json['operationId']}")
    assert found.json["senderPools"][0]["name"] == "last"


@pytest.mark.parametrize(("method", "path"), taking_bodies())
async def test_a_hundred_megabytes_take_no_memory(method: str, path: str, still: Any, conforms: Any) -> None:
    chunk = b'"' * 1_000_000
    tracemalloc.start()
    try:
        answer = await still.request(method, path, chunks=[chunk] * 100)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert answer.status == 413
    conforms(answer.json, "ErrorResponse")
    assert peak < 8_000_000


async def test_many_mistakes_make_a_short_answer(still: Any, conforms: Any) -> None:
    body = {"to": [{"address": "x", "channel": "y", "z" * 100: 1}] * 9_000, "content": {"text": ""}}

    answer = await still.post("/v1/Messages", body)

    assert answer.status == 400
    conforms(answer.json, "ErrorResponse")
    assert len(answer.json["errors"]) == 101
    assert answer.json["errors"][-1]["message"].startswith("and ")
    assert len(answer.body) < 50_000
