"""`/Emails`: emails go the way of messages, under paths, ids and words of their own."""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any

import pytest
from tests.api.conftest import CONNECTIONS, Client, declare

from sendpool.api.app import create_app
from sendpool.api.email_sending import MAX_EMAIL_BODY
from sendpool.api.services import MAX_BODY
from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.domain import ids
from sendpool.domain.sender import Channel
from sendpool.domain.states import MessageState
from sendpool.store import history
from sendpool.store.database import Query, Script

ANA = {"address": "ana@example.test"}
BEN = {"address": "ben@example.test"}
MAILBOX = "support@coolcompany.com"
LETTER = {"subject": "Hello", "html": "<p>Hello, <b>World</b>!</p>"}
FILE = {"filename": "a.txt", "content": base64.b64encode(b"text" * 100).decode(), "type": "text/plain"}
PHONE = {"address": "+19143188062", "channel": "PHONE"}
UNKNOWN = "comms_email_01h9krwprkeee8fzqspvwy6nq8"


def request(**changes: Any) -> dict[str, Any]:
    return {"from": {"address": MAILBOX}, "to": [ANA], "content": LETTER, **changes}


@pytest.mark.parametrize("version", ["v1", "preview"])
async def test_a_send_is_answered_with_its_operation_in_every_spelling(
    version: str, client: Any, conforms: Any
) -> None:
    answer = await client.post(f"/{version}/Emails", request())

    assert answer.status == 202
    conforms(answer.json, "OperationReference")
    operation_id = answer.json["operationId"]
    location = f"http://localhost:8080/{version}/Emails/Operations/{operation_id}"
    assert answer.json["operationLocation"] == location
    headers = answer.headers
    assert (headers["operationid"], headers["operation-id"]) == (operation_id, operation_id)
    assert (headers["operationlocation"], headers["operation-location"]) == (location, location)
    resources = f"http://localhost:8080/{version}/Emails?operationId={operation_id}"
    assert headers["resource-location"] == resources
    (one,) = (await client.get(resources.removeprefix("http://localhost:8080"))).json["emails"]
    assert one["related"] == [{"name": "OPERATION", "id": operation_id, "uri": location}]


async def test_an_email_shows_what_was_sent_with_a_text_from_its_html(client: Any, conforms: Any) -> None:
    ana = {**ANA, "name": "Ana Díaz"}
    await client.mailed(origin={"address": MAILBOX, "name": "Cool Support"}, to=[ana, BEN], tags={"campaign": "launch"})

    other, one = await client.mails()
    fetched = (await client.get(f"/v1/Emails/{one['id']}")).json

    conforms(one, "Email")
    assert one == fetched
    assert one["id"].startswith("comms_email_")
    assert one["from"] == {"address": MAILBOX, "name": "Cool Support"}
    assert (one["to"], other["to"]) == ([ana], [BEN])
    assert one["status"] == "QUEUED"
    assert one["content"] == {**LETTER, "text": "Hello, World!"}
    assert one["tags"] == {"campaign": "launch"}
    assert one["scheduledFor"] is one["deletedAt"] is None
    assert "ambiguous" not in one


async def test_attachments_come_whole_in_a_fetch_and_without_their_bytes_in_lists(client: Any, conforms: Any) -> None:
    await client.mailed(content={**LETTER, "text": "Hi", "attachments": [FILE]})

    answer = await client.get("/v1/Emails")
    conforms(answer.json, "EmailPage")
    (one,) = answer.json["emails"]
    fetched = (await client.get(f"/v1/Emails/{one['id']}")).json

    conforms(fetched, "Email")
    assert fetched["content"]["attachments"] == [FILE]
    assert one["content"]["attachments"] == [{"filename": "a.txt", "type": "text/plain"}]


