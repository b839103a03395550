"""PDUs are read and written as the specification says, and as two independent codecs do."""

from __future__ import annotations

import json
from pathlib import Path
from struct import pack
from typing import Any

import pytest
import smpp34
import smpplib.smpp
from hypothesis import given
from hypothesis import strategies as st

from sendpool.connectors.smpp.pdu import (
    LAST_SEQUENCE,
    MAX_LENGTH,
    Address,
    Bind,
    BindResp,
    CancelSm,
    Command,
    Framer,
    MessageId,
    Pdu,
    PduError,
    QuerySm,
    QuerySmResp,
    Raw,
    Sm,
    Status,
    Tag,
    encode,
    encode_tlvs,
    header,
    parse,
    relative_time,
)
from sendpool.connectors.smpp.status import code_text, describe

VECTORS: dict[str, str] = json.loads((Path(__file__).parents[2] / "vectors" / "smpp.json").read_text("utf-8"))["pdus"]
INFO = Address(5, 0, "INFO")
PHONE = Address(1, 1, "447700900123")

MEANINGS: dict[str, Pdu] = {
    "1 bind_transceiver": Pdu(Command.BIND_TRANSCEIVER, 0, 1, Bind(system_id="pool1", password="secret08")),
    "2 bind_transceiver_resp": Pdu(
        Command.BIND_TRANSCEIVER_RESP, 0, 1, BindResp(system_id="SMSC", tlvs={Tag.SC_INTERFACE_VERSION: b"\x34"})
    ),
    "3 submit_sm with escapes and validity": Pdu(
        Command.SUBMIT_SM,
        0,
        2,
        Sm(
            source=INFO,
            destination=PHONE,
            validity="000001000000000R",
            registered_delivery=1,
            short_message=b"Hi \x00 \x1b(\x1be\x1b)",
        ),
    ),
    "4 submit_sm_resp": Pdu(Command.SUBMIT_SM_RESP, 0, 2, MessageId("1A2B3C4D")),
    "5 submit_sm_resp throttled, no body": Pdu(Command.SUBMIT_SM_RESP, Status.RTHROTTLED, 3),
    "6 submit_sm UCS2": Pdu(
        Command.SUBMIT_SM,
        0,
        3,
        Sm(
            source=Address(1, 1, "447700900000"),
            destination=PHONE,
            registered_delivery=1,
            data_coding=8,
            short_message="Привет".encode("utf-16-be"),
        ),
    ),
    "7 UDH part 2 of 2": Pdu(
        Command.SUBMIT_SM,
        0,
        5,
        Sm(
            source=INFO,
            destination=PHONE,
            esm_class=0x40,
            registered_delivery=1,
            short_message=b"\x05\x00\x03\xcc\x02\x02AAAAAAA",
        ),
    ),
    "8 the same part by sar TLVs": Pdu(
        Command.SUBMIT_SM,
        0,
        6,
        Sm(
            source=INFO,
            destination=PHONE,
            registered_delivery=1,
            short_message=b"AAAAAAA",
            tlvs={
                Tag.SAR_MSG_REF_NUM: b"\0\xcc",
                Tag.SAR_TOTAL_SEGMENTS: b"\x02",
                Tag.SAR_SEGMENT_SEQNUM: b"\x02",
            },
        ),
    ),
    "9 message_payload": Pdu(
        Command.SUBMIT_SM,
        0,
        7,
        Sm(source=INFO, destination=PHONE, registered_delivery=1, tlvs={Tag.MESSAGE_PAYLOAD: b"payload text"}),
    ),
    "12 its deliver_sm_resp": Pdu(Command.DELIVER_SM_RESP, 0, 100, MessageId("")),
    "14 intermediate notification": Pdu(
        Command.DELIVER_SM,
        0,
        104,
        Sm(
            source=PHONE,
            destination=INFO,
            esm_class=0x20,
            tlvs={Tag.RECEIPTED_MESSAGE_ID: b"1A2B3C4D\0", Tag.MESSAGE_STATE: b"\x01"},
        ),
    ),
    "15 inbound text": Pdu(
        Command.DELIVER_SM, 0, 102, Sm(source=PHONE, destination=Address(3, 0, "60123"), short_message=b"STOP")
    ),
    "15 enquire_link": Pdu(Command.ENQUIRE_LINK, 0, 8),
    "15 enquire_link_resp": Pdu(Command.ENQUIRE_LINK_RESP, 0, 8),
    "15 generic_nack": Pdu(Command.GENERIC_NACK, Status.RINVCMDID, 9),
}

