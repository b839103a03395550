"""Counters of operations: one update for each operation and batch where one process writes, deltas where several do.

With several writers each would wait for the others at the row of a common operation. So a batch leaves a row of what it
adds, and one process, the keeper, folds these rows into the operations and tells what is completed. Reads ask
`counted_operation`, which adds what is not folded yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from sendpool.domain.event_types import OPERATION_EVENT
from sendpool.domain.states import OperationState
from sendpool.store.database import SHARED, Bulk, Query, Script
from sendpool.store.messages import COUNTER

#: By operation, what is added to each counter.
Tally = dict[int, dict[str, int]]

#: Counter columns that a delta may touch, in the order of the statements' parameters.
_COUNTERS = ("attempts", *COUNTER.values())
_NOUGHTS = (0,) * len(_COUNTERS)
_DELTA = (("id", "bigint"), *((name, "int") for name in _COUNTERS), ("at", "bigint"))


def add_to(tally: Tally, deltas: Mapping[int, Mapping[str, int]]) -> None:
    """Add up what several stages of one batch count."""
    for key, delta in deltas.items():
        sums = tally.setdefault(key, {})
        for name, number in delta.items():
            sums[name] = sums.get(name, 0) + number


def count(deltas: Mapping[int, Mapping[str, int]], now: int) -> Script[None]:
    """Add to operations' counters, for good where one process writes, else until it is folded."""
    if not deltas:
        return
    if not (yield SHARED):
        yield from add_up(deltas, now)
        return
    yield Bulk(
        f"INSERT INTO operation_delta (operation_id, {', '.join(_COUNTERS)}, at) SELECT * FROM v",
        _DELTA,
        _rows(deltas, now),
    )


def add_up(deltas: Mapping[int, Mapping[str, int]], now: int) -> Script[None]:
    """Add to operations' counters; an operation with nothing scheduled or queued any more is COMPLETED, or CANCELED if
    all of it was canceled, or if that was before any of it was due.
    """
    sums = ", ".join(f"{name} = operation.{name} + v.{name}" for name in _COUNTERS)
    yield Bulk(
        f"UPDATE operation SET {sums}, updated_at = v.at, state = CASE WHEN operation.state <="
        f" {int(OperationState.PROCESSING)} AND operation.queued + v.queued = 0 AND operation.scheduled +"
        f" v.scheduled = 0 THEN CASE WHEN operation.state = {int(OperationState.SCHEDULED)} OR operation.canceled +"
        f" v.canceled = operation.total THEN {int(OperationState.CANCELED)} ELSE {int(OperationState.COMPLETED)} END"
        " ELSE operation.state END FROM v WHERE operation.id = v.id",
        _DELTA,
        _rows(deltas, now),
    )
    left = [(key, now) for key, delta in deltas.items() if delta.get("queued", 0) < 0 or delta.get("scheduled", 0) < 0]
    if left:
        yield Bulk(
            f"INSERT INTO event (subject_id, number, created_at) SELECT o.id, {OPERATION_EVENT} + o.state, v.at"
            f" FROM v JOIN operation o ON o.id = v.id WHERE o.state IN ({int(OperationState.COMPLETED)},"
            f" {int(OperationState.CANCELED)}) ON CONFLICT DO NOTHING",
            (("id", "bigint"), ("at", "bigint")),
            left,
        )


def _rows(deltas: Mapping[int, Mapping[str, int]], now: int) -> list[tuple[int, ...]]:
    return [(key, *map(delta.get, _COUNTERS, _NOUGHTS), now) for key, delta in deltas.items()]


def fold(now: int, limit: int) -> Script[int]:
    """Fold the oldest *limit* deltas into their operations. Brings how many.

    In any order: nothing of an operation is scheduled or queued as long as a delta that says so is missing, since what
    takes a message out of a counter is counted after what put it there, or together with it.
    """
    rows = yield Query(
        "FROM operation_delta ORDER BY id LIMIT ? /*shared FOR UPDATE SKIP LOCKED*/",
        (limit,),
        ("id", "operation_id", *_COUNTERS),
    )
    if not rows:
        return 0
    tally: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for _, operation_id, *numbers in rows:
        add_to(tally, {operation_id: dict(zip(_COUNTERS, numbers, strict=True))})
    # In the order of keys, as others lock them.
    yield from add_up(dict(sorted(tally.items())), now)
    yield Bulk(
        "DELETE FROM operation_delta WHERE id IN (SELECT id FROM v)", (("id", "bigint"),), [(row[0],) for row in rows]
    )
    return len(rows)
