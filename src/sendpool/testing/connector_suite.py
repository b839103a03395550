"""The suite that every connector must pass, without a test framework: hand each check a rig, it raises or returns.

    from sendpool.testing import connector_suite as suite

    @pytest.mark.parametrize("check", suite.checks(with_peer=True), ids=lambda check: check.__name__)
    async def test_suite(check):
        async with my_rig() as rig:
            await check(rig)

A rig makes connectors and, where the carrier can be controlled, gives its side as a `Peer`. Each check makes its
own connector and closes it; give each check a fresh rig. Run them on a loop in real or virtual time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

from sendpool.connectors.base import CarrierId, Connector, ReceiptState, Submission, Unavailable, Uncertain
from sendpool.testing.inbox import RecordingInbox

#: Seconds within which what a check waits for has to come.
PATIENCE = 15.0
#: Seconds of quiet after which a check believes that nothing more comes.
QUIET = 0.3


class Peer(Protocol):
    """The carrier's side of the link, in the hands of a check."""

    def hold(self) -> None:
        """Take submits from now on, but answer none."""

    def answer(self) -> None:
        """Answer what is held, and from now on at once."""

    async def vanish(self) -> None:
        """Cut every link without a word and take no new one."""

    async def come_back(self) -> None:
        """Take links again."""

    def taken(self) -> int:
        """Segments that have arrived, counted over all links."""

    def most_unanswered(self) -> int:
        """The largest number of segments that were unanswered at one time."""

    def unacknowledged(self) -> int:
        """Receipts that were sent and are not acknowledged."""

    async def send_text(self, sender: str, recipient: str, text: str) -> bool:
        """Deliver an inbound text; return, once it is acknowledged, whether the connector had it stored."""


class Rig(Protocol):
    """What a connector's author provides. Its carrier answers at once and reports every segment as delivered."""

    @property
    def peer(self) -> Peer | None:
        """The carrier's side; None where it cannot be controlled."""

    @property
    def window(self) -> int:
        """Segments in flight that the connections are configured for; at most 50, so that checks fill it."""

    def connector(self) -> Connector:
        """A new connector, not open yet. Its response timer is at most 5 s, its first reconnect within 5 s."""

    def submission(self, number: int, *, segments: int = 1) -> Submission:
        """An attempt that the carrier takes and delivers. A different *number* gives a different message."""


Check = Callable[[Rig], Awaitable[None]]


def checks(*, with_peer: bool) -> tuple[Check, ...]:
    """The checks to run; those that need to control the carrier only *with_peer*."""
    return ALWAYS + WITH_PEER if with_peer else ALWAYS


async def open_says_up_with_a_window(rig: Rig) -> None:
    """`open` returns at once, and the link is reported up with the segments that may be in flight."""
    async with _opened(rig) as (_, inbox):
        assert inbox.window > 0, f"the link is up with a window of {inbox.window}"


async def each_part_gets_one_outcome(rig: Rig) -> None:
    """A batch of single and long messages: every part is answered once, with a carrier id of its own."""
    batch = [rig.submission(n, segments=1 + n % 3) for n in range(40)]
    async with _opened(rig) as (connector, inbox):
        await connector.submit(batch)
        await _wait_answered(inbox, batch)
        await asyncio.sleep(QUIET)
        _assert_answered_once(inbox, batch)
        ids = [outcome.id for _, _, outcome in inbox.outcome_list if isinstance(outcome, CarrierId)]
        assert len(ids) == len(set(ids)) == len(_parts(batch)), "each part has a carrier id of its own"


async def only_wanted_parts_leave(rig: Rig) -> None:
    """With some bits of `parts` clear, only the others are submitted and answered."""
    whole = rig.submission(1, segments=3)
    second = whole._replace(parts=0b010)
    async with _opened(rig) as (connector, inbox):
        await connector.submit([second])
        await inbox.wait_for(lambda i: bool(i.outcome_list), PATIENCE)
        await asyncio.sleep(QUIET)
        answered = [part for _, part, _ in inbox.outcome_list]
        assert answered == [2], f"part 2 was wanted, {answered} were answered"


