"""Quiet hours go by the recipient's clock; of several, all have to be loud."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.message import Category
from sendpool.domain.quiet import QuietHours

NIGHT = QuietHours(start=21 * 60, end=8 * 60)
NOON = QuietHours(start=12 * 60, end=13 * 60 + 30)
ZONES = ["Europe/Berlin", "America/New_York", "America/Los_Angeles", "Asia/Kolkata", "Pacific/Chatham", "UTC"]
hours = st.builds(QuietHours, start=st.integers(0, 1439), end=st.integers(0, 1439))
times = st.integers(1_700_000_000_000_000, 1_900_000_000_000_000)


def at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1_000_000)


def local_minute(moment: int, zone: str) -> int:
    shown = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)).astimezone(ZoneInfo(zone))
    return shown.hour * 60 + shown.minute


@pytest.mark.parametrize(
    ("rule", "zones", "now", "opens"),
    [
        (NIGHT, ["Europe/Berlin"], "2026-06-01T12:00", None),
        (NIGHT, ["Europe/Berlin"], "2026-06-01T18:59:59", None),
        (NIGHT, ["Europe/Berlin"], "2026-06-01T19:00", "2026-06-02T06:00"),
        (NIGHT, ["Europe/Berlin"], "2026-06-02T05:59:59", "2026-06-02T06:00"),
        (NIGHT, ["Europe/Berlin"], "2026-06-02T06:00", None),
        # The night in which clocks go forward, and the one in which they go back.
        (NIGHT, ["Europe/Berlin"], "2026-03-28T22:00", "2026-03-29T06:00"),
        (NIGHT, ["Europe/Berlin"], "2026-10-24T22:00", "2026-10-25T07:00"),
        # Nine in the evening in New York is six in Los Angeles; eight in the morning there is eleven in New York.
        (NIGHT, ["America/New_York", "America/Los_Angeles"], "2026-06-02T01:00", "2026-06-02T15:00"),
        (NIGHT, ["America/Los_Angeles"], "2026-06-02T01:00", None),
        (NIGHT, [], "2026-06-01T21:00", "2026-06-02T08:00"),
        (NIGHT, ["Etc/Unknown"], "2026-06-01T21:00", "2026-06-02T08:00"),
        (NOON, ["UTC"], "2026-06-01T11:59", None),
        (NOON, ["UTC"], "2026-06-01T12:00", "2026-06-01T13:30"),
        # What is quiet from eight to eight is never quiet.
        (QuietHours(start=480, end=480), ["UTC"], "2026-06-01T08:00", None),
    ],
)
def test_a_message_waits_until_the_window_opens(
    rule: QuietHours, zones: list[str], now: str, opens: str | None
) -> None:
    assert rule.opens_at(tuple(zones), at(now)) == at(opens or now)


@given(hours, st.lists(st.sampled_from(ZONES), max_size=1), times)
def test_it_opens_at_the_first_minute_that_is_not_quiet(rule: QuietHours, zones: list[str], now: int) -> None:
    opens = rule.opens_at(tuple(zones), now)

    zone = (zones or ["UTC"])[0]
    assert opens >= now
    assert not rule.covers(local_minute(opens, zone))
    if opens > now:
        assert rule.covers(local_minute(now, zone))
        assert rule.covers(local_minute(opens - 60_000_000, zone)) or opens - 60_000_000 < now
        assert opens - now <= 25 * 3_600_000_000


@given(times)
def test_every_zone_is_loud_where_there_is_such_a_time(now: int) -> None:
    zones = ("Europe/Berlin", "America/New_York", "America/Los_Angeles")
    rule = QuietHours(start=23 * 60, end=7 * 60)

    opens = rule.opens_at(zones, now)

    assert not any(rule.covers(local_minute(opens, zone)) for zone in zones)


@given(times)
def test_zones_that_are_never_loud_together_hold_nothing_up_for_ever(now: int) -> None:
    opens = QuietHours(start=20 * 60, end=12 * 60).opens_at(("UTC", "Pacific/Auckland"), now)

    assert now <= opens <= now + 5 * 86_400_000_000


def test_one_time_passwords_are_exempt_unless_the_pool_says_otherwise() -> None:
    assert NIGHT.exempt == {Category.OTP}
