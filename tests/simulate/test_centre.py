"""The simulated message centre answers, reports and fails as its script says, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import smpplib.client
import smpplib.consts

from sendpool.connectors.smpp.bodies import Address, Command, MessageId, QuerySm, Tag
from sendpool.connectors.smpp.pdu import Pdu, encode
from sendpool.connectors.smpp.status import Status
from sendpool.simulate import centre as centre_module
from sendpool.simulate.centre import MessageCentre
from sendpool.simulate.record import Place, SubmitLog
from sendpool.simulate.script import AnyFault, Script, parse_fault
from sendpool.testing.clock import run_virtually
from sendpool.testing.connector_suite import until

Connect = Callable[[int], AbstractAsyncContextManager[Any]]


def script(*faults: str, **settings: Any) -> Script:
    parsed: tuple[AnyFault, ...] = tuple(parse_fault(text) for text in faults)
    return Script(**{"port": 0, "receipt_delay": 0.0, **settings}, faults=parsed)


@contextlib.asynccontextmanager
async def rehearsal(
    connect: Connect, *faults: str, bind: bool = True, **settings: Any
) -> AsyncIterator[tuple[MessageCentre, Any]]:
    """A centre with these faults, and a client bound to it."""
    async with MessageCentre(script(*faults, **settings)) as centre, connect(centre.port) as client:
        if bind:
            assert (await client.bind()).status == Status.ROK
        yield centre, client


async def statuses(client: Any, count: int) -> list[int]:
    """Submit *count* different messages one by one; return how they were answered."""
    answered = []
    for n in range(count):
        answered.append((await client.answer_to(client.submit(f"4477009{n:05}"))).status)
    return answered


async def test_a_submit_is_answered_with_an_id_and_reported_delivered(connect: Connect) -> None:
    async with rehearsal(connect) as (centre, client):
        answer = await client.answer_to(client.submit(text=b"Hi @ there"))
        await client.until(client.deliveries)

        (receipt,) = client.deliveries()
        assert answer.body == MessageId(centre.submits[0].message_id)
        assert receipt.esm_class == 0x04
        assert f"id:{answer.body.message_id} ".encode() in receipt.short_message
        assert b"stat:DELIVRD err:000" in receipt.short_message
        assert receipt.tlvs[Tag.RECEIPTED_MESSAGE_ID] == answer.body.message_id.encode() + b"\0"
        assert (receipt.source.value, receipt.destination.value) == ("447700900001", "12034458910")


async def test_submits_are_remembered_as_people_read_them(connect: Connect) -> None:
    async with rehearsal(connect) as (centre, client):
        await client.answer_to(client.submit(text=b"\x05\x00\x03\xcc\x02\x01Hi \x00", esm_class=0x40))
        await client.answer_to(client.submit(text="Привет".encode("utf-16-be"), data_coding=8))
        await client.answer_to(client.submit(source=Address(5, 0, "INFO"), validity="000001000000000R"))

        long, russian, plain = centre.submits
        assert (long.source, long.destination) == ("+12034458910", "+447700900001")
        assert (long.text, long.place) == ("Hi @", Place(1, 2, 0xCC))
        assert russian.text == "Привет"
        assert (plain.source, plain.system_id, plain.status) == ("INFO", "sendpool", 0)
        assert plain.validity == "000001000000000R"


async def test_receipts_are_sent_only_where_asked_for(connect: Connect) -> None:
    async with rehearsal(connect, "undelivered destination=*2") as (_, client):
        silent = client.submit("4477001", registered_delivery=0)
        only_failure = client.submit("4477001", registered_delivery=2)
        failed = client.submit("4477002", registered_delivery=2)
        for sequence in (silent, only_failure, failed):
            await client.answer_to(sequence)
        last = await client.answer_to(client.submit("4477003"))
        await client.until(lambda: any(last.body.message_id.encode() in r.short_message for r in client.deliveries()))

        assert [r.source.value for r in client.deliveries()] == ["4477002", "4477003"]


@pytest.mark.parametrize("fault", ["refuse status=0x45", "refuse status=69"])
async def test_refuse_answers_with_the_status_and_takes_nothing(connect: Connect, fault: str) -> None:
    async with rehearsal(connect, fault) as (centre, client):
        answer = await client.answer_to(client.submit())

        assert (answer.status, answer.body) == (Status.RSUBMITFAIL, None)
        assert centre.totals().refused == 1
        assert centre.unacknowledged == 0


async def test_a_share_is_drawn_from_the_submit_so_order_does_not_matter(connect: Connect) -> None:
    async def refused(order: list[int], seed: int) -> set[str]:
        async with rehearsal(connect, "refuse share=0.3", seed=seed) as (centre, client):
            for n in order:
                await client.answer_to(client.submit(f"4477009{n:05}"))
            return {submit.destination for submit in centre.submits if submit.status}

    forwards = await refused(list(range(200)), seed=5)

    assert forwards == await refused(list(reversed(range(200))), seed=5)
    assert forwards != await refused(list(range(200)), seed=6)
    assert 35 <= len(forwards) <= 85


async def test_the_same_submit_again_draws_again(connect: Connect) -> None:
    async with rehearsal(connect, "refuse share=0.5") as (centre, client):
        for _ in range(40):
            await client.answer_to(client.submit())

        assert len({submit.status for submit in centre.submits}) == 2


async def test_a_refusal_for_always_is_repeated(connect: Connect) -> None:
    async with rehearsal(connect, "refuse share=0.5 always=true") as (centre, client):
        for n in range(30):
            await client.answer_to(client.submit(f"4477009{n:05}"))
            await client.answer_to(client.submit(f"4477009{n:05}"))

        pairs = list(zip(centre.submits[::2], centre.submits[1::2], strict=True))
        assert all(first.status == second.status for first, second in pairs)
        assert len({first.status for first, _ in pairs}) == 2


async def test_faults_are_narrowed_by_source_destination_and_system_id(connect: Connect) -> None:
    faults = ("refuse status=0x0a source=1203*", "refuse status=0x0b destination=+4477*", "refuse system_id=other")
    async with rehearsal(connect, *faults) as (_, client):
        by_source = await client.answer_to(client.submit("31600000001"))
        by_destination = await client.answer_to(client.submit(source=Address(1, 1, "3197000")))
        neither = await client.answer_to(client.submit("31600000001", source=Address(1, 1, "3197000")))

        assert [a.status for a in (by_source, by_destination, neither)] == [0x0A, 0x0B, 0]


def test_throttle_lets_so_many_through_in_any_second(connect: Connect) -> None:
    async def run() -> tuple[int, int]:
        async with rehearsal(connect, "throttle mps=10") as (centre, client):
            at_once = await statuses(client, 15)
            await asyncio.sleep(1.01)
            later = await statuses(client, 3)
            assert at_once == [0] * 10 + [Status.RTHROTTLED] * 5
            assert later == [0] * 3
            return centre.totals().throttled, centre.totals().accepted

    assert run_virtually(run()) == (5, 13)


async def test_silence_is_taken_and_not_reported(connect: Connect) -> None:
    async with rehearsal(connect, "silence destination=*1") as (centre, client):
        await client.answer_to(client.submit("4477001"))
        await client.answer_to(client.submit("4477002"))
        await client.until(client.deliveries)

        assert [r.source.value for r in client.deliveries()] == ["4477002"]
        assert centre.totals().accepted == 2


async def test_undelivered_names_the_state_and_the_error(connect: Connect) -> None:
    async with rehearsal(connect, "undelivered stat=REJECTD err=034") as (_, client):
        client.submit()
        await client.until(client.deliveries)

        (receipt,) = client.deliveries()
        assert b"stat:REJECTD err:034" in receipt.short_message
        assert receipt.tlvs[Tag.MESSAGE_STATE] == b"\x08"


async def test_no_answer_takes_and_reports_without_answering(connect: Connect) -> None:
    async with rehearsal(connect, "no-answer") as (centre, client):
        client.submit()
        await client.until(client.deliveries)

        assert client.of(Command.SUBMIT_SM_RESP) == []
        assert centre.submits[0].answered is False


def test_answers_and_receipts_take_the_time_that_the_script_says(connect: Connect) -> None:
    async def run() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        async with rehearsal(connect, answer_delay=0.5, receipt_delay="2-3") as (_, client):
            started = loop.time()
            await client.answer_to(client.submit())
            answered = loop.time()
            await client.until(client.deliveries)
            return answered - started, loop.time() - started

    answered, reported = run_virtually(run())

    assert answered == pytest.approx(0.5, abs=0.05)
    assert 2 <= reported <= 3.05


async def test_early_receipt_comes_before_the_answer(connect: Connect) -> None:
    async with rehearsal(connect, "early-receipt") as (_, client):
        await client.answer_to(client.submit())

        commands = [pdu.command for pdu in client.received]
        assert commands.index(Command.DELIVER_SM) < commands.index(Command.SUBMIT_SM_RESP)


async def test_repeat_receipt_reports_more_than_once(connect: Connect) -> None:
    async with rehearsal(connect, "repeat-receipt times=3") as (_, client):
        client.submit()
        await client.until(lambda: len(client.deliveries()) == 3)

        assert len({receipt.short_message for receipt in client.deliveries()}) == 1


@pytest.mark.parametrize(("ids", "receipt_ids"), [("hex", "dec"), ("dec", "hex"), ("hex", "hex")])
async def test_ids_are_spelled_as_the_script_says(connect: Connect, ids: str, receipt_ids: str) -> None:
    async with rehearsal(connect, ids=ids, receipt_ids=receipt_ids, receipt_tlvs=False) as (_, client):
        answer = await client.answer_to(client.submit())
        await client.until(client.deliveries)

        (receipt,) = client.deliveries()
        reported = receipt.short_message.split(b" ")[0].removeprefix(b"id:").decode()
        bases = {"hex": 16, "dec": 10}
        assert int(reported, bases[receipt_ids]) == int(answer.body.message_id, bases[ids])
        assert receipt.tlvs == {}


async def test_drop_cuts_the_link_after_the_answer(connect: Connect) -> None:
    async with rehearsal(connect, "drop after=3 times=1") as (centre, client):
        for n in range(5):
            client.submit(f"447700{n}")
        await client.until(lambda: client.closed)

        assert len(client.of(Command.SUBMIT_SM_RESP)) == 3
        assert len(centre.submits) == 3
        async with connect(centre.port) as second:
            await second.bind()
            assert await statuses(second, 7) == [0] * 7


async def test_drop_may_lose_the_last_answer_with_the_link(connect: Connect) -> None:
    async with rehearsal(connect, "drop after=2 answered=false") as (centre, client):
        client.submit("4477001")
        client.submit("4477002")
        await client.until(lambda: client.closed)

        assert len(client.of(Command.SUBMIT_SM_RESP)) == 1
        assert centre.totals().accepted == 2


def test_outage_cuts_links_and_refuses_new_ones_until_it_is_over(connect: Connect) -> None:
    async def run() -> None:
        async with rehearsal(connect, "outage from=10 until=20") as (centre, client):
            assert await statuses(client, 1) == [0]
            await asyncio.sleep(10.5)
            await client.until(lambda: client.closed)
            with pytest.raises(OSError, match=r"refused|Connect call failed"):
                await asyncio.open_connection("127.0.0.1", centre.port)
            await asyncio.sleep(10.5)
            async with connect(centre.port) as second:
                assert (await second.bind()).status == 0
                assert await statuses(second, 1) == [0]

    run_virtually(run())


async def test_receipts_wait_for_a_bind(connect: Connect) -> None:
    async with MessageCentre(script(receipt_delay=0.05)) as centre:
        async with connect(centre.port) as client:
            await client.bind()
            await client.answer_to(client.submit())
        async with connect(centre.port) as stranger, connect(centre.port) as second:
            await stranger.bind("somebody-else")
            await second.bind()
            await second.until(second.deliveries)
            assert stranger.deliveries() == []


async def test_receipts_unacknowledged_when_the_link_goes_come_again_on_the_next(connect: Connect) -> None:
    async with rehearsal(connect) as (centre, client):
        client.acknowledges = None
        client.submit()
        await client.until(client.deliveries)
        client.writer.transport.abort()
        async with connect(centre.port) as second:
            await second.bind()
            await second.until(second.deliveries)
            assert second.deliveries() == client.deliveries()


def test_receipts_that_nobody_acknowledges_are_repeated_after_a_while(connect: Connect) -> None:
    async def run() -> float:
        loop = asyncio.get_running_loop()
        async with rehearsal(connect, resend_after=5.0) as (centre, client):
            client.acknowledges = None
            started = loop.time()
            client.submit()
            await client.until(lambda: len(client.deliveries()) == 2, within=60)
            assert centre.unacknowledged == 1
            return loop.time() - started

    assert run_virtually(run()) == pytest.approx(5.2, abs=0.4)


async def test_receipts_that_could_not_be_stored_come_again_and_refused_ones_do_not(connect: Connect) -> None:
    async with rehearsal(connect) as (centre, client):
        client.acknowledges = Status.RX_T_APPN
        client.submit()
        await client.until(client.deliveries)
        client.acknowledges = Status.ROK
        await client.until(lambda: len(client.deliveries()) == 2)
        client.acknowledges = Status.RX_P_APPN
        client.submit("4477002")
        await client.until(lambda: len(client.deliveries()) == 3)
        await client.answer_to(client.send(Command.ENQUIRE_LINK))

        totals = centre.totals()
        assert (totals.receipts_sent, totals.receipts_acked, totals.receipts_rejected) == (3, 1, 1)
        assert centre.unacknowledged == 0


async def test_the_receipt_window_is_respected(connect: Connect) -> None:
    async with rehearsal(connect, receipt_window=2) as (centre, client):
        client.acknowledges = None
        for n in range(5):
            await client.answer_to(client.submit(f"447700{n}"))
        # Those that wait for room bring the client no word at which it would look again.
        await until(lambda: centre.unacknowledged == 5 and len(client.deliveries()) == 2, 5)
        client.acknowledges = Status.ROK
        for pdu in client.of(Command.DELIVER_SM):
            client._take(pdu)
        await client.until(lambda: len({d.source for d in client.deliveries()}) == 5)


async def test_inbound_text_returns_how_it_was_acknowledged(connect: Connect) -> None:
    async with rehearsal(connect) as (centre, client):
        stored = await centre.send_text("+447700900123", "60123", "STOP")
        client.acknowledges = Status.RX_T_APPN
        refused = await centre.send_text("+447700900123", "60123", "Привет")

        plain, russian = client.deliveries()
        assert (stored, refused) == (Status.ROK, Status.RX_T_APPN)
        assert (plain.source, plain.destination) == (Address(1, 1, "447700900123"), Address(0, 0, "60123"))
        assert (plain.short_message, plain.esm_class) == (b"STOP", 0)
        assert (russian.short_message.decode("utf-16-be"), russian.data_coding) == ("Привет", 8)


async def test_held_answers_are_given_when_released(connect: Connect) -> None:
    async with rehearsal(connect) as (centre, client):
        centre.hold_answers()
        for n in range(4):
            client.submit(f"447700{n}")
        await client.answer_to(client.send(Command.ENQUIRE_LINK))
        assert client.of(Command.SUBMIT_SM_RESP) == []
        assert (len(centre.submits), centre.most_unanswered) == (4, 4)
        centre.release_answers()
        await client.until(lambda: len(client.of(Command.SUBMIT_SM_RESP)) == 4)


async def test_a_frozen_centre_reads_nothing_until_it_thaws(connect: Connect) -> None:
    async with rehearsal(connect) as (centre, client):
        centre.freeze()
        sequence = client.send(Command.ENQUIRE_LINK)
        with pytest.raises(TimeoutError):
            await client.until(lambda: client._answers(sequence), within=0.2)
        centre.thaw()
        await client.answer_to(sequence)


@pytest.mark.parametrize(
    ("faults", "system_id", "password", "status"),
    [
        ((), "sendpool", "secret", Status.ROK),
        ((), "sendpool", "wrong", Status.RINVPASWD),
        ((), "nobody", "secret", Status.RINVSYSID),
        (("refuse-bind status=0x0d",), "sendpool", "secret", Status.RBINDFAIL),
        (("refuse-bind system_id=other",), "sendpool", "secret", Status.ROK),
    ],
)
async def test_binds_are_judged(
    connect: Connect, faults: tuple[str, ...], system_id: str, password: str, status: int
) -> None:
    async with rehearsal(connect, *faults, bind=False, accounts={"sendpool": "secret"}) as (_, client):
        assert (await client.bind(system_id, password)).status == status


async def test_submits_need_a_bind_and_a_second_bind_is_refused(connect: Connect) -> None:
    async with rehearsal(connect, bind=False) as (_, client):
        assert (await client.answer_to(client.submit())).status == Status.RINVBNDSTS
        assert (await client.bind()).status == Status.ROK
        assert (await client.bind()).status == Status.RALYBND


async def test_what_the_centre_cannot_do_gets_a_generic_nack(connect: Connect) -> None:
    async with rehearsal(connect) as (_, client):
        sequence = client.send(Command.QUERY_SM, QuerySm("12"))
        assert await client.answer_to(sequence) == Pdu(Command.GENERIC_NACK, Status.RINVCMDID, sequence)


async def test_an_impossible_length_is_answered_and_ends_the_link(connect: Connect) -> None:
    async with rehearsal(connect) as (_, client):
        client.writer.write(b"\0\0\0\x03")
        await client.until(lambda: client.closed)

        assert client.received[-1] == Pdu(Command.GENERIC_NACK, Status.RINVCMDLEN, 0)


async def test_unbind_is_answered_and_ends_the_link(connect: Connect) -> None:
    async with rehearsal(connect) as (_, client):
        answer = await client.answer_to(client.send(Command.UNBIND))
        await client.until(lambda: client.closed)

        assert answer.command == Command.UNBIND_RESP


def test_a_peer_that_ignores_enquire_link_is_cut_and_one_that_answers_is_not(connect: Connect) -> None:
    async def run() -> None:
        async with rehearsal(connect, enquire_link=5.0) as (centre, client), connect(centre.port) as lively:
            await lively.bind()
            for _ in range(30):
                await asyncio.sleep(1)
                for pdu in lively.of(Command.ENQUIRE_LINK)[-1:]:
                    lively.writer.write(enquire_answer(pdu))
            assert client.closed
            assert not lively.closed

    def enquire_answer(pdu: Pdu) -> bytes:

        return encode(Pdu(Command.ENQUIRE_LINK_RESP, 0, pdu.sequence))

    run_virtually(run())


def test_a_link_that_never_binds_is_closed(connect: Connect) -> None:
    async def run() -> None:
        async with rehearsal(connect, bind=False) as (_, client):
            await asyncio.sleep(centre_module.BIND_WITHIN + 1)
            await client.until(lambda: client.closed)

    run_virtually(run())


async def test_duplicates_are_counted_by_destination_and_text_whatever_the_sender(connect: Connect) -> None:
    async with rehearsal(connect) as (centre, client):
        await client.answer_to(client.submit("4477001"))
        await client.answer_to(client.submit("4477001", source=Address(1, 1, "12034458911")))
        await client.answer_to(client.submit("4477001", text=b"another"))
        await client.answer_to(client.submit("4477002"))

        totals = centre.totals()
        assert (totals.accepted, totals.duplicates, totals.distinct) == (4, 1, 3)
        assert centre.accepted_by_source == {"+12034458910": 3, "+12034458911": 1}


async def test_the_log_has_a_line_per_submit_in_the_format_of_the_benchmark_centre(
    connect: Connect, tmp_path: Path
) -> None:
    log = SubmitLog(tmp_path / "submits.log")
    async with MessageCentre(script("refuse destination=*2"), log=log) as centre, connect(centre.port) as client:
        await client.bind()
        await client.answer_to(client.submit("4477001", text=b"Hello"))
        await client.answer_to(client.submit("4477002", source=Address(5, 0, "A B")))
    log.close()

    taken, refused = (tmp_path / "submits.log").read_text().splitlines()
    at, *fields = taken.split(" ")
    assert float(at) == pytest.approx(centre.submits[0].at, abs=1e-5)
    assert fields == ["12034458910", "4477001", "63f0bfacf2c00f6b", centre.submits[0].message_id, "00000000"]
    assert refused.split(" ")[1:] == ["A_B", "4477002", "63f0bfacf2c00f6b", "-", "00000045"]


async def test_an_independent_client_binds_submits_and_gets_its_receipt() -> None:
    async with MessageCentre(script()) as centre:
        outcome: dict[str, Any] = {}

        def talk() -> None:
            client = smpplib.client.Client("127.0.0.1", centre.port, timeout=5, allow_unknown_opt_params=True)
            client.connect()
            client.set_message_sent_handler(lambda pdu: outcome.update(id=pdu.message_id))

            def received(pdu: Any) -> int:
                outcome.update(text=pdu.short_message, id_in_receipt=pdu.receipted_message_id)
                return 0

            client.set_message_received_handler(received)
            client.bind_transceiver(system_id="sendpool", password="secret")
            client.send_message(
                source_addr="INFO", destination_addr="447700900001", short_message=b"Hello", registered_delivery=True
            )
            while "text" not in outcome:
                client.read_once()
            client.unbind()
            client.disconnect()

        await asyncio.to_thread(talk)

    assert outcome["id"] == outcome["id_in_receipt"] == centre.submits[0].message_id.encode()
    assert b"stat:DELIVRD" in outcome["text"]
