"""Send: offer what each sender can take now, hand started attempts to their connections, gather what became of them.

Lives on the event loop and touches no database: it plans claims, and the engine's next commit carries them out.
Everything here is per batch but the few lines that must look at each message.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial

import structlog

from sendpool.connectors.base import (
    AttemptKey,
    CanRevoke,
    CarrierId,
    Outcome,
    Recounted,
    Rejected,
    Submission,
    Throttled,
    Unavailable,
    Uncertain,
)
from sendpool.domain.closure import is_of_account, is_senders_fault
from sendpool.domain.dealing import References
from sendpool.domain.failures import FailureClass, Repair, by_rule
from sendpool.domain.inflight import is_firm, is_route_fault
from sendpool.domain.message import at_step
from sendpool.domain.routing import PAIR_BACKOFF
from sendpool.domain.scopes import Moment
from sendpool.domain.sender import Channel
from sendpool.domain.spread import Spread
from sendpool.domain.states import AttemptState, MessageState
from sendpool.domain.throughput import Bucket
from sendpool.pipeline.book import QueueBook
from sendpool.pipeline.claim import Claimed, Started
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.countries import country_of
from sendpool.pipeline.departures import Departures
from sendpool.pipeline.fence import WriteBacks
from sendpool.pipeline.kinds import Kinds
from sendpool.pipeline.launch import TOGETHER, Launch, Launcher, public_id
from sendpool.pipeline.limiting import Limiter, connection_key, scope_key, sender_key
from sendpool.pipeline.links import Flight, Gate, Link
from sendpool.pipeline.pulse import Pulse, Taken
from sendpool.pipeline.reach import Reachability
from sendpool.pipeline.render import EMPTY
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.settle import Result
from sendpool.store.inquiries import InquiryRow
from sendpool.store.messages import Context
from sendpool.store.receipts import WHOLE, SegmentRow

#: What an attempt's failure is called when a part's fate is unknown.
UNKNOWN_CODE = "unknown"
log = structlog.get_logger()

_QUEUED = int(MessageState.QUEUED)
#: Seconds after which a sender is thought to be free that another node sends by: nobody here knows better.
ELSEWHERE = 0.5
EXPIRED_RULE = "sendpool/deadline"
EMPTY_RULE, UNSAYABLE_RULE = "sendpool/empty", "sendpool/unsayable"
#: Operations whose content is kept in memory; others are read again when one of their messages is claimed.
_KNOWN_OPERATIONS = 10_000


class Sending:
    """The send stage: `launch` after a commit, `outcomes` whenever a connector says something."""

    def __init__(self, book: QueueBook, wake: Callable[[], None], clock: Clock) -> None:
        self.book = book
        self.roster = Roster()
        self.links: dict[int, Link] = {}
        self.gates: dict[int, Gate] = {}
        #: Where senders stand, by pool and channel.
        self.spreads: defaultdict[tuple[int, Channel], Spread] = defaultdict(Spread)
        self.flights: dict[tuple[int, int], Flight] = {}
        self.contexts: dict[int, Context] = {}
        self.references = References()
        self.reach = Reachability(clock.monotonic)
        self.pulse = Pulse(clock.monotonic)
        self.launcher = Launcher(self.links, self.gates, self.reach, clock)
        self.limiter = Limiter()
        #: Told of a sender that a carrier does not let send to a country.
        self.closed: Callable[[int, str], None] = lambda _sender_id, _country: None
        self.results: list[Result] = []
        self.said = WriteBacks()
        self._wake = wake
        self._clock, self._wall = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._departures = Departures(self._submit)
        #: Whether another node has a connection that this one has not.
        self.elsewhere: Callable[[int], bool] = lambda _connection_id: False
        #: The name of the node that runs a connection, "" where none does just now, None where nobody is to.
        self.runner: Callable[[int], str | None] = lambda _connection_id: None
        #: What connections can do that run elsewhere.
        self.kinds = Kinds({})
        self._halted = False

    # ---------------------------------------------------------------- launch

    def launch(self, launch: Launch) -> None:
        """Hand over what a commit has started, each at its departure. It is counted already (`count`)."""
        now = self._clock()
        launch = launch.as_of(now)
        for started in launch.stranded:
            self._strand(started)
        for flight, why in launch.unsayable:
            self._leave_unsaid(flight, why)
        self.flights.update(launch.flights)
        for (link, step), batch in launch.batches.items():
            if self._halted or link.draining:
                self._recall(link, batch)
            elif (seconds := step * TOGETHER - now) > 0:
                self._departures.later(seconds, link, batch)
            else:
                self._submit(link, batch, launch.prepared.get(link) if not step else None)

    def halt(self) -> None:
        """Start nothing more: what was to leave later stays here, and its row goes back to where it stood."""
        self._halted = True
        for link, batch in self._departures.recall():
            self._recall(link, batch)
        self._wake()

    def halt_link(self, link: Link) -> None:
        """The same for one connection, which is to be closed or belongs to another node by now."""
        link.draining = True
        for _, batch in self._departures.recall(link):
            self._recall(link, batch)
        self._wake()

    def _recall(self, link: Link, batch: Sequence[Submission]) -> None:
        for submission in batch:
            flight = self.flights[submission.attempt]
            if flight.accepted:
                # The rest of a text that the carrier has a part of: it follows all the same.
                self._submit(link, [submission])
                continue
            del self.flights[submission.attempt]
            link.in_flight -= submission.segments
            self.gates[flight.started.sender_id].flights.ended(submission.segments)
            self.results.append(_withdrawn(flight.started, None, "shutting down"))

    def count(self, claimed: Claimed) -> None:
        """Count what a commit has started as taken from its queues and on its way, so that the next claim sees it."""
        claim = claimed.claim
        for queue_id, rows, looked, emptied in claimed.taken:
            self.book.took(queue_id, rows, emptied=emptied, looked=looked)
        costs: Counter[int] = Counter()
        for started in claimed.started:
            costs[started.sender_id] += started.row.cost
        self.spreads[claim.pool_id, claim.channel].note(claim.offers, claim.level)
        for offer in claim.offers:
            cost = costs.get(offer.sender_id, 0)
            if cost:
                gate = self.gates[offer.sender_id]
                gate.flights.started(cost)
                if offer.link.connection_id in self.links:
                    self.links[offer.link.connection_id].in_flight += cost

    def _strand(self, started: Started) -> None:
        """Its connection went away between claim and commit: nothing left us, the row goes back."""
        self.gates[started.sender_id].flights.ended(started.row.cost)
        self.results.append(_withdrawn(started, None, "connection removed"))

    def _leave_unsaid(self, flight: Flight, why: int) -> None:
        """Nothing usable came out of an attempt's text: that ends it here."""
        started, row = flight.started, flight.started.row
        flight.link.in_flight -= row.cost
        self.gates[started.sender_id].flights.ended(row.cost)
        rule = EMPTY_RULE if why == EMPTY else UNSAYABLE_RULE
        verdict = (AttemptState.REJECTED, FailureClass.CONTENT, "unsayable", rule)
        self.results.append(Result(row.message_id, started.n, *verdict, rank=row.rank, epoch=started.epoch))

    def _submit(self, link: Link, batch: Sequence[Submission], prepared: Callable[[], None] | None = None) -> None:
        """Hand over a batch; *prepared* is what its connector has made of it ahead."""
        if not link.tenure.good(self._clock()):
            self._withhold(link, batch)
            return
        if link.prepare is None:
            task = asyncio.get_running_loop().create_task(link.connector.submit(batch))
            self._tasks.add(task)
            task.add_done_callback(partial(self._submitted, link, batch))
            return
        try:
            (prepared or link.prepare(batch))()
        except Exception as error:  # noqa: BLE001 - as of any task: the connector's fault is not ours
            self._failed(link, batch, error)

    def _withhold(self, link: Link, batch: Sequence[Submission]) -> None:
        """Another node may send for this connection by now: nothing of this leaves here."""
        begun = [one for one in batch if self.flights[one.attempt].accepted]
        self._recall(link, [one for one in batch if one not in begun])
        # Of a text whose first parts have left nobody knows what becomes without the others.
        unknown = Uncertain("the connection went to another node")
        self.outcomes(link, [(one.attempt, part, unknown) for one in begun for part in self._unanswered(one)])

    def _submitted(self, link: Link, batch: Sequence[Submission], task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failed(link, batch, error)

    def _failed(self, link: Link, batch: Sequence[Submission], error: BaseException) -> None:
        """A connector never raises; where one does all the same, nobody knows what of the batch has left."""
        log.error("connector failed", connection=link.name, error=type(error).__name__, exc_info=error)
        unknown = Uncertain("a fault in the connector")
        self.outcomes(link, [(one.attempt, part, unknown) for one in batch for part in self._unanswered(one)])

    def _unanswered(self, submission: Submission) -> list[int]:
        flight = self.flights.get(submission.attempt)
        missing = flight.missing if flight is not None else 0
        return [part for part in range(1, submission.segments + 1) if missing >> part - 1 & 1]

    # ---------------------------------------------------------------- outcomes

    def outcomes(self, link: Link, items: Sequence[tuple[AttemptKey, int, Outcome]]) -> None:
        """Take in what became of segments; whole attempts go to the next commit."""
        now = self._clock()
        good: Counter[int] = Counter()
        bad: Counter[int] = Counter()
        rest: Counter[int] = Counter()
        firm: set[int] = set()
        flights = self.flights
        connection_id, epoch = link.connection_id, link.tenure.epoch
        segments, accepted = self.said.of(epoch)
        awaited: list[tuple[str, tuple[int, int]]] = []
        sample: list[Taken] = []
        step = self.pulse.step(len(items))
        skip = 0
        segments += _names(connection_id, items)
        if link.inquires_after:
            self.said.inquiries += _inquiries(link, items, self._wall())
        for key, part, outcome in items:
            flight = flights.get(key)
            if type(outcome) is CarrierId:
                if flight is None:
                    # A late answer: the attempt was of unknown fate, now it is known.
                    self.results.append(Result(key[0], key[1], AttemptState.ACCEPTED, epoch=epoch))
                    continue
                sender_id = flight.started.sender_id
                row = flight.started.row
                if row.cost == 1 and row.attempts == 0 and row.state == _QUEUED and not flight.timed:
                    good[sender_id] += 1
                    del flights[key]
                    usual = (row.message_id, row.operation_id)
                    accepted.append(usual)
                    awaited.append((outcome.id, usual))
                    if not skip:
                        sample.append((sender_id, at_step(row.address, row.step), outcome.id))
                        skip = step
                    skip -= 1
                    continue
                if not flight.missing >> part - 1 & 1:
                    continue  # Late, for a part that counts as of unknown fate; its receipt will tell.
                good[sender_id] += 1
                flight.accepted += 1
                flight.carrier_id = outcome.id
                flight.missing &= ~(1 << part - 1)
                self._land_whole(link, key, flight, now)
                continue
            if flight is None:
                self._late(key, outcome, epoch)
                continue
            if not flight.missing >> part - 1 & 1:
                continue
            faulty = self._refused(flight, key, part, outcome, now)
            if faulty and isinstance(outcome, Rejected) and is_firm(outcome.failure):
                firm.add(flight.started.sender_id)
            (bad if faulty else rest)[flight.started.sender_id] += 1
            self._land_whole(link, key, flight, now)
        link.await_receipts(awaited)
        self.pulse.taken(link, sample, step, now)
        link.in_flight -= sum(good.values()) + sum(bad.values()) + sum(rest.values())
        self._count_flights(good, bad, rest, firm, now)
        self._wake()

    def _land_whole(self, link: Link, key: AttemptKey, flight: Flight, now: float) -> None:
        """An attempt that has heard of all its parts is over."""
        if not flight.missing:
            del self.flights[key]
            self._land(key, flight)
            self._feel(link, flight, now)

    def _feel(self, link: Link, flight: Flight, now: float) -> None:
        """Count a message that did not go the usual way: once, whatever its parts met."""
        started = flight.started
        address = at_step(started.row.address, started.row.step)
        verdict = flight.verdict
        if verdict is None:
            if not flight.throttled and flight.carrier_id:
                # Where a carrier reports once for all parts, it does so by the last one.
                self.pulse.taken(link, [(started.sender_id, address, flight.carrier_id)], 1, now)
        elif verdict.state is AttemptState.AMBIGUOUS:
            self.pulse.doubtful(started.sender_id, address, now, link, verdict.carrier_id)
        elif verdict.failure is not None and is_route_fault(verdict.failure):
            self.pulse.refused(started.sender_id, address, now)
            if verdict.rule and by_rule(verdict.rule).scope == "sender_country":
                self.closed(started.sender_id, country_of(address))

    def _count_flights(
        self,
        good: Mapping[int, int],
        bad: Mapping[int, int],
        rest: Mapping[int, int],
        firm: Collection[int],
        now: float,
    ) -> None:
        for sender_id in good.keys() | bad.keys() | rest.keys():
            gate = self.gates.get(sender_id)
            if gate is None:
                continue
            # Faults first: an acceptance lifts the stop that they may have caused.
            if sender_id in bad:
                gate.flights.faulted(bad[sender_id], now, firm=sender_id in firm)
            if sender_id in good:
                gate.flights.accepted(good[sender_id], now)
                link = self.links.get(gate.sender.connection_id)
                if link is not None and link.closure.accepted():
                    self._lift(link)
            if sender_id in rest:
                gate.flights.ended(rest[sender_id])

    def _refused(self, flight: Flight, key: AttemptKey, part: int, outcome: Outcome, now: float) -> bool:
        """Note what a part met other than acceptance; True when it is a fault of the route."""
        flight.missing &= ~(1 << part - 1)
        if isinstance(outcome, Throttled):
            flight.throttled |= 1 << part - 1
            self._pause(flight, outcome, now)
            return False
        if isinstance(outcome, Recounted):
            flight.throttled |= 1 << part - 1
            flight.recount = outcome.segments
            return False
        if isinstance(outcome, Unavailable):
            # The link is down: nobody pulls through it anyway, so the sender itself is not blamed.
            flight.throttled |= 1 << part - 1
            return False
        if isinstance(outcome, Rejected):
            flight.verdict = Result(
                key[0],
                key[1],
                AttemptState.REJECTED,
                outcome.failure,
                outcome.code,
                outcome.rule,
                rank=flight.started.row.rank,
                epoch=flight.started.epoch,
            )
            if is_of_account(outcome.failure):
                # A connection has one account: its senders stop together.
                flight.link.closure.refused(1, now, of_settings=outcome.scope == "connection")
            return is_senders_fault(outcome.failure, outcome.scope)
        if flight.verdict is None:
            flight.verdict = self._unknown(flight, key)
        # Silence alone indicts nobody: a dead receipt path looks the same as a dead sender.
        return not flight.link.up

    def _unknown(self, flight: Flight, key: AttemptKey) -> Result:
        """An attempt of unknown fate. Where we have named it, a receipt that comes all the same will find it."""
        link, started = flight.link, flight.started
        name = link.name_of(public_id(started)) if link.names else ""
        if name:
            self.said.of(started.epoch)[0].append((link.connection_id, name, key[0], key[1], WHOLE))
        return _ambiguous(started)._replace(carrier_id=name, expires_at=flight.expires_at)

    def _pause(self, flight: Flight, throttled: Throttled, now: float) -> None:
        scope, gate, wait = throttled.scope, self.gates[flight.started.sender_id], throttled.retry_after
        scopes = gate.bounds.scopes if gate.bounds is not None else {}
        if scope in ("pair", "segment", "message"):
            # Only this recipient is to wait: no bucket is held up for it.
            flight.wait = max(flight.wait, wait or PAIR_BACKOFF)
            self._pause_pair(flight, gate, now)
        elif scope in scopes or (scope == "scope" and scopes):
            for name in [scope] if scope in scopes else scopes:
                sharing = partial(_is_in, name)
                self._pause_shared(scope_key(name), scopes[name], sharing, now, wait)
        elif scope == "connection":
            key = flight.link.connection_id
            self._pause_shared(connection_key(key), flight.link.bucket, partial(_is_carried, key), now, wait)
        else:
            self._pause_one(sender_key(gate.sender.id), gate.bucket, now, wait)

    def _pause_pair(self, flight: Flight, gate: Gate, now: float) -> None:
        """Count the pause in the sender's pace to this recipient, so that its other messages wait too."""
        if gate.bounds is not None and gate.bounds.pairs is not None:
            row = flight.started.row
            recipient = at_step(row.address, row.step)
            self.limiter.note(partial(gate.bounds.pairs.pause, recipient, now, flight.wait))

    def _pause_shared(
        self, key: str, bucket: Bucket, shares: Callable[[Gate], bool], now: float, retry_after: float | None
    ) -> None:
        """Pause what several senders share. Where it has no pace of its own to be halved, theirs are."""
        before = bucket.paused_until
        self._pause_one(key, bucket, now, retry_after)
        if bucket.mps is None and bucket.paused_until > before:
            for gate in filter(shares, self.gates.values()):
                gate.bucket.pause(now, bucket.paused_until - now)

    def _pause_one(self, key: str, bucket: Bucket, now: float, retry_after: float | None) -> None:
        paused = bucket.paused_until > now
        bucket.pause(now, retry_after)
        if not paused:
            self.limiter.learn(key, bucket, now, self._wall())

    def _land(self, key: AttemptKey, flight: Flight) -> None:
        """Every part has an outcome: say what became of the attempt, or send again only what did not get through."""
        if flight.verdict is not None:
            self.results.append(flight.verdict)
        elif not flight.throttled:
            carrier_id = flight.carrier_id if flight.timed else ""
            taken = Result(key[0], key[1], AttemptState.ACCEPTED, epoch=flight.started.epoch)
            self.results.append(taken._replace(carrier_id=carrier_id, expires_at=flight.expires_at))
        elif flight.accepted:
            self._send_parts_again(key, flight)
        else:
            self._give_back(flight)
            if flight.recount:
                # At its place as before, for what it makes at this carrier; the same carrier takes it then.
                self.results.append(_withdrawn(flight.started, None, "recounted")._replace(cost=flight.recount))
                return
            withdrawn = _withdrawn(flight.started, FailureClass.THROTTLED, "throttled")
            self.results.append(withdrawn._replace(wait=flight.wait) if flight.wait else withdrawn)

    def _give_back(self, flight: Flight) -> None:
        """What no carrier took does not count for the day."""
        started = flight.started
        bounds = self.gates[started.sender_id].bounds
        if bounds is not None and bounds.days:
            left = Moment(self._clock(), self._wall()).wall_of(started.departure)
            self.limiter.note(partial(bounds.give_back, started.row.cost, left))

    def _send_parts_again(self, key: AttemptKey, flight: Flight) -> None:
        """Some parts are at the carrier: the others follow by the same sender with the same reference.

        A handset drops a part that it has already (same reference and number), so this doubles nothing.
        """
        parts, flight.throttled = flight.throttled, 0
        count = parts.bit_count()
        gate = self.gates[flight.started.sender_id]
        now = self._clock()
        bounds = gate.bounds
        soonest = max(gate.bucket.earliest(count, now), flight.link.bucket.earliest(count, now))
        if bounds is not None:
            soonest = max(soonest, bounds.earliest(count, now))
        if self._wall() + int((soonest - now) * 1e6) >= flight.started.context.deadline:
            # A text that lacks a part is no text, and its time is over: no part is sent late.
            late = (AttemptState.EXPIRED, FailureClass.EXPIRED, "deadline", EXPIRED_RULE)
            started = flight.started
            self.results.append(Result(key[0], key[1], *late, rank=started.row.rank, epoch=started.epoch))
            return
        flight.missing = parts
        self.flights[key] = flight
        when = max(soonest, now + max(0.05, flight.wait))
        gate.bucket.take_at(count, when)
        flight.link.bucket.take_at(count, when)
        if bounds is not None:
            bounds.take_at(count, when)
        gate.flights.started(count)
        flight.link.in_flight += count
        terms = self.launcher.terms(flight.started, gate.sender.channel, flight.link)
        submission = self.launcher.submission(flight, parts, terms)
        self._departures.later(when - now, flight.link, [submission])

    def _late(self, key: AttemptKey, outcome: Outcome, epoch: int) -> None:
        if isinstance(outcome, Rejected):
            why = (AttemptState.REJECTED, outcome.failure, outcome.code, outcome.rule)
            self.results.append(Result(key[0], key[1], *why, epoch=epoch))

    def forget(self) -> None:
        """Drop what is known of operations that have nothing on its way, oldest first, when it is much."""
        excess = len(self.contexts) - _KNOWN_OPERATIONS
        if excess > 0:
            flying = {flight.started.row.operation_id for flight in self.flights.values()}
            idle = [key for key in list(self.contexts) if key not in flying]
            for key in idle[:excess]:
                del self.contexts[key]

    # ---------------------------------------------------------------- links

    def link(self, link: Link, *, up: bool, window: int, detail: str) -> None:
        """A connection came up, went down, or changed its window."""
        came_up, link.up = up and not link.up, up
        link.window = window if up else 0
        link.detail = detail
        if came_up:
            self.pace(link, 1.0)
            self.limiter.release = True
            self._lift(link)
        self._wake()

    def pace(self, link: Link, share: float) -> None:
        """Go on at this share of a connection's throughput. Where it has none of its own, at that of its senders'."""
        now, key = self._clock(), link.connection_id
        carried = partial(_is_carried, key)
        if not share:
            self._pause_shared(connection_key(key), link.bucket, carried, now, None)
        link.bucket.ease(share, now)
        for gate in filter(carried, self.gates.values()):
            gate.bucket.ease(1.0 if link.bucket.mps is not None else share, now)
        self._wake()

    def _lift(self, link: Link) -> None:
        """Forget faults of a connection's senders: it was bound anew, or its account may send again."""
        link.closure.accepted()
        for gate in self.gates.values():
            if gate.sender.connection_id == link.connection_id:
                gate.flights.lift()

    def asks(self, pool_id: int, channel: Channel) -> bool:
        """Whether the phones of a channel are to be asked about ahead: some connection of the pool can be asked."""
        return any(map(self.can_ask, self.roster.connections(pool_id, channel)))

    def window(self, pool_id: int, channel: Channel) -> int:
        """Segments that may be on their way from a pool on a channel, by the connections that are up here."""
        links = map(self.links.get, self.roster.connections(pool_id, channel))
        return sum(link.window for link in links if link is not None)

    def can_ask(self, connection_id: int) -> bool:
        """Whether a connection, here or elsewhere, can be asked ahead."""
        link = self.links.get(connection_id)
        return link.asks if link is not None else self.kinds.can_be_asked(connection_id)

    def revocable(self, connection_id: int) -> bool:
        """Whether a connection can take back what it has submitted."""
        link = self.links.get(connection_id)
        return isinstance(link.connector, CanRevoke) if link is not None else self.kinds.can_revoke(connection_id)

    def repairs(self, sender_id: int) -> frozenset[Repair]:
        """The changed forms in which a sender can send what its carrier refuses as it is."""
        gate = self.gates.get(sender_id)
        return gate.repairs if gate is not None else frozenset()

    def reaches(self, sender_id: int, address: str) -> bool:
        """Whether a sender may reach an address: everybody does whom nobody has said otherwise of."""
        return self.reach.ask(sender_id, address) is not False

    def has_room(self, sender_id: int) -> bool:
        """Whether a sender may have more in flight than it has."""
        gate, now = self.gates.get(sender_id), self._clock()
        link = self.links.get(gate.sender.connection_id) if gate else None
        return gate is not None and link is not None and gate.flights.room(now, link.room(now)) > 0

    def free_at(self, sender_id: int) -> float:
        """When a sender could take a message: the later of its own, its connection's and its stop's time."""
        gate = self.gates.get(sender_id)
        link = self.links.get(gate.sender.connection_id) if gate else None
        now = self._clock()
        if gate is not None and link is None and self.elsewhere(gate.sender.connection_id):
            return now + ELSEWHERE
        if gate is None or link is None:
            return float("inf")
        at = max(gate.free_at(link, now), gate.flights.stopped_until, link.closure.until)
        # A sender whose link is down is the last choice but for one that is drained, and neither an impossible one.
        at += 0.0 if link.up else 3600.0
        return at + 7200.0 if self._is_drained(sender_id) else at

    def _is_drained(self, sender_id: int) -> bool:
        sender = self.roster.senders.get(sender_id)
        return sender is not None and sender.drained


def _is_in(scope: str, gate: Gate) -> bool:
    return gate.bounds is not None and scope in gate.bounds.scopes


def _is_carried(connection_id: int, gate: Gate) -> bool:
    return gate.sender.connection_id == connection_id


def _names(connection_id: int, items: Sequence[tuple[AttemptKey, int, Outcome]]) -> list[SegmentRow]:
    """By which ids receipts will name what was taken."""
    return [
        (connection_id, name, key[0], key[1], WHOLE if outcome.whole else part)
        for key, part, outcome in items
        if type(outcome) is CarrierId
        for name in ((outcome.id, outcome.also) if outcome.also else (outcome.id,))
    ]


def _inquiries(link: Link, items: Sequence[tuple[AttemptKey, int, Outcome]], now: int) -> Iterator[InquiryRow]:
    """What the carrier is to be asked about, by the ids that it made."""
    due = now + int(link.inquires_after * 1e6)
    for key, _, outcome in items:
        if type(outcome) is CarrierId and (name := outcome.also if link.names else outcome.id):
            yield (link.connection_id, key[0], key[1], name, due)


def _ambiguous(started: Started) -> Result:
    unknown = (AttemptState.AMBIGUOUS, FailureClass.AMBIGUOUS, UNKNOWN_CODE)
    return Result(started.row.message_id, started.n, *unknown, rank=started.row.rank, epoch=started.epoch)


def _withdrawn(started: Started, failure: FailureClass | None, code: str) -> Result:
    row = started.row
    return Result(
        row.message_id,
        started.n,
        AttemptState.WITHDRAWN,
        failure or FailureClass.TRANSIENT,
        code,
        queue_id=row.queue_id,
        rank=row.rank,
        cost=row.cost,
        due=row.due,
        epoch=started.epoch,
    )