async def test_each_recipient_reads_an_email_of_their_own(client: Any, conforms: Any) -> None:
    content = {"subject": "For {{ name | default: 'you' }}", "html": "<p>Hi {{ name }}</p>", "attachments": [FILE]}
    to = [{**ANA, "variables": {"name": "Ana & <b>Co</b>"}}, BEN]
    operation_id = await client.mailed(to=to, content=content)

    answer = await client.get(f"/v1/Emails?operationId={operation_id}")
    conforms(answer.json, "EmailPage")
    bens, anas = answer.json["emails"]
    fetched = (await client.get(f"/v1/Emails/{anas['id']}")).json

    conforms(fetched, "Email")
    assert anas["content"] == {
        "subject": "For Ana & <b>Co</b>",
        "html": "<p>Hi Ana &amp; &lt;b&gt;Co&lt;/b&gt;</p>",
        "text": "Hi Ana & <b>Co</b>",
        "attachments": [{"filename": "a.txt", "type": "text/plain"}],
    }
    assert (bens["content"]["subject"], bens["content"]["text"]) == ("For you", "Hi ")
    assert fetched["content"] == {**anas["content"], "attachments": [FILE]}


async def test_who_has_nothing_to_read_gets_no_email_and_the_others_do(client: Any, conforms: Any) -> None:
    to = [{**ANA, "variables": {"html": "<p>x</p>"}}, BEN]
    operation_id = await client.mailed(to=to, content={"subject": "x", "html": "{{ html }}"})

    bens, anas = await client.mails()

    conforms(bens, "Email")
    assert {(one["to"][0]["address"], one["status"]) for one in (bens, anas)} == {
        (ANA["address"], "QUEUED"),
        (BEN["address"], "FAILED"),
    }
    stats = (await client.get(f"/v1/Emails/Operations/{operation_id}")).json["stats"]
    assert (stats["total"], stats["queued"], stats["failed"]) == (2, 1, 1)


async def test_a_scheduled_email_says_when_it_is_due(client: Any, conforms: Any) -> None:
    operation_id = await client.mailed(schedule={"sendAt": ["2027-01-15T08:00:00Z"]})
    await client.mailed()

    (one,) = await client.mails("?status=scheduled")

    conforms(one, "Email")
    assert (one["status"], one["scheduledFor"]) == ("SCHEDULED", "2027-01-15T08:00:00.000Z")
    operation = (await client.get(f"/v1/Emails/Operations/{operation_id}")).json
    conforms(operation, "EmailOperation")
    assert (operation["status"], operation["stats"]["scheduled"]) == ("SCHEDULED", 1)
    assert (await client.delete(f"/v1/Emails/{one['id']}")).status == 409


async def test_a_pool_and_a_sender_may_send_too(client: Any, conforms: Any) -> None:
    pool_id = await client.pool_of("+12034458912", MAILBOX)
    sender_id = (await client.senders())[MAILBOX]
    by_sender, by_pool = (
        await client.mailed(origin={"senderId": sender_id}),
        await client.mailed(origin={"senderPoolId": pool_id, "name": "Us"}),
    )

    (sent_by_pool,) = await client.mails(f"?operationId={by_pool}")
    (sent_by_sender,) = await client.mails(f"?operationId={by_sender}")

    conforms(sent_by_sender, "Email")
    assert sent_by_sender["from"] == {"address": MAILBOX}
    assert sent_by_pool["from"] == {"address": "", "senderPoolId": pool_id, "name": "Us"}


async def test_a_pools_email_has_an_address_once_a_sender_is_bound(world: Any, conforms: Any) -> None:
    client = world.client
    pool_id = await client.pool_of(MAILBOX)
    operation_id = await client.mailed(origin={"senderPoolId": pool_id})
    await world.change(operation_id, 0, address=MAILBOX, state=int(MessageState.SENT), ambiguous=1)

    (one,) = await client.mails("?ambiguous=true")

    conforms(one, "Email")
    assert one["from"] == {"address": MAILBOX, "senderPoolId": pool_id}
    assert one["ambiguous"] is True


