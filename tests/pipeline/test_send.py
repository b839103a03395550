"""Sending: what carriers answer moves buckets, windows and rows; what did not leave goes back to where it stood."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.pipeline.carriers import Carrier, receipt, refused
from tests.pipeline.worlds import LONG_TEXT, Line, World, everyone, virtually, world

from sendpool.connectors.base import (
    AttemptKey,
    CarrierId,
    Outcome,
    ReceiptState,
    Submission,
    Throttled,
    Unavailable,
    Uncertain,
)
from sendpool.domain.closure import FIRST_PAUSE
from sendpool.domain.reasons import Reason
from sendpool.domain.request import Recipient, SenderOrigin
from sendpool.pipeline import links
from sendpool.pipeline.conditions import condition

NUMBER = "+12030000001"
ALL_PARTS, SECOND_PART = 0b111, 0b010


class Picky(Carrier):
    """Throttles the second part, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._left = times
        self._take = self.answer
        self.answer = self._throttle_second

    def _throttle_second(self, submission: Submission, part: int) -> Outcome | None:
        if part == 2 and self._left:
            self._left -= 1
            return Throttled("sender", 0.2, "0x14")
        return self._take(submission, part)


@virtually
async def test_throttled_part_goes_again_alone_with_the_same_reference_in_the_same_attempt(fresh: Path) -> None:
    carrier = Picky(times=2)
    async with world(fresh, False, a=Line(carrier, {NUMBER: 50})) as w:
        operation = await w.send(*everyone(1), text=LONG_TEXT)
        await w.until_states(DELIVERED=1)

        assert [sent.submission.parts for sent in carrier.sent] == [ALL_PARTS, SECOND_PART, SECOND_PART]
        assert len({(sent.key, sent.submission.reference) for sent in carrier.sent}) == 1
        assert len(await w.attempts(operation.operation_id)) == 1


@virtually
async def test_text_of_which_a_part_is_throttled_until_its_time_is_over_ends_by_name(fresh: Path) -> None:
    carrier = Picky(times=1000)
    async with world(fresh, False, a=Line(carrier, {NUMBER: 50})) as w:
        await w.send(*everyone(1), text=LONG_TEXT, validity=20)
        await w.until_states(UNDELIVERED=1, within=30.0)

        assert await w.rows("SELECT error_code FROM message") == [(30036,)]
        assert carrier.sent[-1].at - carrier.sent[0].at < 20


def nothing_flies(w: World) -> bool:
    """Whether windows and limits are as empty as before anything was sent."""
    sending = w.engine.sending
    flights = [gate.flights.in_flight for gate in sending.gates.values()]
    return not sending.flights and not any(link.in_flight for link in sending.links.values()) and not any(flights)


# ---------------------------------------------------------------- throttle


@virtually
async def test_throttled_message_goes_through_another_sender_at_its_old_place_and_no_try_is_used_up(
    fresh: Path,
) -> None:
    a, b = Carrier(), Carrier()
    a.answer = lambda submission, part: Throttled("sender", None, "0x58")
    async with world(fresh, a=Line(a, {NUMBER: 100}), b=Line(b, {"+12030000002": 100})) as w:
        await w.send(*everyone(40))
        await w.until_states(DELIVERED=40)

        assert sorted(sent.submission.recipient for sent in b.sent) == everyone(40)
        assert await w.rows("SELECT attempts FROM operation") == [(40,)]
        numbers = await w.rows("SELECT DISTINCT id & 63 FROM attempt")
        assert numbers == [(1,)], "a throttled attempt is none"
        assert nothing_flies(w)


@virtually
async def test_throttled_without_another_sender_waits_one_second_then_two_and_keeps_its_order(fresh: Path) -> None:
    carrier = Carrier()
    refusals = 2

    def answer(submission: Submission, part: int) -> Outcome:
        nonlocal refusals
        if refusals and submission.recipient == everyone(1)[0]:
            refusals -= 1
            return Throttled("sender", None, "0x58")
        return CarrierId(carrier.name_of(submission, part))

    carrier.answer = answer
    async with world(fresh, a=Line(carrier, {NUMBER: 2})) as w:
        await w.send(*everyone(5))
        await w.until_states(DELIVERED=5)

        first = [sent.at for sent in carrier.sent if sent.submission.recipient == everyone(1)[0]]
        assert len(first) == 3
        assert 1.0 <= first[1] - first[0] <= 1.6
        assert 2.0 <= first[2] - first[1] <= 4.1
        order = list(dict.fromkeys(sent.submission.recipient for sent in carrier.sent))
        assert order == everyone(5)


