"""Limits of days, recipients and pairs: counted whole, never exceeded, whatever clocks do."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendpool.domain.limits import GUARD, SECOND, WINDOW, Contact, Day, Pairs, Recipients, Tally, digest

HOUR = 3600 * SECOND
#: Noon in UTC.
NOON = 1_800_014_400 * SECOND


def at(text: str, zone: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND


def test_day_allows_its_segments_and_no_more_until_midnight_in_its_zone() -> None:
    tally = Tally()
    day = Day("sender:1", 5, "America/New_York", tally)
    evening = at("2027-01-15 20:00", "America/New_York")

    day.take(3, evening)

    assert day.left(evening) == 2
    assert day.resets_at(evening) == at("2027-01-16 00:00", "America/New_York")
    assert day.left(day.resets_at(evening)) == 5
    assert tally.segments == {("sender:1", at("2027-01-15 00:00", "America/New_York")): 3}


@pytest.mark.parametrize(("date", "hours"), [("2027-03-28", 23), ("2027-10-31", 25), ("2027-06-01", 24)])
def test_day_is_as_long_as_its_zone_says(date: str, hours: int) -> None:
    day = Day("sender:1", 5, "Europe/Amsterdam", Tally())
    noon = at(f"{date} 12:00", "Europe/Amsterdam")

    assert day.resets_at(noon) - day.begins(noon) == hours * HOUR


def test_departure_just_before_midnight_counts_in_both_days() -> None:
    day = Day("sender:1", 5, "UTC", Tally())
    midnight = day.resets_at(NOON)

    day.take(2, midnight - GUARD)
    day.take(1, midnight - GUARD - 1)

    assert day.left(midnight - GUARD - 1) == 2
    assert day.left(midnight) == 3


def test_day_keeps_its_count_when_the_clock_is_set_back_over_midnight() -> None:
    day = Day("sender:1", 5, "UTC", Tally())
    midnight = day.resets_at(NOON)
    day.take(4, NOON)
    day.take(1, midnight + HOUR)

    assert day.left(midnight - HOUR) == 1


def test_what_was_refused_for_its_pace_is_given_back_to_the_days_it_was_counted_in() -> None:
    tally = Tally()
    day = Day("sender:1", 5, "UTC", tally)
    late = day.resets_at(NOON) - 1
    day.take(3, late)

    day.give_back(3, late)

    assert day.left(late) == 5
    assert day.left(late + 1) == 5
    assert set(tally.segments.values()) == {0}


@settings(deadline=None)
@given(
    limit=st.integers(1, 8),
    zone=st.sampled_from(["UTC", "Asia/Kolkata", "America/Sao_Paulo"]),
    moves=st.lists(st.tuples(st.integers(-6 * HOUR, 9 * HOUR), st.integers(1, 4), st.integers(0, GUARD)), max_size=60),
)
def test_no_day_sees_more_than_its_limit_though_clocks_jump_and_writes_are_late(
    limit: int, zone: str, moves: list[tuple[int, int, int]]
) -> None:
    day = Day("sender:1", limit, zone, Tally())
    now = NOON
    written: dict[str, int] = {}
    for step, cost, late in moves:
        now += step
        if day.left(now) >= cost:
            day.take(cost, now)
            date = datetime.fromtimestamp((now + late) / SECOND, ZoneInfo(zone)).date().isoformat()
            written[date] = written.get(date, 0) + cost

    assert all(segments <= limit for segments in written.values())


def test_recipient_that_was_contacted_costs_nothing_for_24_hours() -> None:
    tally = Tally()
    recipients = Recipients("sender:1", 1, tally)
    recipients.take("ana", NOON)

    assert recipients.left(NOON) == 0
    assert recipients.knows("ana", NOON + WINDOW)
    recipients.take("ana", NOON + HOUR)

    assert tally.contacts == [Contact("sender:1", "ana", NOON)]
    assert recipients.left(NOON + WINDOW + GUARD) == 1
    assert not recipients.knows("ana", NOON + WINDOW + GUARD)


@settings(deadline=None)
@given(
    limit=st.integers(1, 5),
    moves=st.lists(st.tuples(st.integers(-HOUR, 9 * HOUR), st.integers(0, 9), st.booleans()), max_size=60),
)
def test_no_24_hours_see_more_first_contacts_than_the_limit_whatever_restarts(
    limit: int, moves: list[tuple[int, int, bool]]
) -> None:
    tally = Tally()
    recipients = Recipients("sender:1", limit, tally)
    now = latest = NOON
    stored: list[Contact] = []
    for step, who, restart in moves:
        now = max(now + step, latest - HOUR)
        latest = max(latest, now)
        if restart:
            recipients = Recipients("sender:1", limit, tally)
            recipients.load([(one.at, one.recipient) for one in stored if one.at > now - WINDOW - GUARD])
        if recipients.knows(str(who), now) or recipients.left(now) > 0:
            recipients.take(str(who), now)
        stored += tally.contacts
        tally.clear()

    for contact in stored:
        assert sum(contact.at <= other.at < contact.at + WINDOW for other in stored) <= limit


def test_those_who_wait_are_promised_one_place_each() -> None:
    recipients = Recipients("sender:1", 2, Tally())
    recipients.take("ana", NOON)
    recipients.take("ben", NOON + HOUR)

    promised = []
    for _ in range(3):
        promised.append(recipients.next_promise(NOON + HOUR))
        recipients.promise()

    assert promised == [NOON + WINDOW + GUARD, NOON + HOUR + WINDOW + GUARD, NOON + 2 * (WINDOW + GUARD)]


@settings(deadline=None)
@given(
    limit=st.integers(1, 4),
    contacts=st.lists(st.tuples(st.integers(0, WINDOW), st.integers(0, 5)), max_size=12),
    later=st.integers(0, 2 * WINDOW),
    who=st.integers(0, 7),
)
def test_who_only_looks_sees_what_who_counts_would_find(
    limit: int, contacts: list[tuple[int, int]], later: int, who: int
) -> None:
    one = Recipients("scope:x", limit, Tally())
    now = NOON
    for step, n in contacts:
        now += step
        if one.left(now) or one.knows(digest(str(n)), now):
            one.take(digest(str(n)), now)
    now += later

    key = digest(str(who))
    seen = one.seen_full(key, now)

    assert (seen is None) == (one.left(now) > 0 or one.knows(key, now))
    if seen is not None:
        assert one.left(seen - 1) == 0
        assert one.left(seen) > 0


def test_digest_is_no_address() -> None:
    assert digest("+12034458910") == digest("+12034458910")
    assert "2034458910" not in digest("+12034458910")


def test_pair_starts_empty_after_a_restart_and_then_borrows_its_burst() -> None:
    pairs = Pairs(6.0, 3, 100.0)

    assert pairs.free_at("ana", 1, 100.0) == 106.0

    departures = []
    for _ in range(5):
        when = pairs.free_at("ana", 1, 200.0)
        pairs.take("ana", 1, when)
        departures.append(when)

    assert departures == [200.0, 200.0, 200.0, 206.0, 212.0]
    assert pairs.free_at("ben", 1, 200.0) == 200.0


def test_pair_that_the_carrier_paused_waits_and_has_no_burst_afterwards() -> None:
    pairs = Pairs(6.0, 3, 0.0)

    pairs.pause("ana", 100.0, 16.0)

    assert pairs.free_at("ana", 1, 100.0) == 116.0
    pairs.take("ana", 1, 116.0)
    assert pairs.free_at("ana", 1, 116.0) == 122.0


@settings(deadline=None)
@given(
    burst=st.integers(1, 5),
    moves=st.lists(st.tuples(st.floats(0, 9), st.integers(0, 2)), max_size=60),
)
def test_no_pair_sees_more_than_its_pace_and_burst(burst: int, moves: list[tuple[float, int]]) -> None:
    pairs = Pairs(2.0, burst, 0.0)
    now = 0.0
    left: list[tuple[float, str]] = []
    for step, who in moves:
        now += step
        if pairs.free_at(str(who), 1, now) <= now:
            pairs.take(str(who), 1, now)
            left.append((now, str(who)))

    for start, whom in left:
        for end, _ in left:
            if end >= start:
                sent = sum(one == whom and start <= when <= end for when, one in left)
                assert sent <= burst + (end - start) / 2.0 + 1e-6


def test_messages_that_wait_for_a_pair_are_promised_one_time_each() -> None:
    pairs = Pairs(6.0, 1, -100.0)
    pairs.take("ana", 1, 0.0)

    promised = []
    for _ in range(3):
        promised.append(pairs.next_promise("ana", 1, 1.0))
        pairs.promise("ana", promised[-1])

    assert promised == [6.0, 12.0, 18.0]
