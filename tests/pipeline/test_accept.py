"""Accepting: who may send, what becomes of each recipient, and that it is stored and due when it is answered."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import LONG_TEXT, Line, everyone, virtually, world

from sendpool.domain.message import Category, Content
from sendpool.domain.request import (
    AccountOrigin,
    AddressOrigin,
    Origin,
    PoolOrigin,
    Recipient,
    Refused,
    SenderOrigin,
    SendRequest,
)
from sendpool.domain.sender import Channel
from sendpool.pipeline.draft import AT_ONCE, CHUNK
from sendpool.store.pools import delete_pool

ORIGIN = "SELECT origin FROM operation_content WHERE operation_id = ?"
NUMBER, AGENT, WHATSAPP = "+12030000001", "agent", "+12030000009"


def lines() -> dict[str, Line]:
    """A number, an agent and a WhatsApp number; the links are down, so that what is accepted stays as it is."""
    made = {
        "s": Line(Carrier(), {NUMBER: 10}),
        "r": Line(Carrier(), {AGENT: 10}, channel=Channel.RCS),
        "w": Line(Carrier(), {WHATSAPP: 10}, channel=Channel.WHATSAPP),
    }
    for line in made.values():
        line.carrier.up = False
    return made


@virtually
async def test_every_way_to_say_who_sends(fresh: Path) -> None:
    async with world(fresh, **lines()) as w:
        number = w.sender(NUMBER)
        ways: list[tuple[Origin, str, str]] = [
            (PoolOrigin(w.pool), "pool", "RS"),
            (SenderOrigin(number.uid), "sender", "S"),
            (AddressOrigin(NUMBER, Channel.SMS), "address", "S"),
            (AccountOrigin(), "account", "RS"),
            (PoolOrigin(w.pool, frozenset({Channel.SMS})), "pool", "S"),
            (PoolOrigin(w.pool, None, ((Channel.SMS, 1), (Channel.RCS, 2))), "pool", "SR"),
        ]
        for origin, kind, plan in ways:
            accepted = await w.send("+447700900001", origin=origin)

            row = (await w.rows("SELECT plan, state, step FROM message WHERE id = ?", accepted.operation_id))[0]
            assert tuple(row) == (plan, 2, 0)
            stored = await w.rows("SELECT origin FROM operation_content WHERE operation_id = ?", accepted.operation_id)
            assert json.loads(stored[0][0])["kind"] == kind


@virtually
async def test_who_may_not_send_is_told_where_the_request_is_wrong(fresh: Path) -> None:
    async with world(fresh, **lines()) as w:
        number = w.sender(NUMBER)
        gone = await w.make_pool([number.uid])
        await w.engine.change(lambda: delete_pool(w.account_id, gone, 1))
        hidden = w.engine.roster.hidden_by_sender[number.id].uid
        await w.declare({name: line for name, line in w.lines.items() if name != "w"})
        cases: list[tuple[Origin, int, str]] = [
            (PoolOrigin(b"?" * 16), 20404, "$.from.senderPoolId"),
            (PoolOrigin(gone), 20404, "$.from.senderPoolId"),
            (PoolOrigin(hidden), 20404, "$.from.senderPoolId"),
            (SenderOrigin(b"?" * 16), 20404, "$.from.senderId"),
            (AddressOrigin("+1", Channel.SMS), 20404, "$.from.address"),
            (AddressOrigin(NUMBER, Channel.RCS), 20404, "$.from.address"),
            (AddressOrigin(WHATSAPP, Channel.WHATSAPP), 21606, "$.from.address"),
        ]
        for origin, code, context in cases:
            with pytest.raises(Refused) as caught:
                await w.send("+447700900001", origin=origin)

            assert [(one.code, one.context) for one in caught.value.problems] == [(code, context)]


@virtually
async def test_another_accounts_pool_does_not_exist(fresh: Path) -> None:
    async with world(fresh, **lines()) as w:
        request = SendRequest(
            account_id=w.account_id + 1,
            origin=PoolOrigin(w.pool),
            recipients=[Recipient("+447700900001", "P")],
            content=Content(text="Hello"),
        )

        with pytest.raises(Refused, match="no such sender pool"):
            await w.engine.intake.accept(request)


@virtually
async def test_recipients_that_nobody_reaches_are_errors_and_no_messages(fresh: Path) -> None:
    async with world(fresh, **lines()) as w:
        request = SendRequest(
            account_id=w.account_id,
            origin=PoolOrigin(w.pool),
            recipients=[Recipient("+1", "P"), Recipient("a@b.c", "E"), Recipient("+2", "W"), Recipient("d@e.f", "E")],
            content=Content(text="Hello"),
        )
        accepted = await w.engine.intake.accept(request)

        counters = await w.rows("SELECT total, recipients, unaddressable, queued, state FROM operation")
        assert counters == [(2, 4, 2, 2, 2)]
        errors = await w.rows("SELECT position, address, code FROM operation_error ORDER BY position")
        assert errors == [(1, "a@b.c", 21703), (3, "d@e.f", 21703)]
        plans = await w.rows("SELECT id, plan FROM message ORDER BY id")
        assert plans == [(accepted.operation_id, "RS"), (accepted.operation_id + 1, "W")]


@virtually
async def test_an_operation_without_any_message_is_completed_at_once(fresh: Path) -> None:
    async with world(fresh, **lines()) as w:
        accepted = await w.send("a@b.c", space="E")

        assert await w.rows("SELECT state, total, recipients, unaddressable FROM operation") == [(3, 0, 1, 1)]
        assert await w.events(accepted.operation_id) == [1026, 1027]
        following = await w.send("+447700900001")
        assert following.operation_id > accepted.operation_id


@pytest.mark.parametrize("number", [1, AT_ONCE, AT_ONCE + 1, CHUNK + 1, 2 * CHUNK])
@virtually
async def test_large_requests_are_counted_before_they_are_expanded(number: int, fresh: Path) -> None:
    async with world(fresh, False, **lines()) as w:
        accepted = await w.send(*everyone(number))

        assert await w.rows("SELECT total, recipients, queued FROM operation") == [(number, number, number)]
        assert await w.states(accepted) == {"QUEUED": number}
        await w.until(lambda: not w.engine.expander._operations)
        addresses = await w.rows("SELECT address FROM message ORDER BY id")
        assert [row[0] for row in addresses] == everyone(number)


@virtually
async def test_concurrent_requests_take_keys_that_never_overlap(fresh: Path) -> None:
    async with world(fresh, **lines()) as w:
        accepted = await asyncio.gather(*(w.send(*everyone(n % 4 + 1, first=10 * n)) for n in range(40)))

        taken = [key for n, one in enumerate(accepted) for key in range(one.operation_id, one.operation_id + n % 4 + 1)]
        assert len(set(taken)) == len(taken)
        assert len({one.uid for one in accepted}) == 40
        assert all(one.uid[-2:] == b"\0\0" for one in accepted)


@pytest.mark.parametrize(
    ("category", "validity", "seconds"),
    [
        (Category.TRANSACTIONAL, None, 172_800),
        (Category.OTP, None, 600),
        (Category.BULK, 5, 5),
    ],
)
@virtually
async def test_the_deadline_is_what_was_asked_for_or_what_the_category_says(
    category: Category, validity: int | None, seconds: int, fresh: Path
) -> None:
    async with world(fresh, **lines()) as w:
        await w.send("+447700900001", category=category, validity=validity)

        row = (await w.rows("SELECT deadline - created_at, category FROM operation"))[0]
        assert tuple(row) == (seconds * 1_000_000, category.value)


@virtually
async def test_a_long_text_waits_with_its_cost(fresh: Path) -> None:
    async with world(fresh, **lines()) as w:
        await w.send("+447700900001", text=LONG_TEXT, origin=AddressOrigin(NUMBER, Channel.SMS))
        await w.send("+447700900001", text=LONG_TEXT)

        assert await w.rows("SELECT segments FROM message ORDER BY id") == [(3,), (3,)]
        assert await w.rows("SELECT cost FROM outq ORDER BY message_id") == [(3,), (1,)]
