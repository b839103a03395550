"""Leases: no two nodes use one at the same time, whatever clocks and network do; shares become fair and stay so."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendpool.domain.ownership import (
    FOREVER,
    KEEPER,
    LEASE,
    MARGIN,
    RENEW_EVERY,
    Flaps,
    Lease,
    NodeView,
    Tenure,
    Terms,
    View,
    differences,
    grouped,
    scopes_to_add,
    to_give,
    to_leave,
    to_take,
)

TERMS = Terms()
#: A moment of the database's clock, in microseconds.
NOW = 1_800_000_000_000_000
SECOND = 1_000_000


def view(nodes: dict[int, set[str]], held: dict[str, int | None], now: int = NOW, age: float = 100.0) -> View:
    """Nodes that were heard of just now, and leases taken *age* seconds ago."""
    taken_at = now - int(age * SECOND)
    return View(
        now,
        [NodeView(key, True, scopes, now) for key, scopes in nodes.items()],
        [
            Lease(scope, holder, now + 5 * SECOND if holder else now, taken_at, number)
            for number, (scope, holder) in enumerate(held.items(), 1)
        ],
    )


# ---------------------------------------------------------------- terms


def test_a_lease_is_renewed_often_enough_to_miss_one_renewal() -> None:
    assert 2 * RENEW_EVERY < LEASE - MARGIN


@given(
    drift=st.floats(-0.01, 0.01),
    delays=st.lists(st.tuples(st.floats(0, 30), st.floats(0, 30), st.floats(0, 8), st.booleans()), max_size=30),
)
def test_a_holder_has_stopped_before_anybody_else_can_take_its_lease(
    drift: float, delays: list[tuple[float, float, float, bool]]
) -> None:
    """Requests and answers take any time, answers get lost, and the holder's clock goes wrong by a hundredth."""
    real, until = 0.0, LEASE
    tenure = Tenure("connection:1", 1, TERMS.good_until(0.0))

    def local(moment: float) -> float:
        return moment * (1.0 + drift)

    for there, back, pause, lost in delays:
        asked_at = real
        real += there
        # The database renews only what is not over.
        renewed = real < until
        if renewed:
            until = real + LEASE
        real += back
        if renewed and not lost:
            tenure.renewed(local(asked_at), TERMS)
        stops_at = tenure.good_until / (1.0 + drift)
        assert stops_at < until - MARGIN / 2
        real += pause


def test_a_tenure_is_good_up_to_its_deadline_and_no_renewal_shortens_it() -> None:
    tenure = Tenure("connection:1", 7, TERMS.good_until(100.0))

    tenure.renewed(90.0, TERMS)

    assert tenure.good(100.0 + LEASE - MARGIN - 0.001)
    assert not tenure.good(100.0 + LEASE - MARGIN)


def test_a_tenure_that_has_ended_is_good_at_no_time() -> None:
    tenure = Tenure("connection:1", 7, TERMS.good_until(100.0))

    tenure.end()

    assert not tenure.good(0.0)
    assert FOREVER.good(1e12)


# ---------------------------------------------------------------- who takes what


def test_only_what_is_over_or_was_handed_over_is_taken() -> None:
    leases = [
        Lease("connection:1", 2, NOW + 1, 0, 1),
        Lease("connection:2", 2, NOW, 0, 2),
        Lease("connection:3", None, NOW, 0, 3),
    ]
    seen = View(NOW, [NodeView(1, True, {f"connection:{key}" for key in (1, 2, 3)}, NOW)], leases)

    assert to_take(1, seen, TERMS) == ["connection:2", "connection:3"]


def test_a_node_takes_nothing_that_it_does_not_declare_and_one_that_does_not_send_takes_nothing() -> None:
    leases = [Lease("connection:1", None, 0, 0, 0), Lease(KEEPER, None, 0, 0, 0)]
    nodes = [NodeView(1, True, (), NOW), NodeView(2, False, {"connection:1"}, NOW)]
    seen = View(NOW, nodes, leases)

    assert to_take(1, seen, TERMS) == [KEEPER]
    assert to_take(2, seen, TERMS) == []