octet = st.integers(0, 255)
fields = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=20)
ascii_fields = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
messages = st.builds(
    Sm,
    source=st.builds(Address, st.integers(0, 6), st.sampled_from([0, 1, 9]), ascii_fields),
    destination=st.builds(Address, st.integers(0, 6), st.sampled_from([0, 1, 9]), ascii_fields),
    esm_class=octet,
    priority=st.integers(0, 3),
    validity=st.sampled_from(["", "000001000000000R"]),
    registered_delivery=octet,
    data_coding=octet,
    short_message=st.binary(max_size=254),
    tlvs=st.dictionaries(st.integers(0x1400, 0x3FFF), st.binary(max_size=20), max_size=4),
)


# Golden vectors


@pytest.mark.parametrize("name", VECTORS)
def test_golden_pdu_is_written_as_it_was_read(name: str) -> None:
    octets = bytes.fromhex(VECTORS[name])

    assert encode(parse(octets)) == octets


@pytest.mark.parametrize("name", MEANINGS)
def test_golden_pdu_means_what_it_should(name: str) -> None:
    assert parse(bytes.fromhex(VECTORS[name])) == MEANINGS[name]


def test_text_may_lie_in_message_payload() -> None:
    sm = parse(bytes.fromhex(VECTORS["9 message_payload"])).body

    assert isinstance(sm, Sm)
    assert sm.text == b"payload text"


# Other PDUs, and careless peers


@pytest.mark.parametrize(
    "pdu",
    [
        Pdu(Command.QUERY_SM, 0, 1, QuerySm("77", INFO)),
        Pdu(Command.QUERY_SM_RESP, 0, 1, QuerySmResp("77", "000001000000000R", 2, 0)),
        Pdu(Command.CANCEL_SM, 0, 1, CancelSm("", "77", INFO, PHONE)),
        Pdu(Command.CANCEL_SM_RESP, Status.RCANCELFAIL, 1),
        Pdu(Command.DATA_SM, 0, 1, Sm(source=INFO, destination=PHONE, tlvs={Tag.MESSAGE_PAYLOAD: b"x" * 300})),
        Pdu(Command.DATA_SM_RESP, 0, 1, MessageId("77", {Tag.ADDITIONAL_STATUS_INFO_TEXT: b"ok\0"})),
        Pdu(Command.BIND_RECEIVER, 0, 1, Bind(system_id="a", system_type="VMS", addr_ton=1, address_range="^44")),
        Pdu(Command.ALERT_NOTIFICATION, 0, 1, Raw(b"\0\0x\0\0\0y\0")),
        Pdu(Command.UNBIND, 0, LAST_SEQUENCE),
    ],
    ids=lambda pdu: Command(pdu.command).name,
)
def test_pdu_survives_the_wire(pdu: Pdu) -> None:
    assert parse(encode(pdu)) == pdu


def test_response_with_a_lone_nul_is_read_like_one_without_a_body() -> None:
    with_nul = parse(encode(Pdu(Command.SUBMIT_SM_RESP, Status.RSYSERR, 1, MessageId())))

    assert (with_nul.status, with_nul.body) == (Status.RSYSERR, MessageId(""))


def test_octets_outside_ascii_never_stop_the_reader() -> None:
    pdu = Pdu(Command.DELIVER_SM, 0, 1, Sm(source=Address(5, 0, "Caf\xe9\xff"), destination=PHONE))

    assert parse(encode(pdu)) == pdu


