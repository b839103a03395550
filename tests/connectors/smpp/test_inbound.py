"""Texts that people send arrive as they were written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.connectors.base import Inbound
from sendpool.connectors.smpp.inbound import InboundReader
from sendpool.connectors.smpp.pdu import Address, Sm, Tag, parse
from sendpool.connectors.smpp.settings import Alphabet, SmppSettings
from sendpool.domain.reassembly import Part, join
from sendpool.domain.segments import encode_gsm, pack
from sendpool.domain.sender import Channel

VECTORS: dict[str, str] = json.loads((Path(__file__).parents[2] / "vectors" / "smpp.json").read_text("utf-8"))["pdus"]
PERSON = Address(1, 1, "447700900123")


def reader(*addresses: str, **options: Any) -> InboundReader:
    return InboundReader(SmppSettings(host="h", system_id="s", **options), addresses)


def text_of(octets: bytes, data_coding: int = 0, esm_class: int = 0, **options: Any) -> str:
    sm = Sm(source=PERSON, destination=PERSON, esm_class=esm_class, data_coding=data_coding, short_message=octets)
    return reader(**options).read(sm).text


def test_golden_inbound_text() -> None:
    sm = parse(bytes.fromhex(VECTORS["15 inbound text"])).body
    assert isinstance(sm, Sm)

    inbound = reader("60123").read(sm)

    assert inbound == Inbound(Channel.SMS, "+447700900123", "60123", "STOP", None)


@pytest.mark.parametrize(
    ("address", "sender"),
    [
        (Address(1, 1, "447700900123"), "+447700900123"),
        (Address(1, 1, "+447700900123"), "+447700900123"),
        (Address(0, 0, "447700900123"), "447700900123"),
        (Address(0, 0, "+447700900123"), "+447700900123"),
        (Address(5, 0, "Bank"), "Bank"),
    ],
)
def test_sender_has_a_plus_where_the_carrier_calls_it_international(address: Address, sender: str) -> None:
    assert reader().read(Sm(source=address)).sender == sender


@pytest.mark.parametrize("ton", [0, 1, 2])
def test_our_sender_is_found_whether_the_carrier_writes_a_plus_or_not(ton: int) -> None:
    sm = Sm(source=PERSON, destination=Address(ton, 1, "12034458910"))

    assert reader("+12034458910", "62442").read(sm).recipient == "+12034458910"


@pytest.mark.parametrize(
    ("octets", "data_coding", "text"),
    [
        (b"\x00\x02\x1be", 0, "@$€"),
        (b"plain", 1, "plain"),
        (b"\xe9t\xe9", 3, "été"),
        (b"\xff\x00", 4, "ÿ\0"),
        ("Привет 😀".encode("utf-16-be"), 8, "Привет 😀"),
        ("Привет".encode("iso8859-5"), 6, "Привет"),
        ("שלום".encode("iso8859-8"), 7, "שלום"),
        ("한국".encode("euc_kr"), 14, "한국"),
        (b"\x00flash", 0xF0, "@flash"),
        (b"\xe9", 0xF4, "é"),
        (b"\x00mwi", 0xC8, "@mwi"),
        ("я".encode("utf-16-be"), 0xE0, "я"),
        ("я".encode("utf-16-be"), 0x18, "я"),
        (b"\x00", 0x10, "@"),
        (b"\x00", 0x99, "@"),
        (b"\x04", 8, "\ufffd"),
        (b"", 0, ""),
    ],
)
def test_data_codings(octets: bytes, data_coding: int, text: str) -> None:
    assert text_of(octets, data_coding) == text


def test_default_alphabet_of_the_carrier() -> None:
    assert text_of(b"\xe9@", default_alphabet=Alphabet.LATIN1) == "é@"
    assert text_of(b"a@\xe9", default_alphabet=Alphabet.ASCII) == "a@\ufffd"
    assert text_of(b"\x00", 0xF0, default_alphabet=Alphabet.LATIN1) == "@"


def test_user_data_header_is_no_part_of_the_text() -> None:
    header = bytes.fromhex("050003cc0201")

    assert text_of(header + b"part", esm_class=0x40) == "part"
    assert text_of(header + "я".encode("utf-16-be"), 8, esm_class=0x40) == "я"
    assert text_of(b"\x40cut", esm_class=0x40) == ""
    assert text_of(header + pack(encode_gsm("packed"), header_octets=6), esm_class=0x40, packed=True) == "packed"


def test_text_may_lie_in_message_payload_and_carry_an_id() -> None:
    sm = Sm(source=PERSON, tlvs={Tag.MESSAGE_PAYLOAD: b"hello", Tag.RECEIPTED_MESSAGE_ID: b"mo-1\0"})

    assert reader().read(sm)[3:5] == ("hello", "mo-1")


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("050003070302", Part(7, 2, 3)),
        ("06080401020301", Part(258, 1, 3)),
        ("0b0504158200000003ff0202", Part(255, 2, 2)),
        ("050003070309", None),
        ("050003070101", None),
        ("0500030703", None),
        ("04000307", None),
        ("00", None),
    ],
)
def test_the_header_says_which_part_it_is(header: str, part: Part | None) -> None:
    sm = Sm(source=PERSON, esm_class=0x40, short_message=bytes.fromhex(header) + b"text")

    assert reader().read(sm).part == part


def test_so_do_the_parameters_of_smpp() -> None:
    tlvs: dict[int, bytes] = {
        Tag.SAR_MSG_REF_NUM: b"\x01\x02",
        Tag.SAR_TOTAL_SEGMENTS: b"\x03",
        Tag.SAR_SEGMENT_SEQNUM: b"\x02",
    }

    assert reader().read(Sm(source=PERSON, tlvs=tlvs)).part == Part(258, 2, 3)
    del tlvs[Tag.SAR_TOTAL_SEGMENTS]
    assert reader().read(Sm(source=PERSON, tlvs=tlvs)).part is None


def test_half_a_letter_at_the_end_of_a_part_is_kept_for_the_next() -> None:
    octets = "a😀".encode("utf-16-be")
    halves = [
        reader().read(Sm(source=PERSON, esm_class=0x40, data_coding=8, short_message=bytes((5, 0, 3, 1, 2, n)) + half))
        for n, half in ((1, octets[:4]), (2, octets[4:]))
    ]

    assert join({one.part.number: one.text for one in halves if one.part}, 2) == ("a😀", 0)


@given(st.binary(max_size=254), st.integers(0, 255), st.integers(0, 255), st.booleans())
def test_any_octets_are_read_as_some_text(octets: bytes, data_coding: int, esm_class: int, packed: bool) -> None:
    assert isinstance(text_of(octets, data_coding, esm_class, packed=packed), str)
