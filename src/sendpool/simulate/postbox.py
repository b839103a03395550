"""What a simulated centre has for its customers: receipts and inbound texts, kept until they are acknowledged."""

from __future__ import annotations

from collections import deque

from sendpool.connectors.smpp.status import Status
from sendpool.simulate.link import Delivery, Link


class Postbox:
    """Sends each delivery to a link that may receive, waits for one if there is none, and repeats what was not stored.

    A receipt goes to the link that submitted its message, else to any receiving link of the same system_id.
    """

    def __init__(self, *, window: int, resend_after: float) -> None:
        self._window = window
        self._resend_after = resend_after
        self._links: dict[str, list[Link]] = {}
        self._waiting: dict[str, deque[Delivery]] = {}
        self.sent = 0
        self.acked = 0
        self.rejected = 0
        self.texts_sent = 0

    @property
    def waiting(self) -> int:
        """Deliveries that have had no link to go to, or no room on it."""
        return sum(map(len, self._waiting.values()))

    @property
    def in_flight(self) -> int:
        """Deliveries that were sent and are not answered."""
        return sum(len(link.in_flight) for links in self._links.values() for link in links)

    def link_bound(self, link: Link, now: float) -> None:
        """Use *link* from now on, if it may receive."""
        if link.may_receive:
            self._links.setdefault(link.system_id, []).append(link)
            self._drain(link.system_id, now)

    def link_lost(self, link: Link, now: float) -> None:
        """Send what *link* had not acknowledged on another one, first things first."""
        links = self._links.get(link.system_id, [])
        if link in links:
            links.remove(link)
        lost = [delivery for delivery, _ in link.in_flight.values()]
        link.in_flight.clear()
        if lost:
            self._waiting.setdefault(link.system_id, deque()).extendleft(reversed(lost))
            self._drain(link.system_id, now)

    def post(self, delivery: Delivery, now: float) -> None:
        """Send *delivery*, or keep it until it can be sent."""
        self._waiting.setdefault(delivery.system_id, deque()).append(delivery)
        self._drain(delivery.system_id, now)

    def answered(self, link: Link, sequence: int, status: int) -> Delivery | None:
        """Settle a delivery by its answer. Returns it if it has to be sent again after a while (status 0x64)."""
        entry = link.in_flight.pop(sequence, None)
        if entry is None:
            return None
        delivery = entry[0]
        if delivery.answered is not None:
            if not delivery.answered.done():
                delivery.answered.set_result(status)
        elif status == Status.ROK:
            self.acked += 1
        elif status == Status.RX_T_APPN:
            return delivery
        else:
            self.rejected += 1
        return None

    def room(self, system_id: str, now: float) -> None:
        """Use the room that answers have made."""
        if self._waiting.get(system_id):
            self._drain(system_id, now)

    def repeat_overdue(self, now: float) -> None:
        """Send again what nobody has answered for `resend_after` seconds."""
        for system_id, links in self._links.items():
            for link in links:
                overdue = [n for n, (_, sent_at) in link.in_flight.items() if now - sent_at >= self._resend_after]
                for sequence in overdue:
                    delivery, _ = link.in_flight.pop(sequence)
                    self._waiting.setdefault(system_id, deque()).append(delivery)
            self.room(system_id, now)

    def _drain(self, system_id: str, now: float) -> None:
        queue = self._waiting.setdefault(system_id, deque())
        while queue:
            link = self._free_link(queue[0])
            if link is None:
                return
            delivery = queue.popleft()
            if delivery.answered is None:
                self.sent += 1
            else:
                self.texts_sent += 1
            link.deliver(delivery, now)

    def _free_link(self, delivery: Delivery) -> Link | None:
        links = self._links.get(delivery.system_id, ())
        free = (link for link in links if len(link.in_flight) < self._window)
        if delivery.preferred in links:
            free = (link for link in (delivery.preferred, *links) if link and len(link.in_flight) < self._window)
        return next(free, None)
