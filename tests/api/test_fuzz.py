"""Whatever is sent: a 2xx or a 4xx in the contract's shape, never a fault of ours and never a hang."""

from __future__ import annotations

import copy
import json
from typing import Any
from urllib.parse import quote_from_bytes

import anyio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sendpool.api.app import ROUTES

FUZZ = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

PHONE = {"address": "+15551230001", "channel": "PHONE"}
SEND = {
    "to": [{"address": "+15551230001", "channel": "PHONE"}, {"address": "+15551230002", "channel": "WHATSAPP"}],
    "content": {"text": "Hi"},
    "from": {
        "senderPoolId": "comms_senderpool_01h9krwprkeee8fzqspvwy6nq8",
        "channels": {"filterIn": ["SMS"], "priority": [{"channel": "SMS", "priority": 1}]},
    },
    "tags": {"a": "b"},
    "validity": 60,
}
MODULES = {
    "to": SEND["to"],
    "content": {
        "modules": [
            {"sms": {"text": "Hi"}},
            {
                "rcs": {
                    "richCard": {
                        "standaloneCard": {
                            "cardContent": {
                                "title": "Hi",
                                "suggestions": [{"reply": {"text": "Yes", "postbackData": "y"}}],
                            }
                        }
                    }
                }
            },
        ]
    },
    "category": "otp",
}
PERSONAL = {
    "to": [
        {**PHONE, "variables": {"name": "Ana"}},
        {"addresses": [PHONE, {"address": "+15551230001", "channel": "WHATSAPP"}], "variables": {"1": "Ana"}},
        {
            "profileId": "mem_profile_01h9krwprkeee8fzqspvwy6nq8",
            "memoryStoreId": "mem_store_01h9krwprkeee8fzqspvwy6nq8",
            "variables": {"name": "${Twilio.Profile.firstName}"},
        },
    ],
    "content": {"text": "Hi {{ name | default: 'there' }}", "media": [{"url": "https://example.com/a.png"}]},
    "schedule": {"sendAt": ["2026-12-01T09:30:00Z"]},
    "tags": {"a": "{{ name }}"},
}
TEMPLATED = {
    "to": [{**PHONE, "variables": {"1": "Ana"}}],
    "content": {"contentId": "HX0123456789abcdef0123456789abcdef"},
}
TEMPLATE = {
    "friendly_name": "order",
    "language": "en",
    "variables": {"1": "customer"},
    "types": {
        "twilio/card": {
            "title": "Your order {{1}}",
            "actions": [{"type": "URL", "title": "Track", "url": "https://example.com/{{1}}"}],
        },
        "twilio/text": {"body": "Dear {{1}}"},
    },
}
POOL = {
    "name": "x",
    "tags": {"a": "b"},
    "category": "bulk",
    "fallbackAfter": 10,
    "duplicates": "tolerate",
    "openOutcome": "failover",
    "senders": [{"senderId": "comms_sender_01h9krwprkeee8fzqspvwy6nq8"}],
}
SEARCH = {"address": "+12034458910", "channel": "SMS", "status": "ACTIVATED", "pageToken": "x", "pageSize": 1}
RESOLVE = {
    "recipientAddresses": [{"address": "+15551230001", "channel": "PHONE"}],
    "senderAddresses": [
        {"address": "+12034458910", "channel": "SMS"},
        {"address": "support@coolcompany.com", "name": "Cool"},
        {"fcm": "comms_credential_01h9krwprkeee8fzqspvwy6nq8"},
    ],
    "channels": {"filterIn": ["SMS"], "priority": [{"channel": "SMS", "priority": 1}]},
}
EMAIL = {
    "from": {"address": "support@coolcompany.com", "name": "Cool Support"},
    "to": [{"address": "ana@example.test", "name": "Ana", "variables": {"name": "Ana"}}],
    "content": {
        "subject": "Hi {{ name }}",
        "html": "<p>Hi {{ name | default: 'there' }}</p>",
        "text": "Hi",
        "attachments": [{"filename": "a.txt", "content": "YQ==", "type": "text/plain", "contentId": "a"}],
    },
    "tags": {"a": "b"},
    "ipPoolName": "pool",
}
SEARCH_EMAILS = {
    "address": "ana@example.test",
    "operationId": "comms_operation_01h9krwprkeee8fzqspvwy6nq8",
    "startDate": "2026-01-01T00:00:00Z",
    "status": "QUEUED",
    "tags": {"a": "b"},
}
NAMES = ["to", "content", "from", "tags", "validity", "address", "channel", "senderId", "senderPoolId", "text", "media"]
NAMES += ["addresses", "profileId", "memoryStoreId", "variables", "contentId", "modules", "schedule", "sendAt", "url"]

texts = st.text(max_size=8) | st.sampled_from(["\0", "\u202e", "{{x}}", "+15551230001", "SMS", "phone", "a" * 300])
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | texts, inner, max_size=3),
    max_leaves=8,
)
noise = st.binary(max_size=12)
segments = st.sampled_from(
    ["Messages", "Senders", "SenderPools", "Operations", "comms_message_01h9krwprkeee8fzqspvwy6nq8", "..", ""]
) | noise.map(quote_from_bytes)
parameters = st.sampled_from(
    ["status", "channel", "tags", "startDate", "endDate", "operationId", "operation_id", "pageToken", "pageSize"]
) | st.sampled_from(["ambiguous", "profile", "sessionId"])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = copy.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return changed