async def test_who_may_not_send_emails_is_told_where(client: Any, conforms: Any) -> None:
    number, pool_id = (await client.senders())["+12034458910"], await client.pool_of("+12034458910")
    cases = {
        "$.from.address": [{"address": "nobody@coolcompany.com"}],
        "$.from.senderId": [{"senderId": number}, {"senderId": "comms_sender_01h9krwprkeee8fzqspvwy6nq8"}],
        "$.from.senderPoolId": [
            {"senderPoolId": pool_id},
            {"senderPoolId": "comms_senderpool_01h9krwprkeee8fzqspvwy6nq8"},
        ],
    }

    for context, origins in cases.items():
        for origin in origins:
            answer = await client.post("/v1/Emails", request(**{"from": origin}))
            assert (answer.status, answer.contexts) == (400, [context]), origin
            conforms(answer.json, "ErrorResponse")
    assert await client.mails() == []


async def test_a_sender_that_no_connection_declares_any_more_sends_nothing(world: Any) -> None:
    await world.services.write(lambda: declare(1, CONNECTIONS[:1], 1))

    answer = await world.client.post("/v1/Emails", request())

    assert (answer.status, answer.contexts, answer.codes) == (400, ["$.from.address"], [21606])


async def test_a_request_of_more_than_five_megabytes_is_a_413(world: Any, conforms: Any) -> None:
    roomy = Client(create_app(dataclasses.replace(world.services, max_body=MAX_BODY)))
    spare = MAX_EMAIL_BODY - len(json.dumps(request(content={**LETTER, "text": ""})))

    fits = await roomy.post("/v1/Emails", request(content={**LETTER, "text": "x" * spare}))
    answer = await roomy.post("/v1/Emails", request(content={**LETTER, "text": "x" * (spare + 1)}))

    assert (fits.status, answer.status) == (202, 413)
    conforms(answer.json, "ErrorResponse")
    (one,) = await roomy.mails()
    assert len(one["content"]["text"]) == spare


async def test_ten_thousand_emails_are_accepted_at_once(client: Any, conforms: Any) -> None:
    to = [{"address": f"ana+{i}@example.test", "name": "Ana Díaz"} for i in range(10_000)]

    operation_id = await client.mailed(to=to)

    answer = await client.get(f"/v1/Emails/Operations/{operation_id}")
    conforms(answer.json, "EmailOperation")
    assert answer.json["stats"] | {"total": 0} == {
        **dict.fromkeys(answer.json["stats"], 0),
        "recipients": 10_000,
        "queued": 10_000,
    }


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("?operationId={id}", 2),
        ("?operation_id={id}", 2),
        ("?operationId=comms_operation_01h9krwprkeee8fzqspvwy6nq8", 0),
        ("?operationId={messages}", 0),
        ("?status=queued", 1),
        ("?status=Opened", 1),
        ("?status=DELIVERED", 1),
        ("?status=INBOUND", 0),
        ("?status=scheduled", 0),
        ("?tags=campaign:launch", 2),
        ("?tags=campaign:launch;kind:a;", 2),
        ("?tags=campaign:other", 0),
        ("?startDate=2001-01-01T00:00:00Z", 3),
        ("?startDate=2099-01-01T00:00:00Z", 0),
        ("?endDate=2001-01-01T00:00:00Z", 0),
        ("?endDate=9999-12-31T00:00:00Z", 3),
        ("?ambiguous=true", 0),
        ("?status=opened&tags=kind:a&operationId={id}", 1),
        ("?somethingElse=x", 3),
    ],
)
async def test_filters_narrow_the_list(query: str, count: int, world: Any) -> None:
    client = world.client
    messages = await client.sent()
    operation_id = await client.mailed(to=[ANA, BEN], tags={"campaign": "launch", "kind": "a"})
    await client.mailed()
    await world.change(operation_id, 0, state=int(MessageState.READ))
    await world.change(operation_id, 1, state=int(MessageState.DELIVERED))

    assert len(await client.mails(query.format(id=operation_id, messages=messages))) == count


