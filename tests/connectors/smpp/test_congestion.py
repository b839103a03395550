"""A carrier that says how busy it is slows its connection down, and lets it go on at full pace again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sendpool.connectors.base import CarrierId, ConnectionSettings
from sendpool.connectors.smpp.congestion import pace_at, state_in
from sendpool.connectors.smpp.connector import SmppConnector
from sendpool.connectors.smpp.pdu import Command, MessageId, Pdu, Status, Tag, encode, encode_tlvs
from sendpool.simulate.centre import MessageCentre
from sendpool.simulate.script import Script, parse_fault
from sendpool.testing.inbox import RecordingInbox

if TYPE_CHECKING:
    from tests.connectors.smpp.conftest import Link, Rig


@pytest.mark.parametrize(
    ("state", "pace"), [(0, 1.0), (79, 1.0), (80, 1.0), (88, 0.525), (95, 0.109375), (96, 0.0), (100, 0.0)]
)
def test_the_pace_falls_from_eighty_and_stops_at_ninety_six(state: int, pace: float) -> None:
    assert pace_at(state) == pytest.approx(pace)


@pytest.mark.parametrize(
    ("octets", "state"),
    [
        (encode_tlvs({0x001D: b"busy\0", Tag.CONGESTION_STATE: b"\x5a"}), 90),
        (encode_tlvs({Tag.CONGESTION_STATE: b"\xff"}), 100),
        (encode_tlvs({Tag.CONGESTION_STATE: b""}), None),
        (encode_tlvs({0x001D: b"busy\0"}), None),
        (b"\x04\x28\x00", None),
        (b"", None),
    ],
)
def test_the_state_is_found_among_other_tlvs(octets: bytes, state: int | None) -> None:
    assert state_in(octets) == state


def answer(link: Link, place: int, state: int, status: int = 0) -> Pdu:
    body = MessageId("" if status else f"m{place}", {int(Tag.CONGESTION_STATE): bytes((state,))})
    return Pdu(Command.SUBMIT_SM_RESP, status, link.submits[place].sequence, body)


async def test_answers_of_one_read_tell_their_last_state_once(rig: Rig) -> None:
    connector = await rig.opened()
    await connector.submit([rig.submission(n) for n in range(6)])
    link = rig.centre.link
    await rig.until(lambda: len(link.submits) == 6)

    link.send(answer(link, 0, 50), answer(link, 1, 95), answer(link, 2, 88))
    await rig.until(lambda: len(rig.inbox.outcome_list) == 3)
    link.send(answer(link, 3, 88, Status.RTHROTTLED))
    await rig.until(lambda: len(rig.inbox.outcome_list) == 4)
    assert rig.inbox.paces == [pace_at(88)]
    link.send(answer(link, 4, 100))
    await rig.until(lambda: len(rig.inbox.outcome_list) == 5)
    link.send(answer(link, 5, 100))
    await rig.until(lambda: len(rig.inbox.outcome_list) == 6)

    assert rig.inbox.paces == [pace_at(88), 0.0, 0.0]
    assert [outcome for _, _, outcome in rig.inbox.outcome_list][:2] == [CarrierId("m0"), CarrierId("m1")]


async def test_the_answer_to_a_sign_of_life_tells_it_too(rig: Rig) -> None:
    rig.centre.silent_on = {Command.ENQUIRE_LINK}
    await rig.opened(enquire_link=5)
    link = rig.centre.link
    await rig.until(lambda: bool(link.of(Command.ENQUIRE_LINK)), 10)

    tlvs = encode_tlvs({Tag.CONGESTION_STATE: b"\x55"})
    head = encode(Pdu(Command.ENQUIRE_LINK_RESP, 0, link.of(Command.ENQUIRE_LINK)[0].sequence))
    link.send_octets((16 + len(tlvs)).to_bytes(4) + head[4:] + tlvs)
    await rig.until(lambda: bool(rig.inbox.paces))

    assert rig.inbox.paces == [pace_at(0x55)]


async def test_the_busiest_of_several_binds_counts_and_a_new_one_begins_free(rig: Rig) -> None:
    connector = await rig.opened(binds=2)
    await rig.until(lambda: rig.inbox.window == 20)
    first, second = rig.centre.links
    await connector.submit([rig.submission(n) for n in range(4)])
    await rig.until(lambda: len(first.submits) == len(second.submits) == 2)

    first.send(answer(first, 0, 90))
    await rig.until(lambda: len(rig.inbox.paces) == 1)
    second.send(answer(second, 0, 85))
    await asyncio.sleep(1)
    assert rig.inbox.paces == [pace_at(90)]
    first.send(answer(first, 1, 20))
    await rig.until(lambda: len(rig.inbox.paces) == 2)

    assert rig.inbox.paces == [pace_at(90), pace_at(85)]


async def test_a_simulated_centre_tells_its_load(rig: Rig) -> None:
    inbox = RecordingInbox()
    async with MessageCentre(Script(port=0, faults=(parse_fault("congested state=90 until=5"),))) as centre:
        options = {"host": "127.0.0.1", "port": centre.port, "system_id": "pool1"}
        connector = SmppConnector(ConnectionSettings(name="a", type="smpp", options=options))
        await connector.open(inbox)
        await inbox.wait_for(lambda inbox: inbox.is_up)
        await connector.submit([rig.submission(1)])
        await inbox.wait_for(lambda inbox: bool(inbox.paces))
        await connector.close()

    assert inbox.paces == [pace_at(90)]