@virtually
async def test_a_throttled_connection_pauses_all_its_senders_and_comes_back_slowly(fresh: Path) -> None:
    carrier = Carrier(answer_after=0.0)
    throttled_at = 0.0

    def answer(submission: Submission, part: int) -> Outcome:
        nonlocal throttled_at
        if not throttled_at and len(carrier.sent) >= 20:
            throttled_at = carrier.sent[-1].at
            return Throttled("connection", 3.0, "0x58")
        return CarrierId(carrier.name_of(submission, part))

    carrier.answer = answer
    senders = {f"+1203000000{n}": 20.0 for n in range(3)}
    async with world(fresh, a=Line(carrier, dict(senders), mps=40)) as w:
        await w.send(*everyone(400))
        await w.until(lambda: len(carrier.sent) >= 150, within=120)

        after = [at for at in carrier.times() if throttled_at + 0.06 < at < throttled_at + 2.99]
        assert after == []
        first_second = [at for at in carrier.times() if throttled_at + 3 <= at < throttled_at + 4]
        assert len(first_second) <= 40 * 0.5 * 1.2


# ---------------------------------------------------------------- links


@virtually
async def test_what_never_left_goes_back_and_counts_as_no_attempt(fresh: Path) -> None:
    carrier = Carrier()
    carrier.answer = lambda submission, part: Unavailable("the link went down")
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        await w.send(*everyone(10), text=LONG_TEXT)
        await w.until(lambda: len(carrier.sent) >= 3)
        carrier.link(up=False)
        await asyncio.sleep(1)
        assert await w.states() == {"QUEUED": 10}
        assert nothing_flies(w)

        carrier.answer = lambda submission, part: CarrierId(carrier.name_of(submission, part))
        carrier.link(up=True)
        await w.until_states(DELIVERED=10)

        assert await w.rows("SELECT attempts FROM operation") == [(10,)]


@virtually
async def test_links_that_come_and_go_lose_and_double_nothing(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 50})) as w:
        await w.send(*everyone(100))
        for n in range(6):
            await asyncio.sleep(0.31)
            carrier.link(up=bool(n % 2))
        await w.until_states(DELIVERED=100)

        assert max(Counter(sent.submission.recipient for sent in carrier.sent).values()) == 1


@virtually
async def test_a_connection_removed_between_claim_and_commit_strands_nothing(fresh: Path) -> None:
    a, b = Carrier(), Carrier()
    async with world(fresh, a=Line(a, {NUMBER: 1000}), b=Line(b, {"+12030000002": 20})) as w:
        link = next(one for one in w.engine.sending.links.values() if one.name == "a")
        sending = asyncio.ensure_future(w.send(*everyone(60)))
        await asyncio.sleep(0)
        # The commit that claims is under way: its link is gone when it comes back.
        del w.engine.sending.links[link.connection_id]
        await sending
        await w.until_states(DELIVERED=60)

        assert a.sent == []
        assert nothing_flies(w)


@virtually
async def test_a_connector_that_raises_leaves_its_messages_of_unknown_fate(fresh: Path) -> None:
    class Broken(Carrier):
        async def submit(self, batch: Sequence[Submission]) -> None:
            raise LookupError("a fault of ours")

    carrier = Broken()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        await w.send(*everyone(3), text=LONG_TEXT)
        await w.until_states(SENT=3)

        assert await w.rows("SELECT DISTINCT ambiguous FROM message") == [(1,)]
        assert nothing_flies(w)


# ---------------------------------------------------------------- answers


