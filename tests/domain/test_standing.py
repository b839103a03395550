"""A limit is kept across a hand-over and across an end without a word (promise I5)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.standing import EMPTY, LONGEST_MESSAGE, Stood, restore_bucket, stood_together
from sendpool.domain.throughput import Bucket, BucketState

NAME = "connection:1"
TOLERANCE = 1e-5

rates = st.sampled_from([0.5, 1.0, 7.0, 80.0, 500.0])
bursts = st.sampled_from([1.0, 3.0, 25.0])
costs = st.lists(st.integers(1, LONGEST_MESSAGE), min_size=1, max_size=20)
#: By how much the new owner's clock differs: monotonic clocks of two machines have nothing to do with each other.
offsets = st.floats(-1e6, 1e6)


def most_in_any_window(departures: list[tuple[float, int]], mps: float) -> float:
    """The most segments that left in any span beyond what *mps* gives in that span."""
    ordered = sorted(departures)
    most = 0.0
    for i, (start, _) in enumerate(ordered):
        total = 0
        for end, cost in ordered[i:]:
            total += cost
            most = max(most, total - mps * (end - start))
    return most


@given(rates, bursts, costs, costs, st.floats(0, 5), st.floats(0, 5), offsets)
def test_a_limit_holds_across_a_hand_over(
    mps: float, burst: float, before: list[int], after: list[int], took: float, said: float, offset: float
) -> None:
    """The hand-over takes *took* seconds; the new owner believes that it took *said* of them, or less."""
    first, second = Bucket(mps, burst), Bucket(mps, burst)
    departures = [(first.take(cost, 0.0), cost) for cost in before]
    handed = max(at for at, _ in departures)
    stood = Stood({NAME: first.state(handed)}, min(said, took))
    now = handed + took + offset

    restore_bucket(NAME, second, stood, now)
    departures += [(second.take(cost, now) - offset, cost) for cost in after]

    longest = max([*before, *after])
    assert most_in_any_window(departures, mps) <= max(burst, longest) + TOLERANCE * (1 + abs(offset) * mps / 1e3)


@given(rates, bursts, costs, costs, st.floats(0, 0.5), offsets)
def test_a_limit_holds_after_an_end_without_a_word(
    mps: float, burst: float, before: list[int], after: list[int], took: float, offset: float
) -> None:
    first, second = Bucket(mps, burst), Bucket(mps, burst)
    departures = [(first.take(cost, 0.0), cost) for cost in before]
    now = max(at for at, _ in departures) + took + offset

    restore_bucket(NAME, second, Stood(None), now)
    departures += [(second.take(cost, now) - offset, cost) for cost in after]

    longest = max([*before, *after])
    assert most_in_any_window(departures, mps) <= max(burst, longest) + TOLERANCE * (1 + abs(offset) * mps / 1e3)


def test_a_bucket_of_which_nothing_was_said_starts_empty() -> None:
    bucket = Bucket(10.0, 1.0)

    restore_bucket(NAME, bucket, EMPTY, 100.0)

    assert bucket.take(1, 100.0) == 100.1


SHARED = "scope:campaign"


@given(rates, bursts, costs, costs, costs, st.floats(0, 5), st.floats(0, 5), st.booleans(), offsets)
def test_a_limit_that_two_leases_share_holds_whichever_was_handed_over_first(
    mps: float,
    burst: float,
    before: list[int],
    between: list[int],
    after: list[int],
    later: float,
    took: float,
    turned: bool,
    offset: float,
) -> None:
    """One lease tells of the bucket before the last of it was used, the other one after that, *later* seconds on."""
    first, second = Bucket(mps, burst), Bucket(mps, burst)
    departures = [(first.take(cost, 0.0), cost) for cost in before]
    early = max(at for at, _ in departures)
    told = [(early, first.state(early))]
    departures += [(first.take(cost, early), cost) for cost in between]
    late = max(at for at, _ in departures) + later
    told.append((late, first.state(late)))
    now = late + took
    stood = [Stood({SHARED: state}, now - at) for at, state in told]

    restore_bucket(SHARED, second, stood_together(stood[::-1] if turned else stood), now + offset)
    departures += [(second.take(cost, now + offset) - offset, cost) for cost in after]

    longest = max([*before, *between, *after])
    assert most_in_any_window(departures, mps) <= max(burst, longest) + TOLERANCE * (1 + abs(offset) * mps / 1e3)


states = st.builds(BucketState, st.floats(0, 100), st.floats(0, 100), st.floats(0.05, 1.0), st.integers(0, 5))
tellings = st.builds(
    Stood, st.dictionaries(st.sampled_from("abc"), states) | st.none(), st.floats(0, 100, allow_subnormal=False)
)


@given(st.permutations(range(4)), st.lists(tellings, min_size=4, max_size=4))
def test_what_is_known_together_is_the_same_in_any_order_and_never_less_than_what_one_knew(
    order: list[int], told: list[Stood]
) -> None:
    found = stood_together(told)

    assert stood_together(told[place] for place in order) == found
    if any(one.buckets is None for one in told):
        assert found.buckets is None
        return
    assert found.buckets is not None
    assert found.buckets.keys() == {name for one in told for name in one.buckets or ()}
    for one in told:
        for name, state in (one.buckets or {}).items():
            known = found.buckets[name]
            assert known.full_in >= state.full_in - one.since
            assert known.paused_for >= state.paused_for - one.since
            assert known.share <= state.share
            assert known.pauses >= state.pauses
