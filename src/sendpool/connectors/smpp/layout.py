"""How a text lies in submits: its alphabet, its data_coding, and how the parts of a long one are marked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from sendpool.connectors.smpp.bodies import UDHI, Tag
from sendpool.connectors.smpp.settings import Alphabet, LongMessages, SmppSettings
from sendpool.connectors.smpp.tlvs import begin, write
from sendpool.domain.segments import Encoding, Segments, decode_gsm, pack, split

#: Concatenation with an 8-bit reference: length of the header, element 0, its length (3GPP 23.040 §9.2.3.24.1).
_CONCATENATION = b"\x05\x00\x03"
_HEADER_OCTETS = 6
#: Octets that short_message holds (SMPP 3.4 §5.2.21).
_SHORT_MESSAGE = 254
#: priority_flag and schedule_delivery_time between esm_class, protocol_id and the validity period.
_NO_FLAGS, _WITH_HEADER = b"\0\0\0\0", bytes((UDHI, 0, 0, 0))


class Part(NamedTuple):
    """The octets of one submit around what differs by message: validity period and concatenation reference."""

    #: esm_class to schedule_delivery_time.
    head: bytes
    #: registered_delivery up to the reference, or to the end where there is none.
    before: bytes
    #: What follows the reference; None where there is none.
    after: bytes | None


class Layout(NamedTuple):
    """A text as it goes out."""

    #: What is submitted: each part by itself, or all of it at once.
    submits: tuple[Part, ...]
    #: Carrier-sized parts that the text makes.
    segments: int


class _Coded(NamedTuple):
    """A text in a carrier's octets."""

    coding: int
    parts: tuple[bytes, ...]
    #: The parts are septets, and go out packed.
    packed: bool = False

    def octets(self, part: bytes, header_octets: int = 0) -> bytes:
        return pack(part, header_octets=header_octets) if self.packed else part


def lay_out(text: str, settings: SmppSettings, encoding: Encoding | None = None) -> Layout:
    """Lay out *text* for a carrier; *encoding*: as UCS-2 also where its own alphabet has all of it."""
    coded = _encode(text, settings, encoding)
    flags = bytes((settings.registered_delivery, 0, coded.coding, 0))
    number = len(coded.parts)
    if number == 1:
        octets = coded.octets(coded.parts[0])
        return Layout((Part(_NO_FLAGS, flags + _length(octets) + octets, None),), 1)
    if settings.long_messages is LongMessages.PAYLOAD:
        whole = write(Tag.MESSAGE_PAYLOAD, coded.octets(b"".join(coded.parts)))
        return Layout((Part(_NO_FLAGS, flags + b"\0" + whole, None),), number)
    mark = _marked_by_sar if settings.long_messages is LongMessages.SAR else _marked_by_header
    return Layout(tuple(mark(flags, coded)), number)


def _length(*text: bytes) -> bytes:
    """What stands in front of a text: sm_length, or message_payload for what short_message has no room for (SMPP 3.4
    §5.3.2.32).
    """
    octets = sum(map(len, text))
    return bytes((octets,)) if octets <= _SHORT_MESSAGE else b"\0" + begin(Tag.MESSAGE_PAYLOAD, octets)


def _marked_by_header(flags: bytes, coded: _Coded) -> Iterator[Part]:
    """Parts with a user data header in front of their text."""
    for number, part in enumerate(coded.parts, 1):
        text = coded.octets(part, _HEADER_OCTETS)
        place = bytes((len(coded.parts), number))
        length = _length(_CONCATENATION, b"\0", place, text)
        yield Part(_WITH_HEADER, flags + length + _CONCATENATION, place + text)


def _marked_by_sar(flags: bytes, coded: _Coded) -> Iterator[Part]:
    """Parts with TLVs behind their text (SMPP 3.4 §5.3.2.22-24)."""
    for number, part in enumerate(coded.parts, 1):
        # The reference has two octets there, the upper one of ours is 0.
        reference = begin(Tag.SAR_MSG_REF_NUM, 2) + b"\0"
        total = write(Tag.SAR_TOTAL_SEGMENTS, bytes((len(coded.parts),)))
        place = write(Tag.SAR_SEGMENT_SEQNUM, bytes((number,)))
        text = coded.octets(part)
        yield Part(_NO_FLAGS, flags + _length(text) + text + reference, total + place)


def _encode(text: str, settings: SmppSettings, encoding: Encoding | None) -> _Coded:
    """*text* in the carrier's octets.

    Parts are cut by septets wherever the GSM alphabet has all of the text, since the carrier turns its own alphabet
    into GSM-7 for the air.
    """
    segments, codings = split(text, encoding=encoding), settings.data_coding
    if segments.encoding is Encoding.UCS2:
        is_default = settings.default_alphabet is Alphabet.UCS2
        return _Coded(codings.default if is_default else codings.ucs2, segments.parts)
    if settings.default_alphabet is Alphabet.GSM:
        return _Coded(codings.default, segments.parts, settings.packed)
    if settings.default_alphabet is Alphabet.UCS2:
        return _Coded(codings.default, _recoded(segments, _as_ucs2))
    plain = settings.default_alphabet is Alphabet.LATIN1 or text.isascii()
    try:
        return _Coded(codings.default if plain else codings.latin1, _recoded(segments, _as_latin1))
    except UnicodeEncodeError:
        return _Coded(codings.ucs2, split(text, encoding=Encoding.UCS2).parts)


def _recoded(segments: Segments, encode: Callable[[str], bytes]) -> tuple[bytes, ...]:
    return tuple(encode(decode_gsm(part)) for part in segments.parts)


def _as_latin1(text: str) -> bytes:
    return text.encode("latin-1")


def _as_ucs2(text: str) -> bytes:
    return text.encode("utf-16-be")
