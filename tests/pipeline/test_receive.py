"""Inbound texts: stored before they are acknowledged, once each, whoever they were written to."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import LONG_TEXT, Line, everyone, virtually, world

from sendpool.connectors.base import Inbound
from sendpool.domain import ids
from sendpool.domain.sender import Channel
from sendpool.pipeline.waiter import StoreUnavailable
from sendpool.store.history import MessageFilter, MessageSlice, list_messages

NUMBER, PERSON = "+12030000001", "+447700900001"


def text(words: str = "Hello", *, carrier_id: str | None = None, recipient: str = NUMBER) -> Inbound:
    return Inbound(Channel.SMS, PERSON, recipient, words, carrier_id)


@virtually
async def test_an_inbound_text_is_a_message_before_it_is_acknowledged(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 10})) as w:
        assert carrier.inbox is not None
        await carrier.inbox.inbound([text("Hi there")])

        assert await w.rows("SELECT state, address, space FROM message") == [(9, PERSON, "P")]
        ((content, origin),) = await w.rows("SELECT content, origin FROM operation_content")
        assert content == '{"text":"Hi there"}'
        told = json.loads(origin)
        assert ids.decode(ids.SESSION, told.pop("session"))
        assert told == {"kind": "inbound", "to": NUMBER}
        page = await w.store.read(list_messages(w.account_id, MessageFilter(state=9), MessageSlice(10)))
        assert [(row.kind, row.address, row.sender and row.sender.address) for row in page.rows] == [
            ("inbound", PERSON, NUMBER)
        ]
        key = (await w.rows("SELECT id FROM message"))[0][0]
        assert await w.events(key) == [9]


@virtually
async def test_what_could_not_be_stored_is_not_acknowledged_and_comes_again(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 10})) as w:
        assert carrier.inbox is not None
        w.store.failures = 1
        with pytest.raises(StoreUnavailable):
            await carrier.inbox.inbound([text(carrier_id="x")])
        await carrier.inbox.inbound([text(carrier_id="x")])

        assert await w.rows("SELECT count(*) FROM message") == [(1,)]


@virtually
async def test_a_text_that_the_carrier_repeats_is_stored_once(fresh: Path) -> None:
    a, b = Carrier(), Carrier()
    async with world(fresh, a=Line(a, {NUMBER: 10}), b=Line(b, {"+12030000002": 10})) as w:
        assert a.inbox is not None
        assert b.inbox is not None
        await a.inbox.inbound([text(carrier_id="x"), text(carrier_id="y"), text(carrier_id="x")])
        await a.inbox.inbound([text(carrier_id="x")])
        await b.inbox.inbound([text(carrier_id="x")])
        await a.inbox.inbound([text(), text()])

        # Two of a, the same id on another connection, and two that have no id at all.
        assert await w.rows("SELECT count(*) FROM message WHERE state = 9") == [(5,)]


@virtually
async def test_a_text_to_an_address_that_is_not_ours_is_kept_without_a_sender(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 10})) as w:
        assert carrier.inbox is not None
        await carrier.inbox.inbound([text(recipient="+12039999999")])

        assert await w.rows("SELECT sender_id FROM message") == [(None,)]


@virtually
async def test_inbound_and_outbound_share_keys_without_getting_into_each_others_way(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        assert carrier.inbox is not None
        await asyncio.gather(
            *(w.send(*everyone(2, first=10 * n)) for n in range(10)),
            *(carrier.inbox.inbound([text(f"text {n}"), text(LONG_TEXT)]) for n in range(10)),
        )
        await w.until_states(DELIVERED=20, INBOUND=20)

        assert await w.rows("SELECT count(*) FROM operation WHERE kind = 'inbound' AND state = 3") == [(20,)]
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 100})) as w:
        assert carrier.inbox is not None
        await carrier.inbox.inbound([text("after a restart")])
        await w.send(*everyone(1))
        await w.until_states(DELIVERED=21, INBOUND=21)
