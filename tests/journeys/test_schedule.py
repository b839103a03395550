"""Over HTTP and kill -9: what is scheduled goes out on time and once, what is canceled never does, a key stands."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.journeys.conftest import AUTHORIZATION

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig

SENDERS = [("+12034458910", 500.0)]


async def test_schedules_keys_and_cancels_outlive_a_kill(rig: Rig) -> None:
    centre = await rig.centre(receipt_delay=0.1)
    server = await rig.server(rig.smpp("carrier", centre.port, SENDERS))
    pool = await server.pool()
    due = datetime.now(UTC) + timedelta(seconds=15)
    body = {
        "from": {"senderPoolId": pool},
        "content": {"text": "Hello"},
        "schedule": {"sendAt": [due.isoformat()]},
    }
    small = {**body, "to": [{"address": phone, "channel": "PHONE"} for phone in rig.phones(20)]}
    large = {**body, "to": [{"address": phone, "channel": "PHONE"} for phone in rig.phones(700, 100)]}
    keyed = {"Authorization": AUTHORIZATION, "Content-Type": "application/json", "Idempotency-Key": "once"}
    first = await server.ask("POST", "/v1/Messages", json.dumps(small).encode(), keyed)
    canceled = (await server.call("POST", "/v1/Messages", large))["operationId"]
    kept = (await server.call("POST", "/v1/Messages", large))["operationId"]
    await server.call("POST", f"/v1/Messages/Operations/{canceled}/Cancel", {}, 202)

    await server.kill()
    await server.start()
    again = await server.ask("POST", "/v1/Messages", json.dumps(small).encode(), keyed)
    assert (again.status, again.json["operationId"]) == (202, first.json["operationId"])
    operation = again.json["operationId"]
    assert (await server.operation(kept))["status"] == "SCHEDULED"
    assert (await server.operation(canceled))["status"] == "CANCELED"
    assert centre.submits == [], "the server was back before its time"
    assert datetime.now(UTC) < due

    await server.wait_stats(operation, delivered=20)
    await server.wait_stats(kept, delivered=700)
    assert datetime.now(UTC) >= due
    assert (await server.stats(canceled))["canceled"] == 700
    assert len(centre.submits) == 720
    for one in (operation, kept):
        assert (await server.operation(one))["status"] == "COMPLETED"
