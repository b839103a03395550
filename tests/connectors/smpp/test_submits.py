"""A submission becomes the submit_sm bodies that the specification asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.connectors.base import AttemptKey, Recounted, Rejected, Submission
from sendpool.connectors.smpp.pdu import Address, Command, Sm, header, parse
from sendpool.connectors.smpp.settings import Alphabet, SmppSettings
from sendpool.connectors.smpp.submits import SubmitWriter, UnfitSubmission
from sendpool.connectors.smpp.window import Waiting
from sendpool.domain.failures import FailureClass
from sendpool.domain.message import Content
from sendpool.domain.segments import count, decode_gsm, unpack
from sendpool.domain.sender import Channel

VECTORS: dict[str, str] = json.loads((Path(__file__).parents[2] / "vectors" / "smpp.json").read_text("utf-8"))["pdus"]
ALL = 0xFFFF


def submission(text: str = "hi", **changes: Any) -> Submission:
    fields: dict[str, Any] = {
        "attempt": AttemptKey(1, 1),
        "channel": Channel.SMS,
        "sender": "INFO",
        "recipient": "+447700900123",
        "content": Content(text=text),
        "segments": count(text),
        "reference": 0xCC,
        "validity": None,
        "parts": ALL,
        "options": {},
    }
    return Submission(**{**fields, **changes})


def write(item: Submission, **options: Any) -> list[Waiting]:
    waiting: list[Waiting] = []
    SubmitWriter(SmppSettings(host="h", system_id="s", **options)).write(item, waiting)
    return waiting


def read(waiting: Waiting) -> Sm:
    body = waiting[2]
    sm = parse(header(Command.SUBMIT_SM, 0, 1, len(body)) + body).body
    assert isinstance(sm, Sm)
    return sm


def written(item: Submission, **options: Any) -> list[Sm]:
    return [read(waiting) for waiting in write(item, **options)]


@pytest.mark.parametrize(
    ("name", "item"),
    [
        ("3 submit_sm with escapes and validity", submission("Hi @ {€}", validity=86400)),
        ("6 submit_sm UCS2", submission("Привет", sender="+447700900000")),
    ],
)
def test_golden_submit_is_written_octet_by_octet(name: str, item: Submission) -> None:
    assert write(item)[0][2].hex() == VECTORS[name][32:]


def test_long_text_leaves_in_parts_with_the_reference_of_its_attempt() -> None:
    first, second = written(submission("A" * 160 + "BBBB"))

    assert first.short_message == bytes.fromhex("050003cc0201") + b"A" * 153
    assert second.short_message == bytes.fromhex("050003cc0202") + b"A" * 7 + b"BBBB"
    assert (first.esm_class, len(first.short_message)) == (0x40, 0x9F)


def test_only_wanted_parts_are_written_and_keep_their_numbers() -> None:
    waiting = write(submission("я" * 200, parts=0b101))

    assert [part for _, part, _ in waiting] == [1, 3]
    assert [read(item).short_message[:6].hex() for item in waiting] == ["050003cc0301", "050003cc0303"]


@given(st.text(min_size=1, max_size=400), st.integers(0, 255))
def test_any_text_arrives_whole(text: str, reference: int) -> None:
    parts = written(submission(text, reference=reference))

    headers = 6 if len(parts) > 1 else 0
    texts = [part.short_message[headers:] for part in parts]
    coding = parts[0].data_coding
    assert "".join(decode_gsm(t) if coding == 0 else t.decode("utf-16-be") for t in texts) == text
    assert len(parts) == count(text)


@pytest.mark.parametrize(
    ("sender", "options", "source"),
    [
        ("+12034458910", {}, Address(1, 1, "12034458910")),
        ("62442", {}, Address(3, 0, "62442")),
        ("INFO", {}, Address(5, 0, "INFO")),
        ("02079460000", {}, Address(0, 0, "02079460000")),
        ("62442", {"ton": 6, "npi": 1}, Address(6, 1, "62442")),
        ("INFO", {"npi": 1}, Address(5, 1, "INFO")),
    ],
)
def test_numbering_follows_the_kind_of_sender(sender: str, options: dict[str, int], source: Address) -> None:
    assert written(submission(sender=sender, options=options))[0].source == source


def test_numbering_of_the_connection_yields_to_that_of_the_sender() -> None:
    plain, own = submission(), submission(options={"ton": 6})

    assert written(plain, source_ton=0, source_npi=0, destination_ton=0, destination_npi=9)[0].source[:2] == (0, 0)
    assert written(plain, destination_ton=0, destination_npi=9)[0].destination == Address(0, 9, "447700900123")
    assert written(own, source_ton=0, source_npi=0)[0].source[:2] == (6, 0)


def test_one_sender_whose_options_change_is_written_anew() -> None:
    writer = SubmitWriter(SmppSettings(host="h", system_id="s"))
    waiting: list[Waiting] = []

    writer.write(submission(options={"ton": 3}), waiting)
    writer.write(submission(options={"ton": 5}), waiting)

    assert [read(item).source.ton for item in waiting] == [3, 5]


@pytest.mark.parametrize(
    ("validity", "written_as"),
    [(None, ""), (600, "000000001000000R"), (30 * 86400, "000007000000000R"), (0, "000000000001000R")],
)
def test_validity_is_relative_and_capped(validity: int | None, written_as: str) -> None:
    assert written(submission(validity=validity))[0].validity == written_as


@pytest.mark.parametrize(
    ("text", "alphabet", "coding", "octets"),
    [
        ("é@", "gsm", 0, b"\x05\x00"),
        ("é@", "latin1", 0, b"\xe9@"),
        ("e@[", "ascii", 0, b"e@["),
        ("é@", "ascii", 3, b"\xe9@"),
        ("€", "latin1", 8, "€".encode("utf-16-be")),
        ("Ω", "ascii", 8, "Ω".encode("utf-16-be")),
        ("я", "latin1", 8, "я".encode("utf-16-be")),
    ],
)
def test_default_alphabet_of_the_carrier(text: str, alphabet: str, coding: int, octets: bytes) -> None:
    sm = written(submission(text), default_alphabet=Alphabet(alphabet))[0]

    assert (sm.data_coding, sm.short_message) == (coding, octets)


def test_parts_for_a_latin1_carrier_are_cut_by_septets() -> None:
    first, second = written(submission("[" * 100), default_alphabet=Alphabet.LATIN1)

    assert (len(first.short_message), len(second.short_message)) == (6 + 76, 6 + 24)


def test_packed_text_is_packed_behind_its_header_too() -> None:
    single = written(submission("hellohello"), packed=True)[0]
    first, second = written(submission("A" * 160 + "BBBB"), packed=True)

    assert single.short_message.hex() == "e8329bfd4697d9ec37"
    assert len(first.short_message) == 140
    assert unpack(second.short_message[6:], header_octets=6) == b"A" * 7 + b"BBBB"
    assert written(submission("я"), packed=True)[0].short_message == "я".encode("utf-16-be")


@pytest.mark.parametrize("recipient", ["", "+", "+" + "1" * 21, "x" * 21])
def test_address_that_does_not_fit_is_refused(recipient: str) -> None:
    with pytest.raises(UnfitSubmission) as caught:
        write(submission(recipient=recipient))

    assert caught.value.outcome == Rejected(FailureClass.RECIPIENT, "unfit_address", "pair")


#: 101 septets, or 100 UTF-16 code units.
EURO = "€" + "a" * 99


def test_a_text_is_charged_for_what_it_makes_at_the_carrier() -> None:
    with pytest.raises(UnfitSubmission) as caught:
        write(submission(EURO), default_alphabet=Alphabet.LATIN1)

    assert caught.value.outcome == Recounted(2)
    parts = written(submission(EURO, segments=2, parts=0b11), default_alphabet=Alphabet.LATIN1)
    assert [sm.data_coding for sm in parts] == [8, 8]


@pytest.mark.parametrize("alphabet", [Alphabet.GSM, Alphabet.UCS2])
def test_one_that_another_carrier_had_counted_as_ucs2_goes_so_by_every_carrier(alphabet: Alphabet) -> None:
    own = 8 if alphabet is Alphabet.GSM else 0

    assert len(written(submission(EURO), default_alphabet=alphabet)) == 1
    parts = written(submission(EURO, segments=2, parts=0b11), default_alphabet=alphabet)
    assert [sm.data_coding for sm in parts] == [own, own]


@given(st.text("aé€Δ[я", min_size=1, max_size=400), st.permutations(list(Alphabet)))
def test_carriers_never_send_a_text_to_and_fro(text: str, alphabets: list[Alphabet]) -> None:
    """Whatever it was counted as, one recount is enough for any order of carriers."""
    charged = [count(text)]
    for alphabet in [*alphabets, *alphabets]:
        charged.append(settled(text, charged[-1], alphabet))

    assert len(set(charged)) <= 2
    assert sorted(charged) == charged


def settled(text: str, charged: int, alphabet: Alphabet) -> int:
    """What it is charged for once a carrier has seen it."""
    try:
        write(submission(text, segments=charged, parts=(1 << charged) - 1), default_alphabet=alphabet)
    except UnfitSubmission as unfit:
        return unfit.outcome.segments if isinstance(unfit.outcome, Recounted) else 0
    return charged


def test_the_rest_of_a_text_of_which_parts_have_left_is_not_recounted() -> None:
    with pytest.raises(UnfitSubmission) as caught:
        write(submission("€" * 71, segments=3, parts=0b100), default_alphabet=Alphabet.LATIN1)

    assert caught.value.outcome == Rejected(FailureClass.CONTENT, "unfit_text", "message")


def test_options_of_the_connection_are_written() -> None:
    sm = written(submission(), registered_delivery=3, service_type="CMT")[0]

    assert (sm.registered_delivery, sm.service_type) == (3, "CMT")


def test_thousands_of_texts_and_senders_do_not_fill_the_memory() -> None:
    writer = SubmitWriter(SmppSettings(host="h", system_id="s"))
    waiting: list[Waiting] = []

    for n in range(3000):
        writer.write(submission(f"text {n}", sender=f"+1203445{n:04}"), waiting)

    assert [read(item).short_message for item in waiting] == [f"text {n}".encode() for n in range(3000)]
    assert len(writer._texts) <= 1024
    assert len(writer._senders) <= 1024
