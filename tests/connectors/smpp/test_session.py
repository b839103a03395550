"""A session keeps to the window, its timers and its promises about acknowledgement."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING

import pytest

from sendpool.connectors.base import (
    AttemptKey,
    CarrierId,
    Outcome,
    Receipt,
    ReceiptState,
    Rejected,
    Throttled,
    Unavailable,
    Uncertain,
)
from sendpool.connectors.smpp.pdu import Bind, Command, MessageId, Pdu, Sm, Status, Tag, encode, header
from sendpool.domain.failures import FailureClass

if TYPE_CHECKING:
    from tests.connectors.smpp.conftest import Rig


def outcomes(rig: Rig) -> list[tuple[int, int, Outcome]]:
    return [(attempt.message_id, part, outcome) for attempt, part, outcome in rig.inbox.outcome_list]


# Binding


async def test_bind_carries_the_credentials(rig: Rig) -> None:
    await rig.opened(system_type="VMS", window=7)

    assert rig.centre.link.received[0] == Pdu(
        Command.BIND_TRANSCEIVER, 0, 1, Bind(system_id="pool1", password="secret08", system_type="VMS")
    )
    assert rig.inbox.links[-1][:2] == (True, 7)
    assert rig.inbox.links[-1].detail == f"bound to 127.0.0.1:{rig.centre.port} as pool1"


async def test_window_is_ten_unless_configured(rig: Rig) -> None:
    await rig.opened()

    assert rig.inbox.window == 10


async def test_bind_without_an_answer_is_given_up_after_the_bind_timer(rig: Rig) -> None:
    rig.centre.bind_status = None
    await rig.connector(bind_timeout=10).open(rig.inbox)

    await rig.until(lambda: bool(rig.inbox.links), timeout=12)

    assert rig.inbox.links[-1] == (False, 0, "no answer to the bind within 10 s")
    assert asyncio.get_running_loop().time() >= 10


async def test_bind_answered_with_generic_nack_is_refused(rig: Rig) -> None:
    rig.centre.bind_status = None
    await rig.connector().open(rig.inbox)
    await rig.until(lambda: bool(rig.centre.links and rig.centre.link.received))

    rig.centre.link.send(Pdu(Command.GENERIC_NACK, Status.RINVCMDID, 1))
    await rig.until(lambda: bool(rig.inbox.links))

    assert rig.inbox.links[-1].detail == "bind refused: status RINVCMDID (0x03)"


# Submits and their answers


async def test_answers_in_any_order_find_their_submits_in_one_call(rig: Rig) -> None:
    connector = await rig.opened()
    await connector.submit([rig.submission(n) for n in (1, 2, 3)])
    link = rig.centre.link
    await rig.until(lambda: len(link.submits) == 3)

    link.send(
        *(
            Pdu(Command.SUBMIT_SM_RESP, 0, pdu.sequence, MessageId(f"id{pdu.sequence}"))
            for pdu in reversed(link.submits)
        )
    )
    await rig.until(lambda: len(rig.inbox.outcome_list) == 3)

    ids = [pdu.sequence for pdu in link.submits]
    assert outcomes(rig) == [
        (3, 1, CarrierId(f"id{ids[2]}")),
        (2, 1, CarrierId(f"id{ids[1]}")),
        (1, 1, CarrierId(f"id{ids[0]}")),
    ]


async def test_a_batch_leaves_in_one_write(rig: Rig) -> None:
    connector = await rig.opened(window=50)
    reads = rig.centre.link.reads

    await connector.submit([rig.submission(n) for n in range(50)])
    await rig.until(lambda: len(rig.centre.link.submits) == 50)

    assert rig.centre.link.reads == reads + 1


async def test_window_is_never_exceeded_and_the_rest_follows_in_order(rig: Rig) -> None:
    connector = await rig.opened(window=4)
    link = rig.centre.link

    await connector.submit([rig.submission(n, "A" * 400) for n in range(5)])
    for answered in range(15):
        await asyncio.sleep(1)
        assert len(link.submits) == min(answered + 4, 15)
        link.send(Pdu(Command.SUBMIT_SM_RESP, 0, link.submits[answered].sequence, MessageId(f"x{answered}")))
    await rig.until(lambda: len(rig.inbox.outcome_list) == 15)

    places = [pdu.body.short_message[3:6] for pdu in link.submits if isinstance(pdu.body, Sm)]
    assert places == [bytes((n, 3, part)) for n in range(5) for part in (1, 2, 3)]
    assert [(n, part) for n, part, _ in outcomes(rig)] == [(n, part) for n in range(5) for part in (1, 2, 3)]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x0A, Rejected(FailureClass.SENDER, "0x0a", "sender", "smpp/0x0a")),
        (0x58, Throttled("connection", None, "0x58")),
        (0x400, Rejected(FailureClass.ACCOUNT, "0x400", "account", "connection/ACCOUNT")),
    ],
)
@pytest.mark.parametrize("body", [None, MessageId("")])
async def test_refusal_is_read_with_and_without_a_body(
    rig: Rig, status: int, outcome: Outcome, body: MessageId | None
) -> None:
    connector = await rig.opened(status_errors={"0x400": "ACCOUNT"})
    await connector.submit([rig.submission(1)])
    await rig.until(lambda: len(rig.centre.link.submits) == 1)

    rig.centre.link.send(Pdu(Command.SUBMIT_SM_RESP, status, rig.centre.link.submits[0].sequence, body))
    await rig.until(lambda: bool(rig.inbox.outcome_list))

    assert outcomes(rig) == [(1, 1, outcome)]


async def test_generic_nack_of_a_submit_refuses_it(rig: Rig) -> None:
    connector = await rig.opened()
    await connector.submit([rig.submission(1)])
    await rig.until(lambda: len(rig.centre.link.submits) == 1)

    rig.centre.link.send(Pdu(Command.GENERIC_NACK, Status.RINVCMDLEN, rig.centre.link.submits[0].sequence))
    await rig.until(lambda: bool(rig.inbox.outcome_list))

    assert outcomes(rig) == [(1, 1, Rejected(FailureClass.REQUEST, "0x02", "message", "smpp/0x02"))]
    assert rig.inbox.is_up


async def test_generic_nack_without_a_sequence_resets_the_session(rig: Rig) -> None:
    connector = await rig.opened()
    await connector.submit([rig.submission(1)])
    await rig.until(lambda: len(rig.centre.link.submits) == 1)

    rig.centre.link.send(Pdu(Command.GENERIC_NACK, Status.RINVCMDLEN, 0))
    await rig.until(lambda: len(rig.centre.links) == 2)

    assert isinstance(outcomes(rig)[0][2], Uncertain)


async def test_accepted_without_an_id_is_accepted_under_a_name_of_its_own(rig: Rig) -> None:
    connector = await rig.opened()
    await connector.submit([rig.submission(1), rig.submission(2)])
    await rig.until(lambda: len(rig.centre.link.submits) == 2)

    first, second = rig.centre.link.submits
    rig.centre.link.send(
        Pdu(Command.SUBMIT_SM_RESP, 0, first.sequence), Pdu(Command.SUBMIT_SM_RESP, 0, second.sequence, MessageId(""))
    )
    await rig.until(lambda: len(rig.inbox.outcome_list) == 2)

    ids = [outcome.id for _, _, outcome in outcomes(rig) if isinstance(outcome, CarrierId)]
    assert len(set(ids)) == 2
    assert all(ids)


async def test_ids_are_read_as_the_connection_spells_them(rig: Rig) -> None:
    connector = await rig.opened(id_format={"resp": "hex", "receipt": "dec", "tlv": "dec"})
    await connector.submit([rig.submission(1)])
    link = rig.centre.link
    await rig.until(lambda: len(link.submits) == 1)

    link.send(
        Pdu(Command.SUBMIT_SM_RESP, 0, link.submits[0].sequence, MessageId("1A2B3C4D")), rig.receipt(5, "0439041101")
    )
    await rig.until(lambda: bool(rig.inbox.stored))

    assert outcomes(rig) == [(1, 1, CarrierId("439041101"))]
    assert [one._replace(about=()) for one in rig.inbox.stored] == [
        Receipt("439041101", ReceiptState.DELIVERED, None, "")
    ]


# Timers and lost links


async def test_submit_without_an_answer_is_uncertain_and_a_late_answer_settles_it(rig: Rig) -> None:
    connector = await rig.opened(window=1, response_timeout=30)
    link = rig.centre.link
    await connector.submit([rig.submission(1), rig.submission(2)])
    await rig.until(lambda: bool(rig.inbox.outcome_list), timeout=40)

    assert outcomes(rig) == [(1, 1, Uncertain("no answer within 30 s"))]
    assert 30 <= asyncio.get_running_loop().time() <= 32
    await rig.until(lambda: len(link.submits) == 2)

    await asyncio.sleep(20)
    link.send(Pdu(Command.SUBMIT_SM_RESP, 0, link.submits[0].sequence, MessageId("late")))
    await rig.until(lambda: len(rig.inbox.outcome_list) == 2)

    assert outcomes(rig)[1] == (1, 1, CarrierId("late"))


async def test_late_throttle_settles_as_refused(rig: Rig) -> None:
    connector = await rig.opened(response_timeout=30)
    await connector.submit([rig.submission(1)])
    await rig.until(lambda: bool(rig.inbox.outcome_list), timeout=40)

    rig.centre.link.send(Pdu(Command.SUBMIT_SM_RESP, 0x58, rig.centre.link.submits[0].sequence))
    await rig.until(lambda: len(rig.inbox.outcome_list) == 2)

    assert outcomes(rig)[1][2] == Rejected(FailureClass.THROTTLED, "0x58", "connection", "smpp/0x58")


async def test_answer_after_ten_minutes_is_nobodys(rig: Rig) -> None:
    connector = await rig.opened(response_timeout=30)
    await connector.submit([rig.submission(1)])
    await rig.until(lambda: bool(rig.inbox.outcome_list), timeout=40)
    await asyncio.sleep(610)

    link = rig.centre.link
    link.send(
        Pdu(Command.SUBMIT_SM_RESP, 0, link.submits[0].sequence, MessageId("late")), Pdu(Command.ENQUIRE_LINK, 0, 9)
    )
    await rig.until(lambda: bool(link.of(Command.ENQUIRE_LINK_RESP)))

    assert len(rig.inbox.outcome_list) == 1


async def test_link_cut_after_the_write_is_uncertain_and_what_waited_never_left(rig: Rig) -> None:
    connector = await rig.opened(window=2)
    await connector.submit([rig.submission(n) for n in range(5)])
    await rig.until(lambda: len(rig.centre.link.submits) == 2)

    rig.centre.link.cut()
    await rig.until(lambda: len(rig.inbox.outcome_list) == 5)

    kinds = [type(outcome) for _, _, outcome in outcomes(rig)]
    assert kinds == [Uncertain, Uncertain, Unavailable, Unavailable, Unavailable]
    assert [n for n, _, _ in outcomes(rig)] == [0, 1, 2, 3, 4]


async def test_quiet_link_is_asked_for_a_sign_of_life(rig: Rig) -> None:
    await rig.opened(enquire_link=30, enquire_timeout=10)
    link = rig.centre.link

    await asyncio.sleep(100)

    assert len(link.of(Command.ENQUIRE_LINK)) == 3
    assert rig.inbox.is_up


async def test_anything_that_comes_counts_as_life(rig: Rig) -> None:
    await rig.opened(enquire_link=30, enquire_timeout=10)
    link = rig.centre.link

    for n in range(10):
        await asyncio.sleep(20)
        link.send(Pdu(Command.ENQUIRE_LINK, 0, n + 1))
    await rig.until(lambda: len(link.of(Command.ENQUIRE_LINK_RESP)) == 10)

    assert [pdu.sequence for pdu in link.of(Command.ENQUIRE_LINK_RESP)] == list(range(1, 11))
    assert link.of(Command.ENQUIRE_LINK) == []


async def test_dead_link_is_cut_and_bound_again(rig: Rig) -> None:
    connector = await rig.opened(enquire_link=30, enquire_timeout=10, response_timeout=600)
    rig.centre.silent_on.add(Command.ENQUIRE_LINK)
    await connector.submit([rig.submission(1)])

    await rig.until(lambda: len(rig.inbox.links) == 3, timeout=60)

    assert rig.inbox.links[1] == (False, 0, "no sign of life within 10 s of asking for one")
    assert rig.inbox.is_up
    assert isinstance(outcomes(rig)[0][2], Uncertain)
    assert len(rig.centre.links) == 2


async def test_unbind_of_the_carrier_is_answered_and_the_link_comes_back(rig: Rig) -> None:
    await rig.opened()
    link = rig.centre.link

    link.send(Pdu(Command.UNBIND, 0, 77))
    await rig.until(lambda: len(rig.centre.links) == 2)

    assert link.of(Command.UNBIND_RESP) == [Pdu(Command.UNBIND_RESP, 0, 77)]
    assert rig.inbox.links[1] == (False, 0, "the carrier unbound")


async def test_nothing_more_is_submitted_after_the_carrier_unbound(rig: Rig) -> None:
    connector = await rig.opened(window=1)
    await connector.submit([rig.submission(1), rig.submission(2)])
    link = rig.centre.link
    await rig.until(lambda: len(link.submits) == 1)

    answer = Pdu(Command.SUBMIT_SM_RESP, 0, link.submits[0].sequence, MessageId("m1"))
    link.send(Pdu(Command.UNBIND, 0, 77), answer)
    await rig.until(lambda: len(rig.inbox.outcome_list) == 2)

    assert outcomes(rig) == [(1, 1, CarrierId("m1")), (2, 1, Unavailable("the carrier unbound"))]
    assert len(link.submits) == 1


# Receipts and inbound texts


async def test_receipts_of_one_read_are_stored_in_one_call_and_acknowledged_in_one_write(rig: Rig) -> None:
    calls: list[int] = []
    store = rig.inbox.receipts

    async def receipts(items: list[Receipt]) -> None:
        calls.append(len(items))
        await store(items)

    rig.inbox.receipts = receipts  # type: ignore[assignment, method-assign]
    await rig.opened()
    link = rig.centre.link
    reads = link.reads

    link.send(*(rig.receipt(n, f"m{n}") for n in range(1, 101)))
    await rig.until(lambda: len(link.of(Command.DELIVER_SM_RESP)) == 100)

    assert calls == [100]
    assert link.reads == reads + 1
    assert link.of(Command.DELIVER_SM_RESP) == [
        Pdu(Command.DELIVER_SM_RESP, 0, n, MessageId("")) for n in range(1, 101)
    ]


async def test_receipt_is_acknowledged_only_when_it_is_stored(rig: Rig) -> None:
    await rig.opened()
    rig.inbox.hold()
    link = rig.centre.link

    link.send(rig.receipt(1, "m1"), rig.inbound(2, "STOP"))
    await rig.until(lambda: bool(rig.inbox.offered and rig.inbox.offered_texts))
    await asyncio.sleep(5)
    assert link.of(Command.DELIVER_SM_RESP) == []

    rig.inbox.resume()
    await rig.until(lambda: len(link.of(Command.DELIVER_SM_RESP)) == 2)
    assert {(pdu.sequence, pdu.status) for pdu in link.of(Command.DELIVER_SM_RESP)} == {(1, 0), (2, 0)}


async def test_receipt_that_could_not_be_stored_is_asked_for_again(rig: Rig) -> None:
    await rig.opened()
    rig.inbox.failures = 2
    link = rig.centre.link

    link.send(rig.receipt(1, "m1"), rig.inbound(2, "STOP"))
    await rig.until(lambda: len(link.of(Command.DELIVER_SM_RESP)) == 2)
    assert {pdu.status for pdu in link.of(Command.DELIVER_SM_RESP)} == {Status.RX_T_APPN}

    link.send(rig.receipt(3, "m1"))
    await rig.until(lambda: bool(rig.inbox.stored))
    assert rig.inbox.stored[0].carrier_id == "m1"


async def test_storing_that_was_cancelled_is_asked_for_again(rig: Rig) -> None:
    await rig.opened()
    stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def receipts(items: Sequence[Receipt]) -> Awaitable[None]:
        return stored

    rig.inbox.receipts = receipts  # type: ignore[assignment, method-assign]
    link = rig.centre.link

    link.send(rig.receipt(1, "m1"))
    await asyncio.sleep(1)
    stored.cancel()
    await rig.until(lambda: bool(link.of(Command.DELIVER_SM_RESP)))

    assert link.of(Command.DELIVER_SM_RESP)[0].status == Status.RX_T_APPN


async def test_receipt_that_overtakes_the_answer_and_one_that_repeats_both_go_through(rig: Rig) -> None:
    connector = await rig.opened()
    await connector.submit([rig.submission(1)])
    link = rig.centre.link
    await rig.until(lambda: len(link.submits) == 1)

    link.send(rig.receipt(1, "m1"))
    await rig.until(lambda: len(rig.inbox.stored) == 1)
    link.send(Pdu(Command.SUBMIT_SM_RESP, 0, link.submits[0].sequence, MessageId("m1")), rig.receipt(2, "m1"))
    await rig.until(lambda: len(link.of(Command.DELIVER_SM_RESP)) == 2)

    assert [one._replace(about=()) for one in rig.inbox.stored] == [Receipt("m1", ReceiptState.DELIVERED, None, "")] * 2
    assert outcomes(rig) == [(1, 1, CarrierId("m1"))]


async def test_outcomes_of_a_read_come_before_its_receipts(rig: Rig) -> None:
    order: list[str] = []
    note_outcomes = rig.inbox.outcomes

    async def receipts(items: list[Receipt]) -> None:
        order.append("receipts")

    def note(items: list[tuple[AttemptKey, int, Outcome]]) -> None:
        order.append("outcomes")
        note_outcomes(items)

    rig.inbox.receipts = receipts  # type: ignore[assignment, method-assign]
    rig.inbox.outcomes = note  # type: ignore[assignment, method-assign]
    connector = await rig.opened()
    await connector.submit([rig.submission(1)])
    link = rig.centre.link
    await rig.until(lambda: len(link.submits) == 1)

    link.send(rig.receipt(1, "m1"), Pdu(Command.SUBMIT_SM_RESP, 0, link.submits[0].sequence, MessageId("m1")))
    await rig.until(lambda: len(order) == 2)

    assert order == ["outcomes", "receipts"]


async def test_inbound_text_names_the_person_and_our_sender(rig: Rig) -> None:
    await rig.opened()

    rig.centre.link.send(rig.inbound(4, "STOP"))
    await rig.until(lambda: bool(rig.inbox.texts))

    assert rig.inbox.texts[0][1:5] == ("+447700900123", "+12034458910", "STOP", None)


async def test_inbound_text_may_come_as_data_sm(rig: Rig) -> None:
    await rig.opened()
    link = rig.centre.link

    link.send(Pdu(Command.DATA_SM, 0, 4, Sm(tlvs={Tag.MESSAGE_PAYLOAD: b"hello"})))
    await rig.until(lambda: bool(link.of(Command.DATA_SM_RESP)))

    assert rig.inbox.texts[0].text == "hello"
    assert link.of(Command.DATA_SM_RESP) == [Pdu(Command.DATA_SM_RESP, 0, 4, MessageId(""))]


async def test_unreadable_deliver_sm_is_answered_with_what_is_wrong(rig: Rig) -> None:
    await rig.opened()
    link = rig.centre.link

    link.send_octets(header(Command.DELIVER_SM, 0, 4, 20) + bytes(16) + b"\x08STO")
    await rig.until(lambda: bool(link.of(Command.DELIVER_SM_RESP)))

    assert link.of(Command.DELIVER_SM_RESP)[0].status == Status.RINVMSGLEN
    assert rig.inbox.is_up


# Framing


async def test_unknown_request_is_nacked_and_the_session_goes_on(rig: Rig) -> None:
    await rig.opened()
    link = rig.centre.link

    link.send_octets(header(0x00000999, 0, 4) + header(0x80000999, 0, 5) + header(Command.ALERT_NOTIFICATION, 0, 6))
    link.send(Pdu(Command.ENQUIRE_LINK, 0, 7))
    await rig.until(lambda: bool(link.of(Command.ENQUIRE_LINK_RESP)))

    assert link.of(Command.GENERIC_NACK) == [Pdu(Command.GENERIC_NACK, Status.RINVCMDID, 4)]


async def test_impossible_length_is_nacked_and_ends_the_session_after_what_came_before(rig: Rig) -> None:
    await rig.opened()
    link = rig.centre.link

    link.send_octets(header(Command.ENQUIRE_LINK, 0, 4) + b"\0\0\0\x0f" + bytes(20))
    await rig.until(lambda: len(rig.centre.links) == 2)

    assert link.of(Command.ENQUIRE_LINK_RESP) == [Pdu(Command.ENQUIRE_LINK_RESP, 0, 4)]
    assert link.of(Command.GENERIC_NACK) == [Pdu(Command.GENERIC_NACK, Status.RINVCMDLEN, 0)]
    assert rig.inbox.links[1].detail == "the carrier sent a PDU of an impossible length"


async def test_pdus_cut_anywhere_are_put_together(rig: Rig) -> None:
    await rig.opened()
    octets = encode(rig.receipt(1, "m1")) + encode(rig.receipt(2, "m2"))

    for n in range(len(octets)):
        rig.centre.link.send_octets(octets[n : n + 1])
        await asyncio.sleep(0)
    await rig.until(lambda: len(rig.inbox.stored) == 2)

    assert [receipt.carrier_id for receipt in rig.inbox.stored] == ["m1", "m2"]


# Leaving


async def test_close_waits_for_answers_then_unbinds(rig: Rig) -> None:
    connector = await rig.opened(window=1)
    link = rig.centre.link
    await connector.submit([rig.submission(1), rig.submission(2)])
    await rig.until(lambda: len(link.submits) == 1)

    closing = asyncio.ensure_future(connector.close())
    await asyncio.sleep(5)
    assert not closing.done()
    assert outcomes(rig) == [(2, 1, Unavailable("the connection is closing"))]
    link.send(Pdu(Command.SUBMIT_SM_RESP, 0, link.submits[0].sequence, MessageId("m1")))
    await closing

    assert outcomes(rig)[1] == (1, 1, CarrierId("m1"))
    assert len(link.of(Command.UNBIND)) == 1
    assert rig.inbox.links[-1].up is False
    assert link.lost


async def test_close_acknowledges_what_is_being_stored(rig: Rig) -> None:
    connector = await rig.opened()
    link = rig.centre.link
    rig.inbox.hold()
    link.send(rig.receipt(1, "m1"))
    await rig.until(lambda: bool(rig.inbox.offered))

    closing = asyncio.ensure_future(connector.close())
    await asyncio.sleep(1)
    rig.inbox.resume()
    await closing

    assert [pdu.command for pdu in link.received[-2:]] == [Command.DELIVER_SM_RESP, Command.UNBIND]


async def test_close_does_not_wait_for_ever(rig: Rig) -> None:
    connector = await rig.opened(response_timeout=30, unbind_timeout=5)
    rig.centre.silent_on = {Command.UNBIND}
    await connector.submit([rig.submission(1)])
    began = asyncio.get_running_loop().time()

    await connector.close()

    assert 30 <= asyncio.get_running_loop().time() - began <= 37
    assert isinstance(outcomes(rig)[0][2], Uncertain)


async def test_carrier_that_reads_no_more_cannot_hold_the_link(rig: Rig) -> None:
    connector = await rig.opened(window=100_000, unbind_timeout=5)
    link = rig.centre.link
    assert link.transport is not None
    link.transport.pause_reading()
    link.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    # More than the buffers of both sides take, so that closing would wait for ever.
    for start in range(0, 20_000, 1000):
        await connector.submit([rig.submission(start + n, "A" * 160) for n in range(1000)])

    link.send(Pdu(Command.UNBIND, 0, 77))
    await rig.until(lambda: len(rig.centre.links) == 2, timeout=20)

    assert rig.inbox.links[1].detail == "the carrier unbound"
    assert len(rig.inbox.outcome_list) == 20_000


async def test_close_during_an_outage_ends_at_once(rig: Rig) -> None:
    connector = await rig.opened()
    rig.centre.stop_listening()
    rig.centre.link.cut()
    await rig.until(lambda: not rig.inbox.is_up)

    await connector.close()
    await connector.submit([rig.submission(1)])

    assert outcomes(rig) == [(1, 1, Unavailable("no bound session"))]
