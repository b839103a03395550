"""The usual fate of a message, written as statements over runs of keys: nothing per row in Python.

A campaign's messages have keys in a row, and so have requests accepted together. Where every message of a set goes
the usual way (first attempt accepted; first attempt delivered), a run of keys changes in one statement. Each
statement must change exactly as many rows as the run has keys; otherwise `Unusual` undoes the set (run it as a
`Unit`) and the rows are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

from sendpool.domain.states import AttemptState, MessageState
from sendpool.store.database import SHARED, Bulk, Query, Script

#: Keys in a row from which a statement of their own is cheaper than a row each in a common one: where nothing else is
#: to be changed, and where there is more. Campaigns take turns, so that many of them have short runs.
WORTH_A_STATEMENT, WORTH_ONE_MORE = 8, 24


class Unusual(Exception):
    """A row was not in the state expected; nothing of the set was changed."""


def runs(keys: Sequence[int], least: int = WORTH_A_STATEMENT) -> tuple[list[tuple[int, int]], list[int]]:
    """Split ascending *keys* into (first, last) of runs of *least* keys and more, and the keys that are in none."""
    long: list[tuple[int, int]] = []
    rest: list[int] = []
    start = 0
    for end in range(1, len(keys) + 1):
        if end < len(keys) and keys[end] == keys[end - 1] + 1:
            continue
        if end - start >= least:
            long.append((keys[start], keys[end - 1]))
        else:
            rest += keys[start:end]
        start = end
    return long, rest


class Move:
    """One usual step of a first attempt and its message: the statements for a run and for single keys."""

    def __init__(self, attempt: tuple[AttemptState, AttemptState], message: tuple[MessageState, MessageState]) -> None:
        was, becomes = (int(state) for state in attempt)
        stood, stands = (int(state) for state in message)
        # A first attempt that was accepted is the message's latest from then on.
        noted = ", attempts = 1" if stood == MessageState.QUEUED else ""
        marked = ", marks = marks | 1" if was == AttemptState.STARTED else ""
        untouched = f"state = {stood} AND attempts = {0 if noted else 1} AND ambiguous = 0"
        attempts = f"UPDATE attempt SET state = {becomes}{marked}, updated_at ="
        self.run_attempts = f"{attempts} ? WHERE id BETWEEN ? AND ? AND id & 63 = 1 AND state = {was}"
        self.one_attempts = f"{attempts} v.at FROM v WHERE attempt.id = v.id * 64 + 1 AND state = {was}"
        messages = f"UPDATE message SET state = {stands}{noted}, updated_at ="
        self.run_messages = f"{messages} ? WHERE id BETWEEN ? AND ? AND {untouched}"
        self.one_messages = f"{messages} v.at FROM v WHERE message.id = v.id AND {untouched}"
        number = 16 + stands
        self.run_events = (
            f"INSERT INTO event (subject_id, number, created_at) SELECT id, {number}, ? FROM message"
            " WHERE id BETWEEN ? AND ?"
        )
        self.one_events = f"INSERT INTO event (subject_id, number, created_at) SELECT id, {number}, at FROM v"
        # All runs at once, for PostgreSQL alone.
        of_run = "BETWEEN v.first * 64 AND v.last * 64 + 63 AND id & 63 = 1"
        self.all_attempts = f"{attempts} v.at FROM v WHERE attempt.id {of_run} AND state = {was}"
        self.all_messages = f"{messages} v.at FROM v WHERE message.id BETWEEN v.first AND v.last AND {untouched}"
        self.all_events = (
            f"INSERT INTO event (subject_id, number, created_at) SELECT m.id, {number}, v.at FROM v"
            " CROSS JOIN LATERAL generate_series(v.first, v.last) m(id)"
        )

    def carry_out(self, message_ids: Sequence[int], now: int) -> Script[None]:
        """Move these messages. Raises `Unusual` when one is not where it is expected to be."""
        if (yield SHARED):
            yield from self._together(message_ids, now)
        else:
            yield from self._run_by_run(message_ids, now)

    def _together(self, message_ids: Sequence[int], now: int) -> Script[None]:
        """Where each statement has a way to go, few of them."""
        every, _ = runs(sorted(message_ids), 1)
        all_runs = [(first, last, now) for first, last in every]
        yield from _exactly(len(message_ids), Bulk(self.all_messages, _RUN, all_runs))
        yield from _exactly(len(message_ids), Bulk(self.all_attempts, _RUN, all_runs))
        yield Bulk(self.all_events, _RUN, all_runs)

    def _run_by_run(self, message_ids: Sequence[int], now: int) -> Script[None]:
        keys = sorted(message_ids)
        is_one = keys[-1] - keys[0] == len(keys) - 1
        long, rest = runs(keys, WORTH_A_STATEMENT if is_one else WORTH_ONE_MORE)
        for first, last in long:
            count = last - first + 1
            # Messages first, as whoever locks them does.
            yield from _exactly(count, Query(self.run_messages, (now, first, last)))
            yield from _exactly(count, Query(self.run_attempts, (now, first * 64 + 1, last * 64 + 1)))
            yield Query(self.run_events, (now, first, last))
        if rest:
            rows = [(key, now) for key in rest]
            yield from _exactly(len(rest), Bulk(self.one_messages, _KEY, rows))
            yield from _exactly(len(rest), Bulk(self.one_attempts, _KEY, rows))
            yield Bulk(self.one_events, _KEY, rows)


_KEY = (("id", "bigint"), ("at", "bigint"))
_RUN = (("first", "bigint"), ("last", "bigint"), ("at", "bigint"))

#: The first attempt was accepted.
ACCEPTED = Move((AttemptState.STARTED, AttemptState.ACCEPTED), (MessageState.QUEUED, MessageState.SENT))
#: The first attempt, accepted before, was delivered.
DELIVERED = Move((AttemptState.ACCEPTED, AttemptState.DELIVERED), (MessageState.SENT, MessageState.DELIVERED))


def _exactly(count: int, statement: Query | Bulk) -> Script[None]:
    changed = yield statement
    if changed != count:
        raise Unusual
