"""Apply what became of attempts: results of submits and receipts move attempts, messages and counters.

Everything runs inside the transaction of one batch: read the set as it stands, decide with the pure rules, write
the set. Losing a race (the row is no longer in the expected state) is a normal result.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from sendpool.connectors.base import Receipt, ReceiptState
from sendpool.domain.consent import OptOut
from sendpool.domain.decision import CLOSE_AFTER, Trigger, is_closed
from sendpool.domain.event_types import LATE_RECEIPT
from sendpool.domain.explanation import WITHDRAWN
from sendpool.domain.failures import FailureClass
from sendpool.domain.quarantine import Refusal
from sendpool.domain.states import (
    AttemptState,
    MessageState,
    attempt_may_become,
    event_number,
    message_may_become,
)
from sendpool.store.attempts import (
    AttemptChange,
    OpenAttempt,
    change_attempts,
    load_attempts,
    note_carrier_ids,
    note_decisions,
)
from sendpool.store.codes import Code
from sendpool.store.counters import Tally, add_to
from sendpool.store.database import Script, Unit
from sendpool.store.locks import lock_messages, lock_reported
from sendpool.store.messages import COUNTER, MessageChange, Standing, change_messages, load_deadlines
from sendpool.store.outbox import EventRow, write_events
from sendpool.store.queue import QueueRow, enqueue, note_withdrawn, postpone, take_step
from sendpool.store.receipts import (
    WHOLE,
    Match,
    ParkedRow,
    SegmentRow,
    any_parked,
    mark_parts,
    match,
    park,
    parked_for,
    unpark,
)
from sendpool.store.runs import ACCEPTED, DELIVERED

_STARTED = AttemptState.STARTED
_ACCEPTED = AttemptState.ACCEPTED
_SENT = MessageState.SENT
_UNDER_WAY = (MessageState.QUEUED, MessageState.SENT)
#: What a closed message counts as: one that has ended, so that evidence changes its attempt alone.
_CLOSED = MessageState.UNDELIVERED
_ENDED_BADLY = (AttemptState.UNDELIVERED, AttemptState.EXPIRED, AttemptState.REVOKED)
SUBMITTED = 1
ONCE_AMBIGUOUS = 2
SUPERSEDED = 4
#: It went in a changed form at once, since its carrier was known to refuse it as it is.
AHEAD = 8
#: The wire code of an attempt whose fate is unknown (design §5).
AMBIGUOUS_CODE = 30410


class Result(NamedTuple):
    """What became of a whole attempt at the carrier's door."""

    message_id: int
    n: int
    #: ACCEPTED, REJECTED, AMBIGUOUS or WITHDRAWN.
    state: AttemptState
    failure: FailureClass | None = None
    code: str = ""
    rule: str = ""
    #: Where the row stood, so that it can go back (WITHDRAWN) or keep its start (failover).
    queue_id: int = 0
    rank: int = 0
    cost: int = 1
    due: int = 0
    #: Set where it may have to be taken back: the wait for it has an end, or its fate is unknown but not its name.
    carrier_id: str = ""
    #: When the carrier gives it up by itself (microseconds since 1970), where it was given less than the message has.
    expires_at: int | None = None
    #: Seconds until the row of a withdrawn attempt is due again.
    wait: float = 0.0
    #: Of the tenure under which the attempt was started, by whoever speaks. Under another one, its number has been
    #: used again by another node, and this says nothing of that. None: whoever speaks knows the attempt as it stands.
    epoch: int | None = None


class Ask(NamedTuple):
    """A wait for an open attempt begins (RESULT) or is over (TIME_OVER): what is to be decided about its message."""

    message_id: int
    n: int
    trigger: Trigger
    #: The row of the table that speaks, or "" for what the attempt's state says.
    rule: str = ""
    #: The carrier was asked to take it back and may not have answered.
    unanswered: bool = False
    #: When the carrier gives it up by itself, where that is before the message's deadline.
    expires_at: int | None = None


class Revoke(NamedTuple):
    """An attempt that its carrier is to be asked to take back."""

    message_id: int
    n: int
    connection_id: int
    sender_id: int
    carrier_id: str
    address: str
    #: It may have been asked before, by a process that has died meanwhile.
    again: bool = False


