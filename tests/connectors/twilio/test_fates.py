"""Twilio is asked for messages whose callbacks got lost, or that have none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sendpool.connectors.base import CarrierId, KnowsFates, Receipt, ReceiptState
from sendpool.connectors.twilio.connector import MOST_ASKING
from sendpool.domain.failures import FailureClass

if TYPE_CHECKING:
    from tests.connectors.twilio.conftest import Rehearse, Rig


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ((), (ReceiptState.DELIVERED, None, "delivered", "")),
        (("undelivered err=30003",), (ReceiptState.UNDELIVERED, FailureClass.ABSENT, "30003", "twilio/30003")),
        (("undelivered err=30036",), (ReceiptState.EXPIRED, FailureClass.EXPIRED, "30036", "twilio/30036")),
    ],
)
async def test_what_has_ended_is_told_as_a_callback_would(
    faults: tuple[str, ...], expected: tuple[object, ...], rehearse: Rehearse
) -> None:
    rig = await rehearse(*faults, receipt_delay=0)
    connector = await rig.opened(public_url=None)
    outcome = await rig.outcome(connector)
    assert isinstance(outcome, CarrierId)
    await rig.inbox.wait_for(lambda _: True)

    fates = await connector.fates([outcome.also])
    while fates == {outcome.also: None}:
        fates = await connector.fates([outcome.also])

    assert fates == {outcome.also: Receipt(outcome.also, *expected)}  # type: ignore[arg-type]
    assert rig.inbox.offered == [], "no callback was asked for"


async def test_what_is_on_its_way_or_unknown_is_no_news(rehearse: Rehearse) -> None:
    rig = await rehearse(receipt_delay=1000)
    connector = await rig.opened(public_url=None)
    outcome = await rig.outcome(connector)
    assert isinstance(outcome, CarrierId)
    stranger = f"SM{7:032x}"

    assert await connector.fates([outcome.also, stranger]) == {outcome.also: None, stranger: None}


async def test_without_an_answer_nothing_is_said_and_questions_go_a_few_at_a_time(rehearse: Rehearse) -> None:
    rig = await rehearse(receipt_delay=1000)
    connector = await rig.opened(public_url=None)
    sids = [f"SM{n:032x}" for n in range(3 * MOST_ASKING)]

    assert len(await connector.fates(sids)) == 3 * MOST_ASKING
    assert rig.account.connections_made <= MOST_ASKING + 2
    rig.account.script = rig.account.script.__class__(auth_token="another")
    await rig.account.begin_outage()
    assert await connector.fates(sids) == {}


async def test_it_asks_soon_where_no_callbacks_come(rig: Rig) -> None:
    without, with_them = rig.connector(public_url=None), rig.connector()

    assert isinstance(without, KnowsFates)
    assert (without.ask_after, with_them.ask_after) == (60, 900)
    assert rig.connector(ask_after=0).ask_after == 0
