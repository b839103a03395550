"""Texts become carrier-sized parts, and nothing is lost or cut in two on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.segments import (
    BASIC_ALPHABET,
    EXTENSION_ALPHABET,
    Encoding,
    count,
    decode_gsm,
    encode_gsm,
    is_gsm,
    pack,
    split,
    unpack,
)

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "smpp.json").read_text("utf-8"))
GSM_CHARACTERS = [c for c in BASIC_ALPHABET if c != "\x1b"] + list(EXTENSION_ALPHABET.values())

gsm_texts = st.text(st.sampled_from(GSM_CHARACTERS), max_size=700)
any_texts = st.one_of(gsm_texts, st.text(max_size=400), st.text("aя€😀", max_size=400))


@pytest.mark.parametrize("vector", VECTORS["segments"], ids=lambda v: f"{v['encoding']}-{v['units']}")
def test_golden_segment_counts(vector: dict[str, Any]) -> None:
    segments = split(vector["text"])

    assert (segments.encoding, segments.units) == (vector["encoding"], vector["units"])
    assert count(vector["text"]) == len(vector["units"])


@pytest.mark.parametrize(("text", "packed"), VECTORS["packed"].items())
def test_golden_packed_septets(text: str, packed: str) -> None:
    assert pack(encode_gsm(text)).hex() == packed
    assert unpack(bytes.fromhex(packed)) == encode_gsm(text)


def test_alphabet_has_every_code_once() -> None:
    assert len(BASIC_ALPHABET) == 128
    assert len(set(GSM_CHARACTERS)) == 127 + 10
    assert (BASIC_ALPHABET[0x5F], BASIC_ALPHABET[0x09], BASIC_ALPHABET[0x20]) == ("§", "Ç", " ")


@pytest.mark.parametrize(
    ("septets", "text"),
    [
        (b"\x1b\x65", "€"),
        (b"a\x1b\x41b", "aAb"),  # an escape of nothing we know: the basic character
        (b"\x1b\x1b", " "),
        (b"end\x1b", "end "),
        (b"\x80\xff", "\ufffd\ufffd"),
        (b"", ""),
    ],
)
def test_odd_septets_decode_to_something_readable(septets: bytes, text: str) -> None:
    assert decode_gsm(septets) == text


@given(gsm_texts)
def test_gsm_text_survives_encoding(text: str) -> None:
    assert is_gsm(text)
    assert decode_gsm(encode_gsm(text)) == text


@given(st.binary(max_size=300))
def test_any_octets_decode_as_gsm(octets: bytes) -> None:
    assert isinstance(decode_gsm(octets), str)


@given(any_texts, st.sampled_from([1, 2]))
def test_parts_join_to_the_text_and_each_fits_a_carrier_message(text: str, reference_octets: int) -> None:
    encoding, parts = split(text, reference_octets=reference_octets)

    # Each part is decoded alone: a pair cut in two would show here.
    decoded = [decode_gsm(p) if encoding is Encoding.GSM7 else p.decode("utf-16-be") for p in parts]
    assert "".join(decoded) == text
    header = 0 if len(parts) == 1 else 5 + reference_octets
    sizes = [len(pack(p, header_octets=header)) if encoding is Encoding.GSM7 else len(p) for p in parts]
    assert all(header + size <= 140 for size in sizes)
    assert all(parts) or parts == (b"",)


@given(any_texts)
def test_count_agrees_with_split(text: str) -> None:
    assert count(text) == len(split(text).parts)


@given(any_texts)
def test_only_a_pair_that_must_stay_whole_leaves_a_part_short(text: str) -> None:
    segments = split(text)

    full = 153 if segments.encoding is Encoding.GSM7 else 67
    assert all(full - 1 <= units <= full for units in segments.units[:-1])


def test_lone_surrogate_is_counted_and_split() -> None:
    assert split("\ud83d" * 71).units == [67, 4]
    assert count("\ud83d") == 1


def test_encoding_may_be_asked_for() -> None:
    assert split("hi", encoding=Encoding.UCS2).parts == (b"\0h\0i",)
    with pytest.raises(UnicodeEncodeError):
        split("я", encoding=Encoding.GSM7)


@given(st.binary(max_size=160).map(lambda b: bytes(o & 0x7F for o in b)), st.sampled_from([0, 6, 7]))
def test_packed_septets_unpack(septets: bytes, header_octets: int) -> None:
    octets = pack(septets, header_octets=header_octets)

    fill = -header_octets * 8 % 7
    ambiguous = (fill + 7 * len(septets)) % 8 == 0 and septets.endswith(b"\r")
    # A carriage return that ends exactly with an octet reads as the filling that it looks like.
    assert unpack(octets, header_octets=header_octets) == (septets[:-1] if ambiguous else septets)
