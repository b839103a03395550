"""Long texts are joined whatever order their parts come in, and however often."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.reassembly import HOLE, Gathered, Part, Step, join, take

TEXTS = st.text(st.characters(codec="utf-8"), min_size=2, max_size=300)


def cut(text: str, parts: int) -> list[str]:
    """A text in so many parts, by octets of UTF-16 as phones cut it: letters may come apart."""
    octets = text.encode("utf-16-be")
    size = max(2, -(-len(octets) // (2 * parts)) * 2)
    found = [octets[i : i + size].decode("utf-16-be", "surrogatepass") for i in range(0, len(octets), size)]
    return found + [""] * (parts - len(found))


@given(TEXTS, st.integers(2, 9), st.randoms(use_true_random=False))
def test_parts_make_the_text_in_any_order_and_repeats_change_nothing(text: str, total: int, random: object) -> None:
    pieces = cut(text, total)
    order = [n for n in range(total) for _ in range(2)]
    random.shuffle(order)  # type: ignore[attr-defined]
    gathered, completed, seen = Gathered(), 0, set[int]()
    for n in order:
        before = gathered
        gathered, step = take(gathered, Part(7, n + 1, total), pieces[n])
        assert (step is Step.REPEATS) == (n in seen)
        seen.add(n)
        if step is Step.REPEATS:
            assert gathered == before
        if step is Step.COMPLETES:
            completed += 1
            assert join(gathered.parts, total) == (text, 0)
            gathered = gathered.sealed()
            assert not any(piece in gathered.parts.values() for piece in pieces if len(piece) > 3)

    assert completed == 1
    assert gathered.joined


@given(st.text(min_size=1), st.text(min_size=1), st.integers(2, 5))
def test_another_text_under_an_old_reference_is_no_repeat(old: str, new: str, total: int) -> None:
    gathered = Gathered()
    for n in range(1, total + 1):
        gathered, _ = take(gathered, Part(1, n, total), f"{n} {old}")
    gathered = gathered.sealed()
    steps = []
    for n in range(1, total + 1):
        gathered, step = take(gathered, Part(1, n, total), f"{n} {new} again")
        steps.append(step)

    assert steps == [Step.WAITS] * (total - 1) + [Step.COMPLETES]
    assert join(gathered.parts, total)[0] == "".join(f"{n} {new} again" for n in range(1, total + 1))


@given(TEXTS, st.integers(2, 9), st.data())
def test_what_never_came_is_shown_as_a_hole(text: str, total: int, data: st.DataObject) -> None:
    pieces = cut(text, total)
    here = data.draw(st.sets(st.integers(1, total), min_size=1, max_size=total))
    told, missing = join({n: pieces[n - 1] for n in here}, total)

    assert missing == total - len(here)
    assert told.count(HOLE) - "".join(pieces[n - 1] for n in here).count(HOLE) <= missing
    assert missing == 0 or HOLE in told
    told.encode("utf-8")


def test_numbers_that_make_no_sense_are_no_parts() -> None:
    assert Part(1, 1, 2).sound
    assert not any(part.sound for part in (Part(1, 0, 2), Part(1, 3, 2), Part(1, 1, 1), Part(1, 1, 0), Part(1, 1, 256)))