class Ending(NamedTuple):
    """An attempt that ended badly (or in doubt): what is to be decided about its message."""

    attempt: OpenAttempt | Match
    state: AttemptState
    failure: FailureClass
    code: str
    rule: str
    rank: int
    #: When the carrier gives it up by itself, should it have it.
    expires_at: int | None = None


class Changes:
    """What one settlement writes, gathered as plain rows."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.attempts: dict[tuple[int, int], AttemptChange] = {}
        self.messages: dict[int, MessageChange] = {}
        self.events: list[EventRow] = []
        self.due: list[QueueRow] = []
        self.later: list[tuple[int, int, int, int | None, int]] = []
        self.deltas: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.endings: list[Ending] = []
        self.asks: list[Ask] = []
        #: (message, n, marks to add, decision) of attempts whose state stays.
        self.decisions: list[tuple[int, int, int, str]] = []
        self.carrier_ids: list[tuple[int, int, str]] = []
        self.revokes: list[Revoke] = []
        #: (message, note) of withdrawn attempts, as `stories` reads them.
        self.withdrawn: list[tuple[int, str]] = []
        #: (message, step, why the present one is left) of messages that go on with a later step, as `take_step` has it.
        self.steps: list[tuple[int, int, str]] = []
        #: What carriers have answered with.
        self.codes: Counter[Code] = Counter()
        #: Who has told a carrier not to want any more.
        self.opt_outs: list[OptOut] = []
        #: What carriers have said of addresses that do not exist.
        self.refusals: list[Refusal] = []
        #: Who is not on a channel: (sender, address, seconds or None for as long as is usual).
        self.unreached: list[tuple[int, str, float | None]] = []
        #: Of what carriers have refused to pass on what it says: (operation, "submit" or "receipt", code, rule).
        self.filtered: Counter[tuple[int, str, str, str]] = Counter()

    def move_attempt(self, change: AttemptChange) -> None:
        """Move an attempt; moved twice in one settlement, it goes from where it stood at first to where it ends."""
        key = (change.message_id, change.n)
        earlier = self.attempts.get(key)
        self.attempts[key] = change._replace(expected=earlier.expected) if earlier else change

    def overrule(self, attempt: OpenAttempt | Match) -> int:
        """Forget an end of this attempt that nothing was decided about yet; brings the state it is in without it."""
        for ending in self.endings:
            if (ending.attempt.message_id, ending.attempt.n) == (attempt.message_id, attempt.n):
                self.endings.remove(ending)
                return ending.attempt.state
        return attempt.state

    def move_message(
        self,
        attempt: OpenAttempt | Match,
        state: MessageState,
        *,
        bound: int | None,
        ambiguous: int,
        error_code: int | None = None,
        step: int | None = None,
    ) -> None:
        """Move a message (or only note what else changed), its counter with it."""
        earlier = self.messages.get(attempt.message_id)
        expected = earlier.expected if earlier else attempt.message_state
        present = earlier.state if earlier else expected
        if state != present:
            counters = self.deltas[attempt.operation_id]
            counters[COUNTER[present]] -= 1
            counters[COUNTER[state]] += 1
        self.messages[attempt.message_id] = MessageChange(
            attempt.message_id,
            expected,
            state,
            bound,
            max(attempt.attempts, attempt.n),
            attempt.step if step is None else step,
            ambiguous,
            error_code,
        )

    def end_message(self, message: Standing, state: MessageState, bound: int | None, code: int | None) -> None:
        """End a message for a reason that is no attempt's: its time is over, or nobody is left to send it."""
        expected = MessageState(message.state)
        counters = self.deltas[message.operation_id]
        counters[COUNTER[expected]] -= 1
        counters[COUNTER[state]] += 1
        self.messages[message.message_id] = MessageChange(
            message.message_id, expected, state, bound, message.attempts, message.step, 0, code
        )
        number = event_number(message.attempts, state)
        self.events.append((message.message_id, number, code, self.now))

    def write(self) -> Script[None]:
        """Write everything, set by set, but for what is counted: a batch does that once."""
        if self.attempts:
            yield from change_attempts(list(self.attempts.values()), self.now)
        if self.messages:
            yield from change_messages(list(self.messages.values()), self.now)
        yield from note_carrier_ids(self.carrier_ids)
        yield from note_decisions(self.decisions)
        if self.steps:
            yield from take_step(self.steps)
        if self.withdrawn:
            yield from note_withdrawn(self.withdrawn)
        yield from write_events(self.events)
        yield from enqueue(self.due)
        yield from postpone(self.later)


