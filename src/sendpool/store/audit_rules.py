"""What must hold of every database after every commit, whatever was sent and whatever failed, as statements.

Tests ask each of them of a whole database after each commit; `sendpool audit` asks them of a live one, a part at a
time. A rule's statement brings the keys of those for which it is broken, and marks where a part of the tables may stand
for the whole: `<m.id>` is a condition on the column of a message's or an operation's key, `<a.id*64>` on an attempt's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from sendpool.domain.event_types import LATE_RECEIPT, NOTICE_EVENT, OPERATION_EVENT
from sendpool.domain.states import OPEN_ATTEMPTS, AttemptState, MessageState, OperationState
from sendpool.store.messages import COUNTER

_A = AttemptState
_M = MessageState
_O = OperationState
_OPEN = ", ".join(str(int(state)) for state in sorted(OPEN_ATTEMPTS))
#: Attempts that count for nothing: not answered yet, or none at all.
_UNCOUNTED = f"{_A.STARTED:d}, {_A.WITHDRAWN:d}"
_ENDED = f"{_M.UNDELIVERED:d}, {_M.FAILED:d}, {_M.CANCELED:d}"
#: Operations that count no messages: those of inbound texts, and those that are being removed for their age.
UNCOUNTED_KINDS = "('inbound', 'removed')"
_PROCESSING_EVENT = OPERATION_EVENT + _O.PROCESSING
_OF_OPERATION = f"e.number > {OPERATION_EVENT} AND e.number < {NOTICE_EVENT}"
#: A message that said nothing to its recipient, so that it never was in a queue.
_BORN_FAILED = f"m.state = {_M.FAILED:d} AND m.attempts = 0 AND m.error_code IN (21602, 21617)"
_COUNTED = ", ".join(f"sum(CASE WHEN state = {state:d} THEN 1 ELSE 0 END) AS n{state:d}" for state in COUNTER)
#: Messages that are only in chunks count as SCHEDULED until their time has come, and as QUEUED from then on.
_IN_CHUNKS = {_M.SCHEDULED: " + coalesce(c.held, 0)", _M.QUEUED: " + o.unexpanded - coalesce(c.held, 0)"}
_MISCOUNTED = " OR ".join(
    f"o.{name} <> coalesce(r.n{state:d}, 0){_IN_CHUNKS.get(_M(state), '')}" for state, name in COUNTER.items()
)
#: A message that was closed stays as it was; its attempts go on learning.
_TOLD_LATE = f"EXISTS (SELECT 1 FROM event e WHERE e.subject_id = m.id AND (e.number & 15) = {LATE_RECEIPT})"
_SUM = " + ".join(f"o.{name}" for name in COUNTER.values())

_MARK = re.compile(r"<([a-z._]+)(?:\*(\d+))?>")

_REPORT = "Nothing mends this by itself: keep a copy of the database and report it"
_NOT_SENT = f"Nobody will send it: send it again if it is still wanted. {_REPORT}"
_COUNTERS = f"`stats` of these operations are wrong, the messages are right. {_REPORT}"
_EVENTS = f"Whoever reads events misses something: compare with the messages themselves. {_REPORT}"


class Subject(StrEnum):
    """Whose keys a rule brings."""

    OPERATION = "operation"
    MESSAGE = "message"
    ATTEMPT = "attempt"


class Part:
    """The whole of every table."""

    def holds(self, column: str, unit: int = 1) -> str:
        """The condition that a row belongs to this part; its key, `unit` times a message's, is in *column*."""
        del column, unit
        return "1 = 1"


class Span(Part):
    """What belongs to a run of keys, both ends included."""

    def __init__(self, first: int, last: int) -> None:
        self.first = first
        self.last = last

    def holds(self, column: str, unit: int = 1) -> str:
        """As `Part.holds`."""
        return f"{column} BETWEEN {self.first * unit} AND {self.last * unit + unit - 1}"


class Named(Part):
    """What belongs to these keys."""

    def __init__(self, keys: Sequence[int]) -> None:
        self._keys = ", ".join(str(int(key)) for key in keys) or "NULL"

    def holds(self, column: str, unit: int = 1) -> str:
        """As `Part.holds`."""
        return f"{f'{column} / {unit}' if unit > 1 else column} IN ({self._keys})"


WHOLE = Part()


