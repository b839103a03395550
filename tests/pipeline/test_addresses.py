"""Several addresses of one person: one message, each step at its own address, from acceptance to the last receipt."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.pipeline.carriers import Carrier, receipt, refused
from tests.pipeline.rcs_carriers import AGENT, RcsCarrier, no_rcs
from tests.pipeline.worlds import LONG_TEXT, Line, World, virtually, world

from sendpool.connectors.base import CarrierId, Outcome, ReceiptState, Rejected, Submission
from sendpool.domain.event_types import LATE_RECEIPT
from sendpool.domain.failures import FailureClass, by_rule
from sendpool.domain.message import Category, at_step
from sendpool.domain.request import PoolOrigin, Recipient
from sendpool.domain.sender import Channel
from sendpool.domain.states import AttemptState, MessageState
from sendpool.pipeline.draft import AT_ONCE

PHONE, OTHER, MAIL = "+447700900001", "+447700900002", "ana@example.test"
SMS1, SMS2, WHATSAPP, BOX = "+12030000001", "+12030000002", "+12030000009", "news@example.com"
EVERYWHERE = Recipient(f"{PHONE} {OTHER} {MAIL}", "PWE")
PHONE_THEN_WHATSAPP = Recipient(f"{PHONE} {OTHER}", "PW")
TWO_PHONES = Recipient(f"{PHONE} {OTHER}", "PP")


def rejected(failure: FailureClass, rule: str = "") -> Rejected:
    return Rejected(failure, "x", "message", rule)


def refusing(failure: FailureClass = FailureClass.RECIPIENT, rule: str = "") -> Carrier:
    """A carrier that takes nothing."""
    carrier = Carrier()
    carrier.answer = lambda submission, part: rejected(failure, rule)
    return carrier


def over(sms: Carrier, whatsapp: Carrier, mail: Carrier) -> dict[str, Line]:
    """Three carriers, the first with two numbers."""
    return {
        "s": Line(sms, {SMS1: 100.0, SMS2: 100.0}),
        "w": Line(whatsapp, {WHATSAPP: 100.0}, channel=Channel.WHATSAPP),
        "e": Line(mail, {BOX: 100.0}, channel=Channel.EMAIL),
    }


async def tried(one: World, message_id: int) -> list[tuple[str, str, str]]:
    """(sender, address that it was tried at, state) of each attempt, by its step."""
    addresses = (await one.rows("SELECT address FROM message WHERE id = ?", message_id))[0][0]
    rows = await one.rows(
        "SELECT s.address, a.step, a.state FROM attempt a JOIN sender s ON s.id = a.sender_id"
        " WHERE a.id >> 6 = ? ORDER BY a.id",
        message_id,
    )
    return [(sender, at_step(addresses, step), AttemptState(state).name) for sender, step, state in rows]


def submitted(*carriers: Carrier) -> list[tuple[str, str]]:
    """(sender, recipient) of everything that was handed over, in order."""
    sent = sorted((sent for carrier in carriers for sent in carrier.sent), key=lambda sent: sent.at)
    return [(one.submission.sender, one.submission.recipient) for one in sent]


@virtually
async def test_every_sender_of_an_address_fails_before_the_next_address_has_its_turn(fresh: Path) -> None:
    sms, whatsapp, mail = refusing(FailureClass.SENDER), refusing(FailureClass.CHANNEL), Carrier()
    async with world(fresh, **over(sms, whatsapp, mail)) as one:
        operation = await one.send(EVERYWHERE, text=LONG_TEXT)
        await one.until_states(DELIVERED=1)

        attempts = await tried(one, operation.operation_id)
        assert sorted(attempts[:2]) == [(SMS1, PHONE, "REJECTED"), (SMS2, PHONE, "REJECTED")]
        assert attempts[2:] == [(WHATSAPP, OTHER, "REJECTED"), (BOX, MAIL, "DELIVERED")]
        assert submitted(sms, whatsapp, mail) == [attempt[:2] for attempt in attempts]
        assert [sent.submission.segments for sent in (*sms.sent, *whatsapp.sent, *mail.sent)] == [3, 3, 1, 1]
        row = (await one.rows("SELECT plan, address, space, step FROM message"))[0]
        assert tuple(row) == ("SWE", EVERYWHERE.address, "PWE", 2)


@virtually
async def test_priority_of_channels_orders_the_addresses(fresh: Path) -> None:
    sms, whatsapp, mail = Carrier(), refusing(), refusing()
    async with world(fresh, **over(sms, whatsapp, mail)) as one:
        origin = PoolOrigin(one.pool, None, ((Channel.EMAIL, 0), (Channel.WHATSAPP, 5)))
        await one.send(EVERYWHERE, origin=origin)
        await one.until_states(DELIVERED=1)

        assert [recipient for _, recipient in submitted(sms, whatsapp, mail)] == [MAIL, OTHER, PHONE]


@virtually
async def test_number_that_is_invalid_is_never_tried_again_and_the_other_one_is(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    rcs.answer = lambda submission, part: (
        rejected(FailureClass.RECIPIENT, "twilio/21211") if submission.recipient == PHONE else no_rcs(submission, part)
    )
    async with world(fresh, r=Line(rcs, {AGENT: 100.0}, Channel.RCS), s=Line(sms, {SMS1: 100.0})) as one:
        operation = await one.send(TWO_PHONES, origin=PoolOrigin(one.pool, None, ((Channel.RCS, 0), (Channel.SMS, 1))))
        await one.until_states(DELIVERED=1)

        assert by_rule("twilio/21211").invalid
        assert await tried(one, operation.operation_id) == [
            (AGENT, PHONE, "REJECTED"),
            (AGENT, OTHER, "REJECTED"),
            (SMS1, OTHER, "DELIVERED"),
        ]


@virtually
async def test_invalid_number_without_another_address_ends_the_message(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    rcs.answer = lambda submission, part: rejected(FailureClass.RECIPIENT, "twilio/21211")
    async with world(fresh, r=Line(rcs, {AGENT: 100.0}, Channel.RCS), s=Line(sms, {SMS1: 100.0})) as one:
        await one.send(PHONE, Recipient(f"{PHONE} {PHONE}", "PP"))
        await one.until_states(FAILED=2)

        assert not sms.sent


@pytest.mark.parametrize(
    ("failure", "goes_on"),
    [
        (FailureClass.TRANSIENT, True),
        (FailureClass.CAP, True),
        (FailureClass.SENDER, True),
        (FailureClass.ACCOUNT, True),
        (FailureClass.CHANNEL, True),
        (FailureClass.RECIPIENT, True),
        (FailureClass.ABSENT, True),
        (FailureClass.EXPIRED, True),
        (FailureClass.CONSENT, False),
        (FailureClass.CONTENT, False),
        (FailureClass.POLICY, False),
        (FailureClass.REQUEST, False),
    ],
)
def test_each_class_at_one_number_goes_on_to_the_other_or_ends_the_message(
    failure: FailureClass, goes_on: bool, fresh: Path
) -> None:
    @virtually
    async def run() -> None:
        sms = Carrier()
        sms.answer = lambda submission, part: (
            rejected(failure) if submission.recipient == PHONE else Carrier().answer(submission, part)
        )
        async with world(fresh, s=Line(sms, {SMS1: 100.0})) as one:
            await one.send(TWO_PHONES)
            await one.until_states(3600.0, DELIVERED=int(goes_on), FAILED=int(not goes_on))

            assert ((SMS1, OTHER) in submitted(sms)) == goes_on

    run()


@virtually
async def test_look_ups_ask_the_address_of_the_step(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    rcs.reaches = lambda number: number == OTHER
    async with world(fresh, r=Line(rcs, {AGENT: 100.0}, Channel.RCS), s=Line(sms, {SMS1: 100.0})) as one:
        sms.answer = lambda submission, part: refused("0x0a")
        operation = await one.send(TWO_PHONES)
        await one.until_states(DELIVERED=1)

        assert rcs.asked == [PHONE, OTHER]
        assert await tried(one, operation.operation_id) == [(SMS1, PHONE, "REJECTED"), (AGENT, OTHER, "DELIVERED")]


@virtually
async def test_two_steps_of_one_channel_are_asked_about_one_after_the_other(fresh: Path) -> None:
    rcs, sms = RcsCarrier(), Carrier()
    rcs.reaches = lambda _: False
    async with world(fresh, r=Line(rcs, {AGENT: 100.0}, Channel.RCS), s=Line(sms, {SMS1: 100.0})) as one:
        priority = ((Channel.RCS, 0), (Channel.SMS, 1))
        await one.send(*[TWO_PHONES] * 50, origin=PoolOrigin(one.pool, None, priority))
        await one.until_states(DELIVERED=50)

        assert rcs.asked == [PHONE, OTHER]
        assert not rcs.sent
        assert {recipient for _, recipient in submitted(sms)} == {PHONE}


@virtually
async def test_silence_at_one_address_goes_on_to_the_next_and_its_late_delivery_is_told(fresh: Path) -> None:
    rcs, whatsapp = RcsCarrier(), Carrier()
    rcs.takes_back = False
    rcs.report = lambda submission, part: ()
    lines = {
        "r": Line(rcs, {AGENT: 100.0}, Channel.RCS),
        "w": Line(whatsapp, {WHATSAPP: 100.0}, channel=Channel.WHATSAPP),
    }
    async with world(fresh, **lines) as one:
        operation = await one.send(PHONE_THEN_WHATSAPP, category=Category.OTP)
        await one.until_states(DELIVERED=1, within=300.0)
        rcs.say([receipt(rcs.name_of(rcs.sent[0].submission, 1), ReceiptState.DELIVERED)])
        await asyncio.sleep(1)

        assert await tried(one, operation.operation_id) == [
            (AGENT, PHONE, "DELIVERED"),
            (WHATSAPP, OTHER, "DELIVERED"),
        ]
        assert 16 + LATE_RECEIPT in await one.events(operation.operation_id)
        assert (await one.rows("SELECT state, step FROM message"))[0] == (int(MessageState.DELIVERED), 1)


@virtually
async def test_delivery_at_an_earlier_address_makes_that_the_messages_address(fresh: Path) -> None:
    rcs, whatsapp = RcsCarrier(), Carrier()
    rcs.takes_back = False
    rcs.report = whatsapp.report = lambda submission, part: ()
    lines = {
        "r": Line(rcs, {AGENT: 100.0}, Channel.RCS),
        "w": Line(whatsapp, {WHATSAPP: 100.0}, channel=Channel.WHATSAPP),
    }
    async with world(fresh, **lines) as one:
        await one.send(PHONE_THEN_WHATSAPP, category=Category.OTP)
        await one.until(lambda: whatsapp.sent, within=300.0)
        assert (await one.rows("SELECT step FROM message"))[0] == (1,)
        rcs.say([receipt(rcs.name_of(rcs.sent[0].submission, 1), ReceiptState.DELIVERED)])
        await one.until_states(DELIVERED=1)

        assert (await one.rows("SELECT step FROM message"))[0] == (0,)


@virtually
async def test_ten_phones_and_many_senders_still_reach_the_last_address(fresh: Path) -> None:
    numbers = [f"+44770090{n:04}" for n in range(10)]
    rcs, sms = RcsCarrier(), Carrier()
    rcs.answer = lambda submission, part: refused("0x0a")

    def only_the_last(submission: Submission, part: int) -> Outcome | None:
        return Carrier().answer(submission, part) if submission.recipient == numbers[-1] else refused("0x0a")

    sms.answer = only_the_last
    lines = {
        "r": Line(rcs, {f"agent{n}": 100.0 for n in range(8)}, Channel.RCS),
        "s": Line(sms, {f"+120300000{n:02}": 100.0 for n in range(12)}),
    }
    async with world(fresh, **lines) as one:
        operation = await one.send(Recipient(" ".join(numbers), "P" * 10))
        await one.until_states(DELIVERED=1)

        attempts = await tried(one, operation.operation_id)
        assert list(dict.fromkeys(address for _, address, _ in attempts)) == numbers
        assert len(attempts) <= 30


@virtually
async def test_what_a_crash_leaves_goes_on_at_the_address_of_its_step(fresh: Path, tmp_path: Path) -> None:
    sms, whatsapp, mail = refusing(), Carrier(), Carrier()
    whatsapp.up = False
    left = tmp_path / "left.db"
    async with world(fresh, **over(sms, whatsapp, mail)) as one:
        operation = await one.send(EVERYWHERE)
        await one.until(lambda: sms.sent)
        await asyncio.sleep(1)
        await one.copy(left)
        whatsapp.link(up=True)
        await one.until_states(DELIVERED=1)

    again = Carrier(), Carrier(), Carrier()
    async with world(left, **over(*again)) as one:
        await one.until_states(DELIVERED=1)

        assert submitted(*again) == [(WHATSAPP, OTHER)]
        assert await tried(one, operation.operation_id) == [
            (*submitted(sms)[0], "REJECTED"),
            (WHATSAPP, OTHER, "DELIVERED"),
        ]


@virtually
async def test_large_operation_keeps_addresses_variables_and_names_in_its_chunks(fresh: Path) -> None:
    sms, whatsapp, mail = Carrier(), Carrier(), Carrier()
    sms.up = whatsapp.up = mail.up = False
    number = AT_ONCE + 100
    people = [
        Recipient(f"{PHONE} user{n}@example.test", "PE", {"name": f"N{n}"} if n % 2 else None, None if n % 3 else "Ana")
        for n in range(number)
    ]
    async with world(fresh, **over(sms, whatsapp, mail)) as one:
        small, large = await one.send(*people[:10]), await one.send(*people)
        await one.until_states(QUEUED=number + 10)
        await one.until(lambda: not one.engine.expander._operations)

        for operation, count in ((small, 10), (large, number)):
            rows = await one.rows(
                "SELECT address, space, plan, variables, name FROM message WHERE operation_id = ? ORDER BY id",
                operation.operation_id,
            )
            assert [tuple(row[:3]) for row in rows] == [(person.address, "PE", "SE") for person in people[:count]]
            assert [row[3] and json.loads(row[3]) for row in rows] == [person.variables for person in people[:count]]
            assert [row[4] for row in rows] == [person.name for person in people[:count]]


CHANNELS_TO = {Channel.SMS: "P", Channel.RCS: "P", Channel.WHATSAPP: "W", Channel.EMAIL: "E"}
#: Each address once, so that it tells its space.
PEOPLE = st.lists(
    st.lists(st.sampled_from([*(f"+4477009000{n:02}P" for n in range(5)), "+447700900091W", f"{MAIL}E"]), unique=True)
    .filter(bool)
    .map(lambda found: Recipient(" ".join(one[:-1] for one in found), "".join(one[-1] for one in found))),
    min_size=1,
    max_size=6,
)
FAILURES = st.dictionaries(
    st.tuples(st.sampled_from(["+447700900000", "+447700900001", "+447700900091", MAIL]), st.sampled_from(Channel)),
    st.sampled_from(["smpp/0x0b", "smpp/0x08", "twilio/21211", "rcs/404", "smpp/0x45", "sandbox/consent"]),
    min_size=3,
)


# Not shrunk: each example is a world of its own.
@settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(people=PEOPLE, failures=FAILURES)
def test_whatever_fails_each_attempt_goes_to_the_address_of_its_step(
    people: list[Recipient],
    failures: dict[tuple[str, Channel], str],
    migrated: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("people") / "sendpool.db"
    shutil.copyfile(migrated, path)

    @virtually
    async def run() -> None:
        rcs, rest = RcsCarrier(), (Carrier(), Carrier(), Carrier())
        for carrier in (rcs, *rest):
            carrier.answer = lambda submission, part: (
                refused_by(failures[submission.recipient, submission.channel])
                if (submission.recipient, submission.channel) in failures
                else CarrierId(Carrier.name_of(submission, part))
            )
        async with world(path, r=Line(rcs, {AGENT: 100.0}, Channel.RCS), **over(*rest)) as one:
            operation = await one.send(*people)
            async with asyncio.timeout(300):
                while set(await one.states(operation)) - {"DELIVERED", "FAILED"}:
                    await asyncio.sleep(1)

            assert sum((await one.states(operation)).values()) == len(people)
            sent = {
                (s.submission.attempt.message_id, s.submission.attempt.n): s.submission
                for carrier in (rcs, *rest)
                for s in carrier.sent
            }
            for i, person in enumerate(people):
                addresses = dict(zip(person.address.split(" "), person.space, strict=True))
                for n, (_, address, _) in enumerate(await tried(one, operation.operation_id + i), 1):
                    submission = sent[operation.operation_id + i, n]
                    assert submission.recipient == address
                    assert addresses[address] == CHANNELS_TO[submission.channel]

    run()


def refused_by(rule: str) -> Rejected:
    found = by_rule(rule)
    assert found.known, rule
    return Rejected(found.failure, "x", found.scope, rule)