@pytest.mark.parametrize(
    ("query", "context"),
    [
        ("?status=READ", "$.status"),
        ("?status=GROUP", "$.status"),
        ("?operation_id=x", "$.operationId"),
        ("?tags=a", "$.tags"),
        ("?startDate=x", "$.startDate"),
        ("?startDate=2026-01-02T00:00:00Z&endDate=2026-01-01T00:00:00Z", "$.endDate"),
        ("?pageSize=0", "$.pageSize"),
        ("?pageSize=1001", "$.pageSize"),
        ("?pageToken=x", "$.pageToken"),
    ],
)
async def test_a_filter_that_cannot_be_read_is_a_400(query: str, context: str, still: Any, conforms: Any) -> None:
    answer = await still.get(f"/v1/Emails{query}")

    assert (answer.status, answer.contexts) == (400, [context])
    conforms(answer.json, "ErrorResponse")


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({}, 3),
        ({"address": "ana@example.test"}, 2),
        ({"address": "ben@example.test"}, 1),
        ({"address": MAILBOX}, 3),
        ({"address": "nobody@example.test"}, 0),
        ({"operationId": "{id}"}, 2),
        ({"operationId": "{id}", "address": "ana@example.test", "status": "opened"}, 1),
        ({"status": "QUEUED"}, 1),
        ({"tags": {"campaign": "launch"}}, 2),
        ({"tags": {"campaign": "other"}}, 0),
        ({"tags": {}}, 3),
        ({"startDate": "2099-01-01T00:00:00Z"}, 0),
        ({"endDate": "9999-12-31T00:00:00Z"}, 3),
        ({"sessionId": "comms_session_01h9krwprkeee8fzqspvwy6nq8"}, 0),
        ({"profile": "mem_profile_01h9krwprkeee8fzqspvwy6nq8"}, 0),
    ],
)
@pytest.mark.parametrize("version", ["v1", "preview"])
async def test_a_search_finds_by_an_address_of_either_side_and_by_what_filters_lists(
    body: dict[str, Any], count: int, version: str, world: Any, conforms: Any
) -> None:
    client = world.client
    operation_id = await client.mailed(to=[ANA, BEN], tags={"campaign": "launch"})
    await client.mailed(origin={"senderPoolId": await client.pool_of(MAILBOX)})
    await world.change(operation_id, 0, state=int(MessageState.READ))
    await world.change(operation_id, 1, state=int(MessageState.READ))
    (last,) = await client.mails("?status=QUEUED")
    await world.change(last["related"][0]["id"], 0, address=MAILBOX)
    asked = {name: operation_id if value == "{id}" else value for name, value in body.items()}

    answer = await client.post(f"/{version}/Emails/Search", asked)

    assert answer.status == 200
    conforms(answer.json, "EmailPage")
    assert len(answer.json["emails"]) == count


async def test_a_search_is_paged_by_its_query(client: Any) -> None:
    await client.mailed(to=[ANA, BEN, ANA])
    path, asked = "/preview/Emails/Search", {"address": "ana@example.test"}

    first = (await client.post(f"{path}?pageSize=1", asked)).json
    second = (await client.post(f"{path}?pageSize=1&pageToken={first['pagination']['next']}", asked)).json

    assert first["emails"][0]["id"] > second["emails"][0]["id"]
    assert second["pagination"]["next"] is None
    assert "/" not in first["pagination"]["self"]
    other = await client.post(f"{path}?pageToken={first['pagination']['next']}", {"address": "ben@example.test"})
    assert other.contexts == ["$.pageToken"]