class Rule(NamedTuple):
    """Something that must not be."""

    #: A word or two for machines to know it by.
    name: str
    subject: Subject
    #: What is wrong, told of one.
    wrong: str
    #: What whoever is told of it should do.
    remedy: str
    statement: str
    #: It asks what no index leads to from a message: fit for a whole table, or for a few keys.
    by_walk: bool = False
    #: Microseconds that a server must have run since; `<moment>` stands for when that was.
    age: int = 0

    def sql(self, part: Part, moment: int = 0) -> str:
        """The statement that brings the keys for which it is broken."""
        statement = self.statement.replace("<moment>", str(int(moment)))
        return _MARK.sub(lambda mark: f"({part.holds(mark[1], int(mark[2] or 1))})", statement)


_UNDER_WAY = f"""
    SELECT m.id FROM message m
    WHERE <m.id> AND m.state IN ({_M.QUEUED:d}, {_M.SENT:d})
    AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.id BETWEEN m.id * 64 AND m.id * 64 + 63 AND a.state IN ({_OPEN}))
    AND NOT {_TOLD_LATE}"""

#: Messages that nobody is doing anything about, unless they wait somewhere.
UNDER_WAY = Rule("under way", Subject.MESSAGE, "", "", _UNDER_WAY)

# In `later`, queue 0 holds no rows to send but questions to ask about an open attempt.
RULES: tuple[Rule, ...] = (
    Rule(
        "counters",
        Subject.OPERATION,
        "an operation's counters are not what counting its messages gives",
        _COUNTERS,
        f"""
        SELECT o.id FROM counted_operation o
        LEFT JOIN (SELECT operation_id, {_COUNTED} FROM message WHERE <id> GROUP BY operation_id) r
        ON r.operation_id = o.id
        LEFT JOIN (SELECT operation_id, sum(count) AS held FROM chunk WHERE <operation_id> AND due > 0
                   GROUP BY operation_id) c
        ON c.operation_id = o.id
        WHERE <o.id> AND o.kind NOT IN {UNCOUNTED_KINDS} AND ({_MISCOUNTED})""",
    ),
    Rule(
        "total",
        Subject.OPERATION,
        "an operation's counters do not add up to its total",
        _COUNTERS,
        f"""
        SELECT o.id FROM counted_operation o WHERE <o.id> AND o.kind NOT IN {UNCOUNTED_KINDS} AND o.total <> {_SUM}""",
    ),
    Rule(
        "attempts",
        Subject.OPERATION,
        "an operation's attempts are not what counting them gives",
        _COUNTERS,
        f"""
        SELECT o.id FROM counted_operation o
        LEFT JOIN (SELECT m.operation_id, count(*) AS n FROM attempt a JOIN message m ON m.id = a.id >> 6
                   WHERE <a.id*64> AND a.state NOT IN ({_UNCOUNTED}) GROUP BY m.operation_id) r
        ON r.operation_id = o.id
        WHERE <o.id> AND o.kind NOT IN {UNCOUNTED_KINDS} AND o.attempts <> coalesce(r.n, 0)""",
    ),
    Rule(
        "operation over",
        Subject.OPERATION,
        "an operation is over exactly when nothing of it is scheduled or queued: this one is not",
        _COUNTERS,
        f"""
        SELECT o.id FROM counted_operation o
        WHERE <o.id> AND o.kind NOT IN {UNCOUNTED_KINDS}
        AND (o.queued + o.scheduled = 0) <> (o.state IN ({_O.COMPLETED:d}, {_O.CANCELED:d}))""",
    ),
    Rule(
        "operation state",
        Subject.OPERATION,
        "an operation is SCHEDULED although something of it is not, or CANCELED although not all of it is",
        _COUNTERS,
        f"""
        SELECT o.id FROM counted_operation o WHERE <o.id> AND o.kind NOT IN {UNCOUNTED_KINDS} AND
        (o.state = {_O.SCHEDULED:d} AND o.scheduled + o.canceled + o.failed <> o.total
         OR o.state = {_O.CANCELED:d} AND o.canceled + o.failed <> o.total)""",
    ),
    Rule(
        "operation events",
        Subject.OPERATION,
        "an operation's events are not the states that it has been through",
        _EVENTS,
        f"""
        SELECT o.id FROM operation o
        LEFT JOIN event e ON e.subject_id = o.id AND {_OF_OPERATION}
        WHERE <o.id> AND o.kind NOT IN {UNCOUNTED_KINDS} GROUP BY o.id, o.state HAVING
        coalesce(sum(CASE WHEN e.number = {OPERATION_EVENT} + o.state THEN 1 ELSE 0 END), 0) <> 1
        OR max(e.number) <> {OPERATION_EVENT} + o.state
        OR o.state = {_O.COMPLETED:d} AND sum(CASE WHEN e.number = {_PROCESSING_EVENT} THEN 1 ELSE 0 END) <> 1""",
    ),
    Rule(
        "unexpanded",
        Subject.OPERATION,
        "an operation's unexpanded messages are not those in its chunks",
        f"What is in no chunk any more is not sent. {_REPORT}",
        """
        SELECT o.id FROM operation o
        LEFT JOIN (SELECT operation_id, sum(count) AS n FROM chunk WHERE <operation_id> GROUP BY operation_id) c
        ON c.operation_id = o.id
        WHERE <o.id> AND o.unexpanded <> coalesce(c.n, 0)""",
    ),
    Rule(
        "stuck",
        Subject.MESSAGE,
        "a message under way has no open attempt and waits nowhere: nobody will ever send it",
        _NOT_SENT,
        f"""{_UNDER_WAY}
        AND m.id NOT IN (SELECT message_id FROM outq WHERE <message_id>)
        AND m.id NOT IN (SELECT message_id FROM later WHERE <message_id> AND queue_id <> 0)""",
        by_walk=True,
    ),
    Rule(
        "scheduled",
        Subject.MESSAGE,
        "a scheduled message does not wait for its time, or another one does",
        _NOT_SENT,
        f"""
        SELECT m.id FROM message m
        WHERE <m.id> AND (m.state = {_M.SCHEDULED:d}) <> EXISTS (
            SELECT 1 FROM later l WHERE l.due = m.scheduled_for AND l.message_id = m.id AND l.rank IS NULL)""",
    ),
    Rule(
        "addresses",
        Subject.MESSAGE,
        "a message to several addresses has not exactly one for each step of its plan",
        _REPORT,
        """
        SELECT m.id FROM message m WHERE <m.id> AND m.address LIKE '% %'
        AND (length(m.address) - length(replace(m.address, ' ', '')) + 1 <> length(m.plan)
             OR length(m.space) <> length(m.plan) OR m.step >= length(m.plan))""",
    ),
    Rule(
        "two places",
        Subject.MESSAGE,
        "a message waits in two places",
        f"It may be sent twice. {_REPORT}",
        """
        SELECT message_id FROM (SELECT message_id FROM outq WHERE <message_id>
                                UNION ALL SELECT message_id FROM later WHERE <message_id> AND queue_id <> 0) w
        GROUP BY message_id HAVING count(*) > 1""",
        by_walk=True,
    ),
    Rule(
        "unnamed queue",
        Subject.MESSAGE,
        "a row waits in a queue that has no name: a restart would lose it",
        _NOT_SENT,
        """
        SELECT message_id FROM (SELECT queue_id, message_id FROM outq WHERE <message_id>
                                UNION ALL SELECT queue_id, message_id FROM later
                                WHERE <message_id> AND queue_id <> 0) w
        WHERE queue_id NOT IN (SELECT id FROM queue)""",
        by_walk=True,
    ),
    Rule(
        "two started",
        Subject.MESSAGE,
        "two attempts of a message are between their start and their result",
        f"Its recipient may get it twice. {_REPORT}",
        f"""
        SELECT id >> 6 FROM attempt WHERE <id*64> AND state = {_A.STARTED:d} GROUP BY id >> 6 HAVING count(*) > 1""",
    ),
    Rule(
        "unnoted",
        Subject.ATTEMPT,
        "an attempt has no result, and no restart or takeover would find it",
        f"Its message waits for ever unless its carrier answers: send it again if it is still wanted. {_REPORT}",
        # A process of an older version notes nothing: whoever takes its lease reads the whole table.
        f"""
        SELECT a.id FROM attempt a WHERE <a.id*64> AND a.state = {_A.STARTED:d}
        AND (a.epoch = 0 OR EXISTS (SELECT 1 FROM lease l WHERE l.epoch = a.epoch AND l.journaled = l.epoch))
        AND a.id NOT IN (SELECT CAST(CAST(j.value AS TEXT) AS BIGINT) FROM begun b, json_each(b.attempts) j)""",
    ),
    Rule(
        "attempt number",
        Subject.ATTEMPT,
        "an attempt's number would be given again",
        _REPORT,
        f"""
        SELECT a.id FROM attempt a JOIN message m ON m.id = a.id >> 6
        WHERE <a.id*64> AND a.state NOT IN ({_UNCOUNTED}) AND m.attempts < (a.id & 63)
        AND m.state IN ({_M.QUEUED:d}, {_M.SENT:d})""",
    ),
    Rule(
        "first event",
        Subject.MESSAGE,
        "a message did not begin with exactly one event",
        _EVENTS,
        f"""
        SELECT m.id FROM message m
        LEFT JOIN event e ON e.subject_id = m.id AND e.number IN ({_M.QUEUED:d}, {_M.INBOUND:d})
        WHERE <m.id>
        GROUP BY m.id, m.state, m.attempts, m.error_code HAVING count(e.number) > 1 OR count(e.number) = 0
        AND m.state <> {_M.SCHEDULED:d} AND NOT (m.state = {_M.CANCELED:d} AND m.attempts = 0)
        AND NOT ({_BORN_FAILED})""",
    ),
    Rule(
        "last event",
        Subject.MESSAGE,
        "a message that arrived or ended does not have exactly one event that says so",
        _EVENTS,
        f"""
        SELECT m.id FROM message m
        LEFT JOIN event e ON e.subject_id = m.id AND (e.number & 15) = m.state AND e.number < {OPERATION_EVENT}
        WHERE <m.id> AND m.state BETWEEN {_M.DELIVERED:d} AND {_M.CANCELED:d}
        GROUP BY m.id HAVING count(e.number) <> 1""",
    ),
    Rule(
        "false event",
        Subject.MESSAGE,
        "an event tells of a delivery or an end that the message does not have",
        _EVENTS,
        f"""
        SELECT m.id FROM message m JOIN event e ON e.subject_id = m.id AND e.number < {OPERATION_EVENT}
        WHERE <m.id> AND (((e.number & 15) IN ({_ENDED}) AND m.state <> (e.number & 15))
        OR ((e.number & 15) = {_M.DELIVERED:d} AND m.state NOT IN ({_M.DELIVERED:d}, {_M.READ:d})))""",
    ),
    Rule(
        "sent event",
        Subject.ATTEMPT,
        "an attempt is sent on the wire and no event says so",
        _EVENTS,
        f"""
        SELECT a.id FROM attempt a
        WHERE <a.id*64> AND (a.state IN ({_A.ACCEPTED:d}, {_A.AMBIGUOUS:d}) OR (a.marks & 2) <> 0)
        AND NOT EXISTS (SELECT 1 FROM event e
                        WHERE e.subject_id = a.id >> 6 AND e.number = (a.id & 63) * 16 + {_M.SENT:d})""",
    ),
    Rule(
        "false doubt",
        Subject.MESSAGE,
        "a message is marked ambiguous without an attempt of unknown fate",
        _REPORT,
        f"""
        SELECT m.id FROM message m
        WHERE <m.id> AND m.ambiguous <> 0 AND (m.state <> {_M.SENT:d} OR NOT EXISTS (
            SELECT 1 FROM attempt a
            WHERE a.id BETWEEN m.id * 64 AND m.id * 64 + 63
            AND (a.state = {_A.AMBIGUOUS:d} OR (a.state = {_A.ACCEPTED:d} AND (a.marks & 2) <> 0))))
        AND NOT {_TOLD_LATE}""",
    ),
    Rule(
        "unsaid doubt",
        Subject.MESSAGE,
        "the fate of a message's latest attempt is unknown and the message does not say so",
        f"It may have left although it does not look so. {_REPORT}",
        f"""
        SELECT m.id FROM message m JOIN attempt a ON a.id = m.id * 64 + m.attempts
        WHERE <m.id> AND a.state = {_A.AMBIGUOUS:d} AND m.state = {_M.SENT:d} AND m.ambiguous = 0""",
    ),
    Rule(
        "carrier id",
        Subject.ATTEMPT,
        "a carrier's id belongs to no attempt",
        f"Receipts that name it change nothing. {_REPORT}",
        """
        SELECT s.attempt_id FROM segment s LEFT JOIN attempt a ON a.id = s.attempt_id
        WHERE <s.attempt_id*64> AND a.id IS NULL""",
        by_walk=True,
    ),
    Rule(
        "message without operation",
        Subject.MESSAGE,
        "a message belongs to no operation",
        f"No list shows it and nobody counts it. {_REPORT}",
        "SELECT m.id FROM message m WHERE <m.id> AND m.operation_id NOT IN (SELECT id FROM operation WHERE <id>)",
    ),
    Rule(
        "attempt without message",
        Subject.ATTEMPT,
        "an attempt belongs to no message",
        f"Its receipts change nothing. {_REPORT}",
        """
        SELECT a.id FROM attempt a
        WHERE <a.id*64> AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = a.id >> 6)""",
    ),
    Rule(
        "chunk without operation",
        Subject.OPERATION,
        "recipients wait in a chunk that belongs to no operation",
        _NOT_SENT,
        """
        SELECT DISTINCT c.operation_id FROM chunk c
        WHERE <c.operation_id> AND NOT EXISTS (SELECT 1 FROM operation o WHERE o.id = c.operation_id)""",
    ),
)

