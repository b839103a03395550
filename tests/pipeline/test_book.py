"""The book of queues: one number each, hints that are never too low for long."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.sender import Channel
from sendpool.pipeline.book import ANYONE, ASKING, QueueBook
from sendpool.store.queue import QueueClash, QueueKey, queue_number


def test_a_queue_has_one_number_for_ever() -> None:
    book = QueueBook()

    first = book.number(7, Channel.SMS)

    assert book.number(7, Channel.SMS, ANYONE) == first
    assert book.number(7, Channel.RCS) != first
    assert book.number(8, Channel.SMS) != first
    assert book.number(7, Channel.SMS, "5") != first
    assert book.keys[first] == QueueKey(7, "SMS", "")


def test_queues_of_an_earlier_run_keep_their_numbers_and_new_ones_get_theirs_from_their_name() -> None:
    book = QueueBook()
    book.load([(3, QueueKey(7, "SMS", "")), (9, QueueKey(7, "SMS", "5"))])

    assert book.number(7, Channel.SMS, "5") == 9
    new = book.number(7, Channel.RCS)
    assert new == queue_number(QueueKey(7, "RCS", "")) == QueueBook().number(7, Channel.RCS)
    assert book.unsaved() == [(new, QueueKey(7, "RCS", ""))]


def test_a_number_that_another_queue_has_is_given_to_none() -> None:
    book = QueueBook()
    book.load([(queue_number(QueueKey(7, "RCS", "")), QueueKey(7, "SMS", ""))])

    with pytest.raises(QueueClash):
        book.number(7, Channel.RCS)

    assert book.unsaved() == []


def test_new_queues_are_handed_over_once_unless_they_could_not_be_saved() -> None:
    book = QueueBook()
    book.number(7, Channel.SMS)
    rows = book.unsaved()

    book.number(8, Channel.SMS)
    book.unsave(rows)

    assert [key.pool_id for _, key in book.unsaved()] == [7, 8]
    assert book.unsaved() == []


def test_threads_never_give_one_number_to_two_queues() -> None:
    book = QueueBook()
    go = threading.Barrier(4)

    def number_many(start: int) -> None:
        go.wait()
        for pool in range(start, start + 500):
            book.number(pool % 700, Channel.SMS)
            book.quiet()

    threads = [threading.Thread(target=number_many, args=(n * 150,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(book.keys) == len(set(book.keys.values())) == len(book.unsaved()) == 700


def test_hints_say_where_rows_may_wait() -> None:
    book = QueueBook()
    shared, lane, asked = (book.number(7, Channel.SMS, lane) for lane in (ANYONE, "5", ASKING))

    book.add(shared, 2)
    book.add(lane, 1)
    book.add(asked, 4)

    assert [(pool, channel, {key.lane for key in keys}) for pool, channel, keys in book.pools()] == [
        (7, Channel.SMS, {ANYONE, "5"})
    ]
    assert book.lanes() == [(lane, QueueKey(7, "SMS", "5"))]
    assert book.asked() == [asked]
    assert book.asking.is_set()
    assert (book.total(), book.quiet()) == (7, [])
    book.empty(shared)
    book.add(lane, -1)
    assert book.pools() == []
    assert book.quiet() == [shared, lane]


def test_a_claim_that_found_all_it_asked_for_leaves_the_queue_open() -> None:
    book = QueueBook()
    queue = book.number(7, Channel.SMS)
    book.add(queue, 3)

    book.took(queue, 5, emptied=False)
    assert book.waiting(queue) == 1
    book.took(queue, 0, emptied=False)
    assert book.waiting(queue) == 1
    book.took(queue, 1, emptied=True)
    assert book.waiting(queue) == 0


def test_where_others_put_rows_in_a_claim_that_found_all_it_asked_for_asks_for_twice_as_many() -> None:
    """Others tell that something has come, not how much: one row a commit would be all that is ever claimed."""
    book = QueueBook()
    queue = book.number(7, Channel.SMS)
    book.heads.on = True
    book.add(queue, 1)

    asked = []
    for _ in range(8):
        asked.append(book.waiting(queue))
        book.took(queue, asked[-1], looked=asked[-1], emptied=False)

    assert asked == [1, 2, 4, 8, 16, 32, 64, 128]
    book.took(queue, 3, looked=3, emptied=True)
    assert book.waiting(queue) == 0


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(-5, 5)), max_size=40))
def test_a_hint_is_never_negative_and_pools_are_those_with_hints(changes: list[tuple[int, int]]) -> None:
    book = QueueBook()
    queues = {n: book.number(n, Channel.SMS) for n in (1, 2, 3)}
    for pool, rows in changes:
        book.add(queues[pool], rows)

    assert all(book.waiting(queue) >= 0 for queue in queues.values())
    assert {pool for pool, _, _ in book.pools()} == {pool for pool, queue in queues.items() if book.waiting(queue)}
    assert book.total() == sum(book.waiting(queue) for queue in queues.values())
