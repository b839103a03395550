"""What can be seen of senders just now, for explanations and rehearsals: values read off what sending keeps."""

from __future__ import annotations

from typing import Protocol

from sendpool.domain.reasons import Reason, Remark
from sendpool.domain.sender import Sender
from sendpool.pipeline.claim import HORIZON, Clock
from sendpool.pipeline.conditions import condition, momentary
from sendpool.pipeline.send import Sending


class Sight(Protocol):
    """What holds senders back at one moment."""

    #: That moment, in microseconds since 1970.
    now: int

    def remark(self, sender: Sender) -> Remark:
        """What holds a sender back, or that it is ready; until a time in seconds since 1970."""

    def reaches(self, sender_id: int, address: str) -> bool:
        """Whether a sender may reach an address, as far as we were told."""


class NoSight:
    """No server runs: what waits is not sent by anybody."""

    def __init__(self, now: int) -> None:
        self.now = now

    def remark(self, sender: Sender) -> Remark:
        """Nobody takes anything."""
        del sender
        return Remark(Reason.NOT_RUNNING)

    def reaches(self, sender_id: int, address: str) -> bool:
        """Nobody has said otherwise."""
        del sender_id, address
        return True


class LiveSight:
    """What the send stage of a running server has in memory."""

    def __init__(self, sending: Sending, clock: Clock) -> None:
        self._sending = sending
        self._monotonic = clock.monotonic()
        self.now = clock.wall()

    def remark(self, sender: Sender) -> Remark:
        """What lasts comes before what passes in a moment."""
        gate = self._sending.gates.get(sender.id)
        link = self._sending.links.get(sender.connection_id)
        found = condition(gate, link, self._monotonic)
        if found.reason is Reason.READY and gate is not None and link is not None:
            found = momentary(gate, link, self._monotonic, HORIZON)
        if found.until is None:
            return found
        return found._replace(until=self.now / 1e6 + found.until - self._monotonic)

    def reaches(self, sender_id: int, address: str) -> bool:
        """As the send stage has it."""
        return self._sending.reaches(sender_id, address)
