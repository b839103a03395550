"""What a simulated centre remembers: every submit, totals, and a log of them in `bench/smsc.c`'s format."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import IO, NamedTuple

from sendpool.connectors.smpp.bodies import NO_TLVS, UDHI, Sm, Tag, Tlvs
from sendpool.connectors.smpp.status import Status
from sendpool.domain.segments import decode_gsm

_FNV_START = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3
_MASK = 0xFFFFFFFFFFFFFFFF
_UCS2 = 8
_LATIN1 = (1, 3)
_INTERNATIONAL = 1
#: Information elements that number the parts of a long text, with an 8-bit and a 16-bit reference (3GPP 23.040).
_CONCAT_8, _CONCAT_16 = 0x00, 0x08


class Place(NamedTuple):
    """Which part of a long text a segment is."""

    part: int = 1
    parts: int = 1
    reference: int | None = None


class Submit(NamedTuple):
    """One submit_sm as it arrived, and how it was answered."""

    #: Seconds since 1970.
    at: float
    system_id: str
    #: International numbers with "+", others as they came.
    source: str
    destination: str
    octets: bytes
    data_coding: int
    place: Place
    registered_delivery: int
    validity: str
    #: command_status; 0: taken.
    status: int
    #: The id in the answer; empty when it was not taken.
    message_id: str
    #: False: the answer was kept back.
    answered: bool
    #: Its optional parameters.
    tlvs: Tlvs = NO_TLVS

    @property
    def text(self) -> str:
        """The part's text, by its data_coding."""
        if self.data_coding == _UCS2:
            return self.octets.decode("utf-16-be", "replace")
        if self.data_coding in _LATIN1:
            return self.octets.decode("latin-1")
        return decode_gsm(self.octets)


class Totals(NamedTuple):
    """Counts since the start. submits = accepted + refused + throttled."""

    submits: int
    accepted: int
    refused: int
    throttled: int
    #: Accepted although the same part of the same text to the same destination had been accepted before.
    duplicates: int
    distinct: int
    receipts_sent: int
    receipts_acked: int
    receipts_rejected: int
    receipts_waiting: int
    texts_sent: int
    binds: int
    drops: int
    first_submit: float | None
    last_submit: float | None


class SubmitLog:
    """A file with a line per submit: time, source, destination, 64-bit FNV-1a of the body, id, command_status."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open("w", encoding="ascii")

    def write(self, submit: Submit, source: str, destination: str, body: bytes) -> None:
        """Add a line; it reaches the file with the next `flush`. Addresses and *body* are those of the PDU."""
        fields = (_printable(source), _printable(destination), f"{fnv1a(body):016x}", submit.message_id or "-")
        self._file.write(f"{submit.at:.6f} {' '.join(fields)} {submit.status:08x}\n")

    def flush(self) -> None:
        """Write out what is buffered."""
        self._file.flush()

    def close(self) -> None:
        """Write out what is buffered and close the file."""
        self._file.close()


class Ledger:
    """Counts submits and the copies among them, and how many came from each source."""

    def __init__(self) -> None:
        self._accepted: set[int] = set()
        self._submits = self._refused = self._throttled = self._duplicates = 0
        self._first_at: float | None = None
        self._last_at: float | None = None
        self.accepted_by_source: Counter[str] = Counter()
        self.binds = 0
        #: Links that the centre has cut.
        self.drops = 0

    def enter(self, submit: Submit) -> None:
        """Count a submit."""
        self._submits += 1
        self._first_at = self._first_at or submit.at
        self._last_at = submit.at
        if submit.status == Status.ROK:
            self._accept(submit)
        elif submit.status in (Status.RTHROTTLED, Status.RMSGQFUL):
            self._throttled += 1
        else:
            self._refused += 1

    def totals(self, *, sent: int, acked: int, rejected: int, waiting: int, texts: int) -> Totals:
        """The counts up to now, with what the postbox knows about receipts and inbound texts."""
        accepted = self._submits - self._refused - self._throttled
        return Totals(
            submits=self._submits,
            accepted=accepted,
            refused=self._refused,
            throttled=self._throttled,
            duplicates=self._duplicates,
            distinct=accepted - self._duplicates,
            receipts_sent=sent,
            receipts_acked=acked,
            receipts_rejected=rejected,
            receipts_waiting=waiting,
            texts_sent=texts,
            binds=self.binds,
            drops=self.drops,
            first_submit=self._first_at,
            last_submit=self._last_at,
        )

    def _accept(self, submit: Submit) -> None:
        self.accepted_by_source[submit.source] += 1
        key = hash((submit.destination, submit.place.part, submit.octets))
        self._duplicates += key in self._accepted
        self._accepted.add(key)


def body_of(sm: Sm) -> tuple[Place, bytes]:
    """Split a submit's text from what numbers its part: a user data header, or the sar_* TLVs."""
    octets = sm.text
    if sm.esm_class & UDHI and octets:
        end = octets[0] + 1
        return _place_in_header(octets[1:end]), octets[end:]
    if Tag.SAR_TOTAL_SEGMENTS in sm.tlvs and Tag.SAR_SEGMENT_SEQNUM in sm.tlvs:
        part, parts = sm.tlvs[Tag.SAR_SEGMENT_SEQNUM], sm.tlvs[Tag.SAR_TOTAL_SEGMENTS]
        reference = int.from_bytes(sm.tlvs.get(Tag.SAR_MSG_REF_NUM, b""), "big")
        return Place(int.from_bytes(part, "big"), int.from_bytes(parts, "big"), reference), octets
    return Place(), octets


def full_address(ton: int, value: str) -> str:
    """An address as people write it: "+" in front of international numbers."""
    return f"+{value}" if ton == _INTERNATIONAL and value.isdigit() else value


def fnv1a(octets: bytes) -> int:
    """64-bit FNV-1a."""
    value = _FNV_START
    for octet in octets:
        value = (value ^ octet) * _FNV_PRIME & _MASK
    return value


def _place_in_header(header: bytes) -> Place:
    at = 0
    while at + 2 <= len(header):
        kind, length = header[at], header[at + 1]
        value = header[at + 2 : at + 2 + length]
        if (kind, len(value)) == (_CONCAT_8, 3):
            return Place(value[2], value[1], value[0])
        if (kind, len(value)) == (_CONCAT_16, 4):
            return Place(value[3], value[2], int.from_bytes(value[:2], "big"))
        at += 2 + length
    return Place()


def _printable(address: str) -> str:
    return "".join(c if "!" <= c <= "~" else "_" for c in address) or "-"
