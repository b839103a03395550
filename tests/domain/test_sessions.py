"""A session lasts until its person is silent for a day, and answers each wish once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.keywords import Wish
from sendpool.domain.sessions import HELP_AGAIN, SILENCE, Session, heard, owes_reply


@given(st.lists(st.integers(0, 2 * SILENCE), min_size=1, max_size=20))
def test_a_text_belongs_to_the_session_of_the_last_one_unless_a_day_has_passed(gaps: list[int]) -> None:
    session: Session | None = None
    now = 1_000_000_000
    for number, gap in enumerate(gaps):
        now += gap
        before, session = session, heard(session, bytes([number] * 16), now)
        new = before is None or gap >= SILENCE
        assert session.uid == (bytes([number] * 16) if new or before is None else before.uid)
        assert session.last_at == now


def test_a_clock_that_goes_back_ends_no_session() -> None:
    session = heard(None, b"a" * 16, 5_000)

    assert heard(session, b"b" * 16, 1_000) == session


def test_stop_and_start_are_answered_when_they_change_something_and_help_once_an_hour() -> None:
    session = Session(b"a" * 16, 0, 0, helped_at=10_000)

    assert owes_reply(Wish.STOP, session, 10_001, changed=True)
    assert not owes_reply(Wish.STOP, session, 10_001, changed=False)
    assert not owes_reply(Wish.HELP, session, 10_000 + HELP_AGAIN - 1, changed=False)
    assert owes_reply(Wish.HELP, session, 10_000 + HELP_AGAIN, changed=False)
