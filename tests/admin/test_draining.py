from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sendpool.admin.commands import prepare
from sendpool.admin.protocol import Ask, CommandRefused
from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.domain.sender import Channel
from sendpool.store.begun import note_begun
from sendpool.store.database import Query, Script
from sendpool.store.senders import store_inventory

if TYPE_CHECKING:
    from tests.admin.conftest import Desk

A, B = "+12030000001", "+12030000002"


async def do(desk: Desk, command: str, **arguments: object) -> Any:
    prepared = prepare(Ask(command, arguments), desk.context())
    return await (desk.engine.change(prepared.script) if prepared.writes else desk.database.read(prepared.script()))


def connection(name: str, *senders: tuple[Channel, str]) -> ConnectionSettings:
    declared = tuple(SenderSettings(channel=channel, address=address, mps=1.0) for channel, address in senders)
    return ConnectionSettings(name=name, type="smpp", senders=declared)


@pytest.fixture
async def there(desk: Desk) -> Desk:
    """A desk with two connections: SMS and RCS of one address on one, another address on the other."""
    one = connection("one", (Channel.SMS, A), (Channel.RCS, A))
    await desk.engine.change(lambda: store_inventory(1, [one, connection("two", (Channel.SMS, B))], 1))
    return desk


def started(sender: str, first: int) -> Script[None]:
    """Attempts of a sender that wait for their result."""
    yield Query(
        "INSERT INTO attempt (id, sender_id, connection_id, channel, state, segments, reference, marks, started_at,"
        " updated_at) SELECT ?, id, connection_id, channel, 1, 1, 0, 0, 1, 1 FROM sender WHERE address = ?"
        " ORDER BY id LIMIT 1",
        (first, sender),
    )
    yield from note_begun([first])


async def test_a_connection_is_drained_once_nothing_is_in_flight(there: Desk) -> None:
    await there.database.write(started(A, 65))

    draining = await do(there, "connections.drain", name="one")
    await there.database.write(_settled())
    drained, other = await do(there, "connections.list")

    assert (draining["status"], draining["inFlight"]) == ("draining", 1)
    assert (drained["name"], drained["status"], drained["inFlight"]) == ("one", "drained", 0)
    assert drained["drainedAt"] == draining["drainedAt"] is not None
    assert (other["status"], other["drainedAt"]) == ("active", None)
    assert [sender.drained for sender in there.engine.roster.senders.values()] == [True, True, False]
    assert {row["status"] for row in await do(there, "senders.list")} == {"drained", "active"}

    again = await do(there, "connections.drain", name="one")
    assert again["drainedAt"] == draining["drainedAt"]
    assert (await do(there, "connections.resume", name="one"))["status"] == "active"
    assert not any(sender.drained for sender in there.engine.roster.senders.values())
    actions = [row["action"] for row in await do(there, "log.list", subject="one")]
    assert actions == ["connection.resumed", "connection.drained"]


def _settled() -> Script[None]:
    yield Query("UPDATE attempt SET state = 2")


async def test_a_sender_is_drained_on_all_of_its_channels_or_one(there: Desk) -> None:
    both = await do(there, "senders.drain", address=A)
    one = await do(there, "senders.resume", address=A, channel="RCS")

    assert [(row["channel"], row["status"]) for row in both] == [("RCS", "drained"), ("SMS", "drained")]
    assert [(row["channel"], row["status"]) for row in one] == [("RCS", "active")]
    rows = await do(there, "senders.list")
    assert [(row["address"], row["channel"], row["status"]) for row in rows] == [
        (A, "RCS", "active"),
        (A, "SMS", "drained"),
        (B, "SMS", "active"),
    ]
    assert len(await do(there, "log.list")) >= 3


async def test_a_sender_of_a_drained_connection_stays_drained_when_it_is_resumed_itself(there: Desk) -> None:
    await do(there, "connections.drain", name="two")
    await do(there, "senders.drain", address=B)

    (resumed,) = await do(there, "senders.resume", address=B)

    assert (resumed["status"], resumed["drainedAt"]) == ("drained", None)
    assert resumed["connectionDrainedAt"] is not None


async def test_a_changed_configuration_leaves_what_is_drained_so(there: Desk) -> None:
    await do(there, "senders.drain", address=B)

    await there.engine.change(lambda: store_inventory(1, [connection("two", (Channel.SMS, B))], 2))

    rows = await do(there, "senders.list")
    assert {(row["address"], row["status"]) for row in rows} == {(A, "gone"), (B, "drained")}


async def test_what_is_not_there_or_not_clear_is_refused(there: Desk) -> None:
    other = await do(there, "accounts.create")
    await there.engine.change(lambda: store_inventory(2, [connection("two", (Channel.SMS, B))], 2))

    with pytest.raises(CommandRefused, match='no connection "three"; `sendpool connections list`'):
        await do(there, "connections.drain", name="three")
    with pytest.raises(CommandRefused, match="no such sender"):
        await do(there, "senders.drain", address=B, channel="RCS")
    with pytest.raises(CommandRefused, match=r'2 accounts have a connection "two"; say which with --account'):
        await do(there, "connections.drain", name="two")
    with pytest.raises(CommandRefused, match="several accounts have the sender"):
        await do(there, "senders.drain", address=B)

    assert (await do(there, "connections.drain", name="two", account=other["sid"]))["accountSid"] == other["sid"]
    assert [row["status"] for row in await do(there, "senders.list", account=other["sid"])] == ["drained"]
