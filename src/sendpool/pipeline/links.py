"""What sending knows of connections, senders and attempts on their way: plain values that live on the event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from math import inf
from typing import Any

import msgspec

from sendpool.connectors.base import Connector, KnowsCapabilities, KnowsFates, NamesAttempts, ReadsTags, WritesAhead
from sendpool.domain.closure import Closure
from sendpool.domain.failures import Repair
from sendpool.domain.fairness import RoundRobin
from sendpool.domain.inflight import Flights
from sendpool.domain.message import Content
from sendpool.domain.ownership import FOREVER, Tenure
from sendpool.domain.reasons import Remark
from sendpool.domain.scopes import Bounds
from sendpool.domain.sender import Sender
from sendpool.domain.throughput import Bucket
from sendpool.domain.vitals import Watch
from sendpool.pipeline.claim import Started
from sendpool.pipeline.settle import Result

#: Receipts of one connection that are matched in memory, and those that its senders' health is judged by.
_AWAITED = 100_000
_WATCHED = 100_000
#: Seconds after which a watched message without a receipt stays counted as lost though it is forgotten.
_RIPE = 60.0


class Link:
    """One connection as sending sees it: its connector, its bucket, its window and what is in flight."""

    def __init__(
        self,
        connection_id: int,
        name: str,
        kind: str,
        connector: Connector,
        bucket: Bucket,
        tenure: Tenure = FOREVER,
    ) -> None:
        self.connection_id = connection_id
        self.name = name
        self.kind = kind
        self.connector = connector
        self.bucket = bucket
        #: The term in which this process may use it. Another term is another link.
        self.tenure = tenure
        self.window = 0
        self.in_flight = 0
        self.up = False
        self.detail = "not connected yet"
        self.draining = False
        #: Whether the carrier lets its account send.
        self.closure = Closure()
        #: Whether it can be asked ahead who is reachable.
        self.asks = isinstance(connector, KnowsCapabilities)
        #: Whether it names attempts itself, so that a repeat is safe.
        self.names = isinstance(connector, NamesAttempts)
        #: Seconds after an acceptance at which the carrier is asked what became of it, if nobody has said; 0: never.
        self.inquires_after = connector.ask_after if isinstance(connector, KnowsFates) else 0.0
        #: Makes what it will write ahead; None: it cannot.
        self.prepare = connector.prepare if isinstance(connector, WritesAhead) else None
        #: Whether it may send tags of messages along.
        self.tags = isinstance(connector, ReadsTags)
        #: (message, operation) by the carrier's id: first attempts that were accepted and wait for their receipt.
        self.awaiting: dict[str, tuple[int, int]] = {}
        #: By the carrier's id: messages whose receipt says something about their sender's health.
        self.watched: dict[str, Watch] = {}

    def await_receipts(self, whose: Iterable[tuple[str, tuple[int, int]]]) -> None:
        """Remember whose receipts these ids will be; the oldest are forgotten first, for the store knows them all."""
        awaiting = self.awaiting
        awaiting.update(whose)
        if len(awaiting) > _AWAITED:
            for oldest in list(islice(awaiting, len(awaiting) - _AWAITED)):
                del awaiting[oldest]

    def watch(self, carrier_id: str, watch: Watch) -> None:
        """Remember whose health the receipt of this id speaks of; the oldest are forgotten first."""
        watched = self.watched
        if len(watched) >= _WATCHED:
            oldest = watched.pop(next(iter(watched)))
            if watch.at - oldest.at < _RIPE:
                oldest.unwatch()
        watched[carrier_id] = watch

    def name_of(self, public_id: str) -> str:
        """The carrier id of the attempt of this public id; "" where the carrier makes ids itself."""
        return self.connector.carrier_id(public_id) if isinstance(self.connector, NamesAttempts) else ""

    def forget_awaited(self) -> None:
        """Leave it to the store to match the receipts that are still to come: it knows which messages are closed."""
        self.awaiting.clear()

    def room(self, now: float) -> int:
        """Segments that may start now."""
        room = max(0, self.window - self.in_flight) if self.up and not self.draining else 0
        return self.closure.room(now, self.in_flight, room)


class Gate:
    """One sender as sending sees it: its bucket, its adaptive limit in flight, its turns between pools."""

    def __init__(self, sender: Sender, bucket: Bucket, options: Mapping[str, Any]) -> None:
        self.sender = sender
        self.bucket = bucket
        self.options = options
        #: The changed forms in which it can send what its carrier refuses as it is.
        self.repairs: frozenset[Repair] = frozenset()
        #: What tells whether a content reaches only who has written to it lately; None: none does.
        self.needs_window: Callable[[Content], bool] | None = None
        self.flights = Flights()
        #: What its health keeps from it, and of which countries; None: nothing.
        self.health: Remark | None = None
        #: What bounds it beside its bucket and its connection's; None: nothing.
        self.bounds: Bounds | None = None
        #: When its limit of the day is reset, where it has reached it (monotonic seconds).
        self.capped_until = -inf
        self.turns: RoundRobin[int] = RoundRobin()

    def free_at(self, link: Link, now: float) -> float:
        """When it could take a message, its stops and the room in flight apart."""
        at = max(self.bucket.free_at(now), link.bucket.free_at(now))
        if self.bounds is None:
            return at
        return max(at, self.bounds.earliest(1, now), self.capped_until)


class Flight(msgspec.Struct, gc=False, eq=False):
    """An attempt whose bytes are on their way: what is still missing, and how to put its row back."""

    started: Started
    link: Link
    #: Bits of parts without an outcome.
    missing: int
    #: When the carrier gives it up by itself (microseconds since 1970); None: when nobody waits for it any more.
    expires_at: int | None = None
    accepted: int = 0
    carrier_id: str = ""
    #: Bits of parts that did not get through for now.
    throttled: int = 0
    #: How many parts its text makes at the carrier, where that is another number than it was charged for.
    recount: int = 0
    #: What it says, where that is for its recipient alone.
    said: Content | None = None
    #: The worst that a part met: a rejection, or an unknown fate.
    verdict: Result | None = None
    #: Seconds that its recipient is to be left alone, as the carrier asked.
    wait: float = 0.0

    @property
    def timed(self) -> bool:
        """Whether the wait for its receipt has an end, after which the next channel's turn comes."""
        return self.expires_at is not None
