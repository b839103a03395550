"""Waits between reconnects double, are jittered in full, and start anew after a good link."""

from __future__ import annotations

from sendpool.connectors.smpp.backoff import Backoff


def test_waits_double_up_to_the_last() -> None:
    backoff = Backoff(1.0, 60.0, lambda: 1.0)

    assert [backoff.wait() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_jitter_takes_any_share_of_the_wait() -> None:
    backoff = Backoff(1.0, 60.0, iter([0.0, 0.5, 0.25]).__next__)

    assert [backoff.wait() for _ in range(3)] == [0.0, 1.0, 1.0]


def test_good_link_starts_anew_and_a_short_one_does_not() -> None:
    backoff = Backoff(1.0, 60.0, lambda: 1.0)
    for _ in range(5):
        backoff.wait()

    assert backoff.wait(bound_for=59.9) == 32
    assert backoff.wait(bound_for=60.0) == 1
    assert backoff.wait() == 2


def test_refusal_waits_at_least_as_long_as_asked() -> None:
    backoff = Backoff(1.0, 60.0, lambda: 0.5)

    assert backoff.wait(at_least=300.0) == 300.5