@pytest.mark.parametrize(
    ("body", "contexts"),
    [
        ({"address": 1}, ["$.address"]),
        ({"addres": "x"}, [None]),
        ({"status": "READ", "tags": {"a": "b c"}}, ["$.tags", "$.status"]),
        ({"operationId": "x", "startDate": "x", "profile": "x"}, ["$.profile", "$.operationId", "$.startDate"]),
        ({"tags": ["a"]}, ["$.tags"]),
        ([], [None]),
    ],
)
async def test_a_search_that_cannot_be_read_is_a_400(body: Any, contexts: list[str], still: Any, conforms: Any) -> None:
    answer = await still.post("/v1/Emails/Search", body)

    assert answer.status == 400
    conforms(answer.json, "ErrorResponse")
    assert answer.contexts == contexts


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_pages_show_every_email_once_from_the_newest(size: int, client: Any, conforms: Any) -> None:
    sent = [await client.mailed(to=[ANA, BEN]) for _ in range(3)]
    found: list[tuple[str, str]] = []
    token = ""

    while True:
        answer = await client.get(f"/v1/Emails?pageSize={size}{token}")
        conforms(answer.json, "EmailPage")
        found += [(one["related"][0]["id"], one["to"][0]["address"]) for one in answer.json["emails"]]
        if answer.json["pagination"]["next"] is None:
            break
        token = f"&pageToken={answer.json['pagination']['next']}"

    assert found == [(operation, to["address"]) for operation in reversed(sent) for to in (BEN, ANA)]


async def test_a_page_of_long_contents_ends_early_and_goes_on(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = len("".join({**LETTER, "text": "Hello, World!"}.values()))
    sent = [await client.mailed(to=[ANA, BEN], content=LETTER) for _ in range(2)]
    long = await client.mailed(content={**LETTER, "attachments": [FILE]})

    # No room for a second email; then room for what three show, which is less than the file of the first.
    for room, lengths in ((1, [1, 1, 1, 1, 1]), (3 * shown, [1, 3, 1])):
        monkeypatch.setattr(history, "CONTENTS", room)
        found, token, page = [], "", {}
        for length in lengths:
            page = (await client.get(f"/v1/Emails?pageSize=5{token}")).json
            assert len(page["emails"]) == length
            found += [one["related"][0]["id"] for one in page["emails"]]
            token = f"&pageToken={page['pagination']['next']}"
        assert page["pagination"]["next"] is None
        assert found == [long, sent[1], sent[1], sent[0], sent[0]]


async def test_an_operation_shows_eleven_counters(world: Any, conforms: Any) -> None:
    client = world.client
    operation_id = await client.mailed(to=[ANA, BEN])

    answer = await client.get(f"/v1/Emails/Operations/{operation_id}")

    conforms(answer.json, "EmailOperation")
    assert (answer.json["id"], answer.json["status"]) == (operation_id, "PROCESSING")
    stats = answer.json["stats"]
    assert len(stats) == 11
    assert "unaddressable" not in stats
    assert (stats["total"], stats["recipients"], stats["queued"], stats["opened"]) == (2, 2, 2, 0)


async def test_operations_are_listed_and_filtered(client: Any, conforms: Any) -> None:
    await client.sent()
    first, second = await client.mailed(), await client.mailed()

    answer = await client.get("/v1/Emails/Operations?status=processing")
    conforms(answer.json, "EmailOperationPage")
    assert [one["id"] for one in answer.json["operations"]] == [second, first]
    assert (await client.get("/v1/Emails/Operations?status=COMPLETED")).json["operations"] == []
    assert (await client.get("/v1/Emails/Operations?endDate=2001-01-01T00:00:00Z")).json["operations"] == []
    assert (await client.get("/v1/Emails/Operations?status=FAILED")).contexts == ["$.status"]
    page = (await client.get("/v1/Emails/Operations?pageSize=1")).json
    following = (await client.get(f"/v1/Emails/Operations?pageSize=1&pageToken={page['pagination']['next']}")).json
    assert [one["id"] for one in following["operations"]] == [first]


async def test_messages_and_emails_never_show_each_other(client: Any) -> None:
    messages, emails = await client.sent(), await client.mailed()
    uids = [ids.parse_operation(one) or b"" for one in (messages, emails)]

    assert [one["related"][0]["id"] for one in await client.listed()] == [messages]
    assert [one["related"][0]["id"] for one in await client.mails()] == [emails]
    assert await client.listed(f"?operationId={emails}") == []
    for path in (
        f"/v1/Messages/Operations/{emails}",
        f"/v1/Emails/Operations/{messages}",
        f"/v1/Messages/{ids.message_id(uids[1], 0)}",
        f"/v1/Messages/{ids.message_id(uids[1], 0, ids.EMAIL)}",
        f"/v1/Emails/{ids.message_id(uids[0], 0, ids.EMAIL)}",
        f"/v1/Emails/{ids.message_id(uids[1], 0)}",
    ):
        assert (await client.get(path)).status == 404, path
    listed = (await client.get("/v1/Messages/Operations")).json["operations"]
    assert [one["id"] for one in listed] == [messages]


async def test_another_accounts_emails_look_unknown(world: Any) -> None:
    client, other = world.client, world.other
    operation_id = await client.mailed()
    (one,) = await client.mails()

    assert await other.mails() == []
    assert await other.mails(f"?operationId={operation_id}") == []
    assert (await other.get("/v1/Emails/Operations")).json["operations"] == []
    for path in (f"/v1/Emails/{one['id']}", f"/v1/Emails/Operations/{operation_id}"):
        assert (await client.get(path)).status == 200
        assert (await other.get(path)).status == 404
    assert (await other.delete(f"/v1/Emails/{one['id']}")).status == 404
    assert (await other.post("/v1/Emails", request())).contexts == ["$.from.address"]


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/Emails/{UNKNOWN}",
        f"/v1/Emails/{UNKNOWN}zzz",
        "/v1/Emails/comms_email_12345",
        "/v1/Emails/%00",
        "/v1/Emails/Operations/comms_operation_01h9krwprkeee8fzqspvwy6nq8",
        "/v1/Emails/Operations/x",
    ],
)
async def test_what_does_not_exist_is_a_404(path: str, still: Any, conforms: Any) -> None:
    answer = await still.get(path)

    assert answer.status == 404
    conforms(answer.json, "ErrorResponse")