def test_what_its_taker_leaves_for_longer_than_the_grace_is_anybodys() -> None:
    nodes = [NodeView(1, True, {"connection:1"}, NOW), NodeView(2, True, {"connection:1"}, NOW)]
    fresh = View(NOW, nodes, [Lease("connection:1", None, NOW, 0, 0)])
    left = fresh._replace(leases=[Lease("connection:1", None, NOW - int(TERMS.grace * SECOND), 0, 0)])

    assert (to_take(1, fresh, TERMS), to_take(2, fresh, TERMS)) == (["connection:1"], [])
    assert (to_take(1, left, TERMS), to_take(2, left, TERMS)) == (["connection:1"], ["connection:1"])


nodes_and_leases = st.integers(1, 5).flatmap(
    lambda nodes: st.tuples(
        st.lists(st.sets(st.integers(1, 12)), min_size=nodes, max_size=nodes),
        st.dictionaries(st.integers(1, 12), st.one_of(st.none(), st.integers(1, nodes))),
    )
)


def drawn(drawing: tuple[list[set[int]], dict[int, int | None]]) -> View:
    declared, held = drawing
    nodes = {number: {f"connection:{key}" for key in keys} for number, keys in enumerate(declared, 1)}
    # Whoever holds a lease declares it.
    for key, holder in held.items():
        if holder is not None:
            nodes[holder].add(f"connection:{key}")
    return view(nodes, {KEEPER: None, **{f"connection:{key}": holder for key, holder in held.items()}})


@given(nodes_and_leases)
def test_every_free_lease_that_some_node_declares_is_dealt_to_exactly_one(
    drawing: tuple[list[set[int]], dict[int, int | None]],
) -> None:
    seen = drawn(drawing)

    taken = Counter(scope for one in seen.nodes for scope in to_take(one.node_id, seen, TERMS))

    able = {scope for one in seen.nodes for scope in one.scopes} | {KEEPER}
    assert taken == Counter(lease.scope for lease in seen.leases if lease.holder is None and lease.scope in able)


@given(nodes_and_leases)
@settings(max_examples=200)
def test_shares_become_as_fair_as_declarations_allow_and_then_nothing_moves_any_more(
    drawing: tuple[list[set[int]], dict[int, int | None]],
) -> None:
    seen = drawn(drawing)
    moves = []
    for _ in range(100):
        held = {lease.scope: lease.holder for lease in seen.leases}
        for one in seen.nodes:
            held.update(dict.fromkeys(to_take(one.node_id, seen, TERMS), one.node_id))
        nodes = {one.node_id: set(one.scopes) for one in seen.nodes}
        seen = view(nodes, held)
        given_up = [scope for one in seen.nodes for scope in to_give(one.node_id, seen, TERMS)]
        if not given_up:
            break
        assert len(given_up) == 1
        moves.append(sum(count**2 for count in seen.held(TERMS).values()))
        seen = view(nodes, {**held, given_up[0]: None})
    else:
        pytest.fail("leases never come to rest")

    # Each move makes the shares more equal: none is ever undone.
    assert all(later < earlier for earlier, later in pairwise(moves))
    counts = seen.held(TERMS)
    for lease in seen.leases:
        for one in seen.nodes:
            if lease.holder and lease.scope != KEEPER and lease.scope in one.scopes:
                assert counts[lease.holder] <= counts[one.node_id] + 1


def test_a_lease_that_was_just_taken_stays_where_it_is() -> None:
    nodes = {1: {"connection:1", "connection:2"}, 2: {"connection:1", "connection:2"}}
    held: dict[str, int | None] = {"connection:1": 1, "connection:2": 1}

    assert to_give(1, view(nodes, held, age=TERMS.steady - 0.1), TERMS) == []
    assert to_give(1, view(nodes, held, age=TERMS.steady), TERMS) == ["connection:1"]


def test_nothing_is_given_to_a_node_that_was_not_heard_of() -> None:
    seen = view({1: {"connection:1", "connection:2"}}, {"connection:1": 1, "connection:2": 1})
    silent = NodeView(2, True, {"connection:1", "connection:2"}, NOW - int(LEASE * SECOND))

    assert to_give(1, seen._replace(nodes=[*seen.nodes, silent]), TERMS) == []


