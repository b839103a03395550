"""When to send: moments are read exactly, intersect only with themselves, and mean each recipient's own clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.schedule import HORIZON, Moment, due_of, intersect, is_beyond_horizon, parse_moment

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = 3_600_000_000

#: What a clock shows, hence without zones.
moments = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(9990, 1, 1))  # noqa: DTZ001
offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def at(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


@given(moments, offsets)
def test_a_moment_with_a_zone_is_the_instant_that_it_names(moment: datetime, zone: timezone) -> None:
    zoned = moment.replace(tzinfo=zone)

    assert parse_moment(zoned.isoformat()) == Moment(at(zoned))


@given(moments)
def test_a_moment_without_a_zone_is_what_a_clock_shows(moment: datetime) -> None:
    assert parse_moment(moment.isoformat()) == Moment(at(moment.replace(tzinfo=UTC)), local=True)


@given(st.text(max_size=40))
def test_any_text_is_a_moment_or_none(text: str) -> None:
    moment = parse_moment(text)

    assert moment is None or text[:4].isdigit()


@given(st.lists(st.builds(Moment, st.integers(0, 3), st.booleans()), min_size=1, max_size=4))
def test_moments_intersect_exactly_when_they_are_all_the_same(several: list[Moment]) -> None:
    assert intersect(several) == (several[0] if all(one == several[0] for one in several) else None)


@given(moments, st.lists(offsets, min_size=1, max_size=4))
def test_spellings_of_one_instant_intersect(moment: datetime, zones: list[timezone]) -> None:
    zoned = moment.replace(tzinfo=UTC)
    spelt = [parse_moment(zoned.astimezone(zone).isoformat()) for zone in zones]

    assert intersect([one for one in spelt if one is not None]) == Moment(at(zoned))
    assert len(set(spelt)) == 1


@given(moments, st.sampled_from(sorted(available_timezones())))
def test_a_local_moment_is_due_when_the_clock_of_its_zone_shows_it(moment: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    due = due_of(Moment(at(moment.replace(tzinfo=UTC)), local=True), (name,))
    shown = (EPOCH + timedelta(microseconds=due)).astimezone(zone).replace(tzinfo=None)

    # A clock that skips this time shows a later one then, by as much as it skips: a whole day at most (Samoa).
    assert timedelta(0) <= shown - moment <= timedelta(hours=24)
    if shown != moment:
        midday = moment.replace(tzinfo=zone)
        assert midday.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment, "it was not skipped"


def clock(text: str) -> Moment:
    moment = parse_moment(text)
    assert moment is not None
    assert moment.local
    return moment


@pytest.mark.parametrize(
    ("zones", "hours"),
    [
        ((), 0),
        (("Etc/Unknown",), 0),
        (("Mars/Olympus", "Europe/Berlin"), 1),
        (("America/New_York",), -5),
        (("Atlantic/Azores", "Europe/Lisbon"), 0),
        (("America/Guayaquil", "Pacific/Galapagos"), -5),
        (("America/Manaus", "America/Noronha", "America/Rio_Branco", "America/Sao_Paulo"), -3),
        (("Europe/Moscow", "Asia/Omsk", "Europe/Bucharest", "Europe/Helsinki"), 2),
    ],
)
def test_of_several_zones_the_clock_that_most_show_counts(zones: tuple[str, ...], hours: int) -> None:
    moment = clock("2026-12-01T09:30:00")

    assert due_of(moment, zones) == moment.at - hours * HOUR


def test_summer_time_is_that_of_the_day_in_question() -> None:
    for day, hours in (("2026-07-01", 2), ("2026-12-01", 1), ("2026-03-29", 2)):
        moment = clock(f"{day}T09:30:00")
        assert due_of(moment, ("Europe/Berlin",)) == moment.at - hours * HOUR


def test_a_time_that_is_shown_twice_is_the_first_and_one_that_is_skipped_is_later() -> None:
    twice, skipped = clock("2026-10-25T02:30:00"), clock("2026-03-29T02:30:00")

    assert due_of(twice, ("Europe/Berlin",)) == twice.at - 2 * HOUR
    assert due_of(skipped, ("Europe/Berlin",)) == skipped.at - HOUR


def test_a_moment_with_a_zone_is_due_then_wherever_anybody_is() -> None:
    assert due_of(Moment(5), ("Asia/Tokyo",)) == 5


def test_the_horizon_is_a_year_ahead() -> None:
    assert not is_beyond_horizon(Moment(HORIZON + 7), 7)
    assert is_beyond_horizon(Moment(HORIZON + 8), 7)
    assert not is_beyond_horizon(Moment(HORIZON + 23 * HOUR, local=True), 0)
    assert is_beyond_horizon(Moment(253_402_300_800_000_000, local=True), 0)