async def every_part_is_reported(rig: Rig) -> None:
    """Receipts name parts as their answers did, and say that they were delivered."""
    batch = [rig.submission(n, segments=1 + n % 2) for n in range(10)]
    async with _opened(rig) as (connector, inbox):
        await connector.submit(batch)
        await inbox.wait_for(lambda i: len(_delivered(i)) >= len(_parts(batch)), PATIENCE)
        ids = {outcome.id for _, _, outcome in inbox.outcome_list if isinstance(outcome, CarrierId)}
        assert _delivered(inbox) == ids, "receipts and answers name the same parts"


async def receipts_that_were_not_stored_come_again(rig: Rig) -> None:
    """When storing fails the carrier is asked to repeat, and nothing is lost."""
    batch = [rig.submission(n) for n in range(5)]
    async with _opened(rig) as (connector, inbox):
        inbox.failures = 1
        await connector.submit(batch)
        await inbox.wait_for(lambda i: len(_delivered(i)) == len(batch), PATIENCE)
        assert len(inbox.offered) > len(batch), "a receipt that was not stored was offered again"


async def nothing_escapes_submit(rig: Rig) -> None:
    """An empty batch, a stranger's recipient and a closed connector raise nothing; every part is answered."""
    odd = [rig.submission(n)._replace(recipient=recipient) for n, recipient in enumerate(("+1", "", "nobody@nowhere"))]
    late = rig.submission(90)
    async with _opened(rig) as (connector, inbox):
        await connector.submit([])
        await connector.submit(odd)
        await _wait_answered(inbox, odd)
    await connector.submit([late])
    await _wait_answered(inbox, [late])
    assert isinstance(inbox.outcomes_of(late.attempt)[-1], Unavailable), "after close nothing leaves"


async def close_ends_what_is_in_flight(rig: Rig) -> None:
    """`close` right after `submit` leaves no part without an outcome, and reports the link down."""
    batch = [rig.submission(n) for n in range(rig.window * 2)]
    async with _opened(rig) as (connector, inbox):
        await connector.submit(batch)
    assert not inbox.is_up, "the link is down after close"
    _assert_answered_once(inbox, batch)


async def without_a_link_nothing_left(rig: Rig) -> None:
    """While there is no link, submits come back as `Unavailable`, and `open` does not wait for one."""
    peer = _peer(rig)
    await peer.vanish()
    connector, inbox = rig.connector(), RecordingInbox()
    batch = [rig.submission(n, segments=2) for n in range(3)]
    async with asyncio.timeout(1.0):
        await connector.open(inbox)
    try:
        await connector.submit(batch)
        await _wait_answered(inbox, batch)
        assert all(isinstance(outcome, Unavailable) for _, _, outcome in inbox.outcome_list)
        assert peer.taken() == 0, "nothing reached the carrier"
    finally:
        await connector.close()


async def a_link_lost_after_the_write_is_uncertain(rig: Rig) -> None:
    """What had arrived when the link was cut is `Uncertain`, never a refusal or silence."""
    peer = _peer(rig)
    batch = [rig.submission(n) for n in range(min(5, rig.window))]
    async with _opened(rig) as (connector, inbox):
        peer.hold()
        await connector.submit(batch)
        await until(lambda: peer.taken() == len(batch))
        await peer.vanish()
        await _wait_answered(inbox, batch)
        await inbox.wait_for(lambda i: not i.is_up, PATIENCE)
        assert all(isinstance(outcome, Uncertain) for _, _, outcome in inbox.outcome_list)
        await asyncio.sleep(QUIET)
        _assert_answered_once(inbox, batch)


