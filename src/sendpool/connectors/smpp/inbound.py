"""What a person's text says, and to whom: a deliver_sm that is no receipt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sendpool.connectors.base import Inbound
from sendpool.connectors.smpp.bodies import UDHI, Address, Sm, Tag
from sendpool.connectors.smpp.settings import Alphabet, SmppSettings
from sendpool.domain.reassembly import Part
from sendpool.domain.segments import decode_gsm, unpack
from sendpool.domain.sender import Channel

_INTERNATIONAL = 1
_GSM_DEFAULT = 0
_UCS2 = "utf-16-be"
#: Reference, number and total of a part, as `Part` has them.
_SAR = (Tag.SAR_MSG_REF_NUM, Tag.SAR_SEGMENT_SEQNUM, Tag.SAR_TOTAL_SEGMENTS)
#: data_coding to Python's name of the alphabet (SMPP 3.4 §5.2.19). 2 and 4 are octets without one.
_CODECS = {
    1: "ascii",
    2: "latin-1",
    3: "latin-1",
    4: "latin-1",
    5: "shift_jis",
    6: "iso8859-5",
    7: "iso8859-8",
    8: _UCS2,
    10: "iso2022_jp",
    13: "euc_jp",
    14: "euc_kr",
}
_ALPHABET_CODECS = {Alphabet.LATIN1: "latin-1", Alphabet.ASCII: "ascii", Alphabet.UCS2: _UCS2}


class InboundReader:
    """Reads the inbound texts of one connection by its options and its senders' addresses."""

    def __init__(self, settings: SmppSettings, addresses: Iterable[str]) -> None:
        self._alphabet_codec = _ALPHABET_CODECS.get(settings.default_alphabet)
        # What the carrier wants in submits it writes itself.
        own = settings.data_coding
        self._codecs = {**_CODECS, own.latin1: "latin-1", own.ucs2: _UCS2}
        self._defaults = {_GSM_DEFAULT, own.default} - {own.latin1, own.ucs2}
        for coding in self._defaults:
            self._codecs.pop(coding, None)
        self._packed = settings.packed
        # Carriers drop or add the "+" as they like; our sender is found by what is left.
        self._ours = {address.removeprefix("+"): address for address in addresses}

    def read(self, sm: Sm) -> Inbound:
        """The text in *sm* without its user data header, and which part of a longer one it is."""
        octets, header_octets = sm.text, 0
        if sm.esm_class & UDHI and octets:
            header_octets = min(octets[0] + 1, len(octets))
        part = _part(octets[:header_octets], sm.tlvs)
        recipient = _full(sm.destination)
        return Inbound(
            channel=Channel.SMS,
            sender=_full(sm.source),
            recipient=self._ours.get(recipient.removeprefix("+"), recipient),
            text=self._decode(octets[header_octets:], sm.data_coding, header_octets, whole=part is None),
            carrier_id=sm.tlvs.get(Tag.RECEIPTED_MESSAGE_ID, b"").rstrip(b"\0").decode("latin-1") or None,
            part=part,
        )

    def _decode(self, octets: bytes, data_coding: int, header_octets: int, *, whole: bool) -> str:
        if data_coding in self._defaults:
            codec = self._alphabet_codec
        else:
            codec = self._codecs.get(data_coding) or _group_codec(data_coding)
        if codec == _UCS2 and not whole and len(octets) % 2 == 0:
            # Half of a letter outside the basic plane may be in the next part.
            return octets.decode(codec, "surrogatepass")
        if codec is not None:
            return octets.decode(codec, "replace")
        return decode_gsm(unpack(octets, header_octets=header_octets) if self._packed else octets)


def _part(header: bytes, tlvs: Mapping[int, bytes]) -> Part | None:
    """Which part of a long text it is, by its user data header or by the sar_* parameters (SMPP 3.4 §5.3.2.22-24)."""
    found = _part_in_header(header)
    if found is None and all(tag in tlvs for tag in _SAR):
        found = Part(*(int.from_bytes(tlvs[tag]) for tag in _SAR))
    return found if found is not None and found.sound else None


def _part_in_header(header: bytes) -> Part | None:
    """Element 0 has a reference of one octet, 8 of two (3GPP 23.040 §9.2.3.24.1, .8)."""
    place = 1
    while place + 1 < len(header):
        element, length = header[place], header[place + 1]
        value = header[place + 2 : place + 2 + length]
        if len(value) == length and (element, length) in ((0, 3), (8, 4)):
            return Part(int.from_bytes(value[:-2]), value[-1], value[-2])
        place += 2 + length
    return None


def _group_codec(data_coding: int) -> str | None:
    """The alphabet of a GSM coding group, None for the default alphabet (3GPP 23.038 §4)."""
    group = data_coding >> 4
    if group == 0xF:
        return "latin-1" if data_coding & 0x04 else None
    if group == 0xE:
        return _UCS2
    if group in (0x1, 0x2, 0x3):
        return (None, "latin-1", _UCS2, None)[data_coding >> 2 & 0x3]
    return None


def _full(address: Address) -> str:
    """An address as we write it: "+" in front of digits that the carrier calls international."""
    international = address.ton == _INTERNATIONAL and address.value.isdigit()
    return f"+{address.value}" if international else address.value
