"""A text that makes another number of parts at a carrier than it was counted for is charged and paced by those."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.connectors.base import (
    CarrierId,
    ConnectionSettings,
    Inbox,
    Outcome,
    Recounted,
    SenderSettings,
    Submission,
)
from sendpool.connectors.smpp.connector import SmppConnector
from sendpool.domain.sender import Channel
from sendpool.simulate.centre import MessageCentre
from sendpool.simulate.script import Script

ONE = "+12034458910"
#: 101 septets, or 100 UTF-16 code units.
EURO = "€" + "a" * 99


def counting(parts: int) -> Carrier:
    """A carrier at which every text makes so many parts."""
    carrier = Carrier()

    def answer(submission: Submission, part: int) -> Outcome:
        if submission.segments != parts:
            return Recounted(parts)
        return CarrierId(carrier.name_of(submission, part))

    carrier.answer = answer
    return carrier


async def charged(there: World) -> list[tuple[int, int]]:
    """(segments, number) of the attempts."""
    rows = await there.rows("SELECT segments, count(*) FROM attempt GROUP BY 1 ORDER BY 1")
    return [(segments, number) for segments, number in rows]


@virtually
async def test_it_goes_back_and_leaves_in_the_parts_that_it_makes(tmp_path: Path) -> None:
    carrier = counting(2)
    async with world(tmp_path / "a.db", sms=Line(carrier, {ONE: None})) as there:
        operation = await there.send(*everyone(20), text=EURO)
        await there.until_states(DELIVERED=20)

        assert await charged(there) == [(2, 20)]
        assert len(await there.attempts(operation.operation_id)) == 1
        taken = [sent.submission for sent in carrier.sent if sent.submission.segments == 2]
        assert {one.parts for one in taken} == {0b11}
        assert len({one.reference for one in taken}) > 1, "the parts of a text have a reference of their own"


@virtually
async def test_its_throughput_is_that_of_its_parts(tmp_path: Path) -> None:
    carrier = counting(2)
    async with world(tmp_path / "a.db", sms=Line(carrier, {ONE: 10.0})) as there:
        await there.send(*everyone(40), text=EURO)
        await there.until_states(DELIVERED=40)

        times = sorted(sent.at for sent in carrier.sent if sent.submission.segments == 2)
        worst = max(sum(1 for at in times if begin <= at < begin + 1.0) for begin in times)
        assert worst * 2 <= 10 + 2 + 1, "segments in any second"


class Bound(SmppConnector):
    """The real connector in a world of its own."""

    inbox: Inbox | None = None

    async def open(self, inbox: Inbox) -> None:
        self.inbox = inbox
        await super().open(inbox)

    def hush(self) -> None:
        """It has nothing to say after its end."""


@virtually
async def test_the_real_connector_sends_the_parts_that_are_charged(tmp_path: Path) -> None:
    async with MessageCentre(Script(port=0)) as centre:
        link = {"host": "127.0.0.1", "port": centre.port, "system_id": "s", "password": "p"}
        sender = SenderSettings(channel=Channel.SMS, address=ONE)
        options = {**link, "default_alphabet": "latin1"}
        carrier = Bound(ConnectionSettings(name="sms", type="smpp", senders=(sender,), window=100, options=options))
        async with world(tmp_path / "a.db", sms=Line(cast("Carrier", carrier), {ONE: None})) as there:
            await there.send(*everyone(5), text=EURO)
            await there.until_states(DELIVERED=5)

            assert await charged(there) == [(2, 5)]
        assert len(centre.submits) == 10
        assert {submit.data_coding for submit in centre.submits} == {8}
