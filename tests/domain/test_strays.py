"""Which attempt a receipt of an unknown id is about: exactly one that fits, or none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.strays import Doubt, Stray, fits, pair, place, read_moment

START = datetime(2026, 11, 26, 16, 30, 20, tzinfo=UTC)
AT = START.timestamp()
SENDER, PHONE = "+12034458910", "+447700900123"


def stray(
    key: int = 1, carrier_id: str = "a", submitted: str = "2611261630", sender: str = SENDER, recipient: str = PHONE
) -> Stray:
    return Stray(key, carrier_id, sender, recipient, submitted)


def doubt(message_id: int = 1, n: int = 1, started_at: float = AT, parts: int = 1, *, unknown: bool = True) -> Doubt:
    return Doubt(message_id, n, SENDER, PHONE, started_at, tuple(range(1, parts + 1)), unknown)


def placed(strays: list[Stray], doubts: list[Doubt]) -> list[tuple[int, int, int]]:
    """(stray, message, part) of what was found."""
    return [(found.stray.key, found.doubt.message_id, found.part) for found in place(strays, doubts)]


def test_a_receipt_is_about_the_only_attempt_that_fits() -> None:
    assert placed([stray()], [doubt()]) == [(1, 1, 1)]


def test_two_attempts_that_fit_are_a_doubt() -> None:
    assert placed([stray()], [doubt(1), doubt(2)]) == []


def test_an_attempt_whose_answer_may_still_come_is_one_that_fits() -> None:
    assert placed([stray()], [doubt(1), doubt(2, unknown=False)]) == []
    assert placed([stray()], [doubt(1, unknown=False)]) == []


def test_two_receipts_for_one_part_are_a_doubt() -> None:
    assert placed([stray(1, "a"), stray(2, "b")], [doubt()]) == []


def test_repeated_receipts_of_one_id_are_about_one_part() -> None:
    assert placed([stray(1, "a"), stray(2, "a")], [doubt()]) == [(1, 1, 1), (2, 1, 1)]


def test_a_long_text_waits_until_all_its_silent_parts_have_told() -> None:
    long = Doubt(1, 1, SENDER, PHONE, AT, (1, 3), unknown=True)

    assert placed([stray(1, "a")], [long]) == []
    assert placed([stray(1, "a"), stray(2, "b")], [long]) == [(1, 1, 1), (2, 1, 3)]
    assert placed([stray(1, "a"), stray(2, "b"), stray(3, "c")], [long]) == []


def test_the_moment_of_the_submit_tells_attempts_apart() -> None:
    later = AT + 400

    assert placed([stray(submitted="2611261630")], [doubt(1), doubt(2, started_at=later)]) == [(1, 1, 1)]
    assert placed([stray(submitted="2611261637")], [doubt(1), doubt(2, started_at=later)]) == [(1, 2, 1)]
    assert placed([stray(submitted="")], [doubt(1), doubt(2, started_at=later)]) == []


def test_other_addresses_do_not_fit() -> None:
    assert placed([stray(sender="+12034458911")], [doubt()]) == []
    assert placed([stray(recipient="+447700900124")], [doubt()]) == []


@pytest.mark.parametrize("written", ["12034458910", "+12034458910", "0012034458910", " 12034458910 "])
def test_numbers_are_compared_however_they_are_written(written: str) -> None:
    assert pair(written, "x") == pair(SENDER, "X")


def test_names_are_compared_without_case_and_keep_their_zeros() -> None:
    assert pair("Info", PHONE) == pair("INFO", PHONE)
    assert pair("0Info", PHONE) != pair("Info", PHONE)


@given(
    zone=st.integers(-48, 56),
    late=st.floats(-59, 59),
    form=st.sampled_from(["%y%m%d%H%M", "%y%m%d%H%M%S", "%Y%m%d%H%M%S"]),
)
def test_a_date_fits_in_whatever_zone_it_was_written(zone: int, late: float, form: str) -> None:
    there = START + timedelta(minutes=15 * zone, seconds=late)

    assert fits(there.strftime(form), AT)


@given(zone=st.integers(-48, 56), late=st.one_of(st.floats(123, 440), st.floats(-440, -123)))
def test_a_date_minutes_away_does_not_fit_in_any_zone(zone: int, late: float) -> None:
    there = START + timedelta(minutes=15 * zone, seconds=late)

    assert not fits(there.strftime("%y%m%d%H%M"), AT)


@pytest.mark.parametrize(
    ("text", "fitting"),
    [("", True), ("n/a", True), ("261126163", False), ("2613261630", False), ("2611241630", False)],
)
def test_no_date_fits_everything_and_an_impossible_one_nothing(text: str, fitting: bool) -> None:
    assert fits(text, AT) is fitting


def test_dates_of_three_lengths_are_read() -> None:
    assert read_moment("2611261630") == (datetime(2026, 11, 26, 16, 30, tzinfo=UTC).timestamp(), 60.0)
    assert read_moment("261126163020") == (AT, 1.0)
    assert read_moment("20261126163020") == (AT, 1.0)
    assert read_moment("soon") is None
