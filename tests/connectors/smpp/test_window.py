"""The window is never exceeded, order is kept, and every submit ends exactly once."""

from __future__ import annotations

from struct import unpack_from

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.connectors.base import AttemptKey
from sendpool.connectors.smpp.pdu import LAST_SEQUENCE, Framer
from sendpool.connectors.smpp.window import LATE, Waiting, Window

BODY = b"body"


def waiting(*numbers: int) -> list[Waiting]:
    return [(AttemptKey(n, 1), 1, BODY) for n in numbers]


def sequences(chunks: list[bytes]) -> list[int]:
    return [unpack_from(">I", frame, 12)[0] for frame in Framer().feed(b"".join(chunks))]


def test_no_more_leave_than_the_window_holds_and_the_others_follow_in_order() -> None:
    window = Window(2, 30.0)
    window.add(waiting(1, 2, 3, 4))

    assert sequences(window.take(0.0)) == [1, 2]
    assert window.take(0.0) == []
    assert window.answered([2]) == [(AttemptKey(2, 1), 1, 30.0)]
    assert sequences(window.take(0.0)) == [3]
    assert window.answered([3]) == [(AttemptKey(3, 1), 1, 30.0)]


def test_answer_that_nobody_waits_for_is_nobodys() -> None:
    window = Window(2, 30.0)
    window.add(waiting(1))
    window.take(0.0)

    first, nobodys, again = window.answered([1, 99, 1])
    assert first is not None
    assert (nobodys, again) == (None, None)
    assert window.answered([1]) == [None]
    assert window.in_flight == 0


def test_overdue_submit_frees_its_place_and_a_late_answer_still_finds_it() -> None:
    window = Window(1, 30.0)
    window.add(waiting(1, 2))
    window.take(0.0)

    assert window.expire(29.9) == []
    assert window.expire(30.0) == [(AttemptKey(1, 1), 1)]
    assert sequences(window.take(30.0)) == [2]
    assert window.answered([1]) == [(AttemptKey(1, 1), 1, None)]
    assert window.answered([1]) == [None]


def test_late_answers_are_awaited_for_ten_minutes() -> None:
    window = Window(2, 30.0)
    window.add(waiting(1, 2))
    window.take(0.0)
    window.expire(30.0)

    window.expire(30.0 + LATE - 0.1)
    assert window.answered([1]) == [(AttemptKey(1, 1), 1, None)]
    window.expire(30.0 + LATE)
    assert window.answered([2]) == [None]


def test_what_left_and_what_waited_end_apart() -> None:
    window = Window(1, 30.0)
    window.add(waiting(1, 2))
    window.take(0.0)

    assert window.take_queued() == [(AttemptKey(2, 1), 1)]
    assert window.take_pending() == [(AttemptKey(1, 1), 1)]
    assert (window.take_queued(), window.take_pending(), window.in_flight) == ([], [], 0)


def test_sequence_numbers_start_again_after_the_last() -> None:
    window = Window(3, 30.0)
    window._sequence = LAST_SEQUENCE - 1
    window.add(waiting(1, 2))

    assert sequences(window.take(0.0)) == [LAST_SEQUENCE, 1]
    assert window.next_sequence() == 2


@pytest.mark.parametrize("body", [b"", b"x" * 300])
def test_header_counts_the_body(body: bytes) -> None:
    window = Window(1, 30.0)
    window.add([(AttemptKey(1, 1), 1, body)])

    assert (
        b"".join(window.take(0.0))
        == (16 + len(body)).to_bytes(4, "big") + bytes.fromhex("000000040000000000000001") + body
    )


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 12)),
        st.tuples(st.just("answer"), st.integers(0, 40)),
        st.tuples(st.just("wait"), st.integers(1, 20)),
    ),
    max_size=60,
)


@given(st.integers(1, 8), steps)
def test_whatever_happens_each_submit_ends_once_within_the_window(size: int, script: list[tuple[str, int]]) -> None:
    window = Window(size, 30.0)
    now, added = 0.0, 0
    on_the_wire: set[int] = set()
    ended: list[int] = []

    for what, n in script:
        if what == "add":
            window.add(waiting(*range(added, added + n)))
            added += n
        elif what == "wait":
            now += n
            overdue = window.expire(now)
            ended += [attempt.message_id for attempt, _ in overdue]
        else:
            answers = window.answered([n, n + 1, n])
            ended += [one[0].message_id for one in answers if one is not None and one[2] is not None]
        on_the_wire.update(sequences(window.take(now)))
        assert window.in_flight <= size

    ended += [attempt.message_id for attempt, _ in window.take_pending() + window.take_queued()]
    assert sorted(ended) == list(range(added))
    assert len(on_the_wire) <= added