async def what_waited_for_the_window_is_not_uncertain(rig: Rig) -> None:
    """When the link is cut, parts behind a full window come back as `Unavailable`: they never left."""
    peer = _peer(rig)
    batch = [rig.submission(n) for n in range(rig.window * 3)]
    async with _opened(rig) as (connector, inbox):
        peer.hold()
        submitting = asyncio.ensure_future(connector.submit(batch))
        await until(lambda: peer.taken() == rig.window)
        await peer.vanish()
        await asyncio.wait_for(submitting, PATIENCE)
        await _wait_answered(inbox, batch)
        kinds = Counter(type(outcome) for _, _, outcome in inbox.outcome_list)
        assert kinds == {Uncertain: rig.window, Unavailable: rig.window * 2}, f"outcomes are {dict(kinds)}"


async def it_reconnects_by_itself(rig: Rig) -> None:
    """After the carrier comes back the link is reported up again and carries messages."""
    peer = _peer(rig)
    later = rig.submission(7)
    async with _opened(rig) as (connector, inbox):
        await peer.vanish()
        await inbox.wait_for(lambda i: not i.is_up, PATIENCE)
        await peer.come_back()
        await inbox.wait_for(lambda i: i.is_up, PATIENCE)
        await connector.submit([later])
        await _wait_answered(inbox, [later])
        assert isinstance(inbox.outcomes_of(later.attempt)[-1], CarrierId)


async def the_window_is_respected(rig: Rig) -> None:
    """No more segments than the window are ever unanswered; the others follow as answers come."""
    peer = _peer(rig)
    batch = [rig.submission(n) for n in range(rig.window * 3)]
    async with _opened(rig) as (connector, inbox):
        peer.hold()
        submitting = asyncio.ensure_future(connector.submit(batch))
        await until(lambda: peer.taken() >= rig.window)
        await asyncio.sleep(QUIET)
        assert peer.taken() == rig.window, f"{peer.taken()} left in a window of {rig.window}"
        peer.answer()
        await asyncio.wait_for(submitting, PATIENCE)
        await _wait_answered(inbox, batch)
        assert peer.most_unanswered() <= rig.window


async def receipts_are_acknowledged_after_they_are_stored(rig: Rig) -> None:
    """A receipt stays unacknowledged for as long as storing it takes."""
    peer = _peer(rig)
    batch = [rig.submission(n) for n in range(5)]
    async with _opened(rig) as (connector, inbox):
        inbox.hold()
        await connector.submit(batch)
        await inbox.wait_for(lambda i: len(i.offered) == len(batch), PATIENCE)
        await asyncio.sleep(QUIET)
        assert peer.unacknowledged() == len(batch), "a receipt was acknowledged before it was stored"
        inbox.resume()
        await until(lambda: peer.unacknowledged() == 0)


async def inbound_texts_are_acknowledged_after_they_are_stored(rig: Rig) -> None:
    """An inbound text is stored before the carrier hears that we have it; a failure is not acknowledged."""
    peer = _peer(rig)
    ours = rig.submission(1).sender
    async with _opened(rig) as (_, inbox):
        inbox.hold()
        sent = asyncio.ensure_future(peer.send_text("+447700900123", ours, "STOP"))
        await inbox.wait_for(lambda i: len(i.offered_texts) == 1, PATIENCE)
        await asyncio.sleep(QUIET)
        assert not sent.done(), "an inbound text was acknowledged before it was stored"
        inbox.resume()
        assert await asyncio.wait_for(sent, PATIENCE), "a stored text is acknowledged"
        text = inbox.texts[0]
        assert (text.sender, text.recipient, text.text) == ("+447700900123", ours, "STOP")
        inbox.failures = 1
        assert not await asyncio.wait_for(peer.send_text("+447700900124", ours, "HELP"), PATIENCE)


