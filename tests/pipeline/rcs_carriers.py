"""An RCS platform that does what a test tells it: look-ups, refusals, taking back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import Line, World, world

from sendpool.connectors.base import Outcome, Rejected, Submission
from sendpool.domain.failures import classify
from sendpool.domain.sender import Channel

AGENT, SMS = "agent@rbm.goog", "+12034458910"


def no_rcs(_: Submission, __: int) -> Outcome:
    """A send's 404: this phone has no RCS."""
    found = classify("rcs", "404")
    return Rejected(found.failure, "404", found.scope, found.rule)


class RcsCarrier(Carrier):
    """A carrier that can be asked ahead, and that takes back. By default every phone has RCS."""

    def __init__(self, *, look_up_after: float = 0.05, revoke_after: float = 0.05) -> None:
        super().__init__()
        self.look_up_after = look_up_after
        self.revoke_after = revoke_after
        #: What a look-up says of a number.
        self.reaches: Callable[[str], bool | None] = lambda _: True
        #: What a request to take back is answered.
        self.takes_back: bool | None = True
        #: The numbers of each look-up, and the ids that were to be taken back, in order.
        self.look_ups: list[list[str]] = []
        self.revoked: list[str] = []

    @staticmethod
    def name_of(submission: Submission, part: int) -> str:
        """The id that this carrier gives a message: the attempt's own."""
        return f"rcs-{submission.public_id}"

    @staticmethod
    def carrier_id(public_id: str) -> str:
        """The same, before it has answered."""
        return f"rcs-{public_id}"

    @property
    def asked(self) -> list[str]:
        """Every number that was looked up, as often as it was."""
        return [number for numbers in self.look_ups for number in numbers]

    async def capabilities(self, addresses: Sequence[str], sender: str | None = None) -> Mapping[str, bool | None]:
        """Answer after a while."""
        self.look_ups.append(list(addresses))
        await asyncio.sleep(self.look_up_after)
        return {address: self.reaches(address) for address in addresses}

    async def revoke(self, carrier_id: str, recipient: str, sender: str) -> bool | None:
        """Answer after a while."""
        self.revoked.append(carrier_id)
        await asyncio.sleep(self.revoke_after)
        return self.takes_back


def between(path: Path, rcs: RcsCarrier, sms: Carrier, **more: Line) -> AbstractAsyncContextManager[World]:
    """A world with an agent and a number, each as fast as a test needs, and with *more* lines."""
    lines = {"rcs": Line(rcs, {AGENT: 1000.0}, Channel.RCS), "sms": Line(sms, {SMS: 1000.0}), **more}
    return world(path, **lines)
