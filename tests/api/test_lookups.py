from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import select

from sendpool.domain import ids
from sendpool.domain.states import AttemptState, MessageState
from sendpool.store.database import Script
from sendpool.store.receipts import insert_segments
from sendpool.store.tables import attempt, operation

PHONE = {"address": "+19143188062", "channel": "PHONE"}
WHATSAPP = {"address": "+19143188063", "channel": "WHATSAPP"}
BASE = "http://localhost:8080"
UNKNOWN_MESSAGE = "comms_message_01h9krwprkeee8fzqspvwy6nq8"
UNKNOWN_OPERATION = "comms_operation_01h9krwprkeee8fzqspvwyzzw0"


def sid(operation_id: str, n: int, index: int = 0) -> str:
    uid = ids.parse_operation(operation_id)
    assert uid is not None
    return ids.attempt_id(uid, index, n)


@pytest.mark.parametrize("version", ["v1", "preview"])
async def test_an_attempts_id_leads_to_its_message(version: str, world: Any) -> None:
    operation_id = await world.client.sent()
    await world.tried(operation_id, 1, "+12034458910", AttemptState.DELIVERED)
    (message,) = await world.client.listed()

    named = sid(operation_id, 1)
    for spelling in (named, "MM" + named[2:], "SM" + named[2:].upper()):
        answer = await world.client.get(f"/{version}/Messages/Seek/{spelling}")
        assert answer.status == 301
        assert answer.headers["location"] == f"{BASE}/{version}/Messages/{message['id']}"

    followed = await world.client.get(f"/{version}/Messages/{message['id']}")
    assert followed.json["attempts"][0]["id"] == named
    assert followed.json["attempts"][0]["infoUrl"] == f"{BASE}/{version}/Messages/Seek/{named}"


async def test_the_id_that_a_carrier_gave_an_attempt_leads_its_own_account_to_the_message(world: Any) -> None:
    operation_id = await world.client.sent()
    await world.tried(operation_id, 1, "+12034458910", AttemptState.DELIVERED)
    (message,) = await world.client.listed()
    carriers = "SM0123456789abcdef0123456789abcdef"
    await world.write(_named(operation_id, carriers))

    found = await world.client.get(f"/v1/Messages/Seek/{carriers}")

    assert found.headers["location"] == f"{BASE}/v1/Messages/{message['id']}"
    assert (await world.other.get(f"/v1/Messages/Seek/{carriers}")).status == 404


def _named(operation_id: str, carrier_id: str) -> Script[None]:
    found = select(operation.c.id).where(operation.c.uid == ids.parse_operation(operation_id))
    ((key,),) = yield found
    ((connection_id,),) = yield select(attempt.c.connection_id).where(attempt.c.id == key * 64 + 1)
    yield from insert_segments([(connection_id, carrier_id, key, 1, 1)])


async def test_a_withdrawn_attempt_still_leads_to_its_message(world: Any) -> None:
    operation_id = await world.client.sent()
    await world.tried(operation_id, 1, "+12034458910", AttemptState.WITHDRAWN)

    assert (await world.client.get(f"/v1/Messages/Seek/{sid(operation_id, 1)}")).status == 301


async def test_an_attempt_that_nobody_made_is_a_404(world: Any, conforms: Any) -> None:
    operation_id = await world.client.sent(to=[PHONE, WHATSAPP])
    await world.tried(operation_id, 1, "+12034458910", AttemptState.DELIVERED)

    for unknown in (
        sid(operation_id, 2),
        sid(operation_id, 0),
        sid(operation_id, 1, index=1),
        sid(operation_id, 1, index=2),
        sid(operation_id, 1, index=ids.MAX_MESSAGES),
        "SM" + "0" * 32,
        "MM" + "f" * 32,
    ):
        answer = await world.client.get(f"/v1/Messages/Seek/{unknown}")
        assert (answer.status, answer.codes) == (404, [20404]), unknown
        conforms(answer.json, "ErrorResponse")


@pytest.mark.parametrize("name", ["x", "SM", "SM" + "0" * 31, "SM" + "g" * 32, "sm" + "0" * 32, UNKNOWN_MESSAGE, "%00"])
async def test_what_is_no_attempts_id_is_a_400(name: str, still: Any, conforms: Any) -> None:
    answer = await still.get(f"/v1/Messages/Seek/{name}")

    assert answer.status == 400
    conforms(answer.json, "ErrorResponse")