@pytest.mark.parametrize(
    ("name", "octets", "status"),
    [
        ("unknown command", header(0x00000999, 0, 7), Status.RINVCMDID),
        ("body missing", header(Command.SUBMIT_SM, 0, 7), Status.RINVCMDLEN),
        ("body cut", header(Command.SUBMIT_SM, 0, 7, 5) + b"\0\1\1" + b"12", Status.RINVCMDLEN),
        ("no NUL", header(Command.SUBMIT_SM_RESP, 0, 7, 3) + b"abc", Status.RINVCMDLEN),
        ("sm_length too long", header(Command.DELIVER_SM, 0, 7, 20) + bytes(16) + b"\x08STO", Status.RINVMSGLEN),
        ("TLV overrun", header(Command.SUBMIT_SM_RESP, 0, 7, 7) + b"1\0\x00\x1e\x00\x09a", Status.RINVTLVSTREAM),
        ("TLV header cut", header(Command.SUBMIT_SM_RESP, 0, 7, 5) + b"1\0\x00\x1e\x00", Status.RINVTLVSTREAM),
    ],
)
def test_unreadable_pdu_says_what_to_answer(name: str, octets: bytes, status: Status) -> None:
    with pytest.raises(PduError) as caught:
        parse(octets)

    assert (caught.value.status, caught.value.sequence) == (status, 7), name


def test_header_that_lies_about_the_length_is_refused() -> None:
    with pytest.raises(PduError) as caught:
        parse(header(Command.UNBIND, 0, 1, 4))
    assert caught.value.status is Status.RINVCMDLEN
    with pytest.raises(PduError):
        parse(b"\0\0\0\x10")


@given(st.sampled_from(list(Command)), st.binary(max_size=120))
def test_any_body_is_read_or_refused(command: Command, body: bytes) -> None:
    refused: PduError | None = None
    try:
        parse(header(command, 0, 5, len(body)) + body)
    except PduError as error:
        refused = error

    assert refused is None or (refused.command, refused.sequence) == (command, 5)


@given(messages, st.sampled_from([Command.SUBMIT_SM, Command.DELIVER_SM]), st.integers(1, LAST_SEQUENCE))
def test_message_survives_the_wire(sm: Sm, command: Command, sequence: int) -> None:
    assert parse(encode(Pdu(command, 0, sequence, sm))) == Pdu(command, 0, sequence, sm)


def test_fields_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="message_payload"):
        encode(Pdu(Command.SUBMIT_SM, 0, 1, Sm(short_message=bytes(256))))
    with pytest.raises(ValueError, match="65,535"):
        encode_tlvs({Tag.MESSAGE_PAYLOAD: bytes(0x10000)})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "000000000000000R"),
        (600, "000000001000000R"),
        (86400, "000001000000000R"),
        (2 * 86400 + 3 * 3600 + 4 * 60 + 5, "000002030405000R"),
    ],
)
def test_relative_time(seconds: int, text: str) -> None:
    assert relative_time(seconds) == text


def test_relative_time_beyond_its_format_is_refused() -> None:
    with pytest.raises(ValueError, match="99 days"):
        relative_time(100 * 86400)


# Framing


@given(st.lists(st.sampled_from(sorted(VECTORS.values())), max_size=8), st.lists(st.integers(1, 40), max_size=60))
def test_stream_is_cut_into_pdus_however_it_arrives(pdus: list[str], sizes: list[int]) -> None:
    stream = bytes.fromhex("".join(pdus))
    framer = Framer()
    frames: list[bytes] = []

    for size in [*sizes, len(stream)]:
        frames += framer.feed(stream[:size])
        stream = stream[size:]

    assert [frame.hex() for frame in frames] == pdus
    assert not framer.broken


@pytest.mark.parametrize("length", [0, 15, MAX_LENGTH + 1, 0xFFFFFFFF])
def test_impossible_length_breaks_the_stream_after_what_came_before(length: int) -> None:
    framer = Framer()

    frames = framer.feed(header(Command.ENQUIRE_LINK, 0, 1) + pack(">I", length) + bytes(40))

    assert frames == [header(Command.ENQUIRE_LINK, 0, 1)]
    assert framer.broken
    assert framer.feed(header(Command.ENQUIRE_LINK, 0, 2)) == []


# Two independent codecs


class SmpplibClient:
    """What smpplib wants to know from its client when it parses."""

    sequence = 1

    def next_sequence(self) -> int:
        return 1


def read_with_smpp34(octets: bytes) -> smpp34.SubmitSm | smpp34.DeliverSm:
    theirs = smpp34.decode(octets)
    assert not isinstance(theirs, smpp34.RawPdu)
    return theirs


