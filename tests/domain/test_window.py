"""A window counts as closed only where whoever had opened it would have been heard."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.message import Content
from sendpool.domain.retention import Span
from sendpool.domain.whatsapp_content import needs_window
from sendpool.domain.window import OPEN_FOR, QUIET, STALE, Heard, hear, is_closed, knows

MINUTE = 60_000_000
HOUR, DAY = 60 * MINUTE, 24 * 60 * MINUTE
NOW = 1_800_000_000_000_000
ANN, ANA = "+447700900001", "+5511987654321"

#: Minutes between one thing and the next, up to two days.
GAPS = st.integers(0, 2 * 24 * 60)


class Number:
    """What really happens at a number, as the rule is told of it or not."""

    def __init__(self) -> None:
        self.now = NOW
        self.wrote: int | None = None
        self.heard: Heard | None = None
        self.known: int | None = None
        self.up = Span(NOW, NOW)

    def step(self, minutes: int, what: str) -> None:
        self.now += minutes * MINUTE
        if what == "outage":
            # Up to its end nobody runs, and what is written in it is told up to a day later (or never).
            self.up = Span(self.now, self.now)
            return
        self.up = self.up._replace(ended_at=self.now)
        if what == "text":
            self.wrote = self.known = self.now
        elif what == "unplaced":
            self.wrote = self.now
        self.heard = hear(self.heard, self.now, unplaced=what == "unplaced")

    def closed(self) -> bool:
        return is_closed(ANN, self.known, self.now, known=knows(self.heard, self.up, self.now))


@given(st.lists(st.tuples(GAPS, st.sampled_from(["text", "status", "unplaced"])), max_size=20), GAPS)
def test_no_window_counts_as_closed_that_is_open(steps: list[tuple[int, str]], wait: int) -> None:
    number = Number()
    for minutes, what in steps:
        number.step(minutes, what)
    number.now += wait * MINUTE
    number.up = number.up._replace(ended_at=number.now)

    if number.closed():
        assert number.wrote is None or number.now - number.wrote >= OPEN_FOR
        assert number.heard is not None
        assert number.now - number.heard.last < QUIET
        assert number.now - number.heard.since >= OPEN_FOR


@given(st.lists(st.tuples(GAPS, st.sampled_from(["text", "status", "unplaced"])), max_size=10), GAPS, GAPS)
def test_what_was_written_in_an_outage_opens_a_window_that_nobody_calls_closed(
    steps: list[tuple[int, str]], outage: int, wait: int
) -> None:
    number = Number()
    for minutes, what in steps:
        number.step(minutes, what)
    number.step(outage, "outage")
    wrote = number.now
    number.now += wait * MINUTE
    number.up = number.up._replace(ended_at=number.now)

    assert not number.closed() or number.now - wrote >= OPEN_FOR


def test_a_number_that_is_heard_for_a_day_knows_who_has_not_written() -> None:
    number = Number()
    for _ in range(24):
        number.step(60, "status")
        assert not number.closed()
    number.step(60, "status")

    assert number.closed()
    number.step(1, "text")
    assert not number.closed()
    number.step(24 * 60 - 1, "status")
    assert not number.closed()
    number.step(1, "status")
    assert number.closed()


def test_what_cannot_be_known_is_not_closed() -> None:
    heard, up = Heard(NOW - 2 * DAY, NOW), Span(NOW - 2 * DAY, NOW)

    assert knows(heard, up, NOW)
    assert not knows(None, up, NOW)
    assert not knows(heard, None, NOW)
    assert not knows(heard, Span(NOW - DAY + 1, NOW), NOW), "an outage ended less than a day ago"
    assert not knows(heard, up._replace(ended_at=NOW - STALE - 1), NOW), "an outage has just ended"
    assert not knows(heard._replace(unplaced=NOW - DAY + 1), up, NOW), "somebody wrote whose number we do not know"
    assert knows(heard._replace(unplaced=NOW - DAY), up, NOW)
    assert not knows(heard._replace(last=NOW - QUIET), up, NOW), "it says nothing any more"
    assert hear(heard, NOW + QUIET) == Heard(NOW + QUIET, NOW + QUIET), "it is heard anew"


def test_numbers_that_are_written_in_two_ways_are_closed_only_for_who_wrote_before() -> None:
    assert is_closed(ANN, None, NOW, known=True)
    assert not is_closed(ANA, None, NOW, known=True), "they may have written by the number with another digit"
    assert is_closed(ANA, NOW - DAY, NOW, known=True)
    assert not is_closed(ANA, NOW - DAY + 1, NOW, known=True)


def test_a_template_needs_no_window() -> None:
    template = {"type": "template", "template": {"name": "notice", "language": {"code": "en"}}}

    assert not needs_window(Content(rich=template))
    assert needs_window(Content(rich={"text": {"body": "Hi"}}))
    assert needs_window(Content(text="Hi"))
    assert needs_window(Content(media=("https://media.example/1.jpg",)))