async def test_a_deleted_email_keeps_its_state_and_loses_what_is_personal(world: Any, conforms: Any) -> None:
    client = world.client
    operation_id = await client.mailed(
        origin={"address": MAILBOX, "name": "Us"},
        to=[{**ANA, "name": "Ana Díaz"}, {**BEN, "name": "Ben Kim"}],
        content={**LETTER, "attachments": [FILE]},
    )
    for i in range(2):
        await world.change(operation_id, i, address=MAILBOX, state=int(MessageState.DELIVERED))
    kept, gone = [one["id"] for one in await client.mails()]

    answer = await client.delete(f"/preview/Emails/{gone}")

    conforms(answer.json, "ResourceReference")
    assert answer.status == 202
    assert answer.json == {
        "resourceId": gone,
        "resourceLocation": f"http://localhost:8080/preview/Emails/{gone}",
    }
    fetched = (await client.get(f"/v1/Emails/{gone}")).json
    conforms(fetched, "Email")
    assert fetched["deletedAt"] is not None
    assert (fetched["status"], fetched["to"]) == ("DELIVERED", [])
    assert "content" not in fetched
    assert (await client.get(f"/v1/Emails/{kept}")).json["content"]["attachments"] == [FILE]
    assert (await client.delete(f"/v1/Emails/{kept}")).status == 202
    assert (await client.delete(f"/v1/Emails/{kept}")).status == 202
    stored = await world.engine.database.read(
        history.list_with_contents(1, history.MessageFilter(emails=True), ALL, len)
    )
    assert list(stored.contents.values()) == ["{}"]
    assert [(row.address, row.name) for row in stored.rows] == [("", None)] * 2
    assert all("content" not in one for one in await client.mails())


