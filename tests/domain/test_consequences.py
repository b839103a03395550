"""What people are told about a class is what the table makes Sendpool do."""

from __future__ import annotations

import pytest

from sendpool.domain.consequences import class_of_code, rows_by_code, what_follows
from sendpool.domain.failures import CLASSES, FailureClass, OtherChannel, OtherSender, SameSender

F = FailureClass


@pytest.mark.parametrize("failure", [failure for failure in F if failure not in (F.OK, F.AMBIGUOUS)])
def test_words_name_what_the_table_allows(failure: FailureClass) -> None:
    actions = CLASSES[failure]
    told = " ".join(what_follows(failure))

    assert ("(failover)" in told) == (actions.sender is not OtherSender.NEVER)
    assert ("(fallback)" in told) == (actions.channel not in (OtherChannel.NEVER, OtherChannel.WHEN_ASKED))
    assert ("The same sender does not try again." in told) == (actions.same is SameSender.NEVER)
    assert ("counts against the route" in told) == actions.route


def test_success_and_doubt_have_words_of_their_own() -> None:
    assert what_follows(F.OK) == ("Nothing: this is success.",)
    assert what_follows(F.AMBIGUOUS)[0].startswith("Nothing is sent again by itself")


def test_rows_are_found_under_the_code_that_they_show() -> None:
    rows = rows_by_code()

    assert "smpp/0x14" in [row.rule for row in rows[30001]]
    assert list(rows) == sorted(rows)


@pytest.mark.parametrize(
    ("code", "failure"),
    [(30008, F.TRANSIENT), (30001, F.THROTTLED), (21614, F.CHANNEL), (21703, F.SENDER), (63049, F.CAP)],
)
def test_code_stands_for_its_own_class_else_that_of_most_rows(code: int, failure: FailureClass) -> None:
    assert class_of_code(code, rows_by_code()[code]) is failure


def test_code_without_rows_and_class_has_none() -> None:
    assert class_of_code(1, ()) is None