_MINUTE = 60_000_000
_LATE = "The sweep does not come to it: look for `sweep failed` and `commit failed` in the log"

#: What a server mends or ends by itself, and has not although it has run for long enough since.
OVERDUE: tuple[Rule, ...] = (
    Rule(
        "queued too long",
        Subject.MESSAGE,
        "a message is still queued an hour after its time was over",
        _LATE,
        f"""
        SELECT m.id FROM message m JOIN operation o ON o.id = m.operation_id
        WHERE <m.id> AND m.state = {_M.QUEUED:d} AND o.deadline < <moment>
        AND NOT EXISTS (SELECT 1 FROM attempt a
                        WHERE a.id BETWEEN m.id * 64 AND m.id * 64 + 63 AND a.state = {_A.STARTED:d})""",
        age=60 * _MINUTE,
    ),
    Rule(
        "chunk too long",
        Subject.OPERATION,
        "recipients are still in a chunk an hour after they should have become messages, or their time was over",
        _LATE,
        """
        SELECT DISTINCT c.operation_id FROM chunk c JOIN operation o ON o.id = c.operation_id
        WHERE <c.operation_id> AND (o.deadline < <moment> OR c.due > 0 AND c.due < <moment>)""",
        age=60 * _MINUTE,
    ),
    Rule(
        "no result",
        Subject.ATTEMPT,
        "an attempt was started a quarter of an hour ago and has no result",
        "Its connection answers nothing and gives nothing up. A restart makes it AMBIGUOUS, and its policy decides",
        # The rest of a text of several parts may wait for its carrier until its time is over.
        f"""
        SELECT a.id FROM attempt a JOIN message m ON m.id = a.id >> 6 JOIN operation o ON o.id = m.operation_id
        WHERE <a.id*64> AND a.state = {_A.STARTED:d} AND a.started_at < <moment>
        AND (a.segments = 1 OR o.deadline < <moment>)""",
        age=15 * _MINUTE,
    ),
    Rule(
        "no connection",
        Subject.ATTEMPT,
        "an attempt has no result, and the connection that started it is not configured any more",
        "Nobody will say what became of it. A restart makes it AMBIGUOUS, and its policy decides",
        f"""
        SELECT a.id FROM attempt a LEFT JOIN connection c ON c.id = a.connection_id
        WHERE <a.id*64> AND a.state = {_A.STARTED:d} AND a.started_at < <moment>
        AND (c.id IS NULL OR c.active = 0 AND c.updated_at < <moment>)""",
        age=5 * _MINUTE,
    ),
    Rule(
        "epoch over",
        Subject.ATTEMPT,
        "an attempt has no result, and the node that started it has lost its connection to another one",
        "The node that has the connection should have made it AMBIGUOUS before it connected: look for `what the last"
        " owner left` in its log. A restart of that node does it",
        # Each takeover has a higher epoch, and settles what earlier ones left. One process alone has no epochs.
        f"""
        SELECT a.id FROM attempt a JOIN lease l ON l.scope = 'connection:' || a.connection_id
        WHERE <a.id*64> AND a.state = {_A.STARTED:d} AND a.epoch < l.epoch
        AND a.started_at < <moment> AND l.taken_at < <moment>""",
        age=5 * _MINUTE,
    ),
)
