"""When a sink is offered its events again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.delivery import DOWN_AFTER, Circuit, pause, pause_in_place, waves


@given(tries=st.integers(1, 1_000), chance=st.floats(0, 1))
def test_pauses_grow_to_a_bound_and_never_vanish(tries: int, chance: float) -> None:
    assert 0.25 <= pause(tries, chance) <= 900
    assert 0.25 <= pause_in_place(tries, chance) <= 4
    assert pause(tries, 1) <= pause(tries + 1, 1) <= 2 * pause(tries, 1)


def test_a_sink_that_fails_and_fails_is_left_alone_but_for_probes() -> None:
    circuit, now = Circuit(), 100.0
    for _ in range(DOWN_AFTER - 1):
        circuit.failed(now, 1)
    assert (circuit.open, circuit.wait(now)) == (False, 0)

    circuit.failed(now, 1)
    assert (circuit.open, circuit.failing_since) == (True, 100)
    waits = []
    for _ in range(20):
        waits.append(circuit.wait(now))
        now += circuit.wait(now)
        circuit.failed(now, 1)
    assert waits == sorted(waits)
    assert waits[0] == 0.5
    assert waits[-1] == 30

    circuit.worked()
    assert (circuit.open, circuit.wait(now), circuit.failing_since) == (False, 0, None)


@given(subjects=st.lists(st.sampled_from("abcd"), max_size=40))
def test_each_event_is_in_one_wave_and_those_about_one_subject_in_ascending_ones(subjects: list[str]) -> None:
    found = waves(subjects)
    wave_of = {place: number for number, wave in enumerate(found) for place in wave}

    assert sorted(place for wave in found for place in wave) == list(range(len(subjects)))
    assert all(len({subjects[place] for place in wave}) == len(wave) > 0 for wave in found)
    for subject in set(subjects):
        places = [place for place, one in enumerate(subjects) if one == subject]
        assert [wave_of[place] for place in places] == list(range(len(places)))
