"""Batch: what one commit carries to the writer, and what it brings back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from math import inf
from typing import Any, NamedTuple

from sendpool.connectors.base import Receipt
from sendpool.pipeline.acceptance import Acceptance
from sendpool.pipeline.claim import Claim, Claimed
from sendpool.pipeline.crowd import Crowd
from sendpool.pipeline.fence import WriteBacks
from sendpool.pipeline.launch import Launch
from sendpool.pipeline.receive import Arrival
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.scene import SceneRow
from sendpool.pipeline.settle import Changes, Result, Revoke, Told
from sendpool.store.chunks import Expanded, Expansion
from sendpool.store.counters import Tally
from sendpool.store.database import Script, Unit
from sendpool.store.idempotency import Key
from sendpool.store.queue import QueueKey, QueueRow


class Waiting(NamedTuple):
    """A cold change and who waits for it."""

    unit: Unit
    done: asyncio.Future[Any]


class Batch:
    """What one commit carries."""

    def __init__(self) -> None:
        self.units: list[Waiting] = []
        self.accepts: list[Acceptance | Crowd] = []
        #: Acceptances with a key, each of which may find that its key is taken.
        self.keyed: list[tuple[Acceptance, Key]] = []
        #: How many requests these are.
        self.requests = 0
        self.results: list[Result] = []
        self.said = WriteBacks()
        self.told: list[Told] = []
        self.delivered: list[tuple[int, int, int, Receipt]] = []
        self.arrivals: list[Arrival] = []
        self.acknowledge: list[asyncio.Future[None]] = []
        self.expansions: list[Expansion] = []
        self.claims: list[Claim] = []
        self.queues: list[tuple[int, QueueKey]] = []
        self.scenes: list[SceneRow] = []
        #: Whether it brings a block of integer keys.
        self.numbers = False
        self.sweep: list[Callable[[Changes], Script[Any]]] = []
        #: The loop may stand still for its statements.
        self.brief = False

    def __bool__(self) -> bool:
        return bool(
            self.units
            or self.accepts
            or self.keyed
            or self.results
            or self.said
            or self.told
            or self.delivered
            or self.arrivals
            or self.expansions
            or self.claims
            or self.sweep
            or self.acknowledge
            or self.numbers
        )

    def accept(self, acceptance: Acceptance | Crowd) -> None:
        """Carry what requests without a key have come to."""
        self.accepts.append(acceptance)
        self.requests += len(acceptance.operations)

    def accept_keyed(self, acceptance: Acceptance, key: Key) -> None:
        """Carry what a request with a key has come to."""
        self.keyed.append((acceptance, key))
        self.requests += 1

    @property
    def only_reports(self) -> bool:
        """Whether nothing waits for it but what carriers have said."""
        return not (self.requests or self.units or self.arrivals or self.results or self.sweep)

    def size(self) -> float:
        """How many messages it is about, those apart that its claims will find; inf: nobody can say."""
        if self.units or self.sweep or self.expansions:
            return inf
        told = len(self.results) + len(self.told) + len(self.delivered) + len(self.arrivals)
        return self.requests + told + self.said.size()

    def accepted(self) -> list[Acceptance | Crowd]:
        """Every acceptance, with a key or without."""
        return [*self.accepts, *(acceptance for acceptance, _ in self.keyed)] if self.keyed else self.accepts


class Brought(NamedTuple):
    """What a commit brought back."""

    units: list[Any]
    #: For each acceptance with a key: None, or why it was undone.
    keyed: list[Exception | None]
    roster: Roster | None
    expanded: list[Expanded]
    claimed: list[Claimed]
    #: What the claims have started, on its way out.
    launch: Launch
    #: Rows that became due (again).
    due: list[QueueRow]
    unmatched: int
    revokes: list[Revoke]
    #: The first key of a new block, where the batch asked for one.
    block: int | None
    #: What was refused for what it says, and what was added to the counters of operations.
    filtered: Counter[tuple[int, str, str, str]]
    #: Who was found not to be on a channel.
    unreached: list[tuple[int, str, float | None]]
    tally: Tally
