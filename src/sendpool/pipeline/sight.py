"""What can be seen of senders just now, for explanations and rehearsals: values read off what sending keeps."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Protocol

from sendpool.domain.reasons import Reason, Remark, Verdict
from sendpool.domain.scopes import Moment
from sendpool.domain.sender import Sender
from sendpool.pipeline.claim import HORIZON
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.conditions import condition, momentary
from sendpool.pipeline.send import Sending


class Sight(Protocol):
    """What holds senders back at one moment."""

    #: That moment, in microseconds since 1970.
    now: int

    def remark(self, sender: Sender) -> Remark:
        """What holds a sender back, or that it is ready; until a time in seconds since 1970."""

    def refusal(self, sender: Sender, address: str, cost: int) -> Remark | None:
        """The lasting limit that keeps a sender from a message of *cost* segments to an address; None: none does."""

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

    def refusal(self, sender: Sender, address: str, cost: int) -> Remark | None:
        """Nobody counts."""
        del sender, address, cost
        return None

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
        found = condition(gate, link, self._monotonic, self._sending.runner(sender.connection_id))
        if found.reason is Reason.READY and gate is not None and link is not None:
            found = momentary(gate, link, self._monotonic, HORIZON)
        return self._by_wall(found)

    def _by_wall(self, found: Remark) -> Remark:
        """The same with its time in seconds since 1970."""
        if found.until is None:
            return found
        return found._replace(until=self.now / 1e6 + found.until - self._monotonic)

    def refusal(self, sender: Sender, address: str, cost: int) -> Remark | None:
        """As the send stage counts."""
        gate = self._sending.gates.get(sender.id)
        if gate is None or gate.bounds is None:
            return None
        found = gate.bounds.seen_refusal(address, cost, Moment(self._monotonic, self.now))
        return None if found is None else self._by_wall(found)

    def place(self, pool_id: int, sender: Sender) -> tuple[float, float]:
        """Where a sender stands in a pool's turn: when it is free, and then what it has served for its weight."""
        gate, link = self._sending.gates.get(sender.id), self._sending.links.get(sender.connection_id)
        if gate is None or link is None:
            return inf, inf
        now = self._monotonic
        return max(gate.bucket.free_at(now), link.bucket.free_at(now), now), self._sending.spreads[
            pool_id, sender.channel
        ].place(sender.id)

    def pace(self, senders: Iterable[Sender]) -> float:
        """Segments a second of those of these senders that are ready, or only used up, together."""
        by_link: dict[int, float] = {}
        for sender in senders:
            if self.remark(sender).reason.verdict is Verdict.WAITED or self.remark(sender).reason is Reason.READY:
                rate = self._sending.gates[sender.id].bucket.rate(self._monotonic)
                by_link[sender.connection_id] = by_link.get(sender.connection_id, 0.0) + rate
        links = self._sending.links
        return sum(min(rate, links[key].bucket.rate(self._monotonic)) for key, rate in by_link.items())

    def reaches(self, sender_id: int, address: str) -> bool:
        """As the send stage has it."""
        return self._sending.reaches(sender_id, address)
