"""Turn submissions into submit_sm bodies, quickly: all that a text or a sender decides is made once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from sendpool.connectors.base import Rejected, Submission
from sendpool.connectors.smpp.bodies import UDHI
from sendpool.connectors.smpp.pdu import relative_time
from sendpool.connectors.smpp.settings import ADDRESS_OCTETS, Alphabet, SmppSettings, sender_options
from sendpool.connectors.smpp.window import Waiting
from sendpool.domain.failures import FailureClass
from sendpool.domain.message import Content
from sendpool.domain.segments import Encoding, Segments, decode_gsm, pack, split

_INTERNATIONAL = (1, 1)
_SHORT_CODE = (3, 0)
_ALPHANUMERIC = (5, 0)
_UNKNOWN = (0, 0)
#: A number without "+" is a short code up to so many digits.
_SHORT_CODE_DIGITS = 8

_DEFAULT_CODING = 0
_LATIN1_CODING = 3
_UCS2_CODING = 8

#: Concatenation with an 8-bit reference: length of the header, element 0, its length (3GPP 23.040 §9.2.3.24.1).
_CONCATENATION = b"\x05\x00\x03"
_HEADER_OCTETS = 6

#: Texts and senders remembered; a campaign has one text, so this only bounds memory.
_REMEMBERED = 1024


class UnfitSubmission(Exception):
    """A submission that SMPP, or this carrier's alphabet, cannot carry; `outcome` says why."""

    def __init__(self, outcome: Rejected) -> None:
        super().__init__(outcome.code)
        self.outcome = outcome


#: The recipient's address is empty or longer than the field for it.
UNFIT_ADDRESS = Rejected(FailureClass.RECIPIENT, "unfit_address", "pair")
#: The text makes another number of parts in this carrier's alphabet than it was charged for.
UNFIT_TEXT = Rejected(FailureClass.CONTENT, "unfit_text", "message")


class _Part(NamedTuple):
    """The octets of one part around what differs by message: validity period and concatenation reference."""

    #: esm_class to schedule_delivery_time.
    head: bytes
    #: registered_delivery up to the reference, or to the end of a text in one part.
    before: bytes
    #: What follows the reference; None for a text in one part.
    after: bytes | None