def read_with_smpplib(octets: bytes) -> Any:
    return smpplib.smpp.parse_pdu(octets, client=SmpplibClient(), allow_unknown_opt_params=True)


@given(messages, st.sampled_from([Command.SUBMIT_SM, Command.DELIVER_SM]))
def test_smpp34_reads_what_we_write_and_writes_it_alike(sm: Sm, command: Command) -> None:
    octets = encode(Pdu(command, 0, 9, sm))

    theirs = read_with_smpp34(octets)

    assert (theirs.source_addr_ton, theirs.source_addr_npi, theirs.source_addr) == sm.source
    assert (theirs.dest_addr_ton, theirs.dest_addr_npi, theirs.destination_addr) == sm.destination
    assert (theirs.esm_class, theirs.data_coding, theirs.validity_period) == (sm.esm_class, sm.data_coding, sm.validity)
    assert (theirs.registered_delivery, theirs.priority_flag) == (sm.registered_delivery, sm.priority)
    assert theirs.short_message == sm.short_message
    assert {tlv.tag: tlv.value for tlv in theirs.tlvs} == dict(sm.tlvs)
    assert parse(theirs.encode()) == Pdu(command, 0, 9, sm)


@given(messages, st.sampled_from([Command.SUBMIT_SM, Command.DELIVER_SM]))
def test_smpplib_reads_what_we_write(sm: Sm, command: Command) -> None:
    theirs = read_with_smpplib(encode(Pdu(command, 0, 9, sm)))

    assert theirs.sequence == 9
    assert (theirs.source_addr_ton, theirs.source_addr) == (sm.source.ton, sm.source.value.encode())
    assert (theirs.dest_addr_npi, theirs.destination_addr) == (sm.destination.npi, sm.destination.value.encode())
    assert (theirs.esm_class, theirs.data_coding) == (sm.esm_class, sm.data_coding)
    assert (theirs.short_message or b"") == sm.short_message
    assert theirs.validity_period == sm.validity.encode()


@given(ascii_fields.filter(bool), st.binary(max_size=200), octet)
def test_we_read_what_smpplib_writes(address: str, text: bytes, data_coding: int) -> None:
    theirs = smpplib.smpp.make_pdu(
        "submit_sm",
        client=SmpplibClient(),
        source_addr_ton=5,
        source_addr="INFO",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr=address,
        short_message=text,
        data_coding=data_coding,
        registered_delivery=1,
        user_message_reference=513,
    )

    sm = parse(theirs.generate()).body

    assert isinstance(sm, Sm)
    assert (sm.source, sm.destination) == (Address(5, 0, "INFO"), Address(1, 1, address))
    assert (sm.short_message, sm.data_coding, sm.registered_delivery) == (text, data_coding, 1)
    assert sm.tlvs == {Tag.USER_MESSAGE_REFERENCE: b"\x02\x01"}


GOLDEN_MESSAGES = [name for name, octets in VECTORS.items() if isinstance(parse(bytes.fromhex(octets)).body, Sm)]


@pytest.mark.parametrize("name", GOLDEN_MESSAGES)
def test_all_codecs_read_the_golden_messages_alike(name: str) -> None:
    octets = bytes.fromhex(VECTORS[name])
    ours = parse(octets).body
    assert isinstance(ours, Sm)
    by_smpplib, by_smpp34 = read_with_smpplib(octets), read_with_smpp34(octets)

    assert ours.short_message == by_smpplib.short_message == by_smpp34.short_message
    assert ours.source.value == by_smpplib.source_addr.decode() == by_smpp34.source_addr
    assert ours.esm_class == by_smpplib.esm_class == by_smpp34.esm_class
    assert dict(ours.tlvs) == {tlv.tag: tlv.value for tlv in by_smpp34.tlvs}


# Statuses in words


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0x0E, "wrong password (0x0e)"),
        (0x43, "status RINVESMCLASS (0x43)"),
        (0x412, "status unknown to SMPP (0x412)"),
    ],
)
def test_status_is_described_for_people(status: int, words: str) -> None:
    assert describe(status) == words


def test_status_is_spelled_as_the_class_table_has_it() -> None:
    assert [code_text(status) for status in (0x0A, 0x58, 0x400)] == ["0x0a", "0x58", "0x400"]
