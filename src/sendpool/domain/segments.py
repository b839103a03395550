"""How many carrier-sized parts a text makes, and what is in each: GSM-7 or UCS-2 (3GPP 23.038, 23.040)."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple


class Encoding(StrEnum):
    """How the characters of a text travel."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"


class Segments(NamedTuple):
    """A text in parts. GSM7: one septet an octet, unpacked; UCS2: UTF-16BE. No user data header."""

    encoding: Encoding
    parts: tuple[bytes, ...]

    @property
    def units(self) -> list[int]:
        """The length of each part in septets or in UTF-16 code units, as carriers count."""
        return [len(part) // _UNIT_OCTETS[self.encoding] for part in self.parts]


#: The default alphabet; the index is the code (3GPP 23.038 §6.2.1). 0x1B, the escape, stands as itself.
BASIC_ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
#: The default extension table: these follow the escape, so each costs two septets (3GPP 23.038 §6.2.1.1).
EXTENSION_ALPHABET = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
ESCAPE = 0x1B

_SINGLE_OCTETS = 140
_SINGLE_SEPTETS = 160
_UNIT_OCTETS = {Encoding.GSM7: 1, Encoding.UCS2: 2}
#: Octets of a concatenation header in all, by the octets of its reference (3GPP 23.040 §9.2.3.24.1, .8).
_HEADER_OCTETS = {1: 6, 2: 7}

_ENCODE: dict[int, bytes] = {ord(c): bytes((i,)) for i, c in enumerate(BASIC_ALPHABET) if i != ESCAPE}
_ENCODE.update({ord(c): bytes((ESCAPE, i)) for i, c in EXTENSION_ALPHABET.items()})
_DECODE = BASIC_ALPHABET.replace("\x1b", " ") + "\ufffd" * 128
_ESCAPED = {bytes((ESCAPE, i)): c for i, c in EXTENSION_ALPHABET.items()}
_ESCAPE_PAIRS = re.compile(rb"\x1b(?s:.)|\x1b")

_only_basic = re.compile(f"[{re.escape(BASIC_ALPHABET.replace(chr(ESCAPE), ''))}]*").fullmatch


def count(text: str) -> int:
    """Return how many segments *text* makes with one-octet concatenation references. Fast: called per recipient."""
    if _only_basic(text):
        length = len(text)
        return 1 if length <= _SINGLE_SEPTETS else -(-length // 153)
    return len(split(text).parts)


def split(text: str, *, reference_octets: int = 1, encoding: Encoding | None = None) -> Segments:
    """Cut *text* into parts that fit 140 octets each, with their concatenation header where there are several.

    GSM7 wherever the alphabet allows, else UCS2, unless *encoding* says which. Neither an escape pair nor a surrogate
    pair is ever cut, so a part may be one unit short. *reference_octets* (1 or 2) is the size of the concatenation
    reference. Raises `UnicodeEncodeError` only if GSM7 is asked for and impossible; a lone surrogate passes as it is.
    """
    room = _SINGLE_OCTETS - _HEADER_OCTETS[reference_octets]
    if encoding is not Encoding.UCS2:
        try:
            septets = encode_gsm(text)
        except UnicodeEncodeError:
            if encoding is Encoding.GSM7:
                raise
        else:
            whole = len(septets) <= _SINGLE_SEPTETS
            return Segments(Encoding.GSM7, (septets,) if whole else tuple(_cut_septets(septets, room * 8 // 7)))
    units = text.encode("utf-16-be", "surrogatepass")
    whole = len(units) <= _SINGLE_OCTETS
    return Segments(Encoding.UCS2, (units,) if whole else tuple(_cut_units(units, room // 2 * 2)))


def is_gsm(text: str) -> bool:
    """Whether *text* fits the GSM alphabet with its default extension."""
    try:
        encode_gsm(text)
    except UnicodeEncodeError:
        return False
    return True


def encode_gsm(text: str) -> bytes:
    """Encode to unpacked septets, one an octet. Raises `UnicodeEncodeError` for a character not in the alphabet."""
    return codecs.charmap_encode(text, "strict", _ENCODE)[0]


def decode_gsm(septets: bytes) -> str:
    """Decode unpacked septets. Never raises: an unknown escape gives the basic character, an octet over 127 U+FFFD.

    An escape that escapes nothing, or another escape, is a space (3GPP 23.038 §6.2.1.1).
    """
    if ESCAPE not in septets:
        return codecs.charmap_decode(septets, "strict", _DECODE)[0]
    text: list[str] = []
    at = 0
    for pair in _ESCAPE_PAIRS.finditer(septets):
        text.append(codecs.charmap_decode(septets[at : pair.start()], "strict", _DECODE)[0])
        text.append(_ESCAPED.get(pair[0]) or _DECODE[pair[0][-1]])
        at = pair.end()
    text.append(codecs.charmap_decode(septets[at:], "strict", _DECODE)[0])
    return "".join(text)


def pack(septets: bytes, *, header_octets: int = 0) -> bytes:
    """Pack septets eight into seven octets, after a header of *header_octets* (3GPP 23.038 §6.1.2.1).

    Fill bits bring the first septet to a septet border of the whole user data. Where seven spare bits would read as
    one more `@`, a carriage return fills them (§6.1.2.3.1).
    """
    fill = -header_octets * 8 % 7
    if (fill + 7 * len(septets)) % 8 == 1:
        septets += b"\r"
    bits = 0
    for septet in reversed(septets):
        bits = bits << 7 | septet
    return (bits << fill).to_bytes((fill + 7 * len(septets) + 7) // 8, "little")


def unpack(octets: bytes, *, header_octets: int = 0) -> bytes:
    """Undo `pack`: septets from octets that follow a header of *header_octets*."""
    fill = -header_octets * 8 % 7
    bits = int.from_bytes(octets, "little") >> fill
    length = max(0, len(octets) * 8 - fill) // 7
    septets = bytes(bits >> 7 * i & 0x7F for i in range(length))
    return septets[:-1] if (len(octets) * 8 - fill) % 7 == 0 and septets.endswith(b"\r") else septets


def _cut_septets(septets: bytes, room: int) -> Iterator[bytes]:
    at, end = 0, len(septets)
    while at < end:
        stop = min(at + room, end)
        # Only an escape that starts a pair counts, and encode_gsm never writes one that ends a pair.
        if stop < end and septets[stop - 1] == ESCAPE:
            stop -= 1
        yield septets[at:stop]
        at = stop


def _cut_units(units: bytes, room: int) -> Iterator[bytes]:
    at, end = 0, len(units)
    while at < end:
        stop = min(at + room, end)
        if stop < end and 0xD8 <= units[stop - 2] <= 0xDB and 0xDC <= units[stop] <= 0xDF:
            stop -= 2
        yield units[at:stop]
        at = stop
