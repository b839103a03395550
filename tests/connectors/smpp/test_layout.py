"""Long texts by header, by sar parameters or whole; the alphabets and data_codings of carriers; their own TLVs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.connectors.smpp.conftest import Rig
from tests.connectors.smpp.test_submits import VECTORS, read, submission, write, written

from sendpool.connectors.base import CarrierId, Submission, Throttled, Unavailable, Uncertain
from sendpool.connectors.smpp.inbound import InboundReader
from sendpool.connectors.smpp.pdu import RESPONSE, Command, MessageId, Pdu, Sm, Status, Tag
from sendpool.connectors.smpp.settings import Alphabet, DataCoding, LongMessages, SmppSettings
from sendpool.connectors.smpp.tlvs import Tlv
from sendpool.domain.segments import count, decode_gsm, unpack
from sendpool.simulate.record import body_of

SAR, PAYLOAD = {"long_messages": LongMessages.SAR}, {"long_messages": LongMessages.PAYLOAD}
ENTITY = {"tag": 0x1400, "text": "1101234567890"}


def tlvs_of(item: Submission, *tlvs: dict[str, Any], **options: Any) -> dict[int, bytes]:
    return dict(written(item, tlvs=tuple(Tlv(**tlv) for tlv in tlvs), **options)[0].tlvs)


# Long texts


def test_sar_parameters_are_written_as_in_the_golden_part() -> None:
    second = write(submission("A" * 161), **SAR)[1][2].hex()

    assert second.endswith("4141" + VECTORS["8 the same part by sar TLVs"][-32:])


def test_parts_by_sar_parameters_are_cut_as_those_with_a_header() -> None:
    first, second = written(submission("[" * 100), **SAR)

    assert (len(first.short_message), len(second.short_message), first.esm_class) == (152, 48, 0)
    assert [body_of(sm)[0] for sm in (first, second)] == [(1, 2, 0xCC), (2, 2, 0xCC)]


def test_a_whole_text_is_one_submit_that_stands_for_all_its_parts() -> None:
    ((attempt, part, _),) = write(submission("A" * 400), **PAYLOAD)
    (sm,) = written(submission("A" * 400), **PAYLOAD)

    assert (attempt.message_id, part) == (1, -0b111)
    assert (sm.short_message, sm.tlvs[Tag.MESSAGE_PAYLOAD], sm.esm_class) == (b"", b"A" * 400, 0)
    assert written(submission("short"), **PAYLOAD)[0].short_message == b"short"


@given(st.text(min_size=1, max_size=400), st.sampled_from([SAR, PAYLOAD]), st.booleans())
def test_any_text_arrives_whole_in_every_form(text: str, form: dict[str, Any], packed: bool) -> None:
    parts = written(submission(text), packed=packed, **form)

    octets = [body_of(sm)[1] for sm in parts]
    if parts[0].data_coding == 8:
        assert b"".join(octets).decode("utf-16-be") == text
    else:
        # Seven spare bits after a last character of 0x0D cannot be told from a filler (3GPP 23.038 §6.1.2.3.1).
        plain = [unpack(one) if packed else one for one in octets]
        assert decode_gsm(b"".join(plain)).rstrip("\r") == text.rstrip("\r")
    assert len(parts) == (count(text) if form is SAR else 1)


async def test_the_answer_to_a_whole_text_is_that_of_all_its_parts(rig: Rig) -> None:
    connector = await rig.opened(window=1, long_messages="payload")
    await connector.submit([rig.submission(1, "A" * 400), rig.submission(2, "A" * 200), rig.submission(3, "A" * 161)])
    link = rig.centre.link
    await rig.until(lambda: len(link.submits) == 1)
    link.send(Pdu(Command.SUBMIT_SM | RESPONSE, 0, link.submits[0].sequence, MessageId("m1")))
    await rig.until(lambda: len(link.submits) == 2)
    link.send(Pdu(Command.SUBMIT_SM | RESPONSE, Status.RTHROTTLED, link.submits[1].sequence))
    await rig.until(lambda: len(link.submits) == 3)
    await connector.submit([rig.submission(4, "A" * 161)])
    link.cut()
    await rig.until(lambda: len(rig.inbox.outcome_list) == 9)

    found = [(key.message_id, part, type(outcome)) for key, part, outcome in rig.inbox.outcome_list]
    assert found[:5] == [*((1, n, CarrierId) for n in (1, 2, 3)), *((2, n, Throttled) for n in (1, 2))]
    assert found[5:] == [*((3, n, Uncertain) for n in (1, 2)), *((4, n, Unavailable) for n in (1, 2))]


# Alphabets


@pytest.mark.parametrize(
    ("text", "coding", "octets"),
    [("é@", 0, "é@".encode("utf-16-be")), ("я", 0, "я".encode("utf-16-be")), ("😀", 0, "😀".encode("utf-16-be"))],
)
def test_a_carrier_whose_own_alphabet_is_ucs2(text: str, coding: int, octets: bytes) -> None:
    sm = written(submission(text), default_alphabet=Alphabet.UCS2)[0]

    assert (sm.data_coding, sm.short_message) == (coding, octets)


def test_its_texts_count_as_on_the_air_and_leave_as_payload_where_they_do_not_fit() -> None:
    (single,) = written(submission("A" * 160), default_alphabet=Alphabet.UCS2)
    first, second = written(submission("A" * 200), default_alphabet=Alphabet.UCS2)

    assert single.tlvs[Tag.MESSAGE_PAYLOAD].decode("utf-16-be") == "A" * 160
    assert (first.esm_class, first.tlvs[Tag.MESSAGE_PAYLOAD][:6].hex()) == (0x40, "050003cc0201")
    assert body_of(first)[1].decode("utf-16-be") == "A" * 153
    assert (second.short_message[:6].hex(), body_of(second)[1].decode("utf-16-be")) == ("050003cc0202", "A" * 47)


@pytest.mark.parametrize(("text", "alphabet", "coding"), [("a", "gsm", 0xF1), ("é", "ascii", 0xF3), ("я", "gsm", 0x18)])
def test_data_coding_is_what_the_carrier_wants(text: str, alphabet: str, coding: int) -> None:
    codings = DataCoding(default=0xF1, latin1=0xF3, ucs2=0x18)
    sm = written(submission(text), default_alphabet=Alphabet(alphabet), data_coding=codings)[0]

    assert sm.data_coding == coding


@pytest.mark.parametrize(
    ("alphabet", "coding", "octets", "text"),
    [
        ("gsm", 0xF3, b"\xe9", "é"),
        ("gsm", 0x18, b"\x04\x4f", "я"),
        ("gsm", 1, b"\x05", "é"),
        ("gsm", 0, b"\x05", "é"),
        ("latin1", 1, b"\xe9", "é"),
        ("ucs2", 1, b"\x04\x4f", "я"),
        ("ucs2", 0, b"\x04\x4f", "я"),
    ],
)
def test_inbound_texts_are_read_by_the_same_codings(alphabet: str, coding: int, octets: bytes, text: str) -> None:
    codings = DataCoding(default=1, latin1=0xF3, ucs2=0x18)
    settings = SmppSettings(host="h", system_id="s", default_alphabet=Alphabet(alphabet), data_coding=codings)

    assert InboundReader(settings, ()).read(Sm(data_coding=coding, short_message=octets)).text == text


# TLVs of the carrier's own


@pytest.mark.parametrize(
    ("tlv", "octets"),
    [
        ({"text": "1101"}, b"1101"),
        ({"text": "1101", "nul": True}, b"1101\0"),
        ({"number": 513, "octets": 2}, b"\x02\x01"),
        ({"hex": "00ff"}, b"\x00\xff"),
    ],
)
def test_a_static_tlv_goes_with_every_submit(tlv: dict[str, Any], octets: bytes) -> None:
    for form in ({}, SAR, PAYLOAD):
        for text in ("a", "a" * 200):
            assert tlvs_of(submission(text), {"tag": 0x1400, **tlv}, **form)[0x1400] == octets


def test_a_senders_tlv_stands_in_place_of_its_connections() -> None:
    own = {"tlvs": [{"tag": 0x1400, "text": "own"}, {"tag": 0x1402, "hex": "01"}]}

    assert tlvs_of(submission(options=own), ENTITY, {"tag": 0x1401, "text": "b"}) == {
        0x1400: b"own",
        0x1401: b"b",
        0x1402: b"\x01",
    }


@pytest.mark.parametrize(
    ("tags", "tlv", "found"),
    [
        ({"dlt_template": "1107"}, {"from_tag": "dlt_template"}, b"1107"),
        ({"dlt_template": "1107"}, {"from_tag": "dlt_template", "nul": True}, b"1107\0"),
        ({"region": "APAC"}, {"from_tag": "dlt_template", "text": "1100"}, b"1100"),
        ({"region": "APAC"}, {"from_tag": "dlt_template"}, None),
    ],
)
def test_a_tlv_may_follow_a_tag_of_the_message(tags: dict[str, str], tlv: dict[str, Any], found: bytes | None) -> None:
    written_with = tlvs_of(submission("a" * 200, tags=tags), ENTITY, {"tag": 0x1401, **tlv})

    assert (written_with[0x1400], written_with.get(0x1401)) == (b"1101234567890", found)


def test_tlvs_stand_behind_each_part_of_a_long_text() -> None:
    tags = {"dlt_template": "1107"}
    own = (Tlv(tag=0x1401, from_tag="dlt_template"),)
    waiting = write(submission("a" * 200, tags=tags), tlvs=own)

    assert [read(item).tlvs for item in waiting] == [{0x1401: b"1107"}] * 2
