"""A long text of which the carrier takes some parts at once and others later, or never."""

from __future__ import annotations

from pathlib import Path

from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import LONG_TEXT, Line, everyone, virtually, world

from sendpool.connectors.base import Outcome, Submission, Throttled

NUMBER = "+12030000001"
ALL_PARTS, SECOND_PART = 0b111, 0b010


class Picky(Carrier):
    """Throttles the second part, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._left = times
        self._take = self.answer
        self.answer = self._throttle_second

    def _throttle_second(self, submission: Submission, part: int) -> Outcome | None:
        if part == 2 and self._left:
            self._left -= 1
            return Throttled("sender", 0.2, "0x14")
        return self._take(submission, part)


@virtually
async def test_throttled_part_goes_again_alone_with_the_same_reference_in_the_same_attempt(fresh: Path) -> None:
    carrier = Picky(times=2)
    async with world(fresh, False, a=Line(carrier, {NUMBER: 50})) as w:
        operation = await w.send(*everyone(1), text=LONG_TEXT)
        await w.until_states(DELIVERED=1)

        assert [sent.submission.parts for sent in carrier.sent] == [ALL_PARTS, SECOND_PART, SECOND_PART]
        assert len({(sent.key, sent.submission.reference) for sent in carrier.sent}) == 1
        assert len(await w.attempts(operation.operation_id)) == 1


@virtually
async def test_text_of_which_a_part_is_throttled_until_its_time_is_over_ends_by_name(fresh: Path) -> None:
    carrier = Picky(times=1000)
    async with world(fresh, False, a=Line(carrier, {NUMBER: 50})) as w:
        await w.send(*everyone(1), text=LONG_TEXT, validity=20)
        await w.until_states(UNDELIVERED=1, within=30.0)

        assert await w.rows("SELECT error_code FROM message") == [(30036,)]
        assert carrier.sent[-1].at - carrier.sent[0].at < 20
