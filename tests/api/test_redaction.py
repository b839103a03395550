"""DELETE /Messages/{id}: nothing personal of a message stays; what it counts does."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sendpool.connectors.base import Inbound
from sendpool.domain import ids
from sendpool.domain.sender import Channel
from sendpool.domain.states import AttemptState, MessageState
from sendpool.pipeline.receive import Arrival
from sendpool.store.database import Query, Script

NUMBER = "+19143188062"
PHONE = {"address": NUMBER, "channel": "PHONE"}
OTHER = {"address": "+19143188063", "channel": "PHONE"}
OURS = "+12034458910"
TEXT = "Your code is 4711"


async def ended(world: Any, state: MessageState = MessageState.DELIVERED, **body: Any) -> tuple[str, list[str]]:
    """Send; bring every message into *state* with one attempt; the operation's id and the messages' in order."""
    operation_id = await world.client.sent(**{"content": {"text": TEXT}, **body})
    of_attempt = AttemptState.DELIVERED if state is MessageState.DELIVERED else AttemptState.ACCEPTED
    for index in range(len(body.get("to", [PHONE]))):
        await world.change(operation_id, index, address=OURS, state=int(state), attempts=1)
        if index == 0:
            await world.tried(operation_id, 1, OURS, of_attempt)
    listed = await world.client.listed(f"?operationId={operation_id}")
    return operation_id, [one["id"] for one in reversed(listed)]


async def test_a_deleted_message_has_no_text_and_no_number_but_keeps_its_story(world: Any, conforms: Any) -> None:
    client = world.client
    operation_id, (message_id,) = await ended(world, tags={"campaign": "launch"})
    stats = (await client.get(f"/v1/Messages/Operations/{operation_id}")).json["stats"]

    answer = await client.delete(f"/v1/Messages/{message_id}")

    assert answer.status == 202
    assert answer.json == {
        "resourceId": message_id,
        "resourceLocation": f"http://localhost:8080/v1/Messages/{message_id}",
    }
    shown = (await client.get(f"/v1/Messages/{message_id}")).json
    conforms(shown, "Message")
    assert shown["content"] == {}
    assert shown["to"] == [{"address": "", "channel": "PHONE"}]
    assert shown["deletedAt"] is not None
    assert (shown["status"], shown["tags"]) == ("DELIVERED", {"campaign": "launch"})
    assert [(one["status"], one["to"][0]["address"]) for one in shown["attempts"]] == [("DELIVERED", "")]
    (listed,) = await client.listed()
    assert (listed["deletedAt"], listed["to"]) == (shown["deletedAt"], shown["to"])
    assert (await client.get(f"/v1/Messages/Operations/{operation_id}")).json["stats"] == stats


async def test_deleting_twice_is_as_good_as_once(world: Any) -> None:
    client = world.client
    _, (message_id,) = await ended(world)
    await client.delete(f"/v1/Messages/{message_id}")
    first = (await client.get(f"/v1/Messages/{message_id}")).json

    assert (await client.delete(f"/preview/Messages/{message_id}")).status == 202
    assert (await client.get(f"/v1/Messages/{message_id}")).json == first


async def test_shared_content_goes_with_the_last_message_that_shares_it(world: Any) -> None:
    client = world.client
    _, (first, second) = await ended(world, to=[PHONE, OTHER])

    await client.delete(f"/v1/Messages/{first}")

    assert (await client.get(f"/v1/Messages/{first}")).json["content"] == {}
    left = (await client.get(f"/v1/Messages/{second}")).json
    assert (left["content"], left["to"]) == ({"text": TEXT}, [OTHER])
    await client.delete(f"/v1/Messages/{second}")
    assert await stored(world, "SELECT content FROM operation_content") == [("{}",)]


async def stored(world: Any, sql: str) -> list[Any]:
    with closing(sqlite3.connect(world.engine.database.path)) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("total", [1, 2])
async def test_nothing_of_a_deleted_message_is_left_in_the_file(total: int, world: Any) -> None:
    client = world.client
    name, place = "Zebedee", "Llanfairpwll"
    long_text = " ".join([TEXT] * 80)  # Over a page of the file.
    _, messages = await ended(world, to=[PHONE, OTHER][:total], content={"text": long_text})
    await world.write(_personal(name, f'{{"place":"{place}"}}'))

    for message_id in messages:
        await client.delete(f"/v1/Messages/{message_id}")

    words = [NUMBER, OTHER["address"], TEXT, name, place]
    assert not any(word in bytes_of(world.engine.database.path) for word in words)


def _personal(name: str, variables: str) -> Script[None]:
    yield Query("UPDATE message SET name = ?, variables = ?", (name, variables))


def bytes_of(path: Path) -> str:
    """The file once all that is committed stands in it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.read_bytes().decode("latin-1")


@pytest.mark.parametrize(
    ("state", "attempt", "next_"),
    [
        (MessageState.SCHEDULED, None, None),
        (MessageState.QUEUED, None, None),
        (MessageState.QUEUED, AttemptState.STARTED, None),
        (MessageState.QUEUED, AttemptState.REJECTED, "failover/7"),
        (MessageState.SENT, AttemptState.STARTED, None),
        (MessageState.SENT, AttemptState.UNDELIVERED, "fallback/12"),
        (MessageState.SENT, AttemptState.AMBIGUOUS, "later/6"),
        (MessageState.SENT, AttemptState.WITHDRAWN, "later"),
    ],
)
async def test_what_is_still_to_be_sent_is_a_409_that_says_what_to_do(
    state: MessageState, attempt: AttemptState | None, next_: str | None, world: Any, conforms: Any
) -> None:
    client = world.client
    operation_id = await client.sent()
    await world.change(operation_id, 0, state=int(state), attempts=1)
    if attempt is not None:
        await world.tried(operation_id, 1, OURS, attempt, next=next_)
    (message,) = await client.listed()

    answer = await client.delete(f"/v1/Messages/{message['id']}")

    assert answer.status == 409
    conforms(answer.json, "ErrorResponse")
    assert answer.codes == [20409]
    assert "delete it once" in answer.json["message"]
    assert await client.listed() == [message]


