"""Public ids: TypeIDs that read back to what made them, and refuse everything else."""

from __future__ import annotations

import uuid

import pytest
import uuid_utils
from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain import ids

uids = st.binary(min_size=16, max_size=16)
operation_uids = uids.map(ids.clear)
indices = st.integers(0, ids.MAX_MESSAGES - 1)
attempts = st.integers(1, ids.MAX_ATTEMPTS)

#: From the TypeID specification's list of valid ids: prefix, UUID, text.
SPECIFIED = [
    ("prefix", "00000000-0000-0000-0000-000000000000", "prefix_00000000000000000000000000"),
    ("prefix", "00000000-0000-0000-0000-000000000001", "prefix_00000000000000000000000001"),
    ("prefix", "00000000-0000-0000-0000-00000000000a", "prefix_0000000000000000000000000a"),
    ("prefix", "00000000-0000-0000-0000-000000000010", "prefix_0000000000000000000000000g"),
    ("prefix", "00000000-0000-0000-0000-000000000020", "prefix_00000000000000000000000010"),
    ("prefix", "ffffffff-ffff-ffff-ffff-ffffffffffff", "prefix_7zzzzzzzzzzzzzzzzzzzzzzzzz"),
    ("prefix", "0110c853-1d09-52d8-d73e-1194e95b5f19", "prefix_0123456789abcdefghjkmnpqrs"),
    ("pre_fix", "01890a5d-ac96-774b-bcce-b302099a8057", "pre_fix_01h455vb4pex5vsknk084sn02q"),
]


@pytest.mark.parametrize(("prefix", "number", "text"), SPECIFIED)
def test_ids_are_those_of_the_typeid_specification(prefix: str, number: str, text: str) -> None:
    uid = uuid.UUID(number).bytes

    assert ids.encode(prefix, uid) == text
    assert ids.decode(prefix, text) == uid


@given(uids)
def test_an_id_reads_back_to_its_bytes(uid: bytes) -> None:
    assert ids.decode(ids.SENDER, ids.encode(ids.SENDER, uid)) == uid


@pytest.mark.parametrize(
    "text",
    [
        "",
        "comms_sender",
        "comms_sender_",
        "_01h455vb4pex5vsknk084sn02q",
        "01h455vb4pex5vsknk084sn02q",
        "comms_senderpool_01h455vb4pex5vsknk084sn02q",
        "comms_sender_01h455vb4pex5vsknk084sn02",
        "comms_sender_01h455vb4pex5vsknk084sn02qq",
        "comms_sender_81h455vb4pex5vsknk084sn02q",
        "comms_sender_01H455VB4PEX5VSKNK084SN02Q",
        "comms_sender_01h455vb4pex5vsknk084sn02i",
        "comms_sender_01h455vb4pex5vsknk084sn02l",
        "comms_sender_01h455vb4pex5vsknk084sn02u",
        "comms_sender_01h455vb4pex5vsknk084sn02q\n",
        " comms_sender_01h455vb4pex5vsknk084sn02q",
        "comms_sender_٠1h455vb4pex5vsknk084sn02q",
        "comms_sender_01h455vb4pex5vsknk08_sn02q",
    ],
)
def test_what_is_no_id_of_this_kind_is_none(text: str) -> None:
    assert ids.decode(ids.SENDER, text) is None


@given(st.text())
def test_no_text_at_all_makes_reading_an_id_fail(text: str) -> None:
    assert ids.parse_operation(text) is None
    assert ids.parse_message(f"{ids.MESSAGE}_{text}") is None


@given(operation_uids, indices)
def test_a_message_id_names_its_operation_and_its_place(operation_uid: bytes, index: int) -> None:
    assert ids.parse_message(ids.message_id(operation_uid, index)) == (operation_uid, index)


@given(operation_uids)
def test_an_operation_id_names_the_operation_and_no_message(operation_uid: bytes) -> None:
    text = ids.operation_id(operation_uid)

    assert ids.parse_operation(text) == operation_uid
    assert ids.parse_message(text.replace(ids.OPERATION, ids.MESSAGE)) is None


@given(operation_uids, indices)
def test_a_message_id_under_the_operations_prefix_is_no_operation(operation_uid: bytes, index: int) -> None:
    disguised = ids.message_id(operation_uid, index).replace(ids.MESSAGE, ids.OPERATION)

    assert ids.parse_operation(disguised) is None


@given(operation_uids, indices, attempts)
def test_an_attempt_id_holds_its_message_and_number(operation_uid: bytes, index: int, n: int) -> None:
    text = ids.attempt_id(operation_uid, index, n)

    assert len(text) == 34
    assert text.startswith("SM")
    for spelling in (text, "MM" + text[2:], "SM" + text[2:].upper()):
        assert ids.parse_attempt(spelling) == (operation_uid, index, n)
    assert ids.parse_message(ids.encode(ids.MESSAGE, bytes.fromhex(text[2:]))) is None


@pytest.mark.parametrize(
    "text", ["", "SM", "sm" + "0" * 32, "SM" + "0" * 31, "SM" + "0" * 33, "SM" + "g" * 32, "SM" + "0" * 31 + "\n"]
)
def test_anything_else_is_no_attempts_id(text: str) -> None:
    assert ids.parse_attempt(text) is None


@given(uids)
def test_clearing_keeps_the_first_108_bits(uid: bytes) -> None:
    cleared = ids.clear(uid)

    assert cleared[:13] == uid[:13]
    assert cleared[13] == uid[13] & 0xF0
    assert cleared[14:] == b"\0\0"
    assert ids.clear(cleared) == cleared


def test_ids_sort_by_the_time_they_were_made() -> None:
    made = [ids.clear(uuid_utils.uuid7().bytes) for _ in range(500)]
    texts = [ids.operation_id(uid) for uid in made]

    assert len(set(texts)) == 500
    assert texts == sorted(texts)


@given(operation_uids, indices, indices)
def test_messages_of_an_operation_sort_by_their_place(operation_uid: bytes, one: int, other: int) -> None:
    first, second = ids.message_id(operation_uid, one), ids.message_id(operation_uid, other)

    assert (first < second) == (one < other)
    # The operation is the last of its own messages' range, so a range of uids takes all of it.
    assert first.removeprefix(ids.MESSAGE) < ids.operation_id(operation_uid).removeprefix(ids.OPERATION)
