"""Turn submissions into submit_sm bodies, quickly: all that a text or a sender decides is made once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from sendpool.connectors.base import Recounted, Rejected, Submission
from sendpool.connectors.smpp.layout import Layout, lay_out
from sendpool.connectors.smpp.pdu import relative_time
from sendpool.connectors.smpp.settings import ADDRESS_OCTETS, SmppSettings, sender_options
from sendpool.connectors.smpp.tlvs import Tail, tail_of
from sendpool.connectors.smpp.window import Waiting
from sendpool.domain.failures import FailureClass
from sendpool.domain.segments import Encoding

_INTERNATIONAL = (1, 1)
_SHORT_CODE = (3, 0)
_ALPHANUMERIC = (5, 0)
_UNKNOWN = (0, 0)
#: A number without "+" is a short code up to so many digits.
_SHORT_CODE_DIGITS = 8

#: Texts and senders remembered; a campaign has one text, so this only bounds memory.
_REMEMBERED = 1024


class UnfitSubmission(Exception):
    """A submission that SMPP, or this carrier's alphabet, cannot carry; `outcome` says why."""

    def __init__(self, outcome: Rejected | Recounted) -> None:
        super().__init__()
        self.outcome = outcome


#: The recipient's address is empty or longer than the field for it.
UNFIT_ADDRESS = Rejected(FailureClass.RECIPIENT, "unfit_address", "pair")
#: The text makes another number of parts in this carrier's alphabet than it was charged for, and some have left.
UNFIT_TEXT = Rejected(FailureClass.CONTENT, "unfit_text", "message")


class _Source(NamedTuple):
    """What a sender decides about its submits."""

    #: Those that it was made of.
    options: Mapping[str, Any]
    #: service_type to source_addr.
    source: bytes
    #: The TLVs at the end; where they hang on the message's tags, what makes them.
    tail: bytes
    by_tag: Tail | None


class SubmitWriter:
    """Writes the submit_sm bodies of one connection by its options."""

    def __init__(self, settings: SmppSettings) -> None:
        self._settings = settings
        self._max_validity = settings.max_validity
        self._international = _numbering("+", settings.destination_ton, settings.destination_npi)
        self._texts: dict[str, Layout] = {}
        self._senders: dict[str, _Source] = {}

    def write(self, submission: Submission, into: list[Waiting]) -> None:
        """Append the wanted parts of *submission*. Raises `UnfitSubmission`, and then appends nothing."""
        # One unpacking: reading the fields one by one takes as long as all the rest.
        attempt, _, sender, recipient, content, segments, reference, validity, wanted, options = submission[:10]
        parts, number = self._texts.get(content.text) or self._lay_out(content.text)
        if number != segments:
            parts, number = self._lay_out_as_charged(submission, number)
        known = self._senders.get(sender)
        if known is None or known[0] is not options:
            known = self._write_source(sender, options)
        _, source, tail, by_tag = known
        if by_tag is not None:
            tail = by_tag.of(submission.tags)
        if recipient[:1] == "+" and 1 < len(recipient) <= ADDRESS_OCTETS and recipient.isascii():
            destination = self._international + recipient[1:].encode() + b"\0"
        else:
            destination = self._write_destination(recipient)
        until = b"\0" if validity is None else _validity(validity, self._max_validity)
        head, before, after = parts[0]
        if after is None:
            # A long text that goes as one: its outcome is that of all parts that are wanted.
            part = 1 if number == 1 else -(wanted & (1 << number) - 1)
            into.append((attempt, part, b"".join((source, destination, head, until, before, tail))))
            return
        mark = bytes((reference & 0xFF,))
        for place, (head, before, after) in enumerate(parts, 1):
            if wanted >> place - 1 & 1:
                body = (source, destination, head, until, before, mark, after or b"", tail)
                into.append((attempt, place, b"".join(body)))

    def _write_source(self, sender: str, options: Mapping[str, Any]) -> _Source:
        own, settings = sender_options(options), self._settings
        ton = settings.source_ton if own.ton is None else own.ton
        npi = settings.source_npi if own.npi is None else own.npi
        service_type = settings.service_type.encode("latin-1", "replace") + b"\0"
        source = service_type + _numbering(sender, ton, npi) + _address(sender)
        tail = tail_of(settings.tlvs, own.tlvs)
        if len(self._senders) >= _REMEMBERED:
            self._senders.clear()
        known = self._senders[sender] = _Source(options, source, tail.fixed, tail if tail.by_tag else None)
        return known

    def _write_destination(self, recipient: str) -> bytes:
        settings = self._settings
        return _numbering(recipient, settings.destination_ton, settings.destination_npi) + _address(recipient)

    def _lay_out(self, text: str) -> Layout:
        layout = lay_out(text, self._settings)
        if len(self._texts) >= _REMEMBERED:
            self._texts.clear()
        self._texts[text] = layout
        return layout

    def _lay_out_as_charged(self, submission: Submission, number: int) -> Layout:
        """A text that makes *number* parts here, and was charged for others.

        A carrier of the same pool with another alphabet may have had it counted as UCS-2, which every carrier takes:
        then it goes so, for else the two could send it to and fro. Raises `UnfitSubmission` where that is not why.
        """
        segments = submission.segments
        as_ucs2 = lay_out(submission.content.text, self._settings, Encoding.UCS2)
        if as_ucs2.segments == segments:
            return as_ucs2
        every = (1 << segments) - 1
        whole = submission.parts & every == every
        raise UnfitSubmission(Recounted(number) if whole else UNFIT_TEXT)


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