@virtually
async def test_a_late_answer_for_one_part_is_not_counted_twice(fresh: Path) -> None:
    carrier = Carrier()
    throttled = 1

    def answer(submission: Submission, part: int) -> Outcome:
        nonlocal throttled
        if part == 1:
            return Uncertain("no answer in time")
        if part == 2 and throttled:
            throttled -= 1
            return Throttled("sender", 2.0, "0x58")
        return CarrierId(carrier.name_of(submission, part))

    carrier.answer = answer
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        operation = await w.send(*everyone(1), text=LONG_TEXT)
        await w.until(lambda: bool(carrier.sent))
        key = AttemptKey(operation.operation_id, 1)
        await asyncio.sleep(0.03)
        assert carrier.inbox is not None
        carrier.inbox.outcomes([(key, 1, CarrierId(f"{key.message_id}.1.1"))])
        await asyncio.sleep(0.5)
        carrier.say([receipt(f"{key.message_id}.1.1", ReceiptState.DELIVERED)])
        await asyncio.sleep(10)

        assert nothing_flies(w)
        links_in_flight = [link.in_flight for link in w.engine.sending.links.values()]
        assert links_in_flight == [0]


@pytest.mark.parametrize(
    "answer",
    [refused("0x0a"), refused("0x03"), Uncertain("cut"), Throttled("pair", 1.0, "0x58"), Unavailable("down")],
    ids=lambda answer: type(answer).__name__,
)
@virtually
async def test_whatever_is_answered_leaves_the_window_empty(answer: Outcome, fresh: Path) -> None:
    carrier = Carrier()
    carrier.answer = lambda submission, part: answer if w.now < 3 else CarrierId(carrier.name_of(submission, part))
    async with world(fresh, a=Line(carrier, {NUMBER: 20, "+12030000002": 20})) as w:
        await w.send(*everyone(6))
        await w.send(*everyone(6, first=100), text=LONG_TEXT)
        await asyncio.sleep(60)

        assert nothing_flies(w)
        assert (await w.states())["QUEUED"] == 0


@virtually
async def test_a_throttled_pair_is_not_hammered(fresh: Path) -> None:
    carrier = Carrier()
    carrier.answer = lambda submission, part: Throttled("pair", None, "131056")
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        await w.send(*everyone(1))
        await asyncio.sleep(20)

        assert len(carrier.sent) <= 10


@virtually
async def test_receipts_are_matched_by_the_store_where_memory_has_forgotten_them(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "_AWAITED", 3)
    carrier = Carrier(report_after=2.0)
    async with world(fresh, a=Line(carrier, {NUMBER: 1000})) as w:
        await w.send(*everyone(50))
        await w.until_states(DELIVERED=50)

        link = next(iter(w.engine.sending.links.values()))
        assert len(link.awaiting) <= 3


# ---------------------------------------------------------------- submissions


@virtually
async def test_a_submission_says_all_that_a_carrier_needs_to_know(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        operation = await w.send("+447700900001", text=LONG_TEXT, validity=600)
        await w.until_states(DELIVERED=1)

        said = carrier.sent[0].submission
        assert said.attempt == AttemptKey(operation.operation_id, 1)
        assert (said.sender, said.recipient, said.segments, said.parts) == (NUMBER, "+447700900001", 3, 0b111)
        assert said.validity is not None
        assert 598 <= said.validity <= 600
        assert said.content.text == LONG_TEXT


@pytest.mark.parametrize(("mps", "senders"), [(20.0, 500), (None, 20)])
@virtually
async def test_a_busy_carrier_gets_less_through_the_connection_or_else_its_senders(
    fresh: Path, mps: float | None, senders: int
) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: senders}, mps=mps)) as w:
        await w.send(*everyone(200))
        await w.until(lambda: len(carrier.sent) >= 20)
        assert carrier.inbox is not None
        loop = asyncio.get_running_loop()

        carrier.inbox.pace(0.25)
        eased, began = len(carrier.sent), loop.time()
        await asyncio.sleep(8)
        assert (len(carrier.sent) - eased) / (loop.time() - began) == pytest.approx(5, abs=1)
        carrier.inbox.pace(0.0)
        await asyncio.sleep(0.1)
        stopped = len(carrier.sent)
        await asyncio.sleep(0.8)
        assert len(carrier.sent) == stopped
        carrier.inbox.pace(1.0)
        await w.until_states(DELIVERED=200)


class Tagged(Carrier):
    """Reads the tags of messages."""

    reads_tags = True


