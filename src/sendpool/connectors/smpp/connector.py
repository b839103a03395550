"""The SMPP connector: keeps the binds of a connection and turns submissions into submit_sm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from random import random

import structlog

from sendpool.connectors.base import AttemptKey, ConnectionSettings, Inbox, Outcome, Submission, Unavailable
from sendpool.connectors.smpp.backoff import Backoff
from sendpool.connectors.smpp.carrier import Carrier, Role
from sendpool.connectors.smpp.congestion import pace_at
from sendpool.connectors.smpp.inbound import InboundReader
from sendpool.connectors.smpp.line import Line
from sendpool.connectors.smpp.receipts import ReceiptReader
from sendpool.connectors.smpp.settings import DEFAULT_WINDOW, PASSWORD_OCTETS, BindAs, Share, read_settings
from sendpool.connectors.smpp.submits import SubmitWriter, UnfitSubmission
from sendpool.connectors.smpp.tls import trusted
from sendpool.connectors.smpp.window import PartKey, Shared, Waiting

log = structlog.get_logger(__name__)

#: Seconds between the first binds of a connection, so that a centre is not asked for all of them at once.
STAGGER = 0.25
#: Seconds after which the room of a bind that was lost is used by the others: often they go within the same moment.
_GRACE = 0.25


class SmppConnector:
    """A connection of type "smpp". Made from its settings, it does nothing until `open`."""

    reads_tags = True

    def __init__(self, settings: ConnectionSettings, *, random: Callable[[], float] = random) -> None:
        """Read the settings; *random* gives the jitter of reconnects. Raises `ValueError` as `check` does."""
        self._options = read_settings(settings)
        self._name = settings.name
        self._window = settings.window or DEFAULT_WINDOW
        self._addresses = tuple(sender.address for sender in settings.senders)
        self._log = log.bind(connection=settings.name)
        self._writer = SubmitWriter(self._options)
        self._receipts = ReceiptReader(self._options)
        self._random = random
        self._shared = Shared(self._window if self._options.window_of is Share.CONNECTION else None)
        self._inbox: Inbox | None = None
        self._lines: list[Line] = []
        self._turn = 0
        self._closing = False
        self._pace = 1.0
        self._last_said: tuple[bool, int, str] | None = None

    @classmethod
    def check(cls, settings: ConnectionSettings) -> None:
        """Raise `ValueError` naming the key if the options are no good; connect to nothing."""
        trusted(read_settings(settings))

    async def open(self, inbox: Inbox) -> None:
        """Start connecting and return at once; reconnect until `close`."""
        if len(self._options.password.encode()) > PASSWORD_OCTETS:
            self._log.warning("smpp.long_password", remedy="SMPP takes 8 characters; ask the carrier if the bind fails")
        self._inbox = inbox
        inbound = InboundReader(self._options, self._addresses)
        carrier = Carrier(self._name, self._options, self._window, inbox, self._receipts, inbound, self._shared)
        carrier = carrier._replace(congested=self._congested, stranded=self._stranded)
        roles = (Role.TRANSCEIVER,) if self._options.bind is BindAs.TRANSCEIVER else (Role.RECEIVER, Role.TRANSMITTER)
        for role in roles * self._options.binds:
            backoff = Backoff(self._options.reconnect_min, self._options.reconnect_max, self._random)
            self._lines.append(Line(carrier, role, backoff, self._changed))
        for number, line in enumerate(self._lines):
            line.start(number * STAGGER)

    async def submit(self, batch: Sequence[Submission]) -> None:
        """Write a submit_sm for each wanted part, in order; what the window has no room for waits here.

        Every outcome goes to the inbox: what cannot leave at once, what never could, and what the carrier says.
        """
        self.prepare(batch)()

    def prepare(self, batch: Sequence[Submission]) -> Callable[[], None]:
        """Make the bodies of a batch, and return what submits it."""
        refused: list[tuple[AttemptKey, int, Outcome]] = []
        waiting: list[Waiting] = []
        for submission in batch:
            try:
                self._writer.write(submission, waiting)
            except UnfitSubmission as unfit:
                refused += [(submission.attempt, part, unfit.outcome) for part in _wanted(submission)]
        return partial(self._hand_over, batch, waiting, refused)

    def _hand_over(
        self,
        batch: Sequence[Submission],
        waiting: Sequence[Waiting],
        refused: Sequence[tuple[AttemptKey, int, Outcome]],
    ) -> None:
        if self._inbox is None:
            raise RuntimeError("submit before open")
        if not self._is_up:
            down = Unavailable("no bound session")
            self._inbox.outcomes([(item.attempt, part, down) for item in batch for part in _wanted(item)])
            return
        if refused:
            self._inbox.outcomes(refused)
        self._shared.queue.extend(waiting)
        self._spread()

    async def close(self) -> None:
        """Wait for answers in flight (bounded by the response timer), unbind, disconnect, stop reconnecting."""
        already, self._closing = self._closing, True
        if already or self._inbox is None:
            return
        if any(line.bound for line in self._lines):
            self._say(False, "closing")
        await asyncio.gather(*(line.close() for line in self._lines))
        self._say(False, "closed")

    @property
    def receipts_without_id(self) -> int:
        """Receipts so far that named no message: evidence lost at the carrier."""
        return self._receipts.without_id

    @property
    def _is_up(self) -> bool:
        """Whether it can both submit and be told of receipts."""
        bound = [line.role for line in self._lines if line.bound]
        return any(role.submits for role in bound) and any(role.receives for role in bound)

    def _spread(self) -> None:
        """Have the binds write what waits: to each its share, beginning with another one each time."""
        senders = [line for line in self._lines if line.sends]
        self._turn += 1
        first = self._turn % len(senders) if senders else 0
        shared = self._shared
        for number, line in enumerate(senders[first:] + senders[:first]):
            line.push(-(-shared.ready // (len(senders) - number)))
        # What stays where a share met a full window goes to those that have room left.
        for line in senders if shared.ready and len(senders) > 1 else ():
            line.push(shared.ready)

    def _stranded(self) -> list[PartKey]:
        """What waits, when the last bind that could submit it is lost; else the others take it over."""
        if any(line.sends for line in self._lines):
            asyncio.get_running_loop().call_later(_GRACE, self._spread)
            return []
        return self._shared.take_queued()

    def _congested(self) -> None:
        """The carrier has told its load: the connection goes by the highest of its binds."""
        pace = pace_at(max(line.congestion for line in self._lines))
        if self._inbox is not None and (pace != self._pace or not pace):
            self._pace = pace
            self._inbox.pace(pace)

    def _changed(self) -> None:
        """A bind came up, went down or could not be made."""
        if self._closing:
            return
        missing = next((line for line in self._lines if not line.bound and line.reason), None)
        if self._is_up:
            bound = sum(line.bound for line in self._lines)
            several = f"{bound} of {len(self._lines)} binds are up"
            self._say(True, several if len(self._lines) > 1 else self._lines[0].reason)
        elif missing is not None:
            alone = missing.role is Role.TRANSCEIVER
            self._say(False, missing.reason if alone else f"the {missing.role.value}: {missing.reason}")

    def _say(self, up: bool, detail: str) -> None:
        """Tell the inbox about the link, once per change."""
        said = (up, self._room() if up else 0, detail)
        if self._inbox is None or self._last_said == said or self._last_said == (False, 0, "closing"):
            return
        self._last_said = said
        if not up:
            self._pace = 1.0  # Whoever is told that the link is down forgets the pace.
        self._log.info("smpp.link", up=up, detail=detail)
        self._inbox.link(up=up, window=said[1], detail=detail)

    def _room(self) -> int:
        """Submits that may be unanswered over the binds that stand."""
        if self._options.window_of is Share.CONNECTION:
            return self._window
        return self._window * sum(line.sends for line in self._lines)


def _wanted(submission: Submission) -> list[int]:
    return [part for part in range(1, submission.segments + 1) if submission.parts >> part - 1 & 1]
