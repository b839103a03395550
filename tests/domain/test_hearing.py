"""When the silence about a sender's messages means nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.hearing import BEFORE, ENOUGH, KEPT_EVERY, REMEMBERED, Hearing, hear, is_worth_keeping

HEARD = Hearing(usual_at=0.0)
figures = st.integers(0, 500).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))
rounds = st.lists(figures, max_size=30)


def after(told: list[tuple[int, int]]) -> list[Hearing]:
    hearing, found = Hearing(), []
    for i, (watched, lost) in enumerate(told):
        hearing = hear(watched, lost, hearing, i * 5.0)
        found.append(hearing)
    return found


@given(rounds)
def test_nobody_is_deaf_whose_receipts_never_came_as_they_should(told: list[tuple[int, int]]) -> None:
    usual = any(watched >= ENOUGH and lost < 0.1 * watched for watched, lost in told)

    assert usual or not any(one.broken for one in after(told))


@given(rounds)
def test_it_breaks_only_where_more_than_half_of_enough_have_none(told: list[tuple[int, int]]) -> None:
    before = Hearing()
    for (watched, lost), hearing in zip(told, after(told), strict=True):
        if hearing.broken and not before.broken:
            assert watched >= ENOUGH
            assert lost > watched / 2
        before = hearing


@given(rounds)
def test_it_always_ends_when_receipts_come_again(told: list[tuple[int, int]]) -> None:
    last = after([*told, (ENOUGH, 0)])[-1]

    assert not last.broken


def test_the_share_that_breaks_it_and_the_share_that_does_not() -> None:
    assert hear(20, 11, HEARD, 5.0).broken
    assert not hear(20, 10, HEARD, 5.0).broken
    assert not hear(19, 19, HEARD, 5.0).broken
    assert not hear(20, 20, HEARD, REMEMBERED + 1).broken


def test_what_was_sent_in_the_silence_is_not_held_against_anybody_afterwards() -> None:
    broken = hear(20, 20, HEARD, 1_000.0)
    mended = hear(20, 0, broken, 2_000.0)

    assert broken.says_nothing(0.0)
    assert mended.says_nothing(1_000.0 - BEFORE)
    assert mended.says_nothing(2_000.0)
    assert not mended.says_nothing(1_000.0 - BEFORE - 1)
    assert not mended.says_nothing(2_001.0)


def test_what_changes_is_worth_keeping_and_that_all_is_well_once_an_hour() -> None:
    well = Hearing(1_000.0)

    assert is_worth_keeping(Hearing(), well)
    assert not is_worth_keeping(well, well._replace(usual_at=1_000.0 + KEPT_EVERY - 1))
    assert is_worth_keeping(well, well._replace(usual_at=1_000.0 + KEPT_EVERY))
    assert is_worth_keeping(well, well._replace(broken_at=1_001.0))
    assert is_worth_keeping(well._replace(broken_at=1_001.0), well._replace(broken_at=1_001.0, mended_at=1_002.0))
    assert not is_worth_keeping(Hearing(), Hearing())
