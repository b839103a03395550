"""Estimates of when an operation is complete: shares of limits, and caps that end before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.outlook import Shared, seconds, share


def test_senders_that_share_a_limit_get_the_same_part_of_their_pace() -> None:
    paces = share({1: 30.0, 2: 10.0, 3: 5.0}, [Shared(frozenset({1, 2}), mps=20.0)])

    assert paces == {1: 15.0, 2: 5.0, 3: 5.0}


@given(
    paces=st.dictionaries(st.integers(0, 5), st.floats(0.1, 100), min_size=1),
    limits=st.lists(st.tuples(st.frozensets(st.integers(0, 5)), st.floats(0.1, 100)), max_size=4),
)
def test_no_limit_is_exceeded_by_what_is_shared_out(
    paces: dict[int, float], limits: list[tuple[frozenset[int], float]]
) -> None:
    left = share(paces, [Shared(senders, mps=mps) for senders, mps in limits])

    assert all(left[sender] <= pace for sender, pace in paces.items())
    for senders, mps in limits:
        assert sum(left.get(sender, 0.0) for sender in senders) <= mps + 1e-6


def test_who_reaches_its_limit_leaves_the_rest_to_the_others() -> None:
    day = Shared(frozenset({1}), left=100.0)

    assert seconds(1000, {1: 10.0, 2: 10.0}, [day]) == pytest.approx(90.0)
    assert seconds(150, {1: 10.0, 2: 10.0}, [day]) == pytest.approx(7.5)
    assert seconds(1000, {1: 10.0}, [day]) is None
    assert seconds(1000, {}, []) is None
    assert seconds(50, {1: 10.0}, [day]) == pytest.approx(5.0)
