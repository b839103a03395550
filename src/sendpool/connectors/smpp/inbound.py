"""What a person's text says, and to whom: a deliver_sm that is no receipt."""

from __future__ import annotations

from collections.abc import Iterable

from sendpool.connectors.base import Inbound
from sendpool.connectors.smpp.bodies import UDHI, Address, Sm, Tag
from sendpool.connectors.smpp.settings import Alphabet, SmppSettings
from sendpool.domain.segments import decode_gsm, unpack
from sendpool.domain.sender import Channel

_INTERNATIONAL = 1
_GSM_DEFAULT = 0
#: data_coding to Python's name of the alphabet (SMPP 3.4 §5.2.19). 2 and 4 are octets without one.
_CODECS = {
    1: "ascii",
    2: "latin-1",
    3: "latin-1",
    4: "latin-1",
    5: "shift_jis",
    6: "iso8859-5",
    7: "iso8859-8",
    8: "utf-16-be",
    10: "iso2022_jp",
    13: "euc_jp",
    14: "euc_kr",
}
_ALPHABET_CODECS = {Alphabet.LATIN1: "latin-1", Alphabet.ASCII: "ascii"}


class InboundReader:
    """Reads the inbound texts of one connection by its options and its senders' addresses."""

    def __init__(self, settings: SmppSettings, addresses: Iterable[str]) -> None:
        self._alphabet_codec = _ALPHABET_CODECS.get(settings.default_alphabet)
        self._packed = settings.packed
        # Carriers drop or add the "+" as they like; our sender is found by what is left.
        self._ours = {address.removeprefix("+"): address for address in addresses}

    def read(self, sm: Sm) -> Inbound:
        """The text in *sm* without its user data header; one part of a long text stays one text."""
        octets, header_octets = sm.text, 0
        if sm.esm_class & UDHI and octets:
            header_octets = min(octets[0] + 1, len(octets))
        recipient = _full(sm.destination)
        return Inbound(
            channel=Channel.SMS,
            sender=_full(sm.source),
            recipient=self._ours.get(recipient.removeprefix("+"), recipient),
            text=self._decode(octets[header_octets:], sm.data_coding, header_octets),
            carrier_id=sm.tlvs.get(Tag.RECEIPTED_MESSAGE_ID, b"").rstrip(b"\0").decode("latin-1") or None,
        )

    def _decode(self, octets: bytes, data_coding: int, header_octets: int) -> str:
        codec = _CODECS.get(data_coding) or _group_codec(data_coding)
        if codec is None and data_coding == _GSM_DEFAULT:
            codec = self._alphabet_codec
        if codec is not None:
            return octets.decode(codec, "replace")
        return decode_gsm(unpack(octets, header_octets=header_octets) if self._packed else octets)


def _group_codec(data_coding: int) -> str | None:
    """The alphabet of a GSM coding group, None for the default alphabet (3GPP 23.038 §4)."""
    group = data_coding >> 4
    if group == 0xF:
        return "latin-1" if data_coding & 0x04 else None
    if group == 0xE:
        return "utf-16-be"
    if group in (0x1, 0x2, 0x3):
        return (None, "latin-1", "utf-16-be", None)[data_coding >> 2 & 0x3]
    return None


def _full(address: Address) -> str:
    """An address as we write it: "+" in front of digits that the carrier calls international."""
    international = address.ton == _INTERNATIONAL and address.value.isdigit()
    return f"+{address.value}" if international else address.value
