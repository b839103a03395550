"""`.../Cancel`: what waits is canceled, what has left is a conflict, and what is somebody else's is unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.api.conftest import PHONE, World

from sendpool.domain.states import AttemptState, MessageState

OTHERS = {"address": "+19143188063", "channel": "PHONE"}
NUMBER = "+12034458910"
UNKNOWN = "comms_operation_01h9krwprkeee8fzqspvwy6nq8"
UNKNOWN_MESSAGE = "comms_message_01h9krwprkeee8fzqspvwy6nq8"


def later(world: World) -> dict[str, Any]:
    """A schedule of some days from now."""
    moment = datetime.fromtimestamp(world.services.now() / 1e6, UTC) + timedelta(days=3)
    return {"sendAt": [moment.isoformat(timespec="seconds")]}


async def test_a_scheduled_operation_is_canceled_with_all_of_its_messages(world: World, conforms: Any) -> None:
    client = world.client
    operation_id = await client.sent(to=[PHONE, OTHERS], schedule=later(world))
    (one, _) = await client.listed()
    assert (one["status"], one["scheduledFor"] is None) == ("SCHEDULED", False)
    conforms(one, "MessageMetadata")

    answer = await client.post(f"/v1/Messages/Operations/{operation_id}/Cancel", b"")

    assert answer.status == 202
    conforms(answer.json, "OperationReference")
    location = f"http://localhost:8080/v1/Messages/Operations/{operation_id}"
    assert answer.json == {"operationId": operation_id, "operationLocation": location}
    assert answer.headers["operation-location"] == location
    operation = (await client.get(f"/v1/Messages/Operations/{operation_id}")).json
    conforms(operation, "MessageOperation")
    assert operation["status"] == "CANCELED"
    assert {name: n for name, n in operation["stats"].items() if n} == {"total": 2, "recipients": 2, "canceled": 2}
    assert [one["status"] for one in await client.listed("?status=CANCELED")] == ["CANCELED"] * 2


@pytest.mark.parametrize("path", ["Messages", "Emails"])
async def test_one_of_either_kind_is_canceled_and_may_be_again(path: str, world: World) -> None:
    client = world.client
    await (client.mailed if path == "Emails" else client.sent)(schedule=later(world))
    (one,) = await (client.mails if path == "Emails" else client.listed)()

    for _ in range(2):
        answer = await client.post(f"/preview/{path}/{one['id']}/Cancel", {})
        assert answer.status == 202
        location = f"http://localhost:8080/preview/{path}/{one['id']}"
        assert answer.json == {"resourceId": one["id"], "resourceLocation": location}

    assert (await client.get(f"/v1/{path}/{one['id']}")).json["status"] == "CANCELED"


async def test_an_email_operation_is_canceled(world: World) -> None:
    operation_id = await world.client.mailed(schedule=later(world))

    answer = await world.client.post(f"/v1/Emails/Operations/{operation_id}/Cancel", b"")

    assert answer.status == 202
    assert answer.json["operationLocation"].endswith(f"/v1/Emails/Operations/{operation_id}")
    assert (await world.client.get(f"/v1/Emails/Operations/{operation_id}")).json["status"] == "CANCELED"
    assert (await world.client.post(f"/v1/Messages/Operations/{operation_id}/Cancel", b"")).status == 404


async def test_a_message_that_has_left_is_a_conflict_that_says_so(world: World, conforms: Any) -> None:
    operation_id = await world.client.sent()
    await world.tried(operation_id, 1, NUMBER, AttemptState.ACCEPTED)
    await world.change(operation_id, 0, address=NUMBER, state=int(MessageState.SENT), attempts=1)
    (one,) = await world.client.listed()

    answer = await world.client.post(f"/v1/Messages/{one['id']}/Cancel", b"")

    assert answer.status == 409
    conforms(answer.json, "ErrorResponse")
    assert answer.codes == [20409]
    assert "is SENT" in answer.json["message"]
    assert (await world.client.get(f"/v1/Messages/{one['id']}")).json["status"] == "SENT"


async def test_what_is_unknown_malformed_or_somebody_elses_is_not_found(world: World) -> None:
    operation_id = await world.client.sent(schedule=later(world))
    (one,) = await world.client.listed()

    paths = [f"Operations/{UNKNOWN}", "Operations/x", UNKNOWN_MESSAGE, "x"]
    for path in paths:
        assert (await world.client.post(f"/v1/Messages/{path}/Cancel", b"")).status == 404
    for path in (f"Operations/{operation_id}", one["id"]):
        assert (await world.other.post(f"/v1/Messages/{path}/Cancel", b"")).status == 404
    assert (await world.client.listed())[0]["status"] == "SCHEDULED"
    assert (await world.client.get(f"/v1/Messages/{one['id']}/Cancel")).status == 405
