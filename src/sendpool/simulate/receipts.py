"""Receipts as message centres write them: the text of SMPP 3.4's appendix B, and the TLVs that repeat it."""

from __future__ import annotations

import time

from sendpool.connectors.smpp.bodies import Command, Sm, Tag
from sendpool.connectors.smpp.pdu import encode_body
from sendpool.simulate.fates import Fate
from sendpool.simulate.script import Script

#: esm_class of a delivery receipt (SMPP 3.4 §5.2.12).
_RECEIPT = 0x04
#: message_state by the word in the text (SMPP 3.4 §5.2.28).
_STATES = {
    "ENROUTE": 1,
    "DELIVRD": 2,
    "EXPIRED": 3,
    "DELETED": 4,
    "UNDELIV": 5,
    "ACCEPTD": 6,
    "UNKNOWN": 7,
    "REJECTD": 8,
}
_UNKNOWN_STATE = 7
#: Characters of the message that a receipt quotes.
_QUOTED = 20


def spell_id(number: int, spelling: str) -> str:
    """A message id in "dec" or "hex"."""
    return f"{number:x}" if spelling == "hex" else str(number)


def is_wanted(registered_delivery: int, stat: str) -> bool:
    """Whether the submit asked for a receipt with this end (SMPP 3.4 §5.2.17, 5.0 §4.7.21)."""
    asked = registered_delivery & 0x03
    delivered = stat == "DELIVRD"
    return asked == 1 or (asked == 2 and not delivered) or (asked == 3 and delivered)


def receipt_body(script: Script, sm: Sm, number: int, fate: Fate, submitted_at: float) -> bytes:
    """The body of the deliver_sm that reports on *sm*, which was answered with id *number*. Times in seconds."""
    submitted = _minute(submitted_at)
    done = _minute(submitted_at + fate.receipt_after)
    delivered = fate.stat == "DELIVRD"
    quoted = sm.text[:_QUOTED] if sm.data_coding == 0 and not sm.esm_class & 0x40 else b""
    text = (
        f"id:{spell_id(number, script.receipt_ids)} sub:001 dlvrd:{int(delivered):03} submit date:{submitted} "
        f"done date:{done} stat:{fate.stat} err:{fate.err} text:"
    )
    tlvs: dict[int, bytes] = {
        Tag.RECEIPTED_MESSAGE_ID: spell_id(number, script.ids).encode() + b"\0",
        Tag.MESSAGE_STATE: bytes((_STATES.get(fate.stat, _UNKNOWN_STATE),)),
    }
    receipt = Sm(
        source=sm.destination,
        destination=sm.source,
        esm_class=_RECEIPT,
        short_message=text.encode("ascii", "replace") + quoted,
        tlvs=tlvs if script.receipt_tlvs else {},
    )
    return encode_body(receipt, Command.DELIVER_SM)


def _minute(at: float) -> str:
    return time.strftime("%y%m%d%H%M", time.gmtime(at))
