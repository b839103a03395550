"""Launch: make submissions of what a commit starts, while the disk takes it; they leave once it has.

Nothing here changes what sending knows: a commit that fails leaves no trace of what was made ready for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from sendpool.connectors.base import AttemptKey, Submission
from sendpool.domain import ids
from sendpool.domain.message import Category, Content, at_step, on_channel
from sendpool.domain.policy import policy_for
from sendpool.domain.sender import Channel
from sendpool.domain.tuples import maker
from sendpool.pipeline.claim import Claimed, Started
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.links import Flight, Gate, Link
from sendpool.pipeline.reach import Reachability
from sendpool.pipeline.render import Unsayable, say, say_tags
from sendpool.pipeline.roster import Roster

#: Seconds that a carrier gets at least: with less, RCS reports both a revocation and a delivery too often.
SHORTEST_VALIDITY = 10
#: Seconds that a carrier gets at most where a look-up failed and another channel waits behind it (design §4).
ASSUMED_VALIDITY = 60
#: Seconds after which what was made ready is made anew.
STALE = 1.0
#: Departures closer than this leave together: a timer is no finer.
TOGETHER = 0.001
#: The part of such a step that floating-point arithmetic may be off by.
_ROUNDING = 1e-6

_key_of, _submission_of = maker(AttemptKey), maker(Submission)

_NO_TAGS: Mapping[str, str] = MappingProxyType({})


class Terms(NamedTuple):
    """What submissions of one operation share."""

    content: Content
    category: Category
    #: Seconds that the carrier may try: what is left of the message's time, or of its time on this channel.
    validity: int
    #: The wait for a receipt has an end.
    timed: bool
    #: The connector names attempts itself.
    named: bool
    #: Of the operation, where the connector reads them; they may be Liquid.
    tags: Mapping[str, str] = _NO_TAGS


class Launch:
    """What one commit starts, and how it is to leave."""

    def __init__(self, launcher: Launcher, claimed: Sequence[Claimed]) -> None:
        self.claimed = claimed
        self.flights: dict[tuple[int, int], Flight] = {}
        #: What leaves by each connection in which step of the clock, 0: at once.
        self.batches: dict[tuple[Link, int], list[Submission]] = {}
        #: Attempts whose connection went away between claim and commit.
        self.stranded: list[Started] = []
        #: Those of which nothing usable came out, and the code that says why.
        self.unsayable: list[tuple[Flight, int]] = []
        #: What hands over that which leaves at once, where a connector has made it ahead.
        self.prepared: dict[Link, Callable[[], None]] = {}
        self._launcher = launcher
        #: When it was made ready (monotonic seconds).
        self._ready_at: float | None = None

    def as_of(self, now: float) -> Launch:
        """The same, ready; made anew where a connection has gone or come since, or the commit has taken long."""
        if self._ready_at is not None and not self._launcher.is_right(self, now - self._ready_at):
            return Launch(self._launcher, self.claimed).as_of(now)
        self.make_ready(now)
        return self

    def make_ready(self, now: float) -> None:
        """Make everything that the claims have started, unless that is done; *now* is in monotonic seconds."""
        if self._ready_at is not None:
            return
        self._ready_at = now
        for one in self.claimed:
            self._launcher.add(self, one.started, one.claim.channel, now)
        for (link, step), batch in self.batches.items():
            if link.prepare is not None and not step:
                # What is wrong with it is found again, and told, when it is to leave.
                with contextlib.suppress(Exception):
                    self.prepared[link] = link.prepare(batch)


class Launcher:
    """Makes submissions by what sending knows. Lives on the event loop."""

    def __init__(self, links: Mapping[int, Link], gates: Mapping[int, Gate], reach: Reachability, clock: Clock) -> None:
        self._links = links
        self._gates = gates
        self._reach = reach
        self._clock = clock
        self.roster = Roster()

    def is_right(self, launch: Launch, age: float) -> bool:
        """Whether a launch that was made ready *age* seconds ago is what would be made now."""
        same = all(self._links.get(link.connection_id) is link for link, _ in launch.batches)
        # What a carrier may try is counted in seconds from then on.
        return same and not launch.stranded and age < STALE

    def add(self, launch: Launch, every: Sequence[Started], channel: Channel, now: float) -> None:
        """Add to a launch what one claim has started on a channel."""
        known: dict[tuple[int, int, int, int, int], tuple[Link, Terms]] = {}
        flights, batches = launch.flights, launch.batches
        for started in every:
            row = started.row
            shared = (row.operation_id, row.step, len(row.plan), started.connection_id, started.epoch)
            if shared not in known:
                usable = self._usable(started, now)
                if usable is None:
                    launch.stranded.append(started)
                    continue
                known[shared] = (usable, self.terms(started, channel, usable))
            link, terms = known[shared]
            if link.asks and self._is_assumed(started):
                terms = terms._replace(validity=min(terms.validity, ASSUMED_VALIDITY), timed=True)
            flight = Flight(started, link, (1 << row.cost) - 1)
            if terms.timed:
                flight.expires_at = self._clock.wall() + terms.validity * 1_000_000
            if terms.content.liquid:
                try:
                    flight.said = _said(started, channel)
                except Unsayable as error:
                    # Acceptance drops such steps; here only what another version of the program has accepted.
                    launch.unsayable.append((flight, error.code))
                    continue
            submission = self.submission(flight, flight.missing, terms)
            flights[submission.attempt] = flight
            place = (link, _step(started.departure, now))
            if place in batches:
                batches[place].append(submission)
            else:
                batches[place] = [submission]

    def _usable(self, started: Started, now: float) -> Link | None:
        """The connection of an attempt, if it is still ours under the tenure under which the attempt was started."""
        link = self._links.get(started.connection_id)
        fits = link is not None and link.tenure.epoch == started.epoch and link.tenure.good(now)
        return link if fits else None

    def _is_assumed(self, started: Started) -> bool:
        """Whether it goes to a phone of which nobody could say whether it is on the channel, and another one waits."""
        row = started.row
        waits = row.step + 1 < len(row.plan)
        return waits and self._reach.is_assumed(started.sender_id, at_step(row.address, row.step))

    def submission(self, flight: Flight, parts: int, terms: Terms) -> Submission:
        """The submission of an attempt's *parts* (bits)."""
        started = flight.started
        row = started.row
        gate = self._gates[started.sender_id]
        sender = gate.sender
        return _submission_of(
            (
                _key_of((row.message_id, started.n)),
                sender.channel,
                sender.address,
                at_step(row.address, row.step),
                flight.said or terms.content,
                row.cost,
                started.reference,
                terms.validity,
                parts,
                gate.options,
                terms.category,
                public_id(started) if terms.named else "",
                started.name,
                started.repair,
                _own_tags(terms.tags, started) if terms.tags and started.context.personal else terms.tags,
            )
        )

    def terms(self, started: Started, channel: Channel, link: Link) -> Terms:
        """What all messages of one operation have in common that stand at the same step."""
        context, now = started.context, self._clock.wall()
        content = context.content
        if content.modules and not content.liquid:
            content = on_channel(content, channel)
        category = Category(context.category)
        tags = msgspec.json.decode(context.tags) if link.tags and context.tags != "{}" else _NO_TAGS
        # The deadline of an operation by local clocks is that of its last recipient.
        left = max(1, min((context.deadline - now) // 1_000_000, context.validity))
        budget = self._budget(started, channel, category)
        if budget is None:
            return Terms(content, category, left, timed=False, named=link.names, tags=tags)
        if started.row.step == 0:
            # The time on the first channel began with the message; what it waited for a sender is gone.
            budget -= max(0.0, (now - context.deadline) / 1e6 + context.validity)
        validity = max(1, min(left, max(SHORTEST_VALIDITY, round(budget))))
        return Terms(content, category, validity, timed=True, named=link.names, tags=tags)

    def _budget(self, started: Started, channel: Channel, category: Category) -> float | None:
        """Seconds that the policy stays on this channel, where a later step waits behind it."""
        row = started.row
        if row.step + 1 >= len(row.plan):
            return None
        pool = self.roster.pools.get(started.context.pool_id)
        return policy_for(category, pool.rules if pool else None).budget(channel)


def public_id(started: Started) -> str:
    """The id that a carrier is to know it by: that of the attempt of unknown fate that it repeats, else its own."""
    context = started.context
    return ids.attempt_id(bytes.fromhex(context.uid), started.row.message_id - context.operation_id, started.named)


def _step(departure: float, now: float) -> int:
    """In which step of the clock it is an attempt's turn to leave; 0: at once."""
    if departure <= now:
        return 0
    # Up, never down: a segment may be late, but not early.
    return ceil(departure / TOGETHER - _ROUNDING)


def _said(started: Started, channel: Channel) -> Content:
    """What it says with its recipient's variables filled in. Raises `Unsayable`."""
    return say(started.context.content, channel, started.variables or {}, started.context.created_at)


def _own_tags(tags: Mapping[str, str], started: Started) -> Mapping[str, str]:
    """The tags of one message, filled in with its recipient's variables."""
    return say_tags(tags, started.variables or {}, started.context.created_at)
