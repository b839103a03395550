"""Drafts of large requests: what differs in the address alone comes to what a list of it comes to."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.message import Category
from sendpool.domain.pool import Pool
from sendpool.domain.uniform import Uniform
from sendpool.pipeline import draft as drafting
from sendpool.pipeline.draft import Part
from sendpool.pipeline.resolve import Addressed, Plans, Resolved
from sendpool.pipeline.roster import Roster

_ODD = st.text(st.sampled_from("+123\",[]\\'é\n"), max_size=6)
_REST = st.tuples(st.sampled_from("PW"), st.sampled_from(["S", "RS", "W"]), st.integers(1, 10))


def parts(addressed: Any, dues: list[int]) -> list[Part]:
    pool = Pool(id=7, uid=b"7" * 16, account_id=1)
    found = Resolved(
        pool, Plans(lambda _: pytest.fail("no plan is made")), Category.TRANSACTIONAL, 60, addressed, dues, ()
    )
    return drafting._parts(found, Roster())


@given(st.lists(_ODD, min_size=1, max_size=12), _REST, st.integers(1, 5))
def test_parts_of_uniform_recipients_are_those_of_a_list(addresses: list[str], rest: Any, size: int) -> None:
    rows: list[Addressed] = [(one, *rest) for one in addresses]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drafting, "CHUNK", size)

        made = parts(Uniform(addresses, rest, tuple), [])

        assert made == parts(rows, [])
    assert [row for part in made for row in msgspec.json.decode(part.body)] == [list(row) for row in rows]
    assert all(len(msgspec.json.decode(part.body)) == part.recipients <= size for part in made)
