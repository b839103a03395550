"""A large pool is asked in hands: every sender has its turn, and nothing that could be sent waits for one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import Line, everyone, virtually, world

from sendpool.pipeline.plan import HAND

MANY = 2 * HAND + 40


def numbers(mps: float) -> dict[str, float | None]:
    """More senders than two hands."""
    return {f"+1203456{n:04}": mps for n in range(MANY)}


@virtually
async def test_each_of_many_senders_has_its_turn(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, False, many=Line(carrier, numbers(1_000.0))) as one:
        for _ in range(10):
            await one.send(*everyone(MANY))
            await one.until(lambda: len(carrier.sent) % MANY == 0 and not one.engine.book.total())

        shares = Counter(one_sent.submission.sender for one_sent in carrier.sent)
        assert len(shares) == MANY
        assert max(shares.values()) - min(shares.values()) <= 4


@virtually
async def test_slow_ones_are_all_asked_where_a_hand_cannot_take_what_waits(fresh: Path) -> None:
    carrier = Carrier()
    async with world(fresh, False, many=Line(carrier, numbers(1.0))) as one:
        began = one.now
        await one.send(*everyone(5 * MANY))
        await one.until(lambda: len(carrier.sent) == 5 * MANY)

        # One a second from each, from a second after the start: buckets begin empty.
        assert 3.9 <= one.now - began <= 5.2
        assert set(Counter(one_sent.submission.sender for one_sent in carrier.sent).values()) == {5}
