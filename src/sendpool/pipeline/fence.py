"""Fence off a node that has lost a lease: no attempt starts under it, and what it says late cannot hit another's.

A commit asks which of the leases that it uses are held, and keeps them from being taken until it ends. What was started
under one that is not held any more is still welcome as evidence, row by row and only where the attempt is the same one:
its number may have been used again by another node. Where one process has the database to itself this costs nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from sendpool.domain.states import AttemptState
from sendpool.pipeline.claim import Claim
from sendpool.pipeline.settle import Result
from sendpool.store.database import Script
from sendpool.store.inquiries import InquiryRow, note_inquiries
from sendpool.store.receipts import SegmentRow, insert_fenced_segments, insert_segments

T = TypeVar("T")


class News(NamedTuple):
    """What a commit brings that other processes want to know."""

    #: Queues that got rows, each with their lowest rank.
    queues: Mapping[int, int]
    #: Senders, pools, accounts, keys or limits have changed.
    roster: bool
    #: The keeper is wanted: there are chunks to expand, or what is due soon.
    keeper: bool
    #: (message, attempt, connection) of attempts to be taken back.
    revokes: Sequence[tuple[int, int, int]]
    #: Somebody has opted out.
    consent: bool = False


class Fence(Protocol):
    """Knows which tenures still stand, by the database's word."""

    #: False: there is nobody else, so nobody needs to ask.
    shared: bool

    @property
    def keeper(self) -> bool:
        """Whether this process does what is to be done once for all."""

    @property
    def company(self) -> bool:
        """Whether another process is there to be told anything."""

    def has_epoch(self) -> int:
        """The epoch under which this process is the keeper; 0: it needs none, or is not."""

    def leaves_to(self, connection_id: int) -> bool:
        """Whether what concerns a connection is another process's to do."""

    def tell(self, news: News) -> Script[None]:
        """Tell the others what this commit brings, as it is committed."""

    def held(self, epochs: Collection[int]) -> Script[Collection[int]]:
        """Of these epochs, those whose leases this node holds, locked against takeover until the commit ends."""


class Alone:
    """One process has the database to itself and owns everything."""

    shared = False
    keeper = True
    company = False

    def has_epoch(self) -> int:
        """It needs none."""
        return 0

    def leaves_to(self, connection_id: int) -> bool:
        """There is no other."""
        return False

    def tell(self, news: News) -> Script[None]:
        """There is nobody to tell."""
        yield from ()

    def held(self, epochs: Collection[int]) -> Script[Collection[int]]:
        """All of them."""
        yield from ()
        return epochs


class WriteBacks:
    """What carriers said at the door since the last commit, by the epoch under which it was started."""

    def __init__(self) -> None:
        self.segments: dict[int, list[SegmentRow]] = {}
        #: (message, operation) of first attempts that were accepted, as nearly all are.
        self.accepted: dict[int, list[tuple[int, int]]] = {}
        #: What carriers are to be asked about later. A fence is not needed: who asks sees whose the attempt is by then.
        self.inquiries: list[InquiryRow] = []

    def __bool__(self) -> bool:
        return any(self.segments.values()) or any(self.accepted.values())

    def size(self) -> int:
        """How many segments it is about."""
        return sum(map(len, self.segments.values()))

    def of(self, epoch: int) -> tuple[list[SegmentRow], list[tuple[int, int]]]:
        """The lists of one epoch, to be added to."""
        return self.segments.setdefault(epoch, []), self.accepted.setdefault(epoch, [])

    def epochs(self) -> set[int]:
        """The epochs that have something."""
        return {key for ones in (self.segments, self.accepted) for key, rows in ones.items() if rows}

    def put_back(self, earlier: WriteBacks) -> None:
        """The commit of *earlier* failed: it goes before what has come since."""
        for epoch in earlier.epochs():
            segments, accepted = self.of(epoch)
            segments[:0] = earlier.segments.get(epoch, ())
            accepted[:0] = earlier.accepted.get(epoch, ())
        self.inquiries[:0] = earlier.inquiries

    def all_segments(self) -> list[SegmentRow]:
        """Those of all epochs."""
        return _joined(list(self.segments.values()))

    def usual(self, held: Collection[int]) -> list[tuple[int, int]]:
        """What may be taken as accepted without a look at each: nobody else has had these attempts."""
        return _joined([rows for epoch, rows in self.accepted.items() if epoch in held])

    def unusual(self, held: Collection[int]) -> list[Result]:
        """The others, to be looked at one by one."""
        return [
            Result(message_id, 1, AttemptState.ACCEPTED, epoch=epoch)
            for epoch, rows in self.accepted.items()
            if epoch not in held
            for message_id, _ in rows
        ]


def _joined(lists: Sequence[list[T]]) -> list[T]:
    return lists[0] if len(lists) == 1 else [one for rows in lists for one in rows]


def store_segments(said: WriteBacks, held: Collection[int]) -> Script[None]:
    """Remember by which ids carriers know the segments, and which of these they are to be asked about."""
    for epoch, rows in said.segments.items():
        if epoch in held:
            yield from insert_segments(rows)
        elif rows:
            yield from insert_fenced_segments(rows, epoch)
    yield from note_inquiries(said.inquiries)


def used(said: WriteBacks, claims: Sequence[Claim]) -> set[int]:
    """The epochs that a commit relies on."""
    return said.epochs().union(offer.link.epoch for claim in claims for offer in claim.offers)


def usable(claims: Sequence[Claim], held: Collection[int]) -> list[Claim]:
    """The claims as far as they are for connections whose leases are held."""
    kept = [claim._replace(offers=[one for one in claim.offers if one.link.epoch in held]) for claim in claims]
    return [claim for claim in kept if claim.offers]
