"""Counters of operations: one update for each operation and batch where one process writes, deltas where several do.

With several writers each would wait for the others at the row of a common operation. So a batch leaves a row of what it
adds, and one process, the keeper, folds these rows into the operations and tells what is completed. Reads ask
`counted_operation`, which adds what is not folded yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

from sendpool.domain.event_types import OPERATION_EVENT
from sendpool.domain.states import OperationState
from sendpool.store.database import SHARED, Bulk, Query, Script
from sendpool.store.messages import COUNTER
from sendpool.store.runs import WORTH_A_STATEMENT, runs

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
        rest = yield from _add_up_runs(deltas, now)
        if rest:
            yield from add_up(rest, now)
        return
    yield Bulk(
        f"INSERT INTO operation_delta (operation_id, {', '.join(_COUNTERS)}, at) SELECT * FROM v",
        _DELTA,
        _rows(deltas, now),
    )


def _adding(added: Callable[[str], str], at: str) -> str:
    """The SET of an update that adds to counters what *added* names, and completes an operation with nothing scheduled
    or queued any more: COMPLETED, or CANCELED if all of it was canceled, or if that was before any of it was due.
    """
    sums = ", ".join(f"{name} = operation.{name} + {added(name)}" for name in _COUNTERS)
    return (
        f"UPDATE operation SET {sums}, updated_at = {at}, state = CASE WHEN operation.state <="
        f" {int(OperationState.PROCESSING)} AND operation.queued + {added('queued')} = 0 AND operation.scheduled +"
        f" {added('scheduled')} = 0 THEN CASE WHEN operation.state = {int(OperationState.SCHEDULED)} OR"
        f" operation.canceled + {added('canceled')} = operation.total THEN {int(OperationState.CANCELED)} ELSE"
        f" {int(OperationState.COMPLETED)} END ELSE operation.state END"
    )


_ENDED = f"({int(OperationState.COMPLETED)}, {int(OperationState.CANCELED)})"
_ADD = f"{_adding(lambda name: f'v.{name}', 'v.at')} FROM v WHERE operation.id = v.id"
_TELL = (
    f"INSERT INTO event (subject_id, number, created_at) SELECT o.id, {OPERATION_EVENT} + o.state, v.at"
    f" FROM v JOIN operation o ON o.id = v.id WHERE o.state IN {_ENDED} ON CONFLICT DO NOTHING"
)
_ADD_TO_RUN = f"{_adding(lambda _: '?', '?')} WHERE id BETWEEN ? AND ?"
_TELL_OF_RUN = (
    f"INSERT INTO event (subject_id, number, created_at) SELECT id, {OPERATION_EVENT} + state, ? FROM operation"
    f" WHERE id BETWEEN ? AND ? AND state IN {_ENDED} ON CONFLICT DO NOTHING"
)


def add_up(deltas: Mapping[int, Mapping[str, int]], now: int) -> Script[None]:
    """Add to operations' counters, and complete those with nothing scheduled or queued any more."""
    yield Bulk(_ADD, _DELTA, _rows(deltas, now))
    left = [(key, now) for key, delta in deltas.items() if _takes_out(delta)]
    if left:
        yield Bulk(_TELL, (("id", "bigint"), ("at", "bigint")), left)


def _add_up_runs(deltas: Mapping[int, Mapping[str, int]], now: int) -> Script[Mapping[int, Mapping[str, int]]]:
    """The same for operations that change alike and whose keys are in a row, as those of single messages are: a
    statement for all of a run costs a third of one that looks up each. Brings the deltas that are left.
    """
    if len(deltas) < WORTH_A_STATEMENT:
        return deltas
    alike: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    for key, delta in deltas.items():
        alike[tuple(map(delta.get, _COUNTERS, _NOUGHTS))].append(key)
    rest: dict[int, Mapping[str, int]] = {}
    for numbers, keys in alike.items():
        long, single = runs(sorted(keys))
        delta = dict(zip(_COUNTERS, numbers, strict=True))
        for run in long:
            yield Query(_ADD_TO_RUN, (*numbers, now, delta["queued"], delta["scheduled"], delta["canceled"], *run))
            if _takes_out(delta):
                yield Query(_TELL_OF_RUN, (now, *run))
        rest |= {key: deltas[key] for key in single}
    return rest


def _takes_out(delta: Mapping[str, int]) -> bool:
    return delta.get("queued", 0) < 0 or delta.get("scheduled", 0) < 0


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