@st.composite
def mutated(draw: st.DrawFn, valid: Any) -> Any:
    """A valid body with up to three places replaced by anything."""
    for _ in range(draw(st.integers(1, 3))):
        valid = replaced(valid, draw(st.sampled_from(places(valid))), draw(values))
    return valid


async def ask(client: Any, conforms: Any, method: str, target: str | bytes, body: bytes = b"", **options: Any) -> None:
    with anyio.fail_after(5):
        answer = await client.request(method, target, body, **options)
    assert answer.status < 500, answer.body
    if answer.status >= 400 and method != "HEAD":
        conforms(answer.json, "ErrorResponse")
        assert all(error.get("context", "$.").startswith("$.") for error in answer.json["errors"])


@FUZZ
@given(body=st.sampled_from([SEND, MODULES, PERSONAL, TEMPLATED]).flatmap(mutated))
async def test_any_send(body: Any, client: Any, conforms: Any) -> None:
    await ask(client, conforms, "POST", "/v1/Messages", json.dumps(body).encode())


@FUZZ
@given(body=mutated(TEMPLATE), method=st.sampled_from(["POST", "PUT"]))
async def test_any_template(body: Any, method: str, client: Any, conforms: Any) -> None:
    path = "/v1/Content" + ("" if method == "POST" else "/HX0123456789abcdef0123456789abcdef")
    await ask(client, conforms, method, path, json.dumps(body).encode())


@FUZZ
@given(body=mutated(EMAIL))
async def test_any_email_that_is_taken_is_shown_as_the_contract_says(body: Any, client: Any, conforms: Any) -> None:
    await ask(client, conforms, "POST", "/v1/Emails", json.dumps(body).encode())

    page = (await client.get("/v1/Emails?pageSize=1")).json
    conforms(page, "EmailPage")
    for one in page["emails"]:
        conforms((await client.get(f"/v1/Emails/{one['id']}")).json, "Email")


@FUZZ
@given(body=mutated(SEARCH_EMAILS))
async def test_any_search_of_emails(body: Any, client: Any, conforms: Any) -> None:
    await ask(client, conforms, "POST", "/preview/Emails/Search", json.dumps(body).encode())


@FUZZ
@given(body=mutated(POOL), method=st.sampled_from(["POST", "PATCH", "MEMBERS"]))
async def test_any_pool(body: Any, method: str, client: Any, conforms: Any) -> None:
    path = "/v1/SenderPools"
    if method != "POST":
        path += "/comms_senderpool_01h9krwprkeee8fzqspvwy6nq8" + ("/Senders" if method == "MEMBERS" else "")
    await ask(client, conforms, method.replace("MEMBERS", "POST"), path, json.dumps(body).encode())


@FUZZ
@given(
    asked=st.tuples(st.just("Search"), mutated(SEARCH)) | st.tuples(st.just("Resolve"), mutated(RESOLVE)),
)
async def test_any_search(asked: tuple[str, Any], client: Any, conforms: Any) -> None:
    await ask(client, conforms, "POST", f"/v1/Senders/{asked[0]}", json.dumps(asked[1]).encode())


@FUZZ
@given(
    body=st.binary(max_size=200) | values.map(lambda value: json.dumps(value).encode()),
    path=st.sampled_from(
        [
            "/v1/Messages",
            "/v1/Emails",
            "/preview/SenderPools",
            "/v1/Senders/Search",
            "/v1/Senders/Resolve",
            "/v1/Content",
        ]
    ),
)
async def test_any_bytes(body: bytes, path: str, client: Any, conforms: Any) -> None:
    await ask(client, conforms, "POST", path, body)


@FUZZ
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "X"]),
    parts=st.lists(segments, max_size=5),
)
async def test_any_path(method: str, parts: list[str], client: Any, conforms: Any) -> None:
    await ask(client, conforms, method, "/".join(["/v1", *parts]))


@FUZZ
@given(
    path=st.sampled_from([path for path, handlers in ROUTES.items() if "GET" in handlers and "{" not in path]),
    query=st.lists(
        st.tuples(parameters, texts.map(lambda text: text.encode("utf-8", "surrogatepass")) | noise), max_size=4
    ),
    raw=noise,
)
async def test_any_query(path: str, query: list[tuple[str, bytes]], raw: bytes, client: Any, conforms: Any) -> None:
    escaped = "&".join(f"{name}={quote_from_bytes(value)}" for name, value in query)
    await ask(client, conforms, "GET", f"/v1{path}?{escaped}".encode() + raw.replace(b"#", b""))


@FUZZ
@given(
    headers=st.dictionaries(
        st.sampled_from(["host", "authorization", "content-type", "content-length", "content-encoding", "accept"]),
        st.binary(max_size=40) | st.sampled_from([b"Basic ", b"application/json;", b"9" * 100, b"-1"]),
    )
)
async def test_any_headers(headers: dict[str, bytes], client: Any, conforms: Any) -> None:
    await ask(client, conforms, "POST", "/v1/Messages", json.dumps(SEND).encode(), headers=headers)
    await ask(client, conforms, "GET", "/preview/Senders", headers=headers)
