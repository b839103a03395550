"""Reads SMPP that goes by."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
from tests.peers.recording.conversation import Said
from tests.peers.recording.masking import HIDDEN

from sendpool.connectors.smpp.pdu import HEADER_LENGTH, Command, Framer, Pdu, PduError, Sm, Tag, parse

#: What esm_class says of a text that is a receipt (SMPP 3.4 §5.2.12).
_KIND, _RECEIPT = 0x3C, 0x04
_OF_RECEIPT = re.compile(rb"\b(id|stat|err):(\S+)")


class SmppReader:
    """One connection: PDUs of both directions."""

    def __init__(self) -> None:
        self._framers = {True: Framer(), False: Framer()}

    def hear(self, forth: bool, octets: bytes) -> Iterator[Said]:
        """What these octets complete."""
        for frame in self._framers[forth].feed(octets):
            try:
                pdu = parse(frame)
            except PduError as error:
                yield Said(forth, "unreadable", {"why": str(error), "header": f"0x{frame[:HEADER_LENGTH].hex('_', 4)}"})
                continue
            yield Said(forth, Command(pdu.command).name.lower(), _fields(pdu, frame), {}, frame)


def _fields(pdu: Pdu, frame: bytes) -> dict[str, object]:
    fields: dict[str, object] = {"sequence": pdu.sequence, "status": f"0x{pdu.status:x}"}
    for name, value in msgspec.structs.asdict(pdu.body).items() if pdu.body is not None else ():
        if name == "tlvs":
            fields |= {f"tlv 0x{tag:04x}": _tlv(tag, octets) for tag, octets in value.items()}
        elif isinstance(value, tuple):
            fields[name] = f"{value[2]} (ton {value[0]}, npi {value[1]})"
        elif value not in ("", b"", 0):
            fields[name] = value
    if isinstance(pdu.body, Sm) and pdu.body.esm_class & _KIND == _RECEIPT:
        fields |= {f"receipt {name.decode()}": said.decode() for name, said in _OF_RECEIPT.findall(pdu.body.text)}
    return {**fields, "header": f"0x{frame[:HEADER_LENGTH].hex('_', 4)}"}


def _tlv(tag: int, octets: bytes) -> str:
    return HIDDEN if tag == Tag.MESSAGE_PAYLOAD else octets.hex(" ")
