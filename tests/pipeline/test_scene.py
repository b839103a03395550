"""Scenes: the same picture has the same number, and pictures stay few whatever senders do."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import msgspec
from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import Line, everyone, virtually, world

from sendpool.domain.pool import Member
from sendpool.domain.reasons import Reason, Remark
from sendpool.domain.sender import Channel, Sender
from sendpool.pipeline.portrait import MANY
from sendpool.pipeline.scene import FEW_SCENES, MOST_SCENES, SOME_SCENES, Detail, Scenes, Standing

DAY = 86_400_000_000
POOL = 7


def _scenes(now: int = 20_000 * DAY) -> Scenes:
    scenes = Scenes()
    scenes.turn(now, 1_000.0)
    return scenes


def _standing(state: Reason, sender_id: int = 1) -> Standing:
    return Standing(sender_id, state.value, 10.0, 1.0)


def _sender() -> Sender:
    return Sender(id=3, uid=bytes(16), account_id=1, connection_id=2, channel=Channel.SMS, address="+15", mps=10.0)


def test_one_picture_has_one_number_and_is_written_once() -> None:
    scenes = _scenes()

    first = scenes.number(POOL, Channel.SMS, [_standing(Reason.READY)])
    other = scenes.number(POOL, Channel.SMS, [_standing(Reason.LINK_DOWN)])
    again = scenes.number(POOL, Channel.SMS, [_standing(Reason.READY)])

    assert first == again != other
    assert [row[0] for row in scenes.unsaved(5)] == [first, other]
    assert scenes.unsaved(6) == []


def test_every_process_gives_the_same_picture_the_same_number_for_a_day() -> None:
    one, other = _scenes(), _scenes(20_000 * DAY + 5)
    picture = [_standing(Reason.READY)]

    number = one.number(POOL, Channel.SMS, picture)

    assert number is not None
    assert 0 < number < 2**63
    assert other.number(POOL + 1, Channel.SMS, picture) != number
    assert other.number(POOL, Channel.SMS, picture) == number
    assert _scenes(20_001 * DAY).number(POOL, Channel.SMS, picture) != number


def test_a_commit_that_failed_hands_its_scenes_over_again() -> None:
    scenes = _scenes()
    scenes.number(POOL, Channel.SMS, [_standing(Reason.READY)])
    rows = scenes.unsaved(5)

    scenes.unsave(rows)

    assert scenes.unsaved(5) == rows


def test_senders_that_change_all_the_time_make_no_more_scenes_than_a_day_may_have() -> None:
    scenes, dice = _scenes(), random.Random(4)
    states = [Reason.READY, Reason.PAUSED, Reason.STOPPED, Reason.LINK_DOWN]
    numbers = {
        scenes.number(POOL, Channel.SMS, [_standing(dice.choice(states), i) for i in range(100)]) for _ in range(5_000)
    }

    assert len(numbers - {None}) == MOST_SCENES == len(scenes.unsaved(1))
    assert None in numbers
    scenes.turn(20_001 * DAY, 2_000.0)
    assert scenes.number(POOL, Channel.SMS, [_standing(Reason.READY)]) is not None


def test_what_changes_fastest_is_left_out_first() -> None:
    scenes = _scenes()
    assert scenes.detail(POOL, Channel.SMS, 8) is Detail.MOMENTS
    assert scenes.detail(POOL, Channel.SMS, 9) is Detail.PAUSES

    for i in range(FEW_SCENES):
        scenes.number(POOL, Channel.SMS, [_standing(Reason.READY, i)])
    assert scenes.detail(POOL, Channel.SMS, 2) is Detail.PAUSES
    assert scenes.detail(POOL, Channel.RCS, 2) is Detail.MOMENTS

    for i in range(SOME_SCENES):
        scenes.number(POOL, Channel.SMS, [_standing(Reason.PAUSED, i)])
    assert scenes.detail(POOL, Channel.SMS, 2) is Detail.STEADY


def test_times_are_coarse_so_that_a_pause_is_not_a_scene_of_its_own() -> None:
    now = 20_000 * DAY
    scenes = _scenes(now)

    def until(seconds: float) -> int | None:
        remark = Remark(Reason.PAUSED, 1_000.0 + seconds)
        return scenes.standing(_sender(), Member(sender_id=3), remark, 1_000.0).until

    assert until(59.0) is None
    assert until(61.0) == now // 1_000_000 + 120
    assert until(119.0) == now // 1_000_000 + 120
    assert until(3_601.0) == now // 1_000_000 + 4_500
    assert scenes.standing(_sender(), Member(sender_id=3), Remark(Reason.READY), 1_000.0).until is None


@virtually
async def test_a_large_pool_is_drawn_as_it_stands(fresh: Path) -> None:
    numbers = [f"+1203{n:07}" for n in range(MANY + 10)]
    async with world(fresh, False, a=Line(Carrier(), dict.fromkeys(numbers, 100))) as w:
        gates = [w.engine.sending.gates[w.sender(number).id] for number in numbers]
        link = next(iter(w.engine.sending.links.values()))

        async def drawn(n: int) -> tuple[int, dict[str, int]]:
            """The scene of the next attempt, and how many stood how."""
            sent = await w.send(*everyone(1, n))
            await w.until_states(DELIVERED=1, operation=sent)
            query = "SELECT s.id, s.body FROM attempt a JOIN scene s ON s.id = a.scene WHERE a.id >> 6 = ?"
            ((number, body),) = await w.rows(query, sent.operation_id)
            return number, dict(Counter(member[1] for member in msgspec.json.decode(body)["members"]))

        everyone_ready = await drawn(0)
        assert everyone_ready[1] == {"ready": len(numbers)}
        assert await drawn(1) == everyone_ready
        gates[3].bucket.paused_until = w.now + 50
        gates[-1].capped_until = w.now + 50
        assert (await drawn(2))[1] == {"ready": len(numbers) - 2, "paused": 1, "daily_limit": 1}
        await asyncio.sleep(60)
        assert await drawn(3) == everyone_ready
        link.draining = True
        pool_id = w.roster.pool_by_uid[w.pool].id
        standings = w.engine.planner.portrait.standings(w.roster, pool_id, Channel.SMS, (), w.now)
        assert {one.state for one in standings} == {"draining"}
