"""Receipts are understood however a carrier writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.connectors.base import Receipt, ReceiptState
from sendpool.connectors.smpp.pdu import Address, Command, Pdu, Sm, Tag, encode, parse
from sendpool.connectors.smpp.receipts import ReceiptReader, id_reader, scan
from sendpool.connectors.smpp.settings import ErrorTable, IdFormat, IdSpelling, SmppSettings
from sendpool.domain.failures import FailureClass

VECTORS: dict[str, str] = json.loads((Path(__file__).parents[2] / "vectors" / "smpp.json").read_text("utf-8"))["pdus"]
DATES = "submit date:2511220101 done date:2511220102"
HEX, DEC, TEXT = IdSpelling.HEX, IdSpelling.DEC, IdSpelling.TEXT
DELIVERED, UNDELIVERED, PROGRESS = ReceiptState.DELIVERED, ReceiptState.UNDELIVERED, ReceiptState.PROGRESS


def reader(**options: Any) -> ReceiptReader:
    return ReceiptReader(SmppSettings(host="h", system_id="s", **options))


def deliver_sm(text: str | bytes = "", esm_class: int = 0x04, **fields: Any) -> Sm:
    octets = text.encode("latin-1") if isinstance(text, str) else text
    phone, info = Address(1, 1, "447700900123"), Address(5, 0, "INFO")
    return Sm(source=phone, destination=info, esm_class=esm_class, short_message=octets, **fields)


def verdict(receipt: Receipt) -> Receipt:
    """What it says, apart from between whom it was."""
    return receipt._replace(about=())


def golden(name: str) -> Sm:
    sm = parse(bytes.fromhex(VECTORS[name])).body
    assert isinstance(sm, Sm)
    return sm


@pytest.mark.parametrize(
    ("name", "id_format", "receipt"),
    [
        ("12 receipt with TLVs", IdFormat(), Receipt("1A2B3C4D", DELIVERED, None, "")),
        ("12 receipt with TLVs", IdFormat(resp=HEX, receipt=DEC), Receipt("439041101", DELIVERED, None, "")),
        (
            "13 minimal receipt",
            IdFormat(resp=HEX, receipt=DEC),
            Receipt("439041101", UNDELIVERED, FailureClass.RECIPIENT, "001", "smpp.stat/UNDELIV"),
        ),
        ("14 intermediate notification", IdFormat(resp=HEX), Receipt("439041101", PROGRESS, None, "ENROUTE")),
    ],
)
def test_golden_receipts(name: str, id_format: IdFormat, receipt: Receipt) -> None:
    ours = reader(id_format=id_format)

    assert ours.is_receipt(golden(name))
    assert verdict(ours.read(golden(name))) == receipt


def test_a_receipt_says_between_whom_it_was_and_when_the_text_was_submitted() -> None:
    between = b"INFO", b"447700900123"

    assert reader().read(golden("12 receipt with TLVs")).about == (*between, b"2511220101")
    assert reader().read(golden("13 minimal receipt")).about == (*between, b"")
    assert reader().read(deliver_sm("id:1 Submit_Date:20251122010130 stat:DELIVRD")).about == (
        *between,
        b"20251122010130",
    )
    assert reader().read(deliver_sm("id:1 submit date:yesterday stat:DELIVRD")).about == (*between, b"")


def test_hex_answer_and_decimal_receipt_name_the_same_message() -> None:
    assert id_reader(HEX)(b"1A2B3C4D") == id_reader(HEX)(b"1a2b3c4d") == id_reader(DEC)(b"0439041101") == "439041101"


@pytest.mark.parametrize(
    ("raw", "spelling", "id_"),
    [
        (b"00017", DEC, "17"),
        (b"0", DEC, "0"),
        (b"00017", TEXT, "00017"),
        (b"17", HEX, "23"),
        (b"a-b-C", HEX, "a-b-c"),
        (b"1_0", HEX, "1_0"),
        (b"12AB", DEC, "12ab"),
        (b" x y ", TEXT, "x y"),
        (b"\xb2", DEC, "\xb2"),
    ],
)
def test_ids_are_compared_as_one(raw: bytes, spelling: IdSpelling, id_: str) -> None:
    assert id_reader(spelling)(raw) == id_


@pytest.mark.parametrize(
    ("stat", "state", "failure", "code"),
    [
        ("DELIVRD", DELIVERED, None, ""),
        ("DELIVERED", DELIVERED, None, ""),
        ("DELIV", DELIVERED, None, ""),
        ("delivrd", DELIVERED, None, ""),
        ("EXPIRED", ReceiptState.EXPIRED, FailureClass.EXPIRED, "EXPIRED"),
        ("DELETED", UNDELIVERED, FailureClass.RECIPIENT, "DELETED"),
        ("UNDELIV", UNDELIVERED, FailureClass.RECIPIENT, "UNDELIV"),
        ("UNDELIVERABLE", UNDELIVERED, FailureClass.RECIPIENT, "UNDELIV"),
        ("FAILED", UNDELIVERED, FailureClass.RECIPIENT, "FAILED"),
        ("REJECTD", UNDELIVERED, FailureClass.SENDER, "REJECTD"),
        ("ACCEPTD", PROGRESS, None, "ACCEPTD"),
        ("ENROUTE", PROGRESS, None, "ENROUTE"),
        ("UNKNOWN", ReceiptState.UNKNOWN, None, "UNKNOWN"),
        ("WHATEVER", ReceiptState.UNKNOWN, None, "WHATEVER"),
    ],
)
def test_stat_words(stat: str, state: ReceiptState, failure: FailureClass | None, code: str) -> None:
    receipt = reader().read(deliver_sm(f"id:7 stat:{stat}"))

    assert receipt[:4] == ("7", state, failure, code)
    assert receipt.rule == (f"smpp.stat/{code}" if failure else "")


@pytest.mark.parametrize(
    "text",
    [
        f"id:42 sub:001 dlvrd:000 {DATES} stat:UNDELIV err:034 text:Hello",
        f"id:42 sub:001 dlvrd:000 {DATES} stat:UNDELIV err:034 Text:Hello",
        f"id:42 sub:001 dlvrd:000 {DATES} stat:UNDELIV err:034",
        "ID: 42 STAT: undeliv ERR: 034",
        "stat:UNDELIV err:034 id:42",
        "err:034,stat:UNDELIV,id:42,",
        "id:42 submit date:20251122010203 done date:251122010205 stat:UNDELIV err:034 text:id:9 stat:DELIVRD err:000",
        "id:42\r\nstat:UNDELIV\r\nerr:034\r\n",
        "id:42 stat:UNDELIV err:034\0",
    ],
)
def test_text_is_read_in_any_order_and_case_and_never_inside_the_message(text: str) -> None:
    ours = reader(receipt_errors={"034": "TRANSIENT"})

    assert verdict(ours.read(deliver_sm(text))) == Receipt(
        "42", UNDELIVERED, FailureClass.TRANSIENT, "034", "connection/TRANSIENT"
    )


def test_empty_err_is_no_err() -> None:
    receipt = reader().read(deliver_sm("id:42 stat:UNDELIV err: text:hi"))

    assert verdict(receipt) == Receipt("42", UNDELIVERED, FailureClass.RECIPIENT, "UNDELIV", "smpp.stat/UNDELIV")


def test_first_of_a_repeated_key_counts() -> None:
    assert scan(b"id:1 id:2 stat:DELIVRD") == {"id": b"1", "stat": b"DELIVRD"}


def test_tlvs_win_over_the_text() -> None:
    tlvs = {Tag.RECEIPTED_MESSAGE_ID: b"77\0", Tag.MESSAGE_STATE: b"\x05"}

    receipt = reader().read(deliver_sm("id:1 stat:DELIVRD err:000", tlvs=tlvs))

    assert verdict(receipt) == Receipt("77", UNDELIVERED, FailureClass.RECIPIENT, "UNDELIV", "smpp.stat/UNDELIV")


@pytest.mark.parametrize(
    ("number", "state"),
    list(
        enumerate(
            [
                PROGRESS,
                PROGRESS,
                DELIVERED,
                ReceiptState.EXPIRED,
                UNDELIVERED,
                UNDELIVERED,
                PROGRESS,
                ReceiptState.UNKNOWN,
                UNDELIVERED,
                ReceiptState.UNKNOWN,
            ]
        )
    ),
)
def test_every_message_state(number: int, state: ReceiptState) -> None:
    tlvs = {Tag.RECEIPTED_MESSAGE_ID: b"7", Tag.MESSAGE_STATE: bytes((number,))}

    assert reader().read(deliver_sm(tlvs=tlvs)).state is state


def test_message_state_that_nobody_knows_leaves_the_text_to_decide() -> None:
    assert reader().read(deliver_sm("id:1 stat:DELIVRD", tlvs={Tag.MESSAGE_STATE: b"\x63"})).state is DELIVERED


def test_receipt_may_lie_in_message_payload() -> None:
    sm = deliver_sm(tlvs={Tag.MESSAGE_PAYLOAD: b"id:5 stat:DELIVRD err:000 text:"})

    assert verdict(reader().read(sm)) == Receipt("5", DELIVERED, None, "")


def test_receipt_may_be_written_in_ucs2() -> None:
    sm = deliver_sm("id:5 stat:DELIVRD".encode("utf-16-be"), data_coding=8)

    assert verdict(reader().read(sm)) == Receipt("5", DELIVERED, None, "")


@pytest.mark.parametrize(
    ("network", "failure", "code"),
    [
        (b"\x03\x00\x06", FailureClass.ABSENT, "6"),
        (b"\x03\x00\x01", FailureClass.RECIPIENT, "1"),
        (b"\x03\x00\x0b", FailureClass.CHANNEL, "11"),
        (b"\x03\x00\x22", FailureClass.TRANSIENT, "34"),
        (b"\x03\x00\x00", FailureClass.RECIPIENT, "005"),  # no error: the word decides
        (b"\x03\x7f\xff", FailureClass.RECIPIENT, "005"),  # no MAP error
        (b"\x01\x00\x06", FailureClass.RECIPIENT, "005"),  # another kind of network
        (b"\x03", FailureClass.RECIPIENT, "005"),
    ],
)
def test_network_error_of_a_gsm_network_decides_the_class(network: bytes, failure: FailureClass, code: str) -> None:
    receipt = reader().read(deliver_sm("id:5 stat:UNDELIV err:005", tlvs={Tag.NETWORK_ERROR_CODE: network}))

    assert (receipt.failure, receipt.code) == (failure, code)
    assert receipt.rule == ("smpp.stat/UNDELIV" if code == "005" else f"smpp.map/{code}")


@pytest.mark.parametrize(
    ("table", "err", "failure"),
    [
        (ErrorTable.NONE, "006", FailureClass.RECIPIENT),
        (ErrorTable.MAP, "006", FailureClass.ABSENT),
        (ErrorTable.VENDOR, "011", FailureClass.ABSENT),
        (ErrorTable.MAP, "999", FailureClass.RECIPIENT),
        (ErrorTable.MAP, "000", FailureClass.RECIPIENT),
    ],
)
def test_err_is_read_by_the_table_that_the_connection_names(table: ErrorTable, err: str, failure: FailureClass) -> None:
    assert reader(receipt_error_table=table).read(deliver_sm(f"id:5 stat:UNDELIV err:{err}")).failure is failure


def test_own_error_codes_win_over_the_network_and_the_word() -> None:
    ours = reader(receipt_errors={"34": "TRANSIENT"})

    receipt = ours.read(deliver_sm("id:5 stat:REJECTD err:034", tlvs={Tag.NETWORK_ERROR_CODE: b"\x03\x00\x01"}))

    assert (receipt.failure, receipt.code) == (FailureClass.TRANSIENT, "034")


def test_own_words_for_stat() -> None:
    ours = reader(receipt_states={"SentOk": "DELIVRD", "BUFFERED": "ENROUTE"})

    assert ours.read(deliver_sm("id:5 stat:SENTOK err:000")).state is DELIVERED
    assert ours.read(deliver_sm("id:5 stat:buffered err:000")).state is PROGRESS


def test_intermediate_notification_never_ends_a_message_but_by_delivery() -> None:
    assert reader().read(deliver_sm("id:5 stat:UNDELIV err:006", esm_class=0x20)).state is PROGRESS
    assert reader().read(deliver_sm("id:5 stat:DELIVRD err:000", esm_class=0x20)).state is DELIVERED


@pytest.mark.parametrize(
    ("esm_class", "text", "sniff", "is_receipt"),
    [
        (0x04, "", False, True),
        (0x44, "", False, True),
        (0x20, "", False, True),
        (0x00, "id:1 stat:DELIVRD", False, False),
        (0x00, "id:1 stat:DELIVRD", True, True),
        (0x00, "my id: see text", True, False),
        (0x08, "id:1 stat:DELIVRD", True, False),
    ],
)
def test_what_is_a_receipt(esm_class: int, text: str, sniff: bool, is_receipt: bool) -> None:
    assert reader(sniff_receipts=sniff).is_receipt(deliver_sm(text, esm_class)) is is_receipt


def test_receipt_without_an_id_goes_through_and_is_counted() -> None:
    ours = reader()

    assert verdict(ours.read(deliver_sm("stat:DELIVRD err:000"))) == Receipt("", DELIVERED, None, "")
    assert ours.without_id == 1


# The quick path


def frame(sm: Sm) -> bytes:
    return encode(Pdu(Command.DELIVER_SM, 0, 7, sm))


def test_usual_receipts_take_the_quick_path() -> None:
    usual = [golden("12 receipt with TLVs"), deliver_sm(f"id:1 sub:001 dlvrd:001 {DATES} stat:DELIVRD err:000 text:")]

    assert all(reader().read_usual(frame(sm)) == reader().read(sm) for sm in usual)


@pytest.mark.parametrize("name", ["13 minimal receipt", "14 intermediate notification", "15 inbound text"])
def test_everything_else_is_left_to_the_long_way(name: str) -> None:
    assert reader().read_usual(bytes.fromhex(VECTORS[name])) is None


words = st.sampled_from(["DELIVRD", "UNDELIV", "EXPIRED", "ENROUTE", "delivered", "X"])
texts = st.builds(
    "id:{} sub:{} dlvrd:{} submit date:{} done date:{} stat:{} err:{}{}".format,
    st.text("0123456789abcdefXYZ-", min_size=1, max_size=12),
    st.sampled_from(["001", ""]),
    st.sampled_from(["001", ""]),
    st.sampled_from(["2511220101", "20251122010101", ""]),
    st.sampled_from(["2511220101", "251122010101"]),
    words,
    st.sampled_from(["000", "034", "1A", "x"]),
    st.sampled_from(["", " text:", " text:id:9 stat:DELIVRD", " Text:\x00\x1e\x00\x02", " foo:bar", "\0", " "]),
)
tlv_sets = st.fixed_dictionaries(
    {},
    optional={
        Tag.RECEIPTED_MESSAGE_ID: st.sampled_from([b"77\0", b"1A\0", b"77", b"\0", b"7\x007\0"]),
        Tag.MESSAGE_STATE: st.sampled_from([b"\x02", b"\x05", b"\x01\x02"]),
        Tag.NETWORK_ERROR_CODE: st.sampled_from([b"\x03\x00\x06", b"\x03\x00\x00", b"\x01"]),
        0x1400: st.just(b"vendor"),
    },
)


@given(texts, tlv_sets, st.sampled_from([0x04, 0x00, 0x20, 0x44]), st.sampled_from([0, 3, 8]))
def test_quick_path_says_the_same_as_the_long_one_or_nothing(
    text: str, tlvs: dict[int, bytes], esm_class: int, data_coding: int
) -> None:
    sm = deliver_sm(text, esm_class, tlvs=tlvs, data_coding=data_coding)
    ours = reader(receipt_errors={"034": "TRANSIENT"}, id_format=IdFormat(resp=HEX, receipt=DEC))

    quick = ours.read_usual(frame(sm))

    assert quick is None or quick == ours.read(sm)


@given(st.binary(max_size=254), tlv_sets, st.integers(0, 255))
def test_any_octets_are_read_as_some_receipt(octets: bytes, tlvs: dict[int, bytes], data_coding: int) -> None:
    sm = deliver_sm(octets, tlvs=tlvs, data_coding=data_coding)

    assert isinstance(reader().read(sm), Receipt)


def test_verdicts_do_not_fill_the_memory() -> None:
    ours = reader()

    for n in range(5000):
        ours.read(deliver_sm(f"id:{n} stat:UNDELIV err:{n}"))

    assert len(ours._verdicts) <= 4096