@virtually
async def test_tags_go_only_to_a_carrier_that_reads_them_filled_in_for_each_message(fresh: Path) -> None:
    reader, other = Tagged(), Carrier()
    lines = {"a": Line(reader, {NUMBER: 100}), "b": Line(other, {"+12030000002": 100})}
    async with world(fresh, **lines) as w:
        people = [Recipient(f"+4479111111{n:02}", "P", {"kind": f"t{n}"}) for n in range(8)]
        tags = {"region": "APAC", "dlt_template": "{{ kind }}"}
        await w.send(*people, tags=tags)
        await w.send(*everyone(8), tags={"region": "EU"})
        await w.until_states(DELIVERED=16)

        read = {sent.submission.recipient: dict(sent.submission.tags) for sent in reader.sent}
        assert read
        for number, person in enumerate(people):
            if person.address in read:
                assert read[person.address] == {"region": "APAC", "dlt_template": f"t{number}"}
        assert {"region": "EU"} in read.values()
        assert {len(sent.submission.tags) for sent in other.sent} == {0}


@virtually
async def test_a_later_attempt_is_given_only_the_time_that_is_left(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 0.2})) as w:
        await w.send(*everyone(8), validity=600)
        await w.until(lambda: len(carrier.sent) == 8, within=120)

        validity = [sent.submission.validity for sent in carrier.sent]
        assert validity == sorted(validity, key=lambda seconds: -(seconds or 0))
        assert (validity[0] or 0) - (validity[-1] or 0) == pytest.approx(35, abs=3)


@virtually
async def test_content_is_read_again_where_memory_has_dropped_it(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sendpool.pipeline import send

    monkeypatch.setattr(send, "_KNOWN_OPERATIONS", 2)
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 5})) as w:
        for n in range(60):
            await w.send(*everyone(1, first=n), text=f"text {n}")
        await w.until_states(DELIVERED=60)

        said = {sent.submission.recipient: sent.submission.content.text for sent in carrier.sent}
        assert said == {recipient: f"text {n}" for n, recipient in enumerate(everyone(60))}
        assert len(w.engine.sending.contexts) <= 15


# ---------------------------------------------------------------- accounts and settings that are refused


@virtually
async def test_senders_of_a_refused_account_stop_together_and_one_probe_finds_that_it_may_send_again(
    fresh: Path,
) -> None:
    a, b = Carrier(), Carrier()
    a.answer = lambda submission, part: refused("0x67")
    lines = {"a": Line(a, {f"+1203000000{n}": 100 for n in range(1, 6)}), "b": Line(b, {"+12030000009": 100})}
    async with world(fresh, False, **lines) as w:
        await w.send(*everyone(200))
        await w.until_states(DELIVERED=200)
        asked = len(a.sent)
        assert asked <= 50, "what was in flight when the fifth refusal came, and no more"
        gate, link = w.engine.sending.gates[w.sender("+12030000001").id], w.engine.sending.links[1]
        assert condition(gate, link, w.now).reason is Reason.ACCOUNT_REFUSED

        await w.send(*everyone(3_000, first=1_000))
        await asyncio.sleep(FIRST_PAUSE - w.now - 1)
        assert len(a.sent) == asked

        await w.until_states(within=900, DELIVERED=3_200)
        await asyncio.sleep(max(0.0, link.closure.until - w.now))
        a.answer = Carrier().answer
        await w.send(*everyone(500, first=5_000))
        await w.until_states(DELIVERED=3_700)

        assert not link.closure.closed
        assert len({one.submission.sender for one in a.sent[asked:]}) == 5


@virtually
async def test_refused_settings_wait_for_a_quarter_of_an_hour_and_cost_the_message_no_try(fresh: Path) -> None:
    bad = {f"bad{n}": Carrier() for n in range(6)}
    for carrier in bad.values():
        carrier.answer = lambda submission, part: refused("0x15")
    good = Carrier()
    lines = {name: Line(carrier, {f"+1203000010{name[-1]}": 100}) for name, carrier in bad.items()}
    async with world(fresh, good=Line(good, {"+12030000001": 0.5}), **lines) as w:
        # The good one is busy for two seconds, so that all the others come before it.
        await w.send(*everyone(1, first=1), origin=SenderOrigin(w.sender("+12030000001").uid))
        await w.until(lambda: good.sent)
        operation = await w.send(*everyone(1))
        await w.until_states(DELIVERED=2)

        made = await w.attempts(operation.operation_id)
        assert made[-1] == ("+12030000001", "DELIVERED")
        assert len({sender for sender, _ in made}) == len(made) == 7, "nobody is asked twice"
