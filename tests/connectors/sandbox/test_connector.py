"""Magic recipients do what the README says; everybody else is delivered within a second."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.measuring import seconds_of

from sendpool.connectors.base import (
    AttemptKey,
    CarrierId,
    ConnectionSettings,
    Outcome,
    Receipt,
    ReceiptState,
    Rejected,
    Submission,
    Throttled,
    Uncertain,
)
from sendpool.connectors.sandbox import connector as sandbox
from sendpool.connectors.sandbox.connector import SandboxConnector
from sendpool.connectors.sandbox.magic import MAGIC, Treatment, treatment
from sendpool.domain.failures import FailureClass, classify
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.testing.clock import run_virtually
from sendpool.testing.inbox import RecordingInbox

TEXT = Content(text="Hello")
PLAIN = "+447700900001"
DELIVERED = ReceiptState.DELIVERED


def settings(**options: object) -> ConnectionSettings:
    return ConnectionSettings(name="sandbox", type="sandbox", options=options)


def submission(
    recipient: str,
    *,
    message: int = 1,
    attempt: int = 1,
    channel: Channel = Channel.SMS,
    segments: int = 1,
    sender: str = "+12034458910",
) -> Submission:
    return Submission(
        attempt=AttemptKey(message, attempt),
        channel=channel,
        sender=sender,
        recipient=recipient,
        content=TEXT,
        segments=segments,
        reference=0,
        validity=None,
        parts=(1 << segments) - 1,
        options={},
    )


class TimedInbox(RecordingInbox):
    """Also notes when each thing came, in seconds of the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.answered_at: list[float] = []
        self.reported_at: list[float] = []

    def outcomes(self, items: Sequence[tuple[AttemptKey, int, Outcome]]) -> None:
        self.answered_at += [asyncio.get_running_loop().time()] * len(items)
        super().outcomes(items)

    async def receipts(self, items: Sequence[Receipt]) -> None:
        self.reported_at += [asyncio.get_running_loop().time()] * len(items)
        await super().receipts(items)


def submit(*batches: list[Submission], seconds: float = 30.0, **options: object) -> TimedInbox:
    """Submit each batch a second after the one before; return what was said within *seconds* of virtual time."""

    async def run() -> TimedInbox:
        inbox, connector = TimedInbox(), SandboxConnector(settings(**options))
        await connector.open(inbox)
        for batch in batches:
            await connector.submit(batch)
            await asyncio.sleep(1)
        await asyncio.sleep(seconds)
        return inbox

    return run_virtually(run())


def only_outcome(recipient: str, channel: Channel = Channel.SMS) -> Outcome:
    inbox = submit([submission(recipient, channel=channel)])
    assert len(inbox.outcome_list) == 1
    return inbox.outcome_list[0][2]


def states(inbox: RecordingInbox) -> list[ReceiptState]:
    return [receipt.state for receipt in inbox.stored]


@pytest.mark.parametrize("channel", Channel)
def test_anybody_is_delivered_within_a_second_on_every_channel(channel: Channel) -> None:
    inbox = submit([submission(PLAIN, channel=channel)])

    assert isinstance(inbox.outcome_list[0][2], CarrierId)
    assert states(inbox) == [DELIVERED]
    assert inbox.reported_at[0] - inbox.answered_at[0] < 1


def test_over_email_a_magic_recipient_may_have_any_domain() -> None:
    assert treatment("+15005550003@example.test", Channel.EMAIL) == MAGIC["0003"]
    assert treatment("ana@example.test", Channel.EMAIL) == Treatment()
    assert treatment("+15005550003@example.test", Channel.SMS) == Treatment()


def test_a_recipient_like_a_magic_one_but_longer_is_not_magic() -> None:
    assert states(submit([submission("+15005550001")])) == [ReceiptState.UNDELIVERED]
    assert states(submit([submission("+150055500010")])) == [DELIVERED]


@pytest.mark.parametrize("digits", ["0000", "0099", "9999"])
def test_magic_numbers_without_a_row_are_delivered(digits: str) -> None:
    assert states(submit([submission(f"+1500555{digits}")])) == [DELIVERED]