class Usual(NamedTuple):
    """What went the usual way, as memory has it: (message, operation) of first attempts accepted and delivered."""

    accepted: list[tuple[int, int]]
    #: With the receipts, in case memory was wrong.
    delivered: list[tuple[int, int, int, Receipt]]


def settle_usual(usual: Usual, now: int, tally: Tally) -> Script[tuple[list[Result], list[Told]]]:
    """Apply what went the usual way in runs of keys. Brings what did not after all, to be looked at one by one."""
    results: list[Result] = []
    told: list[Told] = []
    if usual.accepted:
        keys = [one[0] for one in usual.accepted]
        if (yield Unit(partial(ACCEPTED.carry_out, keys, now))) is None:
            operations = Counter(one[1] for one in usual.accepted)
            add_to(tally, {key: {"attempts": n, "queued": -n, "sent": n} for key, n in operations.items()})
        else:
            results = [Result(key, 1, _ACCEPTED) for key in keys]
    if usual.delivered:
        keys = [one[0] for one in usual.delivered]
        if not results and (yield Unit(partial(DELIVERED.carry_out, keys, now))) is None:
            operations = Counter(one[1] for one in usual.delivered)
            add_to(tally, {key: {"sent": -n, "delivered": n} for key, n in operations.items()})
        else:
            told = [Told(connection_id, receipt) for _, _, connection_id, receipt in usual.delivered]
    return results, told


def settle_results(results: Sequence[Result], changes: Changes) -> Script[None]:
    """Apply results of submits; endings that need a decision are left in `changes.endings`."""
    by_key = {(result.message_id, result.n): result for result in results}
    yield from lock_messages({result.message_id for result in results})
    attempts = (yield from load_attempts(list(by_key))) if by_key else []
    for attempt in attempts:
        result = by_key[attempt.message_id, attempt.n]
        if result.epoch is not None and result.epoch != attempt.epoch:
            continue
        if result.state is AttemptState.ACCEPTED:
            accepted(attempt, changes)
            if result.carrier_id:
                changes.carrier_ids.append((attempt.message_id, attempt.n, result.carrier_id))
                changes.asks.append(Ask(attempt.message_id, attempt.n, Trigger.RESULT, expires_at=result.expires_at))
        elif result.state is AttemptState.WITHDRAWN:
            _withdraw(attempt, result, changes)
        else:
            _end(attempt, result, changes)


def accepted(attempt: OpenAttempt | Match, changes: Changes) -> None:
    """A carrier took the attempt."""
    state = attempt.state
    if not attempt_may_become(state, _ACCEPTED):
        return
    changes.move_attempt(AttemptChange(attempt.message_id, attempt.n, state, _ACCEPTED, attempt.marks | SUBMITTED))
    if state == _STARTED:
        changes.deltas[attempt.operation_id]["attempts"] += 1
        changes.events.append((attempt.message_id, attempt.n * 16 + _SENT, None, changes.now))
    elif attempt.n < attempt.attempts:
        return  # Superseded: only the attempt learns of it.
    if attempt.message_state in _UNDER_WAY:
        ambiguous = attempt.ambiguous if state == _STARTED and attempt.n < attempt.attempts else 0
        changes.move_message(attempt, _SENT, bound=attempt.sender_id, ambiguous=ambiguous)


def _withdraw(attempt: OpenAttempt, result: Result, changes: Changes) -> None:
    """Throttled or never sent: the row goes back to where it stood, and no attempt was made."""
    if attempt.state != AttemptState.STARTED:
        return
    changes.move_attempt(
        AttemptChange(
            attempt.message_id,
            attempt.n,
            AttemptState.STARTED,
            AttemptState.WITHDRAWN,
            attempt.marks,
            result.failure,
            result.code,
            result.rule,
            None,
            "later",
        )
    )
    # The next attempt takes its number over, so that what happened is noted apart.
    said = (result.code or "-").replace(" ", "_")
    note = f"{attempt.step}{WITHDRAWN}{attempt.n}.{attempt.sender_id}.{changes.now // 1_000_000}.{said}"
    changes.withdrawn.append((attempt.message_id, note))
    if result.wait:
        due = changes.now + int(result.wait * 1e6)
        changes.later.append((due, result.message_id, result.queue_id, result.rank, result.cost))
    else:
        changes.due.append((result.queue_id, result.rank, result.message_id, result.cost, result.due))


