"""Keys from memory: in a row, never twice, and refused rather than made up."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import Line, everyone, virtually, world

from sendpool.pipeline.numbers import Numbers, OutOfNumbers
from sendpool.pipeline.waiter import StoreUnavailable
from sendpool.store.numbers import BLOCK


@given(st.lists(st.integers(1, BLOCK), max_size=30))
def test_keys_of_one_request_are_in_a_row_and_in_one_block_and_never_given_twice(wanted: list[int]) -> None:
    numbers, taken, block = Numbers(), set[int](), 0

    for number in wanted:
        while numbers.low:
            numbers.add(block * 3 * BLOCK)
            block += 1
        first = numbers.take(number)
        keys = range(first, first + number)
        assert not taken & set(keys)
        assert len({key // BLOCK for key in keys}) == 1
        taken |= set(keys)


def test_without_a_block_there_is_no_key() -> None:
    numbers = Numbers()

    with pytest.raises(OutOfNumbers):
        numbers.take(1)
    numbers.add(1)
    assert numbers.take(BLOCK) == 1
    with pytest.raises(OutOfNumbers, match="try again"):
        numbers.take(1)


def test_what_is_left_of_a_block_serves_smaller_requests_until_the_next_one_comes() -> None:
    numbers = Numbers()
    numbers.add(0)
    numbers.take(BLOCK - 2)

    with pytest.raises(OutOfNumbers):
        numbers.take(3)
    assert numbers.take(1) == BLOCK - 2
    numbers.add(10 * BLOCK)
    assert numbers.take(3) == 10 * BLOCK


@virtually
async def test_request_that_finds_no_keys_is_refused_and_brings_a_commit_that_has_some(fresh: Path) -> None:
    async with world(fresh, a=Line(Carrier(), {"+12030000001": None})) as w:
        await w.send(*everyone(1))
        w.engine.acceptor.numbers._blocks.clear()
        with pytest.raises(StoreUnavailable, match="try again"):
            await w.send(*everyone(1, 1))

        await w.until(lambda: w.engine.acceptor.numbers._blocks, 0.5)
        second = await w.send(*everyone(1, 2))

        await w.until_states(DELIVERED=2)
        assert second.operation_id > BLOCK
