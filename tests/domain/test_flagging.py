"""An operation pauses at 3 filtered answers in the last 100, and not for less."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.flagging import AMONG, MOST, Window


@given(st.lists(st.booleans(), max_size=400))
def test_single_answers_are_judged_as_the_last_hundred_are(answers: list[bool]) -> None:
    """Counted one by one, from the first filtered one on, it is exactly the rule."""
    window = Window()
    for i, filtered in enumerate(answers):
        if filtered or window.filtered:
            window.note(1, int(filtered))
        assert window.too_many == (sum(answers[max(0, i + 1 - AMONG) : i + 1]) >= MOST)
        assert window.answers <= AMONG


@given(st.lists(st.tuples(st.integers(0, 700), st.integers(0, 20)), min_size=1, max_size=40))
def test_blocks_never_pause_below_the_share(blocks: list[tuple[int, int]]) -> None:
    window = Window()
    for answers, filtered in blocks:
        window.note(answers, filtered)
        if window.too_many:
            assert window.filtered * AMONG >= MOST * window.answers
            assert window.filtered >= MOST
        assert window.answers - AMONG <= max(max(a, f) for a, f in blocks)


def test_a_large_block_with_few_filtered_ones_is_no_reason() -> None:
    window = Window()
    window.note(500, 4)
    assert not window.too_many
    window.note(100, 3)
    assert window.too_many