def _end(attempt: OpenAttempt, result: Result, changes: Changes) -> None:
    """Refused, or of unknown fate: note it on the attempt and leave the next step to `decide`."""
    if not attempt_may_become(attempt.state, result.state):
        return
    if attempt.state == _STARTED:
        changes.deltas[attempt.operation_id]["attempts"] += 1
    assert result.failure is not None
    if result.carrier_id:
        changes.carrier_ids.append((attempt.message_id, attempt.n, result.carrier_id))
    if result.state is AttemptState.AMBIGUOUS:
        number = event_number(attempt.n, MessageState.SENT)
        changes.events.append((attempt.message_id, number, AMBIGUOUS_CODE, changes.now))
        if attempt.message_state in _UNDER_WAY:
            changes.move_message(attempt, MessageState.SENT, bound=attempt.sender_id, ambiguous=1)
    why = (result.failure, result.code, result.rule)
    changes.endings.append(Ending(attempt, result.state, *why, result.rank, result.expires_at))


class Told(NamedTuple):
    """A receipt and where it came from."""

    connection_id: int
    receipt: Receipt


def settle_receipts(told: Sequence[Told], changes: Changes) -> Script[int]:
    """Apply receipts; those that match no segment yet are parked. Brings how many were parked."""
    unmatched: list[Told] = []
    by_connection: dict[int, list[Receipt]] = defaultdict(list)
    for connection_id, receipt in told:
        by_connection[connection_id].append(receipt)
    for connection_id, receipts in by_connection.items():
        carrier_ids = [receipt.carrier_id for receipt in receipts]
        yield from lock_reported(connection_id, carrier_ids)
        found = yield from match(connection_id, carrier_ids)
        yield from _note_closed(found, changes.now)
        yield from _apply(receipts, found, changes)
        matched = {one.place for one in found}
        unmatched += [Told(connection_id, one) for i, one in enumerate(receipts) if i not in matched]
    if unmatched:
        yield from park([_parked(one, changes.now) for one in unmatched])
    return len(unmatched)


def settle_parked(segments: Sequence[SegmentRow], changes: Changes) -> Script[bool]:
    """Receipts that came before their segment's id was stored: apply those for these new ids.

    Brings whether any receipt is parked at all.
    """
    if not (yield from any_parked()):
        return False
    rows = yield from parked_for([segment[:2] for segment in segments])
    if rows:
        yield from unpark([row[0] for row in rows])
        yield from settle_receipts([told_again(row) for row in rows], changes)
    return True


def _parked(told: Told, now: int) -> ParkedRow:
    """A receipt as it is kept until its segment is known."""
    one = told.receipt
    about = [octets.decode("latin-1") for octets in one.about]
    said = (one.carrier_id, int(one.state), one.failure, one.code)
    return ParkedRow(told.connection_id, *said, now, one.rule, *about)


def told_again(row: Sequence[Any]) -> Told:
    """A parked row as the receipt that it was."""
    _, connection_id, carrier_id, state, failure, code, rule = row[:7]
    return Told(
        connection_id,
        Receipt(
            str(carrier_id),
            ReceiptState(state),
            FailureClass(failure) if failure else None,
            str(code),
            str(rule),
        ),
    )


def _note_closed(found: Sequence[Match], now: int) -> Script[None]:
    """Find the messages that are over without having ended. None of an attempt of the last hour is, so it costs those
    alone who come late.
    """
    old = now - int(CLOSE_AFTER * 1e6)
    late = [one for one in found if one.started_at <= old and one.message_state == _SENT]
    if not late:
        return
    deadlines = yield from load_deadlines({one.operation_id for one in late})
    for one in late:
        if is_closed(deadlines[one.operation_id] / 1e6, now / 1e6):
            one.closed, one.message_state = True, int(_CLOSED)


