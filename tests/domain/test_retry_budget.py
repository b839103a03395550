"""Retries are a fifth of the first attempts of a channel and minute; one-time passwords go on."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.message import Category
from sendpool.domain.retry_budget import AT_LEAST, PERIOD, SHARE, RetryBudget
from sendpool.domain.sender import Channel

SMS, TRANSACTIONAL = Channel.SMS, Category.TRANSACTIONAL


def test_few_retries_never_wait() -> None:
    budget = RetryBudget()
    assert [budget.wait(SMS, TRANSACTIONAL, 1.0, 1.0) for _ in range(AT_LEAST)] == [0.0] * AT_LEAST
    assert budget.wait(SMS, TRANSACTIONAL, 1.0, 1.0) > PERIOD - 1


def test_budget_is_a_fifth_of_the_first_attempts_of_the_channel() -> None:
    budget = RetryBudget()
    budget.began(SMS, 10_000, 1.0)
    waits = [budget.wait(SMS, TRANSACTIONAL, 1.0, 1.0) for _ in range(3_000)]

    assert sum(wait == 0.0 for wait in waits) == 10_000 * SHARE
    assert budget.wait(Channel.RCS, TRANSACTIONAL, 1.0, 1.0) == 0.0


def test_a_new_minute_has_the_budget_of_the_one_before() -> None:
    budget = RetryBudget()
    budget.began(SMS, 10_000, 59.0)
    assert sum(budget.wait(SMS, TRANSACTIONAL, 61.0, 61.0) == 0.0 for _ in range(3_000)) == 2_000
    # After a quiet minute there is nothing left of it.
    assert sum(budget.wait(SMS, TRANSACTIONAL, 500.0, 500.0) == 0.0 for _ in range(3_000)) == AT_LEAST


def test_one_time_passwords_go_on_and_use_the_budget_up() -> None:
    budget = RetryBudget()
    assert {budget.wait(SMS, Category.OTP, 1.0, 1.0) for _ in range(1_000)} == {0.0}
    assert budget.wait(SMS, TRANSACTIONAL, 1.0, 1.0) > 0.0
    assert budget.wait(SMS, Category.OTP, 1.0, 1.0) == 0.0


@given(st.lists(st.tuples(st.floats(0, 300), st.floats(0, 120), st.integers(0, 200)), max_size=300))
def test_no_minute_has_more_than_its_budget(retries: list[tuple[float, float, int]]) -> None:
    budget = RetryBudget()
    per_minute: Counter[int] = Counter()
    for now, ahead, n in sorted(retries):
        for _ in range(n):
            at = now + ahead
            wait = budget.wait(SMS, Category.BULK, at, now)
            assert wait >= 0.0
            per_minute[int((at + wait) // PERIOD)] += 1

    assert max(per_minute.values(), default=0) <= AT_LEAST
