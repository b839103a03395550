"""The vocabulary of reasons: every code is a sentence, with or without its times and names."""

from __future__ import annotations

import re

import pytest

from sendpool.domain.reasons import Reason, Verdict, say


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_a_whole_sentence_whatever_its_remark_leaves_out(reason: Reason) -> None:
    for until in ("", "12:30"):
        for about in ("", "Germany"):
            text = say(reason, until, about)

            assert re.fullmatch(r"[A-Z][^\[\]{}]*\.", text), text
            assert "  " not in text
            assert " ." not in text


@pytest.mark.parametrize("reason", Reason)
def test_a_code_is_a_lower_case_word_that_fits_a_column_and_a_label(reason: Reason) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", reason.value)
    assert Reason(reason.value) is reason
    assert isinstance(reason.verdict, Verdict)


def test_the_time_and_the_subject_stand_where_the_sentence_has_a_place_for_them() -> None:
    assert say(Reason.PAUSED, until="12:30") == "The carrier has asked it to pause until 12:30."
    assert say(Reason.PAUSED) == "The carrier has asked it to pause."
    assert say(Reason.NOT_IN_COUNTRY, about="DE") == "It does not send to the recipient's country (DE)."


def test_codes_that_scenes_hold_since_the_first_version_keep_their_meaning() -> None:
    assert {Reason("ready"), Reason("down"), Reason("stopped"), Reason("paused"), Reason("draining")} == {
        Reason.READY,
        Reason.LINK_DOWN,
        Reason.STOPPED,
        Reason.PAUSED,
        Reason.DRAINING,
    }