ALL = history.MessageSlice(10)


async def test_an_email_that_is_still_to_be_sent_is_not_deleted(client: Any, conforms: Any) -> None:
    await client.mailed()
    await client.sent()
    (one,), (message,) = await client.mails(), await client.listed()

    answer = await client.delete(f"/v1/Emails/{one['id']}")

    assert answer.status == 409
    assert "email" in answer.json["message"]
    conforms(answer.json, "ErrorResponse")
    as_email = message["id"].replace(ids.MESSAGE, ids.EMAIL)
    for path in (f"/v1/Emails/{UNKNOWN}", "/v1/Emails/x", f"/v1/Emails/{as_email}"):
        assert (await client.delete(path)).status == 404


async def test_other_methods_are_a_405(still: Any) -> None:
    answer = await still.patch(f"/v1/Emails/{UNKNOWN}", {})

    assert (answer.status, answer.headers["allow"]) == (405, "GET, DELETE, HEAD")


async def test_any_mailbox_of_a_whole_domain_sends_by_one_sender(world: Any, conforms: Any) -> None:
    whole = SenderSettings(channel=Channel.EMAIL, address="news@shop.example", options={"whole_domain": True})
    mail = ConnectionSettings(name="mail", type="smtp", senders=(whole,), options={"host": "smtp.example"})
    await world.services.write(lambda: declare(1, (*CONNECTIONS, mail), 1))
    client = world.client
    senders = (await client.get("/v1/Senders")).json["senders"]
    (sender,) = [one for one in senders if one["address"] == "news@shop.example"]

    operation_id, one = "", dict[str, Any]()
    for address in ("Ana.Bo@Shop.example", "orders@shop.example"):
        operation_id = await client.mailed(origin={"address": address, "name": "Ana"})
        one = (await client.mails())[0]
        conforms(one, "Email")
        assert one["from"] == {"address": address, "name": "Ana"}
    await world.change(operation_id, 0, address="news@shop.example", state=int(MessageState.DELIVERED))
    assert (await client.delete(f"/v1/Emails/{one['id']}")).status == 202
    assert (await client.get(f"/v1/Emails/{one['id']}")).json["from"]["address"] == "orders@shop.example"
    await client.mailed(origin={"senderId": sender["id"]})
    assert (await client.mails())[0]["from"]["address"] == "news@shop.example"
    assert len(await pools_of_emails(world)) == 1, "one sender, one queue"

    for wrong in ("ana@sub.shop.example", "ana@other.example", f"x{MAILBOX}"):
        refused = await client.post("/v1/Emails", request(**{"from": {"address": wrong}}))
        assert (refused.status, refused.contexts) == (400, ["$.from.address"])


async def test_a_mailbox_that_is_a_sender_itself_goes_before_its_domain(world: Any) -> None:
    own = SenderSettings(channel=Channel.EMAIL, address="ana@shop.example")
    whole = SenderSettings(channel=Channel.EMAIL, address="news@shop.example", options={"whole_domain": True})
    mail = ConnectionSettings(name="mail", type="smtp", senders=(whole, own), options={"host": "smtp.example"})
    await world.services.write(lambda: declare(1, (mail,), 1))

    await world.client.post("/v1/Emails", request(**{"from": {"address": "ana@shop.example"}}))

    (pool_id,) = await pools_of_emails(world)
    roster = world.engine.roster
    (sender,) = [roster.senders[key] for key, pool in roster.hidden_by_sender.items() if pool.id == pool_id]
    assert sender.address == "ana@shop.example"


async def pools_of_emails(world: Any) -> set[int]:
    """The pools from which emails are sent."""

    def script() -> Script[set[int]]:
        rows = yield Query("SELECT DISTINCT pool_id FROM operation WHERE kind = 'email'")
        return {row[0] for row in rows}

    found: set[int] = await world.engine.database.read(script())
    return found