class SubmitWriter:
    """Writes the submit_sm bodies of one connection by its options."""

    def __init__(self, settings: SmppSettings) -> None:
        self._settings = settings
        self._max_validity = settings.max_validity
        self._international = _numbering("+", settings.destination_ton, settings.destination_npi)
        self._texts: dict[Content, tuple[_Part, ...]] = {}
        self._senders: dict[str, tuple[Mapping[str, Any], bytes]] = {}

    def write(self, submission: Submission, into: list[Waiting]) -> None:
        """Append the wanted parts of *submission*. Raises `UnfitSubmission`, and then appends nothing."""
        # One unpacking: reading the fields one by one takes as long as all the rest.
        attempt, _, sender, recipient, content, segments, reference, validity, wanted, options = submission[:10]
        parts = self._texts.get(content) or self._lay_out(content)
        if len(parts) != segments:
            raise UnfitSubmission(UNFIT_TEXT)
        known = self._senders.get(sender)
        source = known[1] if known and known[0] is options else self._write_source(sender, options)
        if recipient[:1] == "+" and 1 < len(recipient) <= ADDRESS_OCTETS and recipient.isascii():
            destination = self._international + recipient[1:].encode() + b"\0"
        else:
            destination = self._write_destination(recipient)
        until = b"\0" if validity is None else _validity(validity, self._max_validity)
        head, before, after = parts[0]
        if after is None:
            into.append((attempt, 1, b"".join((source, destination, head, until, before))))
            return
        mark = bytes((reference & 0xFF,))
        for number, (head, before, after) in enumerate(parts, 1):
            if wanted >> number - 1 & 1:
                body = (source, destination, head, until, before, mark, after or b"")
                into.append((attempt, number, b"".join(body)))

    def _write_source(self, sender: str, options: Mapping[str, Any]) -> bytes:
        own, settings = sender_options(options), self._settings
        ton = settings.source_ton if own.ton is None else own.ton
        npi = settings.source_npi if own.npi is None else own.npi
        service_type = settings.service_type.encode("latin-1", "replace") + b"\0"
        source = service_type + _numbering(sender, ton, npi) + _address(sender)
        if len(self._senders) >= _REMEMBERED:
            self._senders.clear()
        self._senders[sender] = (options, source)
        return source

    def _write_destination(self, recipient: str) -> bytes:
        settings = self._settings
        return _numbering(recipient, settings.destination_ton, settings.destination_npi) + _address(recipient)

    def _lay_out(self, content: Content) -> tuple[_Part, ...]:
        coding, texts = _encode(content.text, self._settings.default_alphabet)
        packed = self._settings.packed and coding == _DEFAULT_CODING
        parts = tuple(self._parts(coding, texts, packed=packed))
        if len(self._texts) >= _REMEMBERED:
            self._texts.clear()
        self._texts[content] = parts
        return parts

    def _parts(self, coding: int, texts: tuple[bytes, ...], *, packed: bool) -> Iterator[_Part]:
        flags = bytes((self._settings.registered_delivery, 0, coding, 0))
        if len(texts) == 1:
            text = pack(texts[0]) if packed else texts[0]
            yield _Part(b"\0\0\0\0", flags + bytes((len(text),)) + text, None)
            return
        for number, part in enumerate(texts, 1):
            text = pack(part, header_octets=_HEADER_OCTETS) if packed else part
            length = bytes((_HEADER_OCTETS + len(text),))
            place = bytes((len(texts), number))
            yield _Part(bytes((UDHI, 0, 0, 0)), flags + length + _CONCATENATION, place + text)


def _encode(text: str, alphabet: Alphabet) -> tuple[int, tuple[bytes, ...]]:
    """data_coding and the parts of *text* for a carrier whose default alphabet is *alphabet*.

    Parts are cut by septets in any case, since the carrier turns its alphabet into GSM-7 for the air.
    """
    segments = split(text)
    if segments.encoding is Encoding.UCS2:
        return _UCS2_CODING, segments.parts
    if alphabet is Alphabet.GSM:
        return _DEFAULT_CODING, segments.parts
    coding = _DEFAULT_CODING if alphabet is Alphabet.LATIN1 or text.isascii() else _LATIN1_CODING
    try:
        return coding, _as_latin1(segments)
    except UnicodeEncodeError:
        return _UCS2_CODING, split(text, encoding=Encoding.UCS2).parts


def _as_latin1(segments: Segments) -> tuple[bytes, ...]:
    return tuple(decode_gsm(part).encode("latin-1") for part in segments.parts)


def _numbering(address: str, ton: int | None, npi: int | None) -> bytes:
    """Type of number and numbering plan: as configured, else by the kind of address."""
    kind = _kind(address)
    return bytes((kind[0] if ton is None else ton, kind[1] if npi is None else npi))


def _kind(address: str) -> tuple[int, int]:
    if address.startswith("+"):
        return _INTERNATIONAL
    if address.isdigit():
        return _SHORT_CODE if len(address) <= _SHORT_CODE_DIGITS else _UNKNOWN
    return _ALPHANUMERIC


def _address(address: str) -> bytes:
    octets = address.removeprefix("+").encode("latin-1", "replace")
    if not 0 < len(octets) <= ADDRESS_OCTETS:
        raise UnfitSubmission(UNFIT_ADDRESS)
    return octets + b"\0"


@lru_cache(maxsize=4096)
def _validity(seconds: int, longest: int) -> bytes:
    return relative_time(max(1, min(seconds, longest))).encode("ascii") + b"\0"
