"""Keywords write who has opted out and are answered once; parts of long texts are joined, or told as what came."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import Line, World, virtually, world

from sendpool.connectors.base import Inbound
from sendpool.domain.keywords import Keywords, Use, Wish
from sendpool.domain.reassembly import PATIENCE, Part
from sendpool.domain.request import SenderOrigin
from sendpool.domain.sender import Channel
from sendpool.domain.sessions import SILENCE
from sendpool.store.inbound import OwedReply, owe_replies

NUMBER, OTHER, PERSON, GERMAN = "+12030000001", "+12030000002", "+12015550123", "+4915112345678"


def text(words: str, *, sender: str = PERSON, part: Part | None = None, carrier_id: str | None = None) -> Inbound:
    return Inbound(Channel.SMS, sender, NUMBER, words, carrier_id, part)


async def say(carrier: Carrier, *texts: Inbound) -> None:
    assert carrier.inbox is not None
    await carrier.inbox.inbound(texts)


def replies(carrier: Carrier) -> list[tuple[str, str]]:
    return [(one.submission.recipient, one.submission.content.text) for one in carrier.sent]


async def ledger(there: World) -> list[Any]:
    return await there.rows("SELECT space, address, scope, source, actor FROM opt_out")


async def texts(there: World) -> list[str]:
    rows = await there.rows(
        "SELECT c.content FROM operation o JOIN operation_content c ON c.operation_id = o.id"
        " WHERE o.kind = 'inbound' ORDER BY o.id"
    )
    return [json.loads(row[0])["text"] for row in rows]


async def sessions(there: World) -> list[str]:
    rows = await there.rows(
        "SELECT c.origin FROM operation o JOIN operation_content c ON c.operation_id = o.id"
        " WHERE o.kind = 'inbound' ORDER BY o.id"
    )
    return [json.loads(row[0])["session"] for row in rows]


@virtually
async def test_stop_is_written_and_answered_once_though_the_person_has_opted_out(tmp_path: Path) -> None:
    carrier = Carrier()
    async with world(tmp_path / "a.db", a=Line(carrier, {NUMBER: None, OTHER: None})) as there:
        await say(carrier, text("Stop."))
        await there.until(lambda: carrier.sent)
        await say(carrier, text("STOP"), text("stop"))
        await asyncio.sleep(30)

        ((to, said),) = replies(carrier)
        assert to == PERSON
        assert "unsubscribed" in said
        assert carrier.sent[0].submission.sender == NUMBER
        assert await ledger(there) == [("P", PERSON, "", "reply", "recipient")]
        assert await there.rows("SELECT count(*) FROM owed_reply") == [(0,)]
        await there.send(PERSON)
        assert len(await there.rows("SELECT code FROM operation_error WHERE code = 21610")) == 1


@virtually
async def test_start_opens_again_and_help_is_answered_once_an_hour(tmp_path: Path) -> None:
    carrier = Carrier()
    async with world(tmp_path / "a.db", a=Line(carrier, {NUMBER: None})) as there:
        await say(carrier, text("START"))
        await say(carrier, text("STOP"))
        await say(carrier, text("START"))
        await there.until(lambda: len(carrier.sent) == 2)
        assert await ledger(there) == []
        for _ in range(3):
            await say(carrier, text("HELP"))
        await there.until(lambda: len(carrier.sent) == 3)
        there.ahead += 3_600
        await say(carrier, text("HELP"))
        await there.until(lambda: len(carrier.sent) == 4)

        assert len(replies(carrier)) == 4


@virtually
async def test_a_word_of_the_country_is_answered_in_its_language(tmp_path: Path) -> None:
    carrier = Carrier()
    async with world(tmp_path / "a.db", a=Line(carrier, {NUMBER: None})) as there:
        await say(carrier, text("Stopp", sender=GERMAN), text("Stopp", sender=PERSON))
        await there.until(lambda: carrier.sent)
        await asyncio.sleep(10)

        ((to, said),) = replies(carrier)
        assert to == GERMAN
        assert "abgemeldet" in said


@pytest.mark.parametrize(("use", "written"), [(Use.RECORD, 1), (Use.IGNORE, 0)])
@virtually
async def test_where_the_carrier_answers_nobody_is_answered_twice(tmp_path: Path, use: Use, written: int) -> None:
    carrier = Carrier()
    async with world(tmp_path / "a.db", a=Line(carrier, {NUMBER: None}, keywords=Keywords(use))) as there:
        await say(carrier, text("STOP"), text("HELP"))
        await asyncio.sleep(30)

        assert replies(carrier) == []
        assert len(await ledger(there)) == written
        assert await texts(there) == ["STOP", "HELP"]


@virtually
async def test_own_words_answer_in_place_of_ours(tmp_path: Path) -> None:
    carrier, own = Carrier(), Keywords(replies={Wish.STOP: "Bye.", Wish.HELP: ""})
    async with world(tmp_path / "a.db", a=Line(carrier, {NUMBER: None}, keywords=own)) as there:
        await say(carrier, text("HELP"), text("STOP"))
        await there.until(lambda: carrier.sent)
        await asyncio.sleep(10)

        assert replies(carrier) == [(PERSON, "Bye.")]


@virtually
async def test_a_reply_that_is_owed_outlives_the_end_of_the_server_and_is_given_once(tmp_path: Path) -> None:
    first = Carrier()
    async with world(tmp_path / "a.db", a=Line(first, {NUMBER: None})) as there:
        await there.replier.stop()
        await say(first, text("STOP"))
        await asyncio.sleep(30)
        assert first.sent == []
    second = Carrier()
    async with world(tmp_path / "a.db", a=Line(second, {NUMBER: None})) as there:
        await there.until(lambda: second.sent)
        owed = await there.rows("SELECT count(*) FROM message WHERE state <> 9")
        # As if the server had ended between the reply and striking it out.
        key = await there.rows("SELECT id FROM message WHERE state = 9")
        sender = there.sender(NUMBER)
        row = OwedReply(key[0][0], there.account_id, sender.id, "P", PERSON, "again", 0)
        await there.engine.settle(lambda _: owe_replies([row]))
        await asyncio.sleep(30)

        assert owed == await there.rows("SELECT count(*) FROM message WHERE state <> 9") == [(1,)]
        assert await there.rows("SELECT count(*) FROM owed_reply") == [(0,)]


@virtually
async def test_parts_are_one_message_whatever_order_they_come_in_and_a_keyword_in_two_is_one(tmp_path: Path) -> None:
    carrier = Carrier()
    async with world(tmp_path / "a.db", a=Line(carrier, {NUMBER: None})) as there:
        await say(carrier, text("ne two", part=Part(1, 2, 3)), text("o", part=Part(1, 1, 3)))
        assert await texts(there) == []
        await say(carrier, text("ne two", part=Part(1, 2, 3)), text(" three", part=Part(1, 3, 3)))
        await say(
            carrier, text("o", part=Part(1, 1, 3)), text("ST", part=Part(2, 1, 2)), text("OP", part=Part(2, 2, 2))
        )
        await there.until(lambda: carrier.sent)

        assert await texts(there) == ["one two three", "STOP"]
        rows = await there.rows("SELECT parts FROM inbound_parts")
        assert len(rows) == 2
        assert not any("two" in row[0] for row in rows)


@virtually
async def test_what_never_came_whole_is_told_with_a_hole_after_a_quarter_of_an_hour(tmp_path: Path) -> None:
    carrier = Carrier()
    async with world(tmp_path / "a.db", a=Line(carrier, {NUMBER: None})) as there:
        await say(carrier, text("one ", part=Part(1, 1, 3)))
        await say(carrier, text("three", part=Part(1, 3, 3)))
        there.ahead += PATIENCE - 60
        await there.replier.join_late()
        assert await texts(there) == []
        there.ahead += 120
        await there.replier.join_late()

        assert await texts(there) == ["one …three"]
        assert await there.rows("SELECT sender_id FROM message") == [(there.sender(NUMBER).id,)]
        origin = await there.rows("SELECT origin FROM operation_content")
        assert json.loads(origin[0][0])["missing"] == 1
        # A repeat of what was told is still known; then it is forgotten.
        await say(carrier, text("three", part=Part(1, 3, 3)))
        there.ahead += 4_000
        await there.replier.join_late()
        assert len(await texts(there)) == 1
        assert await there.rows("SELECT count(*) FROM inbound_parts") == [(0,)]


@virtually
async def test_texts_within_a_day_of_each_other_are_one_session_with_one_sender(tmp_path: Path) -> None:
    carrier = Carrier()
    async with world(tmp_path / "a.db", a=Line(carrier, {NUMBER: None, OTHER: None})) as there:
        await say(carrier, text("a"), text("b"), text("of somebody else", sender=GERMAN))
        there.ahead += SILENCE / 1e6 - 60
        await say(carrier, text("c"))
        assert carrier.inbox is not None
        await carrier.inbox.inbound([Inbound(Channel.SMS, PERSON, OTHER, "to another sender")])
        there.ahead += SILENCE / 1e6 + 60
        await say(carrier, text("d"))

        a, b, other, c, to_another, d = await sessions(there)
        assert a == b == c
        assert len({a, other, to_another, d}) == 4


@virtually
async def test_an_answer_in_words_that_nobody_can_be_sent_is_dropped(tmp_path: Path) -> None:
    carrier = Carrier()
    async with world(tmp_path / "a.db", a=Line(carrier, {NUMBER: None})) as there:
        # Nobody can be reached at such an address: the reply is refused, and not tried for ever.
        await say(carrier, Inbound(Channel.SMS, "INFO", NUMBER, "STOP"))
        await asyncio.sleep(30)

        assert await there.rows("SELECT count(*) FROM owed_reply") == [(0,)]
        assert await texts(there) == ["STOP"]
        await there.send(PERSON, origin=SenderOrigin(there.sender(NUMBER).uid))
        await there.until(lambda: carrier.sent)
