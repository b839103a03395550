"""Pause operations whose content carriers refuse as spam or against a policy: 3 in 100 of the last answers.

Each process counts what it settles itself: by commit, and only of operations that were refused so at all.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import structlog

from sendpool.domain import ids
from sendpool.domain.flagging import Window
from sendpool.pipeline.clock import Clock
from sendpool.pipeline.expand import Expander
from sendpool.pipeline.settle import Changes
from sendpool.store.database import Database, Script
from sendpool.store.notices import Notice, write_notices
from sendpool.store.pauses import Pause, give_back, pause_operation, paused_operations

log = structlog.get_logger()

PAUSED = "sendpool.operation.paused"
#: Operations whose answers are counted at a time; those that were refused longest ago make way.
_MOST_COUNTED = 10_000
#: Counters whose growth tells of answers to submits, and of receipts.
_ANSWERED, _REPORTED = ("attempts",), ("delivered", "undelivered")


class Filtered(NamedTuple):
    """What was refused, where: an operation, "submit" or "receipt", the carrier's code and the row of the table."""

    operation_id: int
    place: str
    code: str
    rule: str


Sweep = Callable[[Callable[[Changes], Script[None]]], None]


class Flagging:
    """Counts, pauses, and knows what is paused. Lives on the event loop; commits only look into `paused`."""

    def __init__(self, clock: Clock, expander: Expander, sweep: Sweep, show: Callable[[int], None]) -> None:
        """*sweep* has a stage run in the next commit; *show* is told how many operations are paused."""
        self._clock = clock
        self._expander = expander
        self._sweep = sweep
        self._show = show
        self._windows: OrderedDict[int, dict[str, Window]] = OrderedDict()
        #: Operations that are paused, and how many messages each has.
        self.paused: dict[int, int] = {}

    def settled(self, filtered: Counter[Filtered], tally: Mapping[int, Mapping[str, int]]) -> None:
        """A commit has settled these refusals; *tally* is what it added to the counters of operations."""
        if not filtered and not self._windows:
            return
        latest = {one.operation_id: one for one in filtered}
        for key in latest:
            self._windows.setdefault(key, {"submit": Window(), "receipt": Window()})
            self._windows.move_to_end(key)
        for key in latest.keys() | (self._windows.keys() & tally.keys()):
            self._count(key, filtered, tally.get(key, {}))
        for key, one in latest.items():
            full = [window for window in self._windows.get(key, {}).values() if window.too_many]
            if full and key not in self.paused:
                self._pause(one, full[0])
        while len(self._windows) > _MOST_COUNTED:
            self._windows.popitem(last=False)

    def _count(self, key: int, filtered: Counter[Filtered], counted: Mapping[str, int]) -> None:
        """Count what one commit has brought of an operation; forget it where nothing filtered is among the last."""
        for place, names in (("submit", _ANSWERED), ("receipt", _REPORTED)):
            refused = sum(number for one, number in filtered.items() if one[:2] == (key, place))
            answers = sum(max(0, counted.get(name, 0)) for name in names)
            window = self._windows[key][place]
            if refused or (answers and window.filtered):
                window.note(answers, refused)
        if not any(window.filtered for window in self._windows[key].values()):
            del self._windows[key]

    def _pause(self, one: Filtered, window: Window) -> None:
        pause = Pause(one.operation_id, self._clock.wall(), window.filtered, window.answers, one.code, one.rule)
        # From now on, so that the claims of the very next commit leave it alone; the sweep finds out what became of it.
        self.paused[one.operation_id] = 1
        self._expander.pause(one.operation_id)
        log.warning("an operation pauses: its content is refused", refused=pause.filtered, of=pause.answers)
        self._sweep(partial(_write, pause))

    async def look(self, database: Database) -> None:
        """Know what is paused, wherever it was, and let go on what is paused no more."""
        known = set(self.paused)
        found = dict(await database.read(paused_operations()))
        gone = [(key, self.paused[key]) for key in known - found.keys()]
        for key, _ in gone:
            del self.paused[key]
            self._expander.unpause(key)
            self._windows.pop(key, None)
        for key in found:
            self._expander.pause(key)
        self.paused.update(found)
        self._show(len(found))
        if gone:
            self._sweep(partial(_give_back, gone))


def _write(pause: Pause, changes: Changes) -> Script[None]:
    found = yield from pause_operation(pause)
    if found is None:
        return
    account_id, uid, _ = found
    data = {"state": "paused", "reason": f"{pause.rule or 'POLICY'}", "count": str(pause.filtered)}
    yield from write_notices([Notice(account_id, PAUSED, ids.operation_id(uid), data, changes.now)])


def _give_back(operations: list[tuple[int, int]], changes: Changes) -> Script[None]:
    yield from give_back(operations, changes.now)