@pytest.mark.parametrize(
    ("recipient", "channel", "failure", "code", "wire"),
    [
        ("+15005550002", Channel.RCS, FailureClass.CHANNEL, "no_rcs", 61337),
        ("+15005550003", Channel.SMS, FailureClass.RECIPIENT, "refused", 21614),
        ("+15005550009", Channel.SMS, FailureClass.SENDER, "sender", 21606),
        ("+15005550010", Channel.WHATSAPP, FailureClass.CONSENT, "consent", 21610),
        ("+15005550015", Channel.SMS, FailureClass.TRANSIENT, "transient", 30008),
        ("+15005550016", Channel.EMAIL, FailureClass.CONTENT, "content", 21617),
        ("+15005550018", Channel.WHATSAPP, FailureClass.CHANNEL, "no_whatsapp", 63003),
    ],
)
def test_refusals_carry_the_class_of_their_code(
    recipient: str, channel: Channel, failure: FailureClass, code: str, wire: int
) -> None:
    outcome = only_outcome(recipient, channel)

    found = classify("sandbox", code)
    assert outcome == Rejected(failure, code, found.scope, found.rule)
    assert classify("sandbox", code).wire_code == wire


@pytest.mark.parametrize(
    ("recipient", "state", "failure", "code"),
    [
        ("+15005550001", ReceiptState.UNDELIVERED, FailureClass.RECIPIENT, "undelivered"),
        ("+15005550011", ReceiptState.EXPIRED, FailureClass.EXPIRED, "expired"),
        ("+15005550017", ReceiptState.UNDELIVERED, FailureClass.POLICY, "policy"),
        ("+15005550019", ReceiptState.UNDELIVERED, FailureClass.ABSENT, "absent"),
    ],
)
def test_failures_that_are_reported_after_the_submit_was_taken(
    recipient: str, state: ReceiptState, failure: FailureClass, code: str
) -> None:
    inbox = submit([submission(recipient)])
    (_, _, outcome) = inbox.outcome_list[0]

    assert isinstance(outcome, CarrierId)
    assert inbox.stored == [Receipt(outcome.id, state, failure, code, classify("sandbox", code).rule)]


def test_no_rcs_is_reached_over_sms() -> None:
    assert states(submit([submission("+15005550002", channel=Channel.SMS)])) == [DELIVERED]


def test_silent_is_taken_and_never_reported() -> None:
    inbox = submit([submission("+15005550004")], seconds=100_000)

    assert isinstance(inbox.outcome_list[0][2], CarrierId)
    assert inbox.stored == []


def test_ambiguous_is_uncertain_and_nothing_follows() -> None:
    inbox = submit([submission("+15005550005")], seconds=100_000)

    assert [type(outcome) for _, _, outcome in inbox.outcome_list] == [Uncertain]
    assert inbox.stored == []


def test_throttled_once_is_fine_the_next_time() -> None:
    same = submission("+15005550006", message=7)
    inbox = submit([same], [same])

    assert inbox.outcome_list[0][2] == Throttled("sender", sandbox.RETRY_AFTER, "throttled")
    assert isinstance(inbox.outcome_list[1][2], CarrierId)
    assert states(inbox) == [DELIVERED]


def test_throttling_forgets_old_messages_and_keeps_its_memory_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "REMEMBERED", 2)
    first, second, third = (submission("+15005550006", message=n) for n in (1, 2, 3))
    inbox = submit([first, second, third], [second], [first])

    assert [type(outcome) for _, _, outcome in inbox.outcome_list] == [Throttled] * 3 + [CarrierId, Throttled]


@pytest.mark.parametrize("channel", [Channel.RCS, Channel.WHATSAPP, Channel.EMAIL])
def test_read_follows_delivered_where_the_channel_reports_it(channel: Channel) -> None:
    assert states(submit([submission("+15005550007", channel=channel)])) == [DELIVERED, ReceiptState.READ]


def test_sms_never_reports_read() -> None:
    assert states(submit([submission("+15005550007")])) == [DELIVERED]


def test_late_is_reported_after_ten_seconds() -> None:
    inbox = submit([submission("+15005550008")])

    assert states(inbox) == [DELIVERED]
    assert inbox.reported_at[0] - inbox.answered_at[0] == pytest.approx(10.2, abs=0.05)


@pytest.mark.parametrize("digits", ["0009", "0015"])
def test_what_only_the_first_attempt_is_refused_delivers_on_the_second(digits: str) -> None:
    recipient = f"+1500555{digits}"
    inbox = submit([submission(recipient)], [submission(recipient, attempt=2, sender="+12034458911")])

    assert [type(outcome) for _, _, outcome in inbox.outcome_list] == [Rejected, CarrierId]
    assert states(inbox) == [DELIVERED]


