"""Pairs of transmitter and receiver, and several binds: who carries what, and what a lost bind takes with it."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from tests.connectors.smpp.conftest import OURS, PERSON

from sendpool.connectors.base import CarrierId, ConnectionSettings, SenderSettings, Unavailable, Uncertain
from sendpool.connectors.smpp.connector import SmppConnector
from sendpool.connectors.smpp.pdu import RESPONSE, BindResp, Command, MessageId, Pdu, Sm, Status
from sendpool.domain.sender import Channel
from sendpool.simulate.centre import MessageCentre
from sendpool.simulate.script import Script
from sendpool.testing.inbox import RecordingInbox

if TYPE_CHECKING:
    from tests.connectors.smpp.conftest import Link, Rig

PAIR: dict[str, Any] = {"bind": "transmitter+receiver"}


async def bound(rig: Rig, wanted: int, **options: Any) -> SmppConnector:
    """A connector all of whose binds stand."""
    connector = await rig.opened(**options)
    await rig.until(lambda: len(rig.centre.links) == wanted and all(link.bound_as for link in rig.centre.links))
    await rig.until(lambda: bool(rig.inbox.links[-1].detail.startswith(f"{wanted} of {wanted}")) or wanted == 1)
    return connector


def links_of(rig: Rig, command: Command) -> list[Link]:
    return [link for link in rig.centre.links if link.bound_as == command and not link.lost]


async def test_a_pair_submits_by_one_and_hears_by_the_other(rig: Rig) -> None:
    rig.centre.answers_submits = True
    connector = await bound(rig, 2, **PAIR)
    (transmitter,) = links_of(rig, Command.BIND_TRANSMITTER)
    (receiver,) = links_of(rig, Command.BIND_RECEIVER)

    await connector.submit([rig.submission(1)])
    receiver.send(rig.receipt(1, "1"), rig.inbound(2, "STOP"))
    await rig.until(lambda: bool(rig.inbox.texts and rig.inbox.stored and rig.inbox.outcome_list))

    assert (len(transmitter.submits), receiver.submits) == (1, [])
    assert rig.inbox.outcome_list[0][2] == CarrierId("1")
    await rig.until(lambda: len(receiver.of(Command.DELIVER_SM_RESP)) == 2)
    assert [link[:2] for link in rig.inbox.links] == [(True, 10)]


async def test_a_pair_is_up_only_when_both_are(rig: Rig) -> None:
    rig.centre.silent_on = {Command.BIND_TRANSMITTER}
    connector = rig.connector(**PAIR)
    await connector.open(rig.inbox)
    await rig.until(lambda: len(rig.centre.links) == 2)

    await connector.submit([rig.submission(1)])
    assert rig.inbox.outcome_list[0][2] == Unavailable("no bound session")
    assert rig.inbox.links == []

    (late,) = (link for link in rig.centre.links if link.bound_as == Command.BIND_TRANSMITTER)
    late.send(Pdu(Command.BIND_TRANSMITTER | RESPONSE, 0, late.received[0].sequence, BindResp(system_id="centre")))
    await rig.until(lambda: rig.inbox.is_up)
    assert rig.inbox.links[-1].detail == "2 of 2 binds are up"


async def test_a_lost_receiver_stops_new_submits_and_loses_no_answer(rig: Rig) -> None:
    connector = await bound(rig, 2, **PAIR)
    (transmitter,) = links_of(rig, Command.BIND_TRANSMITTER)
    (receiver,) = links_of(rig, Command.BIND_RECEIVER)
    await connector.submit([rig.submission(1)])
    await rig.until(lambda: len(transmitter.submits) == 1)

    rig.centre.silent_on = {Command.BIND_RECEIVER}
    receiver.cut()
    await rig.until(lambda: not rig.inbox.is_up)
    await connector.submit([rig.submission(2)])
    transmitter.send(Pdu(Command.SUBMIT_SM_RESP, 0, transmitter.submits[0].sequence, MessageId("m1")))
    await rig.until(lambda: len(rig.inbox.outcome_list) == 2)

    assert [(key.message_id, outcome) for key, _, outcome in rig.inbox.outcome_list] == [
        (2, Unavailable("no bound session")),
        (1, CarrierId("m1")),
    ]
    assert rig.inbox.links[-1].detail == "the receiver: the carrier closed the link"


async def test_a_lost_transmitter_leaves_what_was_written_uncertain_and_receipts_go_on(rig: Rig) -> None:
    connector = await bound(rig, 2, window=1, **PAIR)
    (transmitter,) = links_of(rig, Command.BIND_TRANSMITTER)
    (receiver,) = links_of(rig, Command.BIND_RECEIVER)
    await connector.submit([rig.submission(1), rig.submission(2)])
    await rig.until(lambda: len(transmitter.submits) == 1)

    transmitter.cut()
    await rig.until(lambda: len(rig.inbox.outcome_list) == 2)
    receiver.send(rig.receipt(1, "m1"))
    await rig.until(lambda: bool(rig.inbox.stored))

    kinds = [(key.message_id, type(outcome)) for key, _, outcome in rig.inbox.outcome_list]
    assert kinds == [(1, Uncertain), (2, Unavailable)]
    await rig.until(lambda: rig.inbox.is_up)


async def test_binds_share_the_work_and_begin_one_after_the_other(rig: Rig) -> None:
    began = asyncio.get_running_loop().time()
    times: list[float] = []
    connector = rig.connector(binds=3, window=4)
    await connector.open(rig.inbox)
    for n in range(3):
        await rig.until_more_links_than(n, 5)
        times.append(asyncio.get_running_loop().time() - began)
    await rig.until(lambda: rig.inbox.window == 12)

    await connector.submit([rig.submission(n) for n in range(6)])
    await rig.until(lambda: sum(len(link.submits) for link in rig.centre.links) == 6)
    assert [len(link.submits) for link in rig.centre.links] == [2, 2, 2]
    for n in range(6, 9):
        await connector.submit([rig.submission(n)])
    await rig.until(lambda: sum(len(link.submits) for link in rig.centre.links) == 9)

    assert [len(link.submits) for link in rig.centre.links] == [3, 3, 3]
    assert all(later - sooner >= 0.2 for sooner, later in pairwise(times))


async def test_a_lost_bind_takes_only_its_own_with_it(rig: Rig) -> None:
    connector = await bound(rig, 2, binds=2, window=2)
    await connector.submit([rig.submission(n, str(n)) for n in range(7)])
    first, second = rig.centre.links
    await rig.until(lambda: len(first.submits) == len(second.submits) == 2)
    on_first = {int(pdu.body.short_message) for pdu in first.submits if isinstance(pdu.body, Sm)}

    rig.centre.answers_submits = True
    first.cut()
    await rig.until(lambda: len(rig.inbox.outcome_list) == 2)
    uncertain = {key.message_id for key, _, outcome in rig.inbox.outcome_list if isinstance(outcome, Uncertain)}
    assert uncertain == on_first
    assert rig.inbox.links[-1] == (True, 2, "1 of 2 binds are up")

    for pdu in list(second.submits):
        second.send(Pdu(Command.SUBMIT_SM_RESP, 0, pdu.sequence, MessageId(f"m{pdu.sequence}")))
    await rig.until(lambda: len(rig.inbox.outcome_list) == 7)
    others = {key.message_id for key, _, outcome in rig.inbox.outcome_list if isinstance(outcome, CarrierId)}
    assert others == set(range(7)) - on_first
    await rig.until(lambda: rig.inbox.links[-1] == (True, 4, "2 of 2 binds are up"))


async def test_room_of_a_lost_bind_goes_to_the_others_where_they_share_it(rig: Rig) -> None:
    connector = await bound(rig, 2, binds=2, window=2, window_of="connection")
    assert rig.inbox.window == 2
    await connector.submit([rig.submission(n) for n in range(4)])
    first, second = rig.centre.links
    await rig.until(lambda: len(first.submits) == len(second.submits) == 1)
    await asyncio.sleep(1)
    assert len(first.submits) == len(second.submits) == 1, "two are unanswered already"

    rig.centre.silent_on = {Command.BIND_TRANSCEIVER}
    first.cut()
    await rig.until(lambda: len(second.submits) == 2)
    await asyncio.sleep(1)

    assert len(second.submits) == 2


async def test_a_carrier_that_allows_fewer_binds_is_used_with_those(rig: Rig) -> None:
    rig.centre.answers_submits = True
    connector = rig.connector(binds=2)
    await connector.open(rig.inbox)
    await rig.until(lambda: rig.inbox.is_up)
    rig.centre.bind_status = Status.RALYBND
    await rig.until(lambda: len(rig.centre.links) == 2)
    await connector.submit([rig.submission(n) for n in range(3)])
    await rig.until(lambda: len(rig.inbox.outcome_list) == 3)

    assert all(isinstance(outcome, CarrierId) for _, _, outcome in rig.inbox.outcome_list)
    assert [link[:2] for link in rig.inbox.links] == [(True, 10)]


async def test_without_any_bind_the_reason_is_told_once(rig: Rig) -> None:
    rig.centre.bind_status = Status.RSYSERR
    await rig.connector(binds=3, reconnect_max=2).open(rig.inbox)
    await asyncio.sleep(30)

    assert len(rig.centre.links) > 20
    assert rig.inbox.links == [(False, 0, "bind refused: system error (0x08)")]


async def test_receipts_and_texts_reach_two_pairs_at_a_whole_centre() -> None:
    senders = (SenderSettings(channel=Channel.SMS, address=OURS),)
    inbox = RecordingInbox()
    async with MessageCentre(Script(port=0, receipt_delay=0.1)) as centre:
        access = {"host": "127.0.0.1", "port": centre.port, "system_id": "pool1", "binds": 2, **PAIR}
        connector = SmppConnector(ConnectionSettings(name="a", type="smpp", senders=senders, options=access))
        await connector.open(inbox)
        await inbox.wait_for(lambda inbox: inbox.window == 20)
        assert await centre.send_text(PERSON, OURS, "STOP") == 0
        await connector.close()

    assert [text.text for text in inbox.texts] == ["STOP"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bind": "receiver"}, "key 'bind': invalid enum value 'receiver'"),
        ({"binds": 0}, "key 'binds': expected int >= 1"),
        ({"window_of": "all"}, "key 'window_of': invalid enum value 'all'"),
    ],
)
def test_bad_settings_are_named(options: dict[str, Any], message: str) -> None:
    access = {"host": "smsc.example", "system_id": "pool1"}
    with pytest.raises(ValueError) as caught:
        SmppConnector.check(ConnectionSettings(name="a", type="smpp", options={**access, **options}))

    assert str(caught.value).startswith(message)