async def close_waits_for_answers(rig: Rig) -> None:
    """`close` lets the carrier answer what is in flight before it disconnects."""
    peer = _peer(rig)
    batch = [rig.submission(n) for n in range(min(5, rig.window))]
    async with _opened(rig) as (connector, inbox):
        peer.hold()
        await connector.submit(batch)
        await until(lambda: peer.taken() == len(batch))
        closing = asyncio.ensure_future(connector.close())
        await asyncio.sleep(QUIET)
        assert not closing.done(), "close gave up what was in flight"
        peer.answer()
        await asyncio.wait_for(closing, PATIENCE)
        assert all(isinstance(outcome, CarrierId) for _, _, outcome in inbox.outcome_list)
        _assert_answered_once(inbox, batch)


async def close_does_not_wait_for_ever(rig: Rig) -> None:
    """When the carrier never answers, `close` ends by the response timer and says `Uncertain`."""
    peer = _peer(rig)
    batch = [rig.submission(n) for n in range(min(5, rig.window))]
    async with _opened(rig) as (connector, inbox):
        peer.hold()
        await connector.submit(batch)
        await until(lambda: peer.taken() == len(batch))
        await asyncio.wait_for(connector.close(), PATIENCE)
        assert all(isinstance(outcome, Uncertain) for _, _, outcome in inbox.outcome_list)
        _assert_answered_once(inbox, batch)


#: Checks that need nothing but the rig's connectors.
ALWAYS: tuple[Check, ...] = (
    open_says_up_with_a_window,
    each_part_gets_one_outcome,
    only_wanted_parts_leave,
    every_part_is_reported,
    receipts_that_were_not_stored_come_again,
    nothing_escapes_submit,
    close_ends_what_is_in_flight,
)
#: Checks in which the carrier misbehaves.
WITH_PEER: tuple[Check, ...] = (
    without_a_link_nothing_left,
    a_link_lost_after_the_write_is_uncertain,
    what_waited_for_the_window_is_not_uncertain,
    it_reconnects_by_itself,
    the_window_is_respected,
    receipts_are_acknowledged_after_they_are_stored,
    inbound_texts_are_acknowledged_after_they_are_stored,
    close_waits_for_answers,
    close_does_not_wait_for_ever,
)


async def until(condition: Callable[[], bool], within: float = PATIENCE) -> None:
    """Wait until *condition* holds, asking every 10 ms. Raises `TimeoutError` after *within* seconds."""
    async with asyncio.timeout(within):
        while not condition():  # a peer is asked, it does not tell
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def _opened(rig: Rig) -> AsyncIterator[tuple[Connector, RecordingInbox]]:
    """A connector whose link is up; closed afterwards, also when a check has closed it before."""
    connector, inbox = rig.connector(), RecordingInbox()
    await connector.open(inbox)
    try:
        await inbox.wait_for(lambda i: i.is_up, PATIENCE)
        yield connector, inbox
    finally:
        inbox.resume()
        await asyncio.wait_for(connector.close(), PATIENCE)


def _peer(rig: Rig) -> Peer:
    assert rig.peer is not None, "this check controls the carrier: give the rig a peer"
    return rig.peer


def _parts(batch: Sequence[Submission]) -> list[tuple[Submission, int]]:
    return [(s, part) for s in batch for part in range(1, s.segments + 1) if s.parts >> (part - 1) & 1]


async def _wait_answered(inbox: RecordingInbox, batch: Sequence[Submission]) -> None:
    keys = {submission.attempt for submission in batch}
    wanted = len(_parts(batch))
    await inbox.wait_for(lambda i: len({(k, p) for k, p, _ in i.outcome_list if k in keys}) >= wanted, PATIENCE)


def _assert_answered_once(inbox: RecordingInbox, batch: Sequence[Submission]) -> None:
    counts = inbox.final_counts()
    wrong = {(s.attempt, part): counts[s.attempt, part] for s, part in _parts(batch) if counts[s.attempt, part] != 1}
    assert not wrong, f"parts without exactly one final outcome: {wrong}"


def _delivered(inbox: RecordingInbox) -> set[str]:
    return {receipt.carrier_id for receipt in inbox.stored if receipt.state is ReceiptState.DELIVERED}