def test_late_answer_settles_what_was_uncertain() -> None:
    inbox = submit([submission("+15005550012")])

    assert [type(outcome) for _, _, outcome in inbox.outcome_list] == [Uncertain, CarrierId]
    assert inbox.answered_at[1] - inbox.answered_at[0] == pytest.approx(2.0, abs=0.05)
    assert states(inbox) == [DELIVERED]


def test_early_receipt_overtakes_the_answer() -> None:
    inbox = submit([submission("+15005550013")])
    (_, _, outcome) = inbox.outcome_list[0]

    assert isinstance(outcome, CarrierId)
    assert [receipt.carrier_id for receipt in inbox.stored] == [outcome.id]
    assert inbox.reported_at[0] < inbox.answered_at[0]


def test_receipts_that_come_twice_are_equal() -> None:
    inbox = submit([submission("+15005550014")])

    assert len(inbox.stored) == 2
    assert inbox.stored[0] == inbox.stored[1]


def test_delivered_may_follow_undelivered() -> None:
    assert states(submit([submission("+15005550020")])) == [ReceiptState.UNDELIVERED, DELIVERED]


def test_each_part_of_a_long_message_is_answered_and_reported() -> None:
    inbox = submit([submission(PLAIN, segments=3)._replace(parts=0b101)])

    assert [part for _, part, _ in inbox.outcome_list] == [1, 3]
    assert states(inbox) == [DELIVERED] * 2


def test_delay_sets_the_time_of_the_receipt() -> None:
    inbox = submit([submission(PLAIN)], delay=0.8)

    assert inbox.reported_at[0] - inbox.answered_at[0] == pytest.approx(0.8, abs=0.03)


def test_close_hands_over_what_is_owed_instead_of_forgetting_it() -> None:
    async def run() -> tuple[RecordingInbox, float]:
        inbox, connector = RecordingInbox(), SandboxConnector(settings())
        await connector.open(inbox)
        await connector.submit([submission(PLAIN, message=1), submission("+15005550008", message=2)])
        await connector.close()
        return inbox, asyncio.get_running_loop().time()

    inbox, now = run_virtually(run())

    assert [type(outcome) for _, _, outcome in inbox.outcome_list] == [CarrierId, CarrierId]
    assert states(inbox) == [DELIVERED, DELIVERED]
    assert now < 1


def test_carrier_ids_of_two_runs_differ() -> None:
    first, second = (only_outcome(PLAIN) for _ in range(2))

    assert isinstance(first, CarrierId)
    assert isinstance(second, CarrierId)
    assert first.id != second.id


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"delay": -1}, "key 'delay': expected seconds from 0 to 0.9, got -1"),
        ({"delay": 0.95}, "key 'delay': .* got 0.95"),
        ({"delay": "soon"}, "key 'delay': .* got 'soon'"),
        ({"delay": True}, "key 'delay': .* got True"),
        ({"host": "127.0.0.1"}, "key 'host': not a setting here"),
    ],
)
def test_check_names_the_key_and_what_it_expects(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        SandboxConnector.check(settings(**options))


def test_check_has_nothing_to_say_about_good_settings() -> None:
    SandboxConnector.check(settings())
    SandboxConnector.check(settings(delay=0))


def test_every_magic_recipient_is_in_the_readme_and_every_code_in_the_class_table() -> None:
    readme = (Path(sandbox.__file__).parent / "README.md").read_text(encoding="utf-8")
    codes = {t.code for t in MAGIC.values()} | {word.code for t in MAGIC.values() for word in t.words}

    assert [digits for digits in MAGIC if f"| {digits} |" not in readme] == []
    assert [code for code in codes - {""} if not classify("sandbox", code).known] == []


def test_ten_thousand_messages_are_answered_and_reported_in_a_second_of_work() -> None:
    batches = [[submission(f"+4477{n:08}", message=n) for n in range(at, at + 500)] for at in range(0, 10_000, 500)]

    async def run() -> None:
        inbox, connector = RecordingInbox(), SandboxConnector(settings())
        await connector.open(inbox)
        for batch in batches:
            await connector.submit(batch)
            await asyncio.sleep(0)
        await asyncio.sleep(5)
        assert len(inbox.stored) == 10_000

    assert seconds_of(lambda: run_virtually(run()), enough=1.0) <= 1.0