@pytest.mark.parametrize("attempt", [AttemptState.ACCEPTED, AttemptState.AMBIGUOUS])
async def test_a_message_that_only_waits_for_its_receipt_may_go(attempt: AttemptState, world: Any) -> None:
    operation_id = await world.client.sent()
    await world.change(operation_id, 0, address=OURS, state=int(MessageState.SENT), attempts=1)
    await world.tried(operation_id, 1, OURS, attempt, next="wait/1")
    (message,) = await world.client.listed()

    assert (await world.client.delete(f"/v1/Messages/{message['id']}")).status == 202


async def test_an_inbound_message_may_go_too(world: Any, conforms: Any) -> None:
    roster = world.engine.roster
    sender = roster.sender_by_address[world.accounts[0].id, Channel.SMS, OURS]
    inbound = Inbound(sender=NUMBER, recipient=OURS, text=TEXT, channel=Channel.SMS, carrier_id="x", postback=TEXT)
    key = world.engine.acceptor.take_ids(1)
    await world.engine.arrivals([Arrival(key, sender.connection_id, inbound, sender, world.accounts[0].id)])
    (message,) = await world.client.listed()

    assert (await world.client.delete(f"/v1/Messages/{message['id']}")).status == 202

    shown = (await world.client.get(f"/v1/Messages/{message['id']}")).json
    conforms(shown, "Message")
    assert (shown["from"]["address"], shown["content"], shown["status"]) == ("", {}, "INBOUND")
    assert shown["to"] == message["to"]
    assert message["postback"] == TEXT
    assert "postback" not in shown

    def contents() -> Script[Any]:
        return (yield Query("SELECT content, origin FROM operation_content"))

    assert TEXT not in str(await world.engine.database.read(contents()))


@pytest.mark.parametrize("path", ["comms_message_01h9krwprkeee8fzqspvwy6nq8", "comms_message_1", "SM" + "0" * 32])
async def test_what_does_not_exist_cannot_be_deleted(path: str, client: Any, conforms: Any) -> None:
    answer = await client.delete(f"/v1/Messages/{path}")

    assert answer.status == 404
    conforms(answer.json, "ErrorResponse")


async def test_another_accounts_message_looks_unknown_and_stays(world: Any) -> None:
    _, (message_id,) = await ended(world)
    before = (await world.client.get(f"/v1/Messages/{message_id}")).json

    assert (await world.other.delete(f"/v1/Messages/{message_id}")).status == 404
    assert (await world.client.get(f"/v1/Messages/{message_id}")).json == before


async def test_a_position_beyond_an_operations_messages_names_no_message_of_the_next(world: Any) -> None:
    first, _ = await ended(world)
    await ended(world)
    uid = ids.parse_operation(first)
    assert uid is not None

    assert (await world.client.delete(f"/v1/Messages/{ids.message_id(uid, 1)}")).status == 404
    assert [one["deletedAt"] for one in await world.client.listed()] == [None, None]


async def test_a_deleted_message_shows_nothing_that_its_variables_filled_in(world: Any, conforms: Any) -> None:
    client = world.client
    to = [{**PHONE, "variables": {"name": "Zebedee"}}, {**OTHER, "variables": {"name": "Florence"}}]
    _, (first, second) = await ended(world, to=to, content={"text": "Hi {{name}}"}, tags={"who": "{{name}}"})
    assert (await client.get(f"/v1/Messages/{first}")).json["tags"] == {"who": "Zebedee"}

    await client.delete(f"/v1/Messages/{first}")

    shown = await client.get(f"/v1/Messages/{first}")
    conforms(shown.json, "Message")
    assert b"Zebedee" not in shown.body
    assert b"Zebedee" not in (await client.get("/v1/Messages")).body
    assert b"Zebedee" not in (await client.get(f"/v1/Messages/{first}/Receipts")).body
    assert NUMBER.encode() not in (await client.get(f"/v1/Messages/{first}/Receipts")).body
    assert (await client.get(f"/v1/Messages/{second}")).json["content"] == {"text": "Hi Florence"}
    assert "Zebedee" not in bytes_of(world.engine.database.path)


async def test_what_several_addresses_of_one_person_say_goes_with_the_message(world: Any, conforms: Any) -> None:
    client = world.client
    person = {"addresses": [PHONE, OTHER]}
    _, (message_id,) = await ended(world, to=[person])
    assert {one["address"] for one in (await client.get(f"/v1/Messages/{message_id}")).json["to"]} & {
        NUMBER,
        OTHER["address"],
    }

    await client.delete(f"/v1/Messages/{message_id}")

    shown = await client.get(f"/v1/Messages/{message_id}")
    conforms(shown.json, "Message")
    kept = bytes_of(world.engine.database.path)
    assert not any(number in kept or number in shown.body.decode() for number in (NUMBER, OTHER["address"]))
