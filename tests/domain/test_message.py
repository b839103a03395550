from __future__ import annotations

from sendpool.domain.message import at_step, space_at_step


def test_only_address_is_that_of_every_step() -> None:
    assert [at_step("+447700900001", step) for step in range(3)] == ["+447700900001"] * 3
    assert [space_at_step("P", step) for step in range(3)] == ["P"] * 3


def test_each_step_has_its_own_address_where_there_are_several() -> None:
    assert [at_step("+1 +1 a@b.example", step) for step in range(3)] == ["+1", "+1", "a@b.example"]
    assert [space_at_step("PPE", step) for step in range(3)] == ["P", "P", "E"]


def test_address_that_was_taken_away_is_none_at_any_step() -> None:
    assert [at_step("", step) for step in range(3)] == ["", "", ""]