def test_a_lease_that_comes_back_within_a_minute_is_a_flap() -> None:
    flaps = Flaps()

    flaps.left("connection:1", 100.0)

    assert not flaps.came("connection:2", 101.0)
    assert flaps.came("connection:1", 159.0)
    assert not flaps.came("connection:1", 159.5)


# ---------------------------------------------------------------- groups


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.sets(st.integers(0, 8), max_size=3)))
def test_a_group_is_what_can_be_reached_by_shared_names(drawing: dict[str, set[int]]) -> None:
    names = {one: {str(name) for name in its} for one, its in drawing.items()}

    groups = grouped(names)

    assert sorted(one for group in groups for one in group) == sorted(names)
    for group in groups:
        reached, before = {group[0]}, set[str]()
        while reached != before:
            before = set(reached)
            known = {name for one in reached for name in names[one]}
            reached |= {one for one, its in names.items() if known & its}
        assert reached == set(group)


shared_leases = st.integers(1, 4).flatmap(
    lambda nodes: st.tuples(
        st.just(nodes),
        st.dictionaries(
            st.integers(1, 9), st.tuples(st.one_of(st.none(), st.integers(1, nodes)), st.sets(st.sampled_from("xyz")))
        ),
    )
)


@given(shared_leases)
@settings(max_examples=200)
def test_whoever_has_what_every_group_comes_to_one_node_and_stays(
    drawing: tuple[int, dict[int, tuple[int | None, set[str]]]],
) -> None:
    count, drawn_leases = drawing
    scopes = {f"connection:{key}" for key in drawn_leases}
    shared = {f"connection:{key}": names for key, (_, names) in drawn_leases.items()}
    held: dict[str, int | None] = {f"connection:{key}": holder for key, (holder, _) in drawn_leases.items()}
    nodes = [NodeView(number, True, scopes, NOW, shared) for number in range(1, count + 1)]
    for _ in range(60):
        seen = view({}, held)._replace(nodes=nodes)
        before = dict(held)
        for one in nodes:
            for scope in (*to_leave(one.node_id, seen, TERMS), *to_give(one.node_id, seen, TERMS)):
                held[scope] = None
            held.update(dict.fromkeys(to_take(one.node_id, seen, TERMS), one.node_id))
        if held == before:
            break
    else:
        pytest.fail("leases never come to rest")

    assert None not in held.values()
    for group in grouped(shared):
        assert len({held[scope] for scope in group}) == 1


def test_a_node_that_only_takes_requests_is_keeper_until_one_that_sends_is_there() -> None:
    free = [Lease(KEEPER, None, NOW, 0, 0), Lease("connection:1", None, NOW, 0, 0)]
    alone = View(NOW, [NodeView(1, False, (), NOW)], free)
    joined = view({}, {KEEPER: 1})._replace(nodes=[NodeView(1, False, (), NOW), NodeView(2, True, (), NOW)])

    assert to_take(1, alone, TERMS) == [KEEPER]
    assert (to_give(1, joined, TERMS), to_give(2, joined, TERMS)) == ([KEEPER], [])


# ---------------------------------------------------------------- differences


def test_nodes_with_the_same_configuration_differ_in_nothing_and_one_without_connections_neither() -> None:
    same = {"connection:1": {"1": "a b c"}}

    assert differences({1: same, 2: same, 3: {}}) == []


def test_what_one_node_lacks_or_declares_otherwise_is_told_by_connection() -> None:
    most = {"connection:1": {"1": "a b c"}, "connection:2": {"2": "a b c"}}

    found = differences({1: most, 2: most, 3: {"connection:1": {"1": "a x c"}}})

    assert found == [("1", "throughput", [3]), ("2", "missing", [3])]


def test_of_two_nodes_that_differ_nobody_knows_which_is_wrong() -> None:
    found = differences({1: {"connection:1": {"1": "a b c"}}, 2: {"group": {"1": "a b d"}}})

    assert found == [("1", "scope", [1, 2]), ("1", "senders", [1, 2])]


def test_leases_that_are_missing_are_those_of_the_configuration_and_the_keepers() -> None:
    assert scopes_to_add(["connection:1", "connection:2"], view({}, {"connection:2": None})) == [
        "connection:1",
        KEEPER,
    ]
