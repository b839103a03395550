"""One refusal suspects, a second independent one holds, and neither lasts for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.failures import ROWS, Hard, by_rule
from sendpool.domain.quarantine import APART, LASTS, Entry, Place, Refusal, place_of, weigh

PLACE = Place(1, "+447700900001", "SMS")
RULES = sorted(row.rule for table in ROWS.values() for row in table.values() if row.hard is not None)
said = st.tuples(st.integers(1, 3), st.sampled_from(RULES), st.integers(0, 2 * LASTS))


def after(*told: tuple[int, str, int]) -> Entry:
    """What is known after refusals, each by a connection, with a rule, at a time."""
    entry = None
    for connection_id, rule, at in told:
        entry = weigh(entry, Refusal(PLACE, connection_id, rule), at)
    assert entry is not None
    return entry


@given(st.lists(said, min_size=1, max_size=8))
def test_nobody_is_held_by_one_connection_within_a_day(told: list[tuple[int, str, int]]) -> None:
    told.sort(key=lambda one: one[2])
    entry = after(*told)

    assert entry.first_at <= told[-1][2] < entry.until
    if entry.held:
        assert entry.held_at is not None
        assert entry.until == entry.held_at + LASTS
        alone = entry.first_connection == entry.second_connection
        assert not alone or entry.held_at - entry.first_at >= APART
        assert not alone or by_rule(entry.first_rule).hard is by_rule(str(entry.second_rule)).hard is Hard.DAY


@given(said, said)
def test_two_connections_within_the_time_hold(first: tuple[int, str, int], second: tuple[int, str, int]) -> None:
    at, later = sorted((first[2], second[2]))
    entry = after((1, first[1], at), (2, second[1], later))

    assert entry.held is (later < at + LASTS)
    assert entry.invalid is (entry.held and by_rule(first[1]).invalid and by_rule(second[1]).invalid)


def test_what_is_old_counts_no_more() -> None:
    held = after((1, "twilio/30005", 0), (2, "twilio/30005", 5))
    assert held.held
    assert weigh(held, Refusal(PLACE, 2, "twilio/30005"), 6) == held
    assert weigh(held, Refusal(PLACE, 2, "twilio/30005"), 5 + LASTS) == Entry(
        PLACE, 2, "twilio/30005", 5 + LASTS, 5 + 2 * LASTS
    )


def test_mailboxes_are_compared_without_case_and_numbers_as_they_are() -> None:
    assert place_of(1, "Ann@Example.COM", "EMAIL") == Place(1, "ann@example.com", "EMAIL")
    assert place_of(1, "+447700900001", "SMS") == PLACE


def test_only_refusals_of_recipients_are_hard() -> None:
    assert {by_rule(rule).failure.value for rule in RULES} == {"RECIPIENT"}