def _apply(receipts: Sequence[Receipt], found: Sequence[Match], changes: Changes) -> Script[None]:
    parts: dict[tuple[int, int], Match] = {}
    latest: dict[tuple[int, int], Match] = {}
    place, meant, told = -1, (0, 0), False
    for one in found:
        key = (one.message_id, one.n)
        if one.place != place:
            place, meant, told = one.place, key, False
        elif key != meant:
            continue  # A carrier that uses ids again: the newest message, which comes first, is meant.
        # Two receipts of one attempt in one batch: the second sees what the first has done.
        attempt = latest.setdefault(key, one)
        if attempt.segments > 1:
            parts[key] = attempt
            if not _roll_up(attempt, one.part, receipts[place]):
                continue
        if not told:
            # One id may stand for several parts, which the carrier got as one: it speaks of all of them, once.
            told = True
            _receive(attempt, receipts[place], changes)
    if parts:
        yield from mark_parts([(*key, one.parts_delivered, one.parts_failed) for key, one in parts.items()])


def _roll_up(attempt: Match, part: int, receipt: Receipt) -> bool:
    """Note one part's receipt, or that of all. True: it has its answer, as all are delivered or one has failed."""
    bit = 1 << part - 1 if part != WHOLE else (1 << attempt.segments) - 1
    if receipt.state in (ReceiptState.DELIVERED, ReceiptState.READ):
        attempt.parts_delivered |= bit
        return attempt.parts_delivered.bit_count() >= attempt.segments
    if receipt.state not in (ReceiptState.PROGRESS, ReceiptState.UNKNOWN):
        attempt.parts_failed |= bit
    return True


_ATTEMPT_OF = {
    ReceiptState.DELIVERED: AttemptState.DELIVERED,
    ReceiptState.READ: AttemptState.READ,
    ReceiptState.UNDELIVERED: AttemptState.UNDELIVERED,
    ReceiptState.EXPIRED: AttemptState.EXPIRED,
    ReceiptState.REVOKED: AttemptState.REVOKED,
}


def _receive(attempt: Match, receipt: Receipt, changes: Changes) -> None:
    """Apply one receipt; *attempt* then says how it stands."""
    new = _ATTEMPT_OF.get(receipt.state)
    if new is None:
        if attempt.closed:
            return  # That it is still under way is no news any more.
        if receipt.state is ReceiptState.PROGRESS and attempt.state == AttemptState.AMBIGUOUS:
            accepted(attempt, changes)
            attempt.state, attempt.marks, attempt.ambiguous = _ACCEPTED, attempt.marks | SUBMITTED, 0
        elif receipt.failure is FailureClass.AMBIGUOUS and attempt.state == _ACCEPTED:
            # The carrier could not take it back, or does not know: it may still arrive.
            changes.asks.append(Ask(attempt.message_id, attempt.n, Trigger.RESULT, receipt.rule))
        return
    if not attempt_may_become(attempt.state, new):
        return
    if attempt.state == _STARTED:
        changes.deltas[attempt.operation_id]["attempts"] += 1
    if new is AttemptState.DELIVERED or new is AttemptState.READ:
        _deliver(attempt, new, changes)
        return
    failure = receipt.failure or FailureClass.TRANSIENT
    ended = msgspec.structs.replace(attempt)
    changes.endings.append(Ending(ended, new, failure, receipt.code, receipt.rule, 0))
    attempt.state, attempt.marks = new, attempt.marks | SUBMITTED


def _deliver(attempt: Match, new: AttemptState, changes: Changes) -> None:
    marks = attempt.marks | SUBMITTED
    # A failure told in the same batch decides nothing any more.
    state = changes.overrule(attempt) if attempt.state in _ENDED_BADLY else attempt.state
    changes.move_attempt(AttemptChange(attempt.message_id, attempt.n, state, new, marks))
    wanted = MessageState.DELIVERED if new is AttemptState.DELIVERED else MessageState.READ
    if message_may_become(attempt.message_state, wanted):
        changes.move_message(attempt, wanted, bound=attempt.sender_id, ambiguous=0, step=attempt.tried_step)
        changes.events.append((attempt.message_id, attempt.n * 16 + wanted, None, changes.now))
        attempt.message_state, attempt.ambiguous, attempt.bound = wanted, 0, attempt.sender_id
    else:
        changes.events.append((attempt.message_id, attempt.n * 16 + LATE_RECEIPT, None, changes.now))
    attempt.state, attempt.marks = new, marks
