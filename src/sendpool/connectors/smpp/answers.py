"""What answers to submits say: whose each is, and what became of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

import structlog

from sendpool.connectors.base import AttemptKey, CarrierId, Outcome
from sendpool.connectors.smpp.pdu import HEADER_LENGTH
from sendpool.connectors.smpp.receipts import id_reader
from sendpool.connectors.smpp.refusals import Refusals
from sendpool.connectors.smpp.settings import SmppSettings, status_overrides
from sendpool.connectors.smpp.window import Window, parts_of
from sendpool.domain.tuples import maker

log = structlog.get_logger(__name__)

_carrier_id_of = maker(CarrierId)

#: The answer to a submit: sequence_number, command_status, the whole PDU.
Answer = tuple[int, int, bytes]


class AnswerReader:
    """Reads the answers of one session, in batches."""

    def __init__(self, settings: SmppSettings, window: Window, note_tlvs: Callable[[bytes], None]) -> None:
        """*note_tlvs* is told of what an answer has behind its message_id."""
        self._window = window
        self._note_tlvs = note_tlvs
        self._read_id = id_reader(settings.id_format.resp)
        self._refusals = Refusals(status_overrides(settings))

    def read(self, answers: Sequence[Answer]) -> list[tuple[AttemptKey, int, Outcome]]:
        """What became of the parts that these answers are about; nobody's answers are left out."""
        read_id = self._read_id
        outcomes: list[tuple[AttemptKey, int, Outcome]] = []
        whose = self._window.answered([sequence for sequence, _, _ in answers])
        for (sequence, status, frame), entry in zip(answers, whose, strict=True):
            if entry is None:
                log.debug("smpp.unexpected_response", sequence=sequence, status=status)
                continue
            attempt, part, until = entry
            name, _, tlvs = frame[HEADER_LENGTH:].partition(b"\0")
            if tlvs:
                self._note_tlvs(tlvs)
            outcome: Outcome
            if status == 0:
                # Accepted without a name, as a few carriers do: a name of our own, which no receipt will carry.
                outcome = _carrier_id_of((read_id(name) or f"no-id-{secrets.token_hex(8)}", "", False))
            else:
                outcome = self._refusals.outcome(status, late=until is None)
            if part > 0:
                outcomes.append((attempt, part, outcome))
            else:
                outcomes += [(attempt, one, outcome) for one in parts_of(part)]
        return outcomes
