"""Rows that differ in their address alone: whatever is asked of them, the answer is that of a list of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.request import Recipient
from sendpool.domain.uniform import Uniform

ADDRESSES = st.lists(st.text(max_size=5), max_size=6)


@given(ADDRESSES, st.integers(-7, 7), st.slices(6))
def test_they_are_what_a_list_of_them_is(addresses: list[str], place: int, part: slice) -> None:
    rows = [Recipient(one, "P") for one in addresses]
    uniform = Uniform(addresses, ("P", None, None), Recipient._make)

    assert list(uniform) == rows
    assert list(uniform) == rows, "a second time too"
    assert len(uniform) == len(rows)
    assert uniform == rows
    assert rows == uniform
    assert list(uniform[part]) == rows[part]
    if -len(rows) <= place < len(rows):
        assert uniform[place] == rows[place]
        assert type(uniform[place]) is Recipient


@given(ADDRESSES, ADDRESSES)
def test_they_are_equal_only_to_the_same_ones(addresses: list[str], others: list[str]) -> None:
    uniform = Uniform(addresses, ("P", 1), tuple)

    assert (uniform == Uniform(others, ("P", 1), tuple)) == (addresses == others)
    assert (uniform == [(one, "W", 1) for one in addresses]) == (not addresses)
    assert uniform != 1
