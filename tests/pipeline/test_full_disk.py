"""A disk that is full: nothing is promised that cannot be kept, nothing is lost, and all goes on when there is room.

SQLite says the same ("database or disk is full") when a file may not grow beyond so many pages.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.pipeline.carriers import Carrier, receipt
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.connectors.base import CarrierId, Inbound, ReceiptState
from sendpool.domain.request import Accepted
from sendpool.domain.sender import Channel
from sendpool.pipeline.waiter import StoreUnavailable
from sendpool.store.database import Query, Script
from sendpool.store.history import MessageFilter, MessageSlice, list_messages

NUMBER = "+12030000001"
FAILED = "sendpool_commits_failed_total"
#: More than any test fills.
PLENTY = 1_000_000


async def let_grow(w: World, pages: int) -> None:
    """Let the file have so many pages more than it has now."""

    def script() -> Script[None]:
        ((now,),) = yield Query("PRAGMA page_count")
        yield Query(f"PRAGMA max_page_count = {now + pages}")

    await w.store.inner.write(script())


async def fill(w: World, first: int = 0) -> list[Accepted]:
    """Send until nothing is taken any more; what was."""
    accepted: list[Accepted] = []
    while True:
        try:
            accepted.append(await w.send(*everyone(20, first=first + 20 * len(accepted))))
        except StoreUnavailable:
            return accepted


async def arrive(carrier: Carrier) -> int:
    """Let inbound texts arrive, long ones and then short ones, until none is taken any more; how many were."""
    assert carrier.inbox is not None
    stored = 0
    for words in ("long " * 2_000, "Hi"):
        while True:
            try:
                await carrier.inbox.inbound([Inbound(Channel.SMS, "+447700900001", NUMBER, words, f"mo{stored}")])
            except StoreUnavailable:
                break
            stored += 1
    return stored


@virtually
async def test_what_was_accepted_before_the_disk_was_full_is_delivered_once_there_is_room(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, False, a=Line(carrier, {NUMBER: 1000})) as w:
        carrier.link(up=False)
        await let_grow(w, 20)
        accepted = await fill(w)
        assert accepted
        carrier.link(up=True)
        await asyncio.sleep(20)  # As much is sent as the attempts have room for.
        under_way = len(carrier.sent)

        accepted += await fill(w, 10_000)
        page = await w.store.read(list_messages(w.account_id, MessageFilter(), MessageSlice(1_000)))
        assert len(page.rows) == 20 * len(accepted)

        await let_grow(w, PLENTY)
        await w.until_states(DELIVERED=20 * len(accepted), within=120)
        assert len(carrier.sent) == len({sent.key for sent in carrier.sent}) == 20 * len(accepted) > under_way
        later = await w.send(*everyone(1, first=50_000))
        await w.until_states(operation=later, DELIVERED=1)


@virtually
async def test_what_carriers_say_while_the_disk_is_full_is_not_acknowledged_and_not_lost(fresh: Path) -> None:
    carrier = Carrier()
    carrier.report = lambda submission, part: ()
    async with world(fresh, a=Line(carrier, {NUMBER: 1000})) as w:
        await w.send(*everyone(400))
        await w.until_states(SENT=400)
        await let_grow(w, 0)
        stored = await arrive(carrier)
        names = [carrier.name_of(sent.submission, 1) for sent in carrier.sent]
        carrier.say([receipt(name, ReceiptState.DELIVERED) for name in names])
        await asyncio.sleep(5)
        assert carrier._reports, "they are not acknowledged"
        assert await w.states() == {"SENT": 400, "INBOUND": stored}

        await let_grow(w, PLENTY)
        await w.until(lambda: not carrier._reports)
        assert await w.states() == {"DELIVERED": 400, "INBOUND": stored}


@virtually
async def test_answers_that_came_while_the_disk_was_full_are_kept_until_they_are_stored(fresh: Path) -> None:
    carrier = Carrier(answer_after=2.0)
    # Ids too long for the pages that are there.
    carrier.answer = lambda submission, part: CarrierId(f"{submission.attempt.message_id}." + "x" * 200)
    carrier.report = lambda submission, part: ()
    async with world(fresh, a=Line(carrier, {NUMBER: 1000})) as w:
        await w.send(*everyone(300))
        await w.until(lambda: len(carrier.sent) >= 10)
        await let_grow(w, 0)
        await asyncio.sleep(30)
        assert (await w.rows("SELECT count(*) FROM segment"))[0][0] < len(carrier.sent)

        await let_grow(w, PLENTY)
        await w.until_states(SENT=300, within=120)
        assert await w.rows("SELECT count(*) FROM segment") == [(300,)]
        assert await w.rows("SELECT count(*) FROM message WHERE ambiguous = 1") == [(0,)]


@virtually
async def test_the_log_says_once_a_minute_that_commits_fail_and_once_that_they_succeed_again(
    fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    carrier = Carrier()
    async with world(fresh, a=Line(carrier, {NUMBER: 1000})) as w:
        await w.send(*everyone(50))
        w.store.failures = 200
        await asyncio.sleep(90)
        w.store.failures = 0
        await w.until_states(DELIVERED=50)

        said = capsys.readouterr().out
        assert said.count("commit failed") == 2
        assert said.count("commits succeed again") == 1
        failed = next(line for line in w.engine.metrics.render().decode().splitlines() if line.startswith(FAILED))
        assert float(failed.split()[1]) > 100
