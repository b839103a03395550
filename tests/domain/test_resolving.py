from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.resolving import MOST_PAIRS, Pair, resolve
from sendpool.domain.routing import CHANNELS_OF
from sendpool.domain.sender import AddressSpace, Channel

PHONE, WHATSAPP, EMAIL = AddressSpace.PHONE, AddressSpace.WHATSAPP, AddressSpace.EMAIL
SENDERS = {Channel.SMS: ["s1", "s2"], Channel.RCS: ["r"], Channel.WHATSAPP: ["w"], Channel.EMAIL: ["e"]}

spaces = st.lists(st.sampled_from(AddressSpace), max_size=6)
senders = st.dictionaries(st.sampled_from(Channel), st.integers(0, 4).map(lambda n: list(range(n))))
filters = st.none() | st.frozensets(st.sampled_from(Channel))
priorities = st.dictionaries(st.sampled_from(Channel), st.integers(0, 9))


def test_rcs_comes_before_sms_and_the_first_address_before_the_second() -> None:
    assert resolve([PHONE, WHATSAPP], SENDERS) == [
        Pair("r", 0, 0),
        Pair("s1", 0, 1),
        Pair("s2", 0, 1),
        Pair("w", 1, 2),
    ]


def test_priority_orders_channels_over_all_addresses_and_what_it_leaves_out_comes_after() -> None:
    found = resolve([PHONE, EMAIL, PHONE], SENDERS, None, {Channel.EMAIL: 0, Channel.SMS: 7})

    assert [(pair.sender, pair.place, pair.priority) for pair in found] == [
        ("e", 1, 0),
        ("s1", 0, 1),
        ("s2", 0, 1),
        ("s1", 2, 2),
        ("s2", 2, 2),
        ("r", 0, 3),
        ("r", 2, 4),
    ]


def test_a_filter_leaves_out_every_other_channel() -> None:
    assert resolve([PHONE, WHATSAPP], SENDERS, frozenset({Channel.WHATSAPP})) == [Pair("w", 1, 0)]
    assert resolve([PHONE], SENDERS, frozenset()) == []


def test_who_may_not_send_to_an_address_has_no_pair_with_it_and_an_address_without_any_takes_no_turn() -> None:
    found = resolve([PHONE, PHONE], SENDERS, may=lambda sender, _, place: (sender, place) == ("s2", 1))

    assert found == [Pair("s2", 1, 0)]


def test_reach_orders_the_channels_of_a_phone() -> None:
    found = resolve([PHONE], SENDERS, reach=(Channel.WHATSAPP, Channel.SMS))

    assert [pair.sender for pair in found] == ["w", "s1", "s2"]


@given(spaces, senders, filters, priorities)
def test_pairs_are_few_sorted_and_reach_their_address(
    spaces: list[AddressSpace],
    senders: dict[Channel, list[int]],
    filter_in: frozenset[Channel] | None,
    priority: dict[Channel, int],
) -> None:
    labelled = {channel: [(channel, n) for n in numbers] for channel, numbers in senders.items()}

    pairs = resolve(spaces, labelled, filter_in, priority)

    assert len(pairs) == len(set(pairs)) <= MOST_PAIRS
    assert [pair.priority for pair in pairs] == sorted(pair.priority for pair in pairs)
    for pair in pairs:
        channel = pair.sender[0]
        assert channel in CHANNELS_OF[spaces[pair.place]]
        assert filter_in is None or channel in filter_in
    ranks = [priority.get(pair.sender[0], 1 << 62) for pair in pairs]
    assert not priority or ranks == sorted(ranks)
    possible = sum(
        len(senders.get(channel, ()))
        for space in spaces
        for channel in CHANNELS_OF[space]
        if filter_in is None or channel in filter_in
    )
    assert len(pairs) == min(possible, MOST_PAIRS)
