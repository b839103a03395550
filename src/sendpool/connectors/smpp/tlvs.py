"""Optional parameters of a carrier's own (TLVs), such as the ids that Indian carriers want with every text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from struct import Struct
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from sendpool.connectors.smpp.bodies import Tag

_HEADER = Struct(">HH")
#: Octets that a value has room for; a text of a message never comes near it.
_LONGEST = 1024
#: Those that say what the text is and how it is cut: we write them ourselves.
_OURS = (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM, Tag.MESSAGE_PAYLOAD)


class Tlv(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[connections.tlvs]]` or `[[connections.senders.tlvs]]` table: what goes out with each submit."""

    tag: Annotated[int, Meta(ge=1, le=0xFFFF)]
    #: Its value: a text, a number of so many octets, or octets in hex.
    text: str | None = None
    number: Annotated[int, Meta(ge=0)] | None = None
    octets: Annotated[int, Meta(ge=1, le=8)] = 1
    hex: str | None = None
    #: The tag of the message whose value it has; where a message has none, `text`, and without that no TLV.
    from_tag: Annotated[str, Meta(min_length=1)] | None = None
    #: End the text with a NUL, as a C-octet string.
    nul: bool = False

    def encoded(self) -> bytes:
        """What goes out where no tag of the message says otherwise. Raises `ValueError` that names it."""
        value = self._value()
        return b"" if value is None else write(self.tag, value)

    def named(self, value: str) -> bytes:
        """What goes out with a value of the message's."""
        return write(self.tag, value.encode("utf-8") + b"\0" * self.nul)

    def _value(self) -> bytes | None:
        if self.text is not None:
            return self.text.encode("utf-8") + b"\0" * self.nul
        if self.number is not None:
            return self.number.to_bytes(self.octets)
        return None if self.hex is None else bytes.fromhex(self.hex)


def begin(tag: int, octets: int) -> bytes:
    """What stands in front of a TLV's value of so many octets (SMPP 3.4 §3.2.4.1)."""
    return _HEADER.pack(tag, octets)


def write(tag: int, value: bytes) -> bytes:
    """One TLV."""
    return begin(tag, len(value)) + value


def check(tlvs: Iterable[Tlv]) -> None:
    """Raise `ValueError`, which begins with the key, for values that cannot be written or contradict each other."""
    seen: set[int] = set()
    for tlv in tlvs:
        problem = _problem(tlv, seen)
        if problem:
            raise ValueError(f"key 'tlvs': tag 0x{tlv.tag:04x}: {problem}")
        seen.add(tlv.tag)


def _problem(tlv: Tlv, seen: set[int]) -> str:
    values = [key for key in ("text", "number", "hex") if getattr(tlv, key) is not None]
    if tlv.tag in seen:
        return "it stands there twice"
    if tlv.tag in _OURS:
        return "Sendpool writes it itself, by long_messages"
    if len(values) > 1 or (not values and tlv.from_tag is None):
        return "give it one of text, number, hex and from_tag"
    if tlv.from_tag is not None and values not in ([], ["text"]):
        return "beside from_tag only text can stand, for messages without that tag"
    try:
        return "" if len(tlv.encoded()) <= _LONGEST else f"its value is longer than {_LONGEST} octets"
    except OverflowError:
        return f"number {tlv.number} does not fit {tlv.octets} octets; set octets"
    except ValueError:
        return f'"{tlv.hex}" is no hexadecimal text'


class Tail(NamedTuple):
    """What follows the text of each submit of one sender."""

    #: Those that are the same for all messages.
    fixed: bytes
    #: Those that hang on the message's tags.
    by_tag: tuple[Tlv, ...]

    def of(self, tags: Mapping[str, str]) -> bytes:
        """The octets for a message with these tags."""
        own = (tlv.named(tags[str(tlv.from_tag)]) if tlv.from_tag in tags else tlv.encoded() for tlv in self.by_tag)
        return self.fixed + b"".join(own)


def tail_of(connection: Iterable[Tlv], sender: Iterable[Tlv]) -> Tail:
    """The TLVs of a sender: its connection's, and its own in place of those with the same tag."""
    every = {tlv.tag: tlv for tlv in (*connection, *sender)}.values()
    fixed = b"".join(tlv.encoded() for tlv in every if tlv.from_tag is None)
    return Tail(fixed, tuple(tlv for tlv in every if tlv.from_tag is not None))
