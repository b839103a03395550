"""Commands while the server runs, while it does not, and right after it was killed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig

SENDER = "+12034458910"


async def test_commands_reach_the_running_server_and_the_database_of_one_that_does_not_run(rig: Rig) -> None:
    server = await rig.server(rig.sandbox([("SMS", SENDER, 10)]))

    made = await rig.command(server, "accounts", "create", "Sales")
    refused = await rig.command(server, "accounts", "rename", "AC" + "9" * 32, "x", status=1)
    assert refused.startswith("sendpool: there is no account AC999")
    assert refused.count("\n") == 1
    assert len(server.events("command carried out")) == 1

    assert await server.stop() == 0
    assert not server.database.with_name("journey.db.sock").exists()
    await rig.command(server, "accounts", "rename", made["sid"], "Support")

    await server.start()
    await server.kill()
    assert server.database.with_name("journey.db.sock").exists()
    listed = await rig.command(server, "accounts", "list")
    assert [one["name"] for one in listed] == ["", "Support"]

    await server.start()
    assert await rig.command(server, "accounts", "list") == listed
    assert made["authToken"] not in server.log_text()


async def test_imported_people_are_sent_to_at_once_and_go_on_to_their_next_address(rig: Rig, tmp_path: Path) -> None:
    server = await rig.server(rig.sandbox([("SMS", SENDER, 10), ("WHATSAPP", "+12034458912", 10)]))
    profile, store = "mem_profile_01h9krwprkeee8fzqspvwy6nq8", "mem_store_01h9krwprkeee8fzqspvwy6nq8"
    people = tmp_path / "people.csv"
    people.write_text(
        f"profile_id,store_id,phone,whatsapp,firstName\n{profile},{store},+15005550003,+447700900001,Ana\n"
    )

    imported = await rig.command(server, "profiles", "import", str(people))
    variables = {"name": "${Twilio.Profile.firstName}"}
    pool = await server.pool()
    sent = await server.send(pool, [{"profileId": profile, "variables": variables}], "Hi {{ name }}")
    await server.wait_stats(sent, delivered=1)

    assert imported == {"created": 1, "updated": 0, "unchanged": 0, "errors": []}
    (message,) = await server.fetch_all(sent)
    assert [(one["channel"], one["status"]) for one in message["attempts"]] == [
        ("SMS", "FAILED"),
        ("WHATSAPP", "DELIVERED"),
    ]
    assert message["to"][0]["address"] == "+447700900001"
    assert message["content"] == {"text": "Hi Ana"}


async def test_a_server_that_cannot_take_commands_serves_all_the_same(rig: Rig) -> None:
    server = await rig.server(rig.sandbox([("SMS", SENDER, 10)]), start=False)
    server.database.with_name("journey.db.sock").write_text("precious")

    await server.start()

    assert (await server.senders())[SENDER]["status"] == "ACTIVATED"
    (line,) = server.events("no commands are taken", "error")
    assert "is no socket; move it away" in line["error"]
    assert await server.stop() == 0
    assert server.database.with_name("journey.db.sock").read_text() == "precious"


async def test_what_happened_is_listed_as_events(rig: Rig) -> None:
    server = await rig.server(rig.sandbox([("SMS", SENDER, 10)]))
    operation = await server.send(await server.pool(), rig.phones(1))
    await server.wait_stats(operation, delivered=1)

    listed = await rig.command(server, "events")

    assert [one["event"]["type"].removeprefix("com.twilio.comms-api.") for one in listed][:2] == [
        "operation.processing",
        "message.queued",
    ]
    assert {one["event"]["data"]["operation_id"] for one in listed} == {operation}
    rest = await rig.command(server, "events", "--after", str(listed[1]["position"]))
    assert rest == listed[2:]
