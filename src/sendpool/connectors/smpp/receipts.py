"""What a delivery receipt says, read as tolerantly as carriers write (SMPP 3.4 appendix B is not normative)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import structlog

from sendpool.connectors.base import Receipt, ReceiptState
from sendpool.connectors.smpp.bodies import Sm, Tag
from sendpool.connectors.smpp.pdu import HEADER_LENGTH
from sendpool.connectors.smpp.settings import ErrorTable, IdSpelling, SmppSettings
from sendpool.domain.failures import FailureClass, classify, overrides_from
from sendpool.domain.tuples import maker

log = structlog.get_logger(__name__)

#: Bits 5-2 of esm_class say what a deliver_sm is (SMPP 3.4 §5.2.12).
_KIND = 0x3C
_RECEIPT = 0x04
_NOTIFICATION = 0x20
#: data_coding of UCS-2, in which a few carriers write receipts too.
_UCS2 = 8
#: network_error_code of a GSM network, whose number is a MAP error (SMPP 3.4 §5.3.2.31).
_GSM = 3
#: Words of `stat` are told apart by so many letters: some carriers cut them, some write them out.
_STAT_LETTERS = 5
_ERROR_TABLES = {ErrorTable.MAP: "smpp.map", ErrorTable.VENDOR: "smpp.err"}
#: Verdicts remembered; a carrier uses a few dozen.
_VERDICTS = 4096

_STATES = {
    "SCHEDULED": ReceiptState.PROGRESS,
    "ENROUTE": ReceiptState.PROGRESS,
    "ACCEPTD": ReceiptState.PROGRESS,
    "DELIVRD": ReceiptState.DELIVERED,
    "EXPIRED": ReceiptState.EXPIRED,
    "DELETED": ReceiptState.UNDELIVERED,
    "UNDELIV": ReceiptState.UNDELIVERED,
    "FAILED": ReceiptState.UNDELIVERED,
    "REJECTD": ReceiptState.UNDELIVERED,
    "UNKNOWN": ReceiptState.UNKNOWN,
    "SKIPPED": ReceiptState.UNKNOWN,
}
#: The TLV message_state, by its number (SMPP 3.4 §5.2.28, 5.0 §4.7.15).
_MESSAGE_STATES = (
    "SCHEDULED",
    "ENROUTE",
    "DELIVRD",
    "EXPIRED",
    "DELETED",
    "UNDELIV",
    "ACCEPTD",
    "UNKNOWN",
    "REJECTD",
    "SKIPPED",
)

# The form that nearly every carrier uses: a whole deliver_sm up to `text:` in one match, then the usual TLVs in
# another. Whatever differs takes the long way through the codec and `scan`, to the same result.
_usual_fields = re.compile(
    rb"[^\0]*\0..([^\0]*)\0..([^\0]*)\0"  # service_type, source, destination
    rb"\x04..\0\0...."  # esm_class: a receipt; no times; no user data header
    rb"(.)id:([^ \0]+) sub:\d* dlvrd:\d* submit date:(\d*) done date:\d* stat:(\w+) err:(\w+)(?: [Tt]ext:|(?=\0)|\Z)",
    re.DOTALL,
).match
_usual_tlvs = re.compile(
    rb"(?:\x00\x1e\x00(.)([^\0]+)\0)?(?:\x04\x27\x00\x01(.))?(?:\x04\x23\x00\x03(...))?\Z", re.DOTALL
).match
_KEY = re.compile(rb"(?<![a-z0-9])(id|sub|dlvrd|submit[ _]?date|done[ _]?date|stat|err|text)\s*:", re.IGNORECASE)


_receipt_of = maker(Receipt)


class _Said(NamedTuple):
    """What a receipt says about the message, apart from which one: few combinations, so verdicts are remembered."""

    stat: bytes
    err: bytes
    message_state: bytes
    network_error: bytes
    #: False for an intermediate notification.
    final: bool


class _Verdict(NamedTuple):
    state: ReceiptState
    failure: FailureClass | None
    code: str
    rule: str


def scan(text: bytes) -> dict[str, bytes]:
    """Read the `key:value` pairs of a receipt: keys in any case and order, any missing; nothing after `text:`."""
    found: dict[str, bytes] = {}
    pieces = _KEY.split(text)
    for key, value in zip(pieces[1::2], pieces[2::2], strict=True):
        name = key.lower().decode("ascii")
        if name == "text":
            break
        found.setdefault(name, value.strip(b" ,;\t\r\n\0"))
    return found


def id_reader(spelling: IdSpelling) -> Callable[[bytes], str]:
    """Return what reads a message id as we compare it: a number as decimal without leading zeros, a text as it is.

    An id that is no such number stays a text, in lower case (hex digits may come in either).
    """
    if spelling is IdSpelling.TEXT:
        return _read_text_id
    base = 16 if spelling is IdSpelling.HEX else 10

    def read_number(raw: bytes) -> str:
        try:
            return str(int(raw, base)) if raw.isalnum() else _read_text_id(raw).lower()
        except ValueError:
            return _read_text_id(raw).lower()

    return read_number


def _read_text_id(raw: bytes) -> str:
    return raw.decode("latin-1").strip()


class ReceiptReader:
    """Reads the receipts of one connection by its options."""

    def __init__(self, settings: SmppSettings) -> None:
        self._sniff = settings.sniff_receipts
        self._read_text_id = id_reader(settings.id_format.receipt)
        self._read_tlv_id = id_reader(settings.id_format.tlv or settings.id_format.resp)
        self._overrides = overrides_from(settings.receipt_errors)
        self._words = {word.upper(): standard for word, standard in settings.receipt_states.items()}
        self._error_table = _ERROR_TABLES.get(settings.receipt_error_table)
        self._verdicts: dict[tuple[bytes, bytes, bytes, bytes, bool], _Verdict] = {}
        #: Receipts that named no message since the start.
        self.without_id = 0

    def is_receipt(self, sm: Sm) -> bool:
        """Whether a deliver_sm is a receipt: by its flag, or by its looks where the connection asks for that."""
        kind = sm.esm_class & _KIND
        if kind in (_RECEIPT, _NOTIFICATION):
            return True
        if kind or not self._sniff:
            return False
        found = scan(_plain(sm))
        return "id" in found and "stat" in found

    def read_usual(self, frame: bytes) -> Receipt | None:
        """What the receipt in a whole deliver_sm says, if it has the usual form; else None: `read` knows the rest."""
        fields = _usual_fields(frame, HEADER_LENGTH)
        if fields is None:
            return None
        recipient, sender, length, text_id, submitted, stat, err = fields.groups()
        end = fields.start(3) + 1 + length[0]
        tlvs = _usual_tlvs(frame, end)
        if tlvs is None or fields.end() > end:
            return None
        id_length, tlv_id, state, network = tlvs.groups(b"")
        if tlv_id and id_length[0] != len(tlv_id) + 1:
            return None
        carrier_id = self._read_tlv_id(tlv_id) if tlv_id else self._read_text_id(text_id)
        verdict = self._judge((stat, err, state, network, True))
        return _receipt_of((carrier_id, *verdict, (sender, recipient, submitted)))

    def read(self, sm: Sm) -> Receipt:
        """What the receipt in *sm* says. TLVs win over the text; without any id `carrier_id` is empty."""
        found = scan(_plain(sm))
        carrier_id = self._read_text_id(found.get("id", b""))
        tlv_id = sm.tlvs.get(Tag.RECEIPTED_MESSAGE_ID, b"").rstrip(b"\0")
        if tlv_id:
            carrier_id = self._read_tlv_id(tlv_id)
        verdict = self._judge(
            (
                found.get("stat", b""),
                found.get("err", b""),
                sm.tlvs.get(Tag.MESSAGE_STATE, b""),
                sm.tlvs.get(Tag.NETWORK_ERROR_CODE, b""),
                sm.esm_class & _KIND != _NOTIFICATION,
            )
        )
        if not carrier_id:
            self._note_missing_id(verdict)
        # The source of a receipt is who received the text, and its destination who sent it.
        about = (sm.destination.value.encode("latin-1"), sm.source.value.encode("latin-1"), _submitted(found))
        return Receipt(carrier_id, *verdict, about)

    def _note_missing_id(self, verdict: _Verdict) -> None:
        self.without_id += 1
        log.warning("smpp.receipt_without_id", state=verdict.state.name, code=verdict.code, so_far=self.without_id)

    def _judge(self, said: tuple[bytes, bytes, bytes, bytes, bool]) -> _Verdict:
        known = self._verdicts.get(said)
        if known is not None:
            return known
        verdict = self._verdict(_Said(*said))
        if len(self._verdicts) >= _VERDICTS:
            self._verdicts.clear()
        self._verdicts[said] = verdict
        return verdict

    def _verdict(self, said: _Said) -> _Verdict:
        word = self._standard_stat(said)
        state = _STATES.get(word, ReceiptState.UNKNOWN)
        if not said.final and state is not ReceiptState.DELIVERED:
            # An intermediate notification tells of one try of the carrier; more may follow (SMPP 3.4 §5.2.12).
            return _Verdict(ReceiptState.PROGRESS, None, word, "")
        if state is ReceiptState.DELIVERED:
            return _Verdict(state, None, "", "")
        if state is ReceiptState.EXPIRED:
            expired = classify("smpp.stat", word)
            return _Verdict(state, expired.failure, _significant(said.err) or word, expired.rule)
        if state is ReceiptState.UNDELIVERED:
            return _Verdict(state, *self._failure(word, said))
        return _Verdict(state, None, word, "")

    def _standard_stat(self, said: _Said) -> str:
        """The standard word for what happened; a vendor's own word if we do not know it."""
        if said.message_state and said.message_state[-1] < len(_MESSAGE_STATES):
            return _MESSAGE_STATES[said.message_state[-1]]
        word = said.stat.decode("latin-1").upper()
        if word in self._words:
            return self._words[word]
        start = word[:_STAT_LETTERS]
        return next((known for known in _STATES if len(start) > 3 and known.startswith(start)), word)

    def _failure(self, word: str, said: _Said) -> tuple[FailureClass, str, str]:
        """Class, code and rule of a final failure: the connection's own codes, the network's error, the word."""
        err = said.err.decode("latin-1")
        by_err = classify(self._error_table or "smpp.stat", err, self._overrides)
        if err and by_err.rule.startswith("connection/"):
            return by_err.failure, err, by_err.rule
        if len(said.network_error) == 3 and said.network_error[0] == _GSM:
            number = str(int.from_bytes(said.network_error[1:], "big"))
            by_network = classify("smpp.map", number)
            if by_network.known:
                return by_network.failure, number, by_network.rule
        if self._error_table and _significant(said.err) and by_err.known:
            return by_err.failure, err, by_err.rule
        by_word = classify("smpp.stat", word)
        return by_word.failure, _significant(said.err) or word, by_word.rule


def _plain(sm: Sm) -> bytes:
    text = sm.text
    if sm.data_coding == _UCS2 and text[:1] == b"\0":
        return text.decode("utf-16-be", "replace").encode("latin-1", "replace")
    return text


def _submitted(found: dict[str, bytes]) -> bytes:
    said = found.get("submit date") or found.get("submit_date") or found.get("submitdate") or b""
    return said if said.isdigit() else b""


def _significant(err: bytes) -> str:
    """The err code as text; empty for "no error" in its usual spellings."""
    return err.decode("latin-1") if err.strip(b"0") else ""
