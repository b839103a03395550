"""Named scopes: who shares them, and how their buckets go from one process to another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.domain.limits import Day, Tally
from sendpool.domain.reasons import Reason
from sendpool.domain.scopes import Bounds, Moment, leased_together, pack, scopes_of, unpack
from sendpool.domain.sender import Channel
from sendpool.domain.throughput import Bucket

NOON = 1_800_014_400_000_000


def test_connection_is_in_its_own_scopes_and_those_of_its_senders() -> None:
    sender = SenderSettings(channel=Channel.SMS, address="+12034458910", scopes=("campaign",))

    assert scopes_of(ConnectionSettings(name="a", type="smpp", scopes=("account",), senders=(sender,))) == {
        "account",
        "campaign",
    }


def test_connections_that_share_a_scope_are_leased_together_also_through_a_third() -> None:
    groups = leased_together({1: {"x"}, 2: {"y"}, 3: {"x", "z"}, 4: set(), 5: {"z"}})

    assert groups == [frozenset({1, 3, 5}), frozenset({2}), frozenset({4})]


@given(st.dictionaries(st.integers(0, 9), st.sets(st.sampled_from("abcdef"), max_size=3), max_size=8))
def test_groups_are_apart_and_hold_every_connection_once(scopes: dict[int, set[str]]) -> None:
    groups = leased_together(scopes)

    assert sorted(key for group in groups for key in group) == sorted(scopes)
    names = [set().union(*(scopes[key] for key in group)) for group in groups]
    for i, one in enumerate(names):
        assert all(one.isdisjoint(other) for other in names[i + 1 :])


def test_buckets_go_on_in_another_process_as_they_were() -> None:
    here = {"connection": Bucket(10.0), "sender:1": Bucket(5.0), "scope:x": Bucket(2.0)}
    for bucket in here.values():
        bucket.take(3, 100.0)
    here["sender:1"].pause(100.0, 4.0)
    there = {name: Bucket(bucket.mps) for name, bucket in here.items()} | {"sender:2": Bucket(5.0)}

    silent = unpack(pack(here, 101.0), there, 7.0)

    assert silent == ["sender:2"]
    for name, bucket in here.items():
        assert there[name].free_at(7.0) - 7.0 == pytest.approx(bucket.free_at(101.0) - 101.0)
        assert there[name].rate(7.0) == bucket.rate(101.0)


def test_long_message_is_refused_whole_where_the_day_has_room_for_a_part_of_it() -> None:
    day = Day("sender:1", 5, "UTC", Tally())
    bounds = Bounds(days=[day])
    moment = Moment(10.0, NOON)
    bounds.take("ana", 3, 10.0, moment)

    assert bounds.refuses("ben", 3, 10.0, moment) is Reason.DAILY_LIMIT
    assert bounds.refuses("ben", 2, 10.0, moment) is None
    assert bounds.free_again(Reason.DAILY_LIMIT, "ben", 3, moment) == pytest.approx(10.0 + 12 * 3600)
    assert day.used(NOON) == 3


def test_clocks_are_translated_never_early() -> None:
    moment = Moment(10.0, NOON)

    assert moment.wall_of(moment.at_wall(NOON + 5)) >= NOON + 5
