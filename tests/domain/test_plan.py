"""The steps over several addresses: each goes to an address that its channel reaches, in the order asked for."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.message import LETTER_CHANNEL, at_step, space_at_step
from sendpool.domain.plan import SPACES, along, steps
from sendpool.domain.routing import CHANNELS_OF
from sendpool.domain.sender import Channel

ALL = frozenset(Channel)
RCS, SMS, WHATSAPP, EMAIL = Channel.RCS, Channel.SMS, Channel.WHATSAPP, Channel.EMAIL

channels = st.frozensets(st.sampled_from(list(Channel)))
priorities = st.dictionaries(st.sampled_from(list(Channel)), st.integers(0, 100))


@pytest.mark.parametrize(
    ("spaces", "filter_in", "priority", "letters", "places"),
    [
        ("P", None, {}, "RS", (0, 0)),
        ("PWE", None, {}, "RSWE", (0, 0, 1, 2)),
        ("WP", None, {}, "WRS", (0, 1, 1)),
        ("PP", None, {}, "RSRS", (0, 0, 1, 1)),
        ("PP", None, {RCS: 0, SMS: 1}, "RRSS", (0, 1, 0, 1)),
        ("PWP", None, {SMS: 3, RCS: 7}, "SSRRW", (0, 2, 0, 2, 1)),
        ("PWE", {EMAIL, SMS}, {}, "SE", (0, 2)),
        ("PWE", {EMAIL, SMS}, {EMAIL: 0}, "ES", (2, 0)),
        ("PWE", {EMAIL}, {SMS: 0}, "E", (2,)),
        ("W", {SMS}, {}, "", ()),
        ("", None, {}, "", ()),
    ],
)
def test_steps_follow_the_channels_priority_and_then_the_order_of_the_addresses(
    spaces: str, filter_in: set[Channel] | None, priority: dict[Channel, int], letters: str, places: tuple[int, ...]
) -> None:
    assert steps(spaces, ALL, filter_in, priority) == (letters, places)


def test_address_that_all_steps_share_is_kept_once() -> None:
    assert along(steps("P", ALL), "+1", "P") == ("+1", "P")
    assert along(steps("WP", ALL, {SMS, RCS}), "+1 +2", "WP") == ("+2", "P")
    assert along(steps("PW", ALL), "+1 +1", "PW") == ("+1 +1 +1", "PPW")
    assert along(steps("PE", ALL, {SMS, EMAIL}), "+1 a@b.example", "PE") == ("+1 a@b.example", "PE")


@given(st.text("PWE", min_size=1, max_size=10), channels, st.none() | channels, priorities)
def test_steps_and_addresses_always_align(
    spaces: str, available: frozenset[Channel], filter_in: frozenset[Channel] | None, priority: dict[Channel, int]
) -> None:
    given_addresses = [f"+{i}" for i in range(len(spaces))]

    found = steps(spaces, available, filter_in, priority)

    usable = available if filter_in is None else available & filter_in
    wanted = [(c, i) for i, letter in enumerate(spaces) for c in CHANNELS_OF[SPACES[letter]] if c in usable]
    taken = [(LETTER_CHANNEL[letter], place) for letter, place in zip(found.letters, found.places, strict=True)]
    assert sorted(taken) == sorted(wanted)
    if not found.letters:
        return
    addresses, kept = along(found, " ".join(given_addresses), spaces)
    for step, (channel, place) in enumerate(taken):
        assert at_step(addresses, step) == given_addresses[place]
        assert SPACES[space_at_step(kept, step)] == SPACES[spaces[place]]
        assert channel in CHANNELS_OF[SPACES[space_at_step(kept, step)]]
    ranks = [(priority.get(channel, 101), place) for channel, place in taken]
    assert all(one <= other for one, other in pairwise(ranks))