async def test_a_message_has_one_receipt_for_its_one_recipient(world: Any, conforms: Any) -> None:
    operation_id = await world.client.sent(to=[WHATSAPP])
    await world.change(operation_id, 0, state=int(MessageState.READ), updated_at=1_800_000_000_000_000)
    (message,) = await world.client.listed()

    answer = await world.client.get(f"/v1/Messages/{message['id']}/Receipts")

    conforms(answer.json, "ReceiptPage")
    (receipt,) = answer.json["receipts"]
    assert receipt == {"to": WHATSAPP, "status": "READ", "updatedAt": "2027-01-15T08:00:00.000Z"}
    assert answer.json["pagination"]["next"] is None
    again = f"/v1/Messages/{message['id']}/Receipts?pageToken={answer.json['pagination']['self']}"
    assert (await world.client.get(again)).json == answer.json
    assert (await world.client.get(f"/v1/Messages/{message['id']}/Receipts?pageToken=x")).status == 400


async def failed(world: Any) -> str:
    """An operation of four recipients: two that nobody reaches, one that failed, one that did not."""
    pool_id = await world.client.pool_of("+12034458910")
    operation_id: str = await world.client.sent(to=[WHATSAPP, PHONE, WHATSAPP, PHONE], origin={"senderPoolId": pool_id})
    await world.change(operation_id, 1, state=int(MessageState.FAILED), error_code=21610)
    return operation_id


async def test_errors_are_recipients_without_a_message_and_messages_that_failed(world: Any, conforms: Any) -> None:
    operation_id = await failed(world)

    answer = await world.client.get(f"/v1/Messages/Operations/{operation_id}/Errors")

    conforms(answer.json, "OperationErrorPage")
    first, second, third = answer.json["errors"]
    assert (first["code"], first["context"], first["to"]) == (21703, "$.to[0]", WHATSAPP)
    assert (second["code"], second["context"], second["to"]) == (21703, "$.to[2]", WHATSAPP)
    assert "messageId" not in first
    assert first["message"] == "no active sender of this pool reaches this kind of address"
    assert first["infoUrl"] == f"{BASE}/docs/errors/21703"
    assert (third["code"], third["to"]) == (21610, PHONE)
    assert "context" not in third
    fetched = (await world.client.get(f"/v1/Messages/{third['messageId']}")).json
    assert (fetched["status"], fetched["related"][0]["id"]) == ("FAILED", operation_id)
    stats = (await world.client.get(f"/v1/Messages/Operations/{operation_id}")).json["stats"]
    assert (stats["unaddressable"], stats["total"]) == (2, 2)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("version", ["v1", "preview"])
async def test_pages_of_errors_end(size: int, version: str, world: Any) -> None:
    path = f"/{version}/Messages/Operations/{await failed(world)}/Errors"
    whole = (await world.client.get(path)).json["errors"]
    found: list[Any] = []
    token = ""

    while True:
        page = (await world.client.get(f"{path}?pageSize={size}{token}")).json
        again = quote(page["pagination"]["self"], safe="")
        assert (await world.client.get(f"{path}?pageSize={size}&pageToken={again}")).json["errors"] == page["errors"]
        found += page["errors"]
        assert len(page["errors"]) <= size
        if page["pagination"]["next"] is None:
            break
        token = f"&pageToken={page['pagination']['next']}"

    assert found == whole
    assert len(whole) == 3


async def test_an_operation_without_errors_lists_none(client: Any, conforms: Any) -> None:
    answer = await client.get(f"/v1/Messages/Operations/{await client.sent()}/Errors")

    conforms(answer.json, "OperationErrorPage")
    assert answer.json["errors"] == []


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/Messages/{UNKNOWN_MESSAGE}/Receipts",
        "/v1/Messages/comms_message_123/Receipts",
        f"/v1/Messages/Operations/{UNKNOWN_OPERATION}/Errors",
        "/v1/Messages/Operations/comms_operation_123/Errors",
        "/v1/Messages/Operations/x/Errors",
    ],
)
async def test_nothing_hangs_below_what_does_not_exist(path: str, still: Any, conforms: Any) -> None:
    answer = await still.get(path)

    assert answer.status == 404
    conforms(answer.json, "ErrorResponse")


async def test_another_accounts_attempts_receipts_and_errors_look_unknown(world: Any) -> None:
    operation_id = await world.client.sent()
    await world.tried(operation_id, 1, "+12034458910", AttemptState.DELIVERED)
    (message,) = await world.client.listed()

    for path, unknown in (
        (f"/v1/Messages/Seek/{sid(operation_id, 1)}", "/v1/Messages/Seek/SM" + "0" * 32),
        (f"/v1/Messages/{message['id']}/Receipts", f"/v1/Messages/{UNKNOWN_MESSAGE}/Receipts"),
        (f"/v1/Messages/Operations/{operation_id}/Errors", f"/v1/Messages/Operations/{UNKNOWN_OPERATION}/Errors"),
    ):
        assert (await world.client.get(path)).status in (200, 301)
        foreign, nobodys = await world.other.get(path), await world.other.get(unknown)
        assert (foreign.status, foreign.body) == (nobodys.status, nobodys.body) == (404, nobodys.body)
