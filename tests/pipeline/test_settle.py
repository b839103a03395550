"""Results and receipts in every state: forward only, one event for each change, counters that add up.

Every settlement here is followed by a look at all that must hold (`Ledger.settle`, `Watched`).
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pipeline.carriers import Carrier, receipt, refused
from tests.pipeline.ledgers import Ledger
from tests.pipeline.worlds import LONG_TEXT, TEXT, Line, everyone, virtually, world

from sendpool.connectors.base import (
    CarrierId,
    Outcome,
    Receipt,
    ReceiptState,
    Submission,
    Throttled,
    Unavailable,
    Uncertain,
)
from sendpool.domain.failures import FailureClass
from sendpool.domain.sender import Channel
from sendpool.domain.states import AttemptState, MessageState
from sendpool.pipeline.settle import Result
from sendpool.store.queue import QueueKey, queue_number
from sendpool.testing.clock import run_virtually

A = AttemptState
M = MessageState
R = ReceiptState

#: Where the ledger's messages wait.
QUEUE = queue_number(QueueKey(7, "SMS", ""))
KEY = 1000
NAME = f"{KEY}.1.1"


def result(state: AttemptState, *, n: int = 1, failure: FailureClass = FailureClass.REQUEST) -> Result:
    """What became of a submit; a refusal is one that no other sender is asked about."""
    if state is A.REJECTED:
        return Result(KEY, n, state, failure, "0x03", "smpp/0x03" if failure is FailureClass.REQUEST else "")
    if state is A.AMBIGUOUS:
        return Result(KEY, n, state, FailureClass.AMBIGUOUS, "unknown")
    if state is A.WITHDRAWN:
        return Result(KEY, n, state, FailureClass.THROTTLED, "0x58", queue_id=QUEUE, rank=5, due=1)
    return Result(KEY, n, state)


def blocked(name: str) -> Receipt:
    """A receipt of a failure that indicts the sender, so that another one is tried."""
    return Receipt(name, R.UNDELIVERED, FailureClass.SENDER, "blocked", "class/SENDER")


#: How an attempt gets into each state.
WAYS: Mapping[AttemptState, Sequence[AttemptState | ReceiptState]] = {
    A.STARTED: (),
    A.ACCEPTED: (A.ACCEPTED,),
    A.AMBIGUOUS: (A.AMBIGUOUS,),
    A.DELIVERED: (A.ACCEPTED, R.DELIVERED),
    A.READ: (A.ACCEPTED, R.READ),
    A.UNDELIVERED: (A.ACCEPTED, R.UNDELIVERED),
    A.EXPIRED: (A.ACCEPTED, R.EXPIRED),
    A.REVOKED: (A.ACCEPTED, R.REVOKED),
    A.REJECTED: (A.REJECTED,),
    A.WITHDRAWN: (A.WITHDRAWN,),
}
_ENDS = {R.UNDELIVERED: A.UNDELIVERED, R.EXPIRED: A.EXPIRED, R.REVOKED: A.REVOKED}
_ARRIVES = {R.DELIVERED: A.DELIVERED, R.READ: A.READ}
_MOVES = {**_ARRIVES, **_ENDS}
#: Where each receipt moves an attempt; what is left out moves nothing.
AFTER_RECEIPT: Mapping[AttemptState, Mapping[ReceiptState, AttemptState]] = {
    A.STARTED: _MOVES,
    A.ACCEPTED: _MOVES,
    A.AMBIGUOUS: {**_MOVES, R.PROGRESS: A.ACCEPTED},
    A.DELIVERED: {R.READ: A.READ},
    A.UNDELIVERED: _ARRIVES,
    A.EXPIRED: _ARRIVES,
    A.REVOKED: _ARRIVES,
}
AFTER_RESULT: Mapping[AttemptState, Mapping[AttemptState, AttemptState]] = {
    A.STARTED: {state: state for state in (A.ACCEPTED, A.REJECTED, A.AMBIGUOUS, A.WITHDRAWN)},
    A.AMBIGUOUS: {A.ACCEPTED: A.ACCEPTED, A.REJECTED: A.REJECTED},
}
#: Where the only attempt's state leaves the message.
MESSAGE_OF = {
    A.STARTED: M.QUEUED,
    A.ACCEPTED: M.SENT,
    A.AMBIGUOUS: M.SENT,
    A.DELIVERED: M.DELIVERED,
    A.READ: M.READ,
    A.UNDELIVERED: M.UNDELIVERED,
    A.EXPIRED: M.UNDELIVERED,
    A.REVOKED: M.UNDELIVERED,
    A.REJECTED: M.FAILED,
    A.WITHDRAWN: M.QUEUED,
}


@pytest.fixture
def alone(fresh: Path) -> Ledger:
    """One sender only, so that whatever ends its attempt ends the message."""
    return Ledger(fresh, {Channel.SMS: [(1, 1)]})


def lead_to(ledger: Ledger, state: AttemptState) -> None:
    """Bring the first attempt of one message into a state."""
    ledger.accept(KEY)
    ledger.start(KEY)
    for step in WAYS[state]:
        apply(ledger, step)
    assert ledger.attempt(KEY) is state
    assert ledger.message(KEY) is MESSAGE_OF[state]


def apply(ledger: Ledger, step: AttemptState | ReceiptState) -> None:
    """One more thing that a carrier says."""
    if isinstance(step, A):
        ledger.results(result(step))
    else:
        ledger.receipts(receipt(NAME, step))


@pytest.mark.parametrize("said", R, ids=lambda state: f"receipt_{state.name}")
@pytest.mark.parametrize("state", A, ids=lambda state: state.name)
def test_every_receipt_in_every_state(state: AttemptState, said: ReceiptState, alone: Ledger) -> None:
    lead_to(alone, state)
    before = alone.events(KEY)

    apply(alone, said)

    check(alone, state, AFTER_RECEIPT.get(state, {}).get(said), before)
    alone.close()


@pytest.mark.parametrize("said", [A.ACCEPTED, A.REJECTED, A.AMBIGUOUS, A.WITHDRAWN], ids=lambda s: f"result_{s.name}")
@pytest.mark.parametrize("state", A, ids=lambda state: state.name)
def test_every_result_in_every_state(state: AttemptState, said: AttemptState, alone: Ledger) -> None:
    lead_to(alone, state)
    before = alone.events(KEY)

    apply(alone, said)

    check(alone, state, AFTER_RESULT.get(state, {}).get(said), before)
    alone.close()


def check(ledger: Ledger, was: AttemptState, moved_to: AttemptState | None, before: list[int]) -> None:
    """The attempt is where the table says, the message with it unless it had ended, and one event tells of it."""
    stood = MESSAGE_OF[was]
    now = was if moved_to is None else moved_to
    ended = stood in (M.UNDELIVERED, M.FAILED, M.READ)
    assert ledger.attempt(KEY) is now
    assert ledger.message(KEY) is (stood if ended else MESSAGE_OF[now])
    told = 0 if moved_to in (None, A.WITHDRAWN) or (was, moved_to) == (A.AMBIGUOUS, A.ACCEPTED) else 1
    assert len(ledger.events(KEY)) == len(before) + told
    assert len(set(ledger.events(KEY))) == len(ledger.events(KEY))


@pytest.mark.parametrize("second", R, ids=lambda state: f"then_{state.name}")
@pytest.mark.parametrize("first", R, ids=lambda state: state.name)
@pytest.mark.parametrize("state", [A.STARTED, A.ACCEPTED, A.AMBIGUOUS, A.UNDELIVERED], ids=lambda state: state.name)
def test_two_receipts_in_one_batch_leave_the_attempt_where_two_batches_do(
    state: AttemptState, first: ReceiptState, second: ReceiptState, alone: Ledger
) -> None:
    lead_to(alone, state)

    alone.receipts(receipt(NAME, first), receipt(NAME, second))

    between = AFTER_RECEIPT.get(state, {}).get(first, state)
    assert alone.attempt(KEY) is AFTER_RECEIPT.get(between, {}).get(second, between)
    if state is not A.UNDELIVERED and alone.attempt(KEY) in (A.DELIVERED, A.READ):
        assert alone.message(KEY) is MESSAGE_OF[alone.attempt(KEY)], "a failure told with its delivery decides nothing"
    alone.close()


def test_a_delivery_of_the_first_attempt_stops_what_the_second_ones_failure_would_begin(ledger: Ledger) -> None:
    ledger.accept(KEY)
    ledger.start(KEY, sender_id=1)
    ledger.results(result(A.ACCEPTED))
    ledger.receipts(blocked(NAME))
    ledger.start(KEY, n=2, sender_id=2)
    ledger.results(result(A.ACCEPTED, n=2))

    ledger.receipts(blocked(f"{KEY}.2.1"), receipt(NAME, R.DELIVERED))

    assert (ledger.attempt(KEY, 1), ledger.attempt(KEY, 2)) == (A.DELIVERED, A.UNDELIVERED)
    assert ledger.message(KEY) is M.DELIVERED
    assert ledger.waits(KEY) == []


@pytest.mark.parametrize("swapped", [False, True])
def test_the_sender_that_delivered_is_the_messages_own(ledger: Ledger, *, swapped: bool) -> None:
    ledger.accept(KEY)
    ledger.start(KEY, sender_id=1)
    ledger.results(result(A.ACCEPTED))
    ledger.receipts(blocked(NAME))
    ledger.start(KEY, n=2, sender_id=3)
    ledger.results(result(A.ACCEPTED, n=2))

    ledger.receipts(receipt(NAME if swapped else f"{KEY}.2.1", R.DELIVERED), connection_id=1 if swapped else 2)

    assert ledger.rows("SELECT sender_id FROM message WHERE id = ?", KEY) == [(1 if swapped else 3,)]


def test_an_ambiguous_attempt_that_turns_out_accepted_loses_the_mark_and_keeps_its_history(ledger: Ledger) -> None:
    ledger.accept(KEY)
    ledger.start(KEY)

    ledger.results(result(A.AMBIGUOUS))
    marked = ledger.rows("SELECT ambiguous FROM message")
    ledger.results(result(A.ACCEPTED))

    assert marked == [(1,)]
    assert ledger.rows("SELECT ambiguous FROM message") == [(0,)]
    assert ledger.rows("SELECT marks & 2 FROM attempt") == [(2,)]
    assert ledger.events(KEY) == [2, 16 + 3]
    assert ledger.rows("SELECT error_code FROM event WHERE number = 19") == [(30410,)]


# ---------------------------------------------------------------- long texts


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ([(1, R.DELIVERED), (2, R.DELIVERED)], A.ACCEPTED),
        ([(1, R.DELIVERED), (2, R.DELIVERED), (3, R.DELIVERED)], A.DELIVERED),
        ([(3, R.DELIVERED), (1, R.DELIVERED), (3, R.DELIVERED)], A.ACCEPTED),
        ([(3, R.DELIVERED), (1, R.DELIVERED), (2, R.READ)], A.READ),
        ([(1, R.DELIVERED), (2, R.UNDELIVERED)], A.UNDELIVERED),
        ([(1, R.UNDELIVERED), (2, R.DELIVERED), (3, R.DELIVERED)], A.UNDELIVERED),
        ([(1, R.UNDELIVERED), (2, R.DELIVERED), (3, R.DELIVERED), (1, R.DELIVERED)], A.DELIVERED),
        ([(1, R.EXPIRED), (2, R.UNDELIVERED)], A.EXPIRED),
        ([(1, R.PROGRESS), (2, R.UNKNOWN)], A.ACCEPTED),
    ],
)
@pytest.mark.parametrize("together", [False, True], ids=["one_by_one", "in_one_batch"])
def test_a_long_text_is_delivered_when_all_of_its_parts_are(
    said: list[tuple[int, ReceiptState]], state: AttemptState, alone: Ledger, *, together: bool
) -> None:
    alone.accept(KEY, segments=3)
    alone.start(KEY, parts=3)
    alone.results(result(A.ACCEPTED))
    receipts = [receipt(f"{KEY}.1.{part}", told) for part, told in said]

    if together:
        alone.receipts(*receipts)
    else:
        for one in receipts:
            alone.receipts(one)

    assert alone.attempt(KEY) is state
    alone.close()


@pytest.mark.parametrize("told", [R.DELIVERED, R.UNDELIVERED, R.EXPIRED])
@virtually
async def test_one_receipt_speaks_of_all_parts_that_the_carrier_has_by_one_id(fresh: Path, told: ReceiptState) -> None:
    carrier = Carrier()
    carrier.answer = lambda submission, part: CarrierId(f"whole-{submission.attempt.message_id}")
    carrier.report = lambda submission, part: ()
    async with world(fresh, a=Line(carrier, {"+12030000001": 100})) as w:
        operation = await w.send(*everyone(2), text=LONG_TEXT)
        await w.until_states(SENT=2)
        first, second = (f"whole-{operation.operation_id + n}" for n in range(2))

        carrier.say([receipt(first, told), receipt(first, told)])
        carrier.say([receipt(second, R.DELIVERED)])
        delivered = 2 if told is R.DELIVERED else 1
        await w.until_states(DELIVERED=delivered, UNDELIVERED=2 - delivered)

        ends = [number for number in await w.events(operation.operation_id) if number % 16 > 3]
        assert len(ends) == len(set(ends))


# ---------------------------------------------------------------- early, double, late


@virtually
async def test_receipts_that_overtake_the_answer_are_kept_and_applied(fresh: Path) -> None:
    carrier = Carrier(answer_after=2.0)
    carrier.report = lambda submission, part: ()
    async with world(fresh, a=Line(carrier, {"+12030000001": 10})) as w:
        operation = await w.send(*everyone(3))
        await w.until(lambda: len(carrier.sent) == 3)
        early = [receipt(carrier.name_of(sent.submission, 1), R.DELIVERED) for sent in carrier.sent]
        carrier.say([*early, early[0], receipt("somebody else's", R.DELIVERED)])
        await asyncio.sleep(0.5)
        assert await w.states() == {"QUEUED": 3}

        await w.until_states(DELIVERED=3)

        assert await w.events(operation.operation_id) == [1026, 2, 19, 20, 1027]
        assert await w.rows("SELECT carrier_id FROM receipt") == [("somebody else's",)]


@virtually
async def test_a_receipt_parked_in_the_very_moment_is_matched_by_a_second_look(fresh: Path) -> None:
    carrier = Carrier()
    carrier.report = lambda submission, part: ()
    async with world(fresh, a=Line(carrier, {"+12030000001": 10})) as w:
        await w.send(*everyone(1))
        await w.until_states(SENT=1)
        from sendpool.store.receipts import ParkedRow, park

        key = w.engine.sending.links[1].connection_id
        await w.store.write(
            park([ParkedRow(key, carrier.name_of(carrier.sent[0].submission, 1), R.DELIVERED, None, "", 1)])
        )

        await w.until_states(DELIVERED=1, within=10)


@virtually
async def test_repeated_receipts_change_nothing(fresh: Path) -> None:
    carrier = Carrier()
    carrier.report = lambda submission, part: (R.DELIVERED, R.DELIVERED, R.READ, R.DELIVERED, R.READ)
    async with world(fresh, a=Line(carrier, {"+12030000001": 10})) as w:
        operation = await w.send(*everyone(2))
        await w.until_states(READ=2)
        for sent in carrier.sent:
            carrier.say([receipt(carrier.name_of(sent.submission, 1), state) for state in R])
        await asyncio.sleep(1)

        assert await w.events(operation.operation_id) == [1026, 2, 19, 1027, 20, 21]


@virtually
async def test_ids_that_a_carrier_uses_again_mean_the_newest_message(fresh: Path) -> None:
    carrier = Carrier(report_after=5.0)
    carrier.answer = lambda submission, part: CarrierId("always the same")
    async with world(fresh, a=Line(carrier, {"+12030000001": 10})) as w:
        first = await w.send(*everyone(1))
        await w.until(lambda: len(carrier.sent) == 1)
        await asyncio.sleep(1)
        second = await w.send(*everyone(1))
        await w.until_states(DELIVERED=1, SENT=1)

        assert await w.states(first) == {"SENT": 1}
        assert await w.states(second) == {"DELIVERED": 1}


# ---------------------------------------------------------------- whatever carriers do


class Fate(NamedTuple):
    """What a carrier answers, and what it reports so many seconds later."""

    answer: str
    reports: tuple[tuple[float, ReceiptState], ...]


answers = st.sampled_from(
    (
        *("take", "take", "take", "0x0a", "0x45", "0x58", "0x0b", "0x14", "0xff", "0x01", "0x33"),
        *("uncertain", "late", "late refusal", "unavailable"),
    )
)
reports = st.lists(
    st.tuples(st.sampled_from([0.0, 0.0, 0.05, 0.5, 3.0]), st.sampled_from([*R, R.DELIVERED])), max_size=3
)
fates = st.lists(st.builds(Fate, answers, reports.map(tuple)), min_size=1, max_size=5)


class Fickle(Carrier):
    """A carrier whose fates go round; receipts come before, with or after the answer."""

    def __init__(self, fates: Sequence[Fate]) -> None:
        super().__init__()
        self._fates = fates
        self._trouble = 100

    def _answer(self, batch: Sequence[Submission]) -> None:
        assert self.inbox is not None
        loop = asyncio.get_running_loop()
        told: dict[float, list[Receipt]] = {}
        answered = []
        for submission in batch:
            for part in range(1, submission.segments + 1):
                if not submission.parts >> part - 1 & 1:
                    continue
                attempt = submission.attempt
                fate = self._fates[(attempt.message_id * 5 + attempt.n * 3 + part) % len(self._fates)]
                outcome, later = self._outcome(fate.answer, self.name_of(submission, part))
                answered.append((attempt, part, outcome))
                if later is not None:
                    loop.call_later(1.0, self.inbox.outcomes, [(attempt, part, later)])
                if fate.answer in ("take", "late"):
                    for after, state in fate.reports:
                        told.setdefault(after, []).append(receipt(self.name_of(submission, part), state))
        at_once = told.pop(0.0, [])
        for after, receipts in told.items():
            loop.call_later(after, self.say, receipts)
        if len(at_once) % 2:
            self.say(at_once)
        self.inbox.outcomes(answered)
        if at_once and not len(at_once) % 2:
            self.say(at_once)

    def _outcome(self, answer: str, name: str) -> tuple[Outcome, Outcome | None]:
        simple: dict[str, tuple[Outcome, Outcome | None]] = {
            "take": (CarrierId(name), None),
            "uncertain": (Uncertain("silence"), None),
            "late": (Uncertain("silence"), CarrierId(name)),
            "late refusal": (Uncertain("silence"), refused("0x0a")),
        }
        if answer in simple:
            return simple[answer]
        if answer not in ("0x58", "unavailable"):
            return refused(answer), None
        self._trouble -= 1
        if self._trouble < 0:
            return CarrierId(name), None
        return (Throttled("sender", 0.2, answer) if answer == "0x58" else Unavailable("the link is down")), None


@settings(max_examples=25, deadline=None)
@given(
    carriers=st.tuples(fates, fates, fates),
    messages=st.integers(1, 8),
    text=st.sampled_from([TEXT, LONG_TEXT]),
)
def test_whatever_carriers_do_nothing_is_lost_and_every_counter_adds_up(
    carriers: tuple[Sequence[Fate], ...], messages: int, text: str, migrated: Path, tmp_path_factory: Any
) -> None:
    path = tmp_path_factory.mktemp("life") / "sendpool.db"
    shutil.copyfile(migrated, path)

    run_virtually(_live_through(path, [Fickle(fates) for fates in carriers], messages, text))


async def _live_through(path: Path, carriers: Sequence[Carrier], messages: int, text: str) -> None:
    """Send through three carriers, and see to it that every message has its end or a stated reason to wait."""
    a, b, c = carriers
    lines = (
        Line(a, {"+12030000001": 5, "+12030000002": 5}),
        Line(b, {"+12030000003": 5}),
        Line(c, {"+12030000004": 20}),
    )
    async with world(path, a=lines[0], b=lines[1], c=lines[2]) as w:
        operation = await w.send(*everyone(messages), text=text, validity=20)
        await asyncio.sleep(35)

        assert (await w.states(operation))["QUEUED"] == 0, "its time is over"
        waiting = await w.rows(
            "SELECT m.id FROM message m WHERE m.state = 3 AND NOT EXISTS (SELECT 1 FROM attempt a"
            " WHERE a.id >> 6 = m.id AND a.state IN (2, 3))"
        )
        assert waiting == [], "what is still SENT waits for a carrier's word"
        events = await w.events(operation.operation_id)
        assert events.count(1027) == 1
        sending = w.engine.sending
        assert sending.flights == {}
        assert {link.in_flight for link in sending.links.values()} == {0}
        assert {gate.flights.in_flight for gate in sending.gates.values()} == {0}


# ---------------------------------------------------------------- closed messages

#: Microseconds from a message's birth to its closing, with the validity that a ledger gives.
CLOSING = (172_800 + 3_600) * 1_000_000


@pytest.mark.parametrize("state", [A.ACCEPTED, A.AMBIGUOUS])
@pytest.mark.parametrize(
    ("told", "becomes"),
    [(R.DELIVERED, A.DELIVERED), (R.READ, A.READ), (R.UNDELIVERED, A.UNDELIVERED), (R.EXPIRED, A.EXPIRED)],
)
def test_what_is_heard_of_a_closed_message_is_evidence_on_its_attempt_alone(
    state: AttemptState, told: ReceiptState, becomes: AttemptState, ledger: Ledger
) -> None:
    ledger.accept(KEY)
    ledger.start(KEY)
    ledger.results(result(state))
    before = ledger.rows("SELECT * FROM message"), ledger.rows("SELECT sent, delivered, updated_at FROM operation")
    ledger.now += CLOSING

    ledger.receipts(receipt(NAME, told))

    assert ledger.attempt(KEY) is becomes
    assert (ledger.rows("SELECT * FROM message"), ledger.rows("SELECT sent, delivered, updated_at FROM operation")) == (
        before
    )
    assert ledger.events(KEY)[-1] == 16 + 13
    assert ledger.waits(KEY) == []


def test_a_moment_before_it_is_closed_a_receipt_still_decides(ledger: Ledger) -> None:
    ledger.accept(KEY)
    ledger.start(KEY)
    ledger.results(result(A.ACCEPTED))
    ledger.now += CLOSING - 1

    ledger.receipts(receipt(NAME, R.DELIVERED))

    assert ledger.message(KEY) is M.DELIVERED


def test_an_attempt_of_unknown_fate_stays_so_when_its_message_is_closed(ledger: Ledger) -> None:
    ledger.accept(KEY)
    ledger.start(KEY)
    ledger.results(result(A.AMBIGUOUS))
    ledger.now += CLOSING

    ledger.receipts(receipt(NAME, R.PROGRESS), receipt(NAME, R.UNKNOWN))

    assert (ledger.attempt(KEY), ledger.message(KEY)) == (A.AMBIGUOUS, M.SENT)
    assert ledger.rows("SELECT ambiguous FROM message") == [(1,)]


def test_what_a_crash_left_is_of_unknown_fate_even_where_it_is_closed_by_then(ledger: Ledger) -> None:
    ledger.accept(KEY)
    ledger.start(KEY)
    ledger.now += CLOSING

    ledger.results(result(A.AMBIGUOUS))

    assert (ledger.attempt(KEY), ledger.message(KEY)) == (A.AMBIGUOUS, M.SENT)
    assert ledger.rows("SELECT sent, queued FROM operation") == [(1, 0)]


def test_a_delivered_message_that_is_read_late_is_read(ledger: Ledger) -> None:
    ledger.accept(KEY)
    ledger.start(KEY)
    ledger.results(result(A.ACCEPTED))
    ledger.receipts(receipt(NAME, R.DELIVERED))
    ledger.now += CLOSING

    ledger.receipts(receipt(NAME, R.READ))

    assert ledger.message(KEY) is M.READ


@virtually
async def test_a_receipt_that_memory_would_match_still_finds_its_message_closed(fresh: Path) -> None:
    carrier = Carrier()
    carrier.report = lambda submission, part: ()
    async with world(fresh, a=Line(carrier, {"+12030000001": 100})) as w:
        await w.send(*everyone(1), validity=5)
        await w.until_states(SENT=1)
        await asyncio.sleep(5 + 3_600)
        carrier.say([receipt(carrier.name_of(carrier.sent[0].submission, 1), R.DELIVERED)])
        await w.until(lambda: not carrier._reports)

        assert await w.states() == {"SENT": 1}
        assert [row[0] for row in await w.rows("SELECT state FROM attempt")] == [int(A.DELIVERED)]


@pytest.mark.parametrize("state", [A.ACCEPTED, A.WITHDRAWN, A.REJECTED, A.AMBIGUOUS])
def test_what_a_fenced_node_says_late_changes_no_attempt_of_another_owner(ledger: Ledger, state: AttemptState) -> None:
    ledger.accept(KEY)
    ledger.start(KEY)

    ledger.results(result(state)._replace(epoch=5))

    assert ledger.attempt(KEY) is A.STARTED


def test_evidence_of_the_attempts_own_tenure_is_welcome_after_a_takeover(ledger: Ledger) -> None:
    ledger.accept(KEY)
    ledger.start(KEY)
    ledger.results(result(A.AMBIGUOUS))

    ledger.results(result(A.ACCEPTED)._replace(epoch=0))

    assert ledger.attempt(KEY) is A.ACCEPTED
