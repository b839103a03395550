"""Reads SMTP that goes by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message

from tests.peers.recording.conversation import Said
from tests.peers.recording.masking import HIDDEN

_END = b"\r\n.\r\n"
#: Names the attempt in an address that takes notifications: who has it can make one.
_ENVID = re.compile(r"\b(ENVID=)\S+", re.IGNORECASE)


class SmtpReader:
    """One connection: commands and messages forth, answers back."""

    def __init__(self) -> None:
        self._rest = {True: b"", False: b""}
        #: A message comes, not a command; credentials come, not a command.
        self._message = self._credentials = False

    def hear(self, forth: bool, octets: bytes) -> Iterator[Said]:
        """What these octets complete."""
        self._rest[forth] += octets
        while True:
            end = _END if forth and self._message else b"\r\n"
            piece, found, rest = self._rest[forth].partition(end)
            if not found:
                return
            self._rest[forth] = rest
            yield self._command(piece) if forth else self._answer(piece)

    def _answer(self, line: bytes) -> Said:
        self._message, self._credentials = line.startswith(b"354"), line.startswith(b"334")
        words = line.decode("latin-1")
        return Said(False, f"{words[:4]}{HIDDEN}" if self._credentials else words, {})

    def _command(self, piece: bytes) -> Said:
        if self._message:
            self._message = False
            return Said(True, "message", dict(_parts(message_from_bytes(piece))), {}, piece)
        words = HIDDEN if self._credentials else piece.decode("latin-1")
        if words[:5].upper() == "AUTH ":
            words = f"{' '.join(words.split()[:2])} {HIDDEN}"
        return Said(True, _ENVID.sub(rf"\1{HIDDEN}", words), {})


def _parts(message: Message) -> Iterator[tuple[str, object]]:
    for name, value in message.items():
        yield name, " ".join(str(value).split())
    inner = message.get_payload() if message.is_multipart() else [message]
    for number, part in enumerate(inner, 1):
        assert isinstance(part, Message)
        if part.get_content_type() == "message/delivery-status":
            for block in part.get_payload():
                yield from ((f"part {number} {name}", str(value)) for name, value in block.items())  # type: ignore[union-attr]
        else:
            yield f"part {number}", f"{len(part.as_bytes())} octets of {part.get_content_type()}"
