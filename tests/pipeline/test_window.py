"""Who is known not to have written for a day gets a template at once, or the next channel: no attempt is wasted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.connectors.base import Heard, Inbound
from sendpool.domain import window
from sendpool.domain.explanation import Explanation
from sendpool.domain.failures import Repair
from sendpool.domain.request import Accepted, PoolOrigin
from sendpool.domain.retention import Span
from sendpool.domain.sender import Channel
from sendpool.pipeline.explain import IN_TEMPLATE, explain_message
from sendpool.store.history import MessagePlace
from sendpool.store.uptime import write_span
from sendpool.store.window import load_heard, write_heard

ONE, TWO, TEXT = "+12034458910", "+12034458911", "+12034458912"
ANN, BOB = everyone(2)
DAY = 86_400_000_000
TEMPLATE = {"window_template": {"name": "notice"}}


def whatsapp(carrier: Carrier, *addresses: str, **options: Any) -> Line:
    return Line(carrier, dict.fromkeys(addresses or (ONE,)), Channel.WHATSAPP, type="whatsapp", options=options)


async def listening(there: World, *addresses: str) -> None:
    """The server has run and heard these numbers for two days."""
    now = there.engine.clock.wall()
    await there.store.write(write_span(1, Span(now - 2 * DAY, now), 0))
    heard = {there.sender(one).id: window.Heard(now - 2 * DAY, now) for one in addresses}
    await there.store.write(write_heard(heard))


async def write(there: World, carrier: Carrier, who: str, to: str = ONE) -> None:
    assert carrier.inbox is not None
    await carrier.inbox.inbound([Inbound(Channel.WHATSAPP, who, to, "Hi")])


async def explained(there: World, operation: Accepted, place: int = 0) -> Explanation:
    found = await explain_message(there.engine, there.account_id, MessagePlace(operation.uid, place))
    assert found is not None
    return found


def forms(carrier: Carrier) -> dict[str, Repair | None]:
    return {sent.submission.recipient: sent.submission.repair for sent in carrier.sent}


@virtually
async def test_who_has_not_written_gets_the_template_at_once_and_who_has_gets_the_text(tmp_path: Path) -> None:
    carrier = Carrier()
    async with world(tmp_path / "a.db", whatsapp=whatsapp(carrier, **TEMPLATE)) as there:
        await listening(there, ONE)
        await write(there, carrier, BOB)
        operation = await there.send(ANN, BOB, space="W")
        await there.until_states(operation=operation, DELIVERED=2)

        assert forms(carrier) == {ANN: Repair.TEMPLATE, BOB: None}
        assert len(carrier.sent) == 2
        ann, bob = [await explained(there, operation, place) for place in range(2)]
        assert ann.attempts[0].text.startswith(IN_TEMPLATE)
        assert not bob.attempts[0].text.startswith(IN_TEMPLATE)


@virtually
async def test_where_nobody_knows_the_text_goes_out_as_it_is(tmp_path: Path) -> None:
    carrier = Carrier()
    async with world(tmp_path / "a.db", whatsapp=whatsapp(carrier, **TEMPLATE)) as there:
        await there.send(ANN, space="W")
        await there.until_states(DELIVERED=1)
        now = there.engine.clock.wall()
        await there.store.write(write_span(1, Span(now - 2 * DAY, now), 0))
        await there.store.write(write_heard({there.sender(ONE).id: window.Heard(now - DAY // 2, now)}))
        await there.send(BOB, space="W")
        await there.until_states(DELIVERED=2)

        assert forms(carrier) == {ANN: None, BOB: None}


@virtually
async def test_without_a_template_the_next_channel_takes_it_without_an_attempt(tmp_path: Path) -> None:
    carrier, sms = Carrier(), Carrier()
    lines = {"whatsapp": whatsapp(carrier), "sms": Line(sms, {TEXT: None})}
    async with world(tmp_path / "a.db", **lines) as there:
        await listening(there, ONE)
        uids = [one.uid for one in there.engine.roster.senders.values()]
        origin = PoolOrigin(await there.make_pool(uids, reach=["WHATSAPP", "SMS"]))
        operation = await there.send(ANN, origin=origin)
        await there.until_states(operation=operation, DELIVERED=1)
        alone = await there.send(BOB, space="W")
        await there.until_states(operation=alone, FAILED=1)

        assert carrier.sent == []
        assert [sent.submission.recipient for sent in sms.sent] == [ANN]
        steps = [(one.channel, one.outcome, one.reason) for one in (await explained(there, operation)).plan[:2]]
        assert steps == [("WHATSAPP", "passed", "window_closed"), ("SMS", "delivered", "delivered")]
        (step,) = (await explained(there, alone)).plan
        assert (step.outcome, step.reason) == ("passed", "window_closed")
        failed = await there.rows("SELECT error_code FROM message WHERE operation_id = ?", alone.operation_id)
        assert failed == [(63016,)]


@virtually
async def test_no_row_is_passed_by_while_some_sender_of_the_pool_may_get_through(tmp_path: Path) -> None:
    """The window is one of a person and a number: to that of another number nothing is known here."""
    carrier = Carrier()
    async with world(tmp_path / "a.db", whatsapp=whatsapp(carrier, ONE, TWO)) as there:
        await listening(there, ONE)
        for _ in range(4):
            await there.send(ANN, space="W")
        await there.until_states(DELIVERED=4)

        assert set(forms(carrier).values()) == {None}


@virtually
async def test_what_a_carrier_says_of_a_number_is_kept_now_and_then(tmp_path: Path) -> None:
    carrier = Carrier()
    async with world(tmp_path / "a.db", whatsapp=whatsapp(carrier)) as there:
        inbox, began = carrier.inbox, there.engine.clock.wall()
        assert inbox is not None

        async def kept() -> window.Heard:
            found: dict[int, window.Heard] = await there.store.read(load_heard([there.sender(ONE).id]))
            return found[there.sender(ONE).id]

        await inbox.heard([Heard(Channel.WHATSAPP, ONE), Heard(Channel.WHATSAPP, "+15550000000")])
        first = await kept()
        assert first.since == first.last >= began
        await there.until(lambda: there.engine.clock.wall() > first.last + 1_000_000)
        await inbox.heard([Heard(Channel.WHATSAPP, ONE)])
        assert await kept() == first, "a second later that is no news"
        await inbox.heard([Heard(Channel.WHATSAPP, ONE, unplaced=True), Heard(Channel.WHATSAPP, ONE)])
        assert (await kept()).unplaced > first.last
        await there.until(lambda: there.engine.clock.wall() > first.last + 700_000_000, within=800)
        await inbox.heard([Heard(Channel.WHATSAPP, ONE)])
        assert (await kept()).since == first.since
        assert (await kept()).last > first.last + 600_000_000
