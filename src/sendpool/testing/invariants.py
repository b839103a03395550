"""What must hold of every database after every commit, whatever was sent and whatever failed: asked in plain SQL."""
# ruff: noqa: S608 - the statements are put together from our own words

from __future__ import annotations

from sendpool.domain.events import LATE_RECEIPT, OPERATION_EVENT
from sendpool.domain.states import OPEN_ATTEMPTS, AttemptState, MessageState, OperationState
from sendpool.store.database import Query, Script
from sendpool.store.messages import COUNTER

#: Keys that one finding names, at most.
_NAMED = 5

_A = AttemptState
_M = MessageState
_O = OperationState
_OPEN = ", ".join(str(int(state)) for state in sorted(OPEN_ATTEMPTS))
#: Attempts that count for nothing: not answered yet, or none at all.
_UNCOUNTED = f"{_A.STARTED:d}, {_A.WITHDRAWN:d}"
_ENDED = f"{_M.UNDELIVERED:d}, {_M.FAILED:d}, {_M.CANCELED:d}"
#: Operations that count no messages: those of inbound texts, and those that are being removed for their age.
_UNCOUNTED_KINDS = "('inbound', 'removed')"
_PROCESSING_EVENT = OPERATION_EVENT + _O.PROCESSING
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

# In `later`, queue 0 holds no rows to send but questions to ask about an open attempt.
#: What is wrong, and the statement that brings the keys of those for which it is.
RULES = {
    "an operation's counters are not what counting its messages gives": f"""
        SELECT o.id FROM operation o
        LEFT JOIN (SELECT operation_id, {_COUNTED} FROM message GROUP BY operation_id) r ON r.operation_id = o.id
        LEFT JOIN (SELECT operation_id, sum(count) AS held FROM chunk WHERE due > 0 GROUP BY operation_id) c
        ON c.operation_id = o.id
        WHERE o.kind NOT IN {_UNCOUNTED_KINDS} AND ({_MISCOUNTED})""",
    "an operation's counters do not add up to its total": f"""
        SELECT o.id FROM operation o WHERE o.kind NOT IN {_UNCOUNTED_KINDS} AND o.total <> {_SUM}""",
    "an operation's attempts are not what counting them gives": f"""
        SELECT o.id FROM operation o
        LEFT JOIN (SELECT m.operation_id, count(*) AS n FROM attempt a JOIN message m ON m.id = a.id >> 6
                   WHERE a.state NOT IN ({_UNCOUNTED}) GROUP BY m.operation_id) r ON r.operation_id = o.id
        WHERE o.kind NOT IN {_UNCOUNTED_KINDS} AND o.attempts <> coalesce(r.n, 0)""",
    "an operation is over exactly when nothing of it is scheduled or queued: this one is not": f"""
        SELECT o.id FROM operation o
        WHERE o.kind NOT IN {_UNCOUNTED_KINDS}
        AND (o.queued + o.scheduled = 0) <> (o.state IN ({_O.COMPLETED:d}, {_O.CANCELED:d}))""",
    "an operation is SCHEDULED although something of it is not, or CANCELED although not all of it is": f"""
        SELECT o.id FROM operation o WHERE o.kind NOT IN {_UNCOUNTED_KINDS} AND
        (o.state = {_O.SCHEDULED:d} AND o.scheduled + o.canceled + o.failed <> o.total
         OR o.state = {_O.CANCELED:d} AND o.canceled + o.failed <> o.total)""",
    "an operation's events are not the states that it has been through": f"""
        SELECT o.id FROM operation o
        LEFT JOIN event e ON e.subject_id = o.id AND e.number > {OPERATION_EVENT}
        WHERE o.kind NOT IN {_UNCOUNTED_KINDS} GROUP BY o.id, o.state HAVING
        coalesce(sum(CASE WHEN e.number = {OPERATION_EVENT} + o.state THEN 1 ELSE 0 END), 0) <> 1
        OR max(e.number) <> {OPERATION_EVENT} + o.state
        OR o.state = {_O.COMPLETED:d} AND sum(CASE WHEN e.number = {_PROCESSING_EVENT} THEN 1 ELSE 0 END) <> 1""",
    "an operation's unexpanded messages are not those in its chunks": """
        SELECT o.id FROM operation o
        LEFT JOIN (SELECT operation_id, sum(count) AS n FROM chunk GROUP BY operation_id) c ON c.operation_id = o.id
        WHERE o.unexpanded <> coalesce(c.n, 0)""",
    "a message under way has no open attempt and waits nowhere: nobody will ever send it": f"""
        SELECT m.id FROM message m
        WHERE m.state IN ({_M.QUEUED:d}, {_M.SENT:d})
        AND NOT EXISTS (SELECT 1 FROM attempt a
                        WHERE a.id BETWEEN m.id * 64 AND m.id * 64 + 63 AND a.state IN ({_OPEN}))
        AND m.id NOT IN (SELECT message_id FROM outq)
        AND m.id NOT IN (SELECT message_id FROM later WHERE queue_id <> 0)
        AND NOT {_TOLD_LATE}""",
    "a scheduled message does not wait for its time, or another one does": f"""
        SELECT m.id FROM message m
        WHERE (m.state = {_M.SCHEDULED:d}) <> EXISTS (
            SELECT 1 FROM later l WHERE l.due = m.scheduled_for AND l.message_id = m.id AND l.rank IS NULL)""",
    "a message to several addresses has not exactly one for each step of its plan": """
        SELECT m.id FROM message m WHERE m.address LIKE '% %'
        AND (length(m.address) - length(replace(m.address, ' ', '')) + 1 <> length(m.plan)
             OR length(m.space) <> length(m.plan) OR m.step >= length(m.plan))""",
    "a message waits in two places": """
        SELECT message_id FROM (SELECT message_id FROM outq
                                UNION ALL SELECT message_id FROM later WHERE queue_id <> 0) w
        GROUP BY message_id HAVING count(*) > 1""",
    "a row waits in a queue that has no name: a restart would lose it": """
        SELECT message_id FROM (SELECT queue_id, message_id FROM outq
                                UNION ALL SELECT queue_id, message_id FROM later WHERE queue_id <> 0) w
        WHERE queue_id NOT IN (SELECT id FROM queue)""",
    "two attempts of a message are between their start and their result": f"""
        SELECT id >> 6 FROM attempt WHERE state = {_A.STARTED:d} GROUP BY id >> 6 HAVING count(*) > 1""",
    "an attempt's number would be given again": f"""
        SELECT a.id FROM attempt a JOIN message m ON m.id = a.id >> 6
        WHERE a.state NOT IN ({_UNCOUNTED}) AND m.attempts < (a.id & 63)
        AND m.state IN ({_M.QUEUED:d}, {_M.SENT:d})""",
    "a message did not begin with exactly one event": f"""
        SELECT m.id FROM message m
        LEFT JOIN event e ON e.subject_id = m.id AND e.number IN ({_M.QUEUED:d}, {_M.INBOUND:d})
        GROUP BY m.id, m.state, m.attempts, m.error_code HAVING count(e.number) > 1 OR count(e.number) = 0
        AND m.state <> {_M.SCHEDULED:d} AND NOT (m.state = {_M.CANCELED:d} AND m.attempts = 0)
        AND NOT ({_BORN_FAILED})""",
    "a message that arrived or ended does not have exactly one event that says so": f"""
        SELECT m.id FROM message m
        LEFT JOIN event e ON e.subject_id = m.id AND (e.number & 15) = m.state AND e.number < {OPERATION_EVENT}
        WHERE m.state BETWEEN {_M.DELIVERED:d} AND {_M.CANCELED:d}
        GROUP BY m.id HAVING count(e.number) <> 1""",
    "an event tells of a delivery or an end that the message does not have": f"""
        SELECT m.id FROM message m JOIN event e ON e.subject_id = m.id AND e.number < {OPERATION_EVENT}
        WHERE ((e.number & 15) IN ({_ENDED}) AND m.state <> (e.number & 15))
        OR ((e.number & 15) = {_M.DELIVERED:d} AND m.state NOT IN ({_M.DELIVERED:d}, {_M.READ:d}))""",
    "an attempt is sent on the wire and no event says so": f"""
        SELECT a.id FROM attempt a
        WHERE (a.state IN ({_A.ACCEPTED:d}, {_A.AMBIGUOUS:d}) OR (a.marks & 2) <> 0)
        AND NOT EXISTS (SELECT 1 FROM event e
                        WHERE e.subject_id = a.id >> 6 AND e.number = (a.id & 63) * 16 + {_M.SENT:d})""",
    "a message is marked ambiguous without an attempt of unknown fate": f"""
        SELECT m.id FROM message m
        WHERE m.ambiguous <> 0 AND (m.state <> {_M.SENT:d} OR NOT EXISTS (
            SELECT 1 FROM attempt a
            WHERE a.id BETWEEN m.id * 64 AND m.id * 64 + 63 AND a.state = {_A.AMBIGUOUS:d}))
        AND NOT {_TOLD_LATE}""",
    "the fate of a message's latest attempt is unknown and the message does not say so": f"""
        SELECT m.id FROM message m JOIN attempt a ON a.id = m.id * 64 + m.attempts
        WHERE a.state = {_A.AMBIGUOUS:d} AND m.state = {_M.SENT:d} AND m.ambiguous = 0""",
    "a carrier's id belongs to no attempt": """
        SELECT s.attempt_id FROM segment s LEFT JOIN attempt a ON a.id = s.attempt_id WHERE a.id IS NULL""",
}


def contradictions() -> Script[list[str]]:
    """What the rows say that cannot be true together, in words with a few keys; empty for a sound database.

    Reads whole tables: for tests, and for databases that are small.
    """
    found = []
    for meaning, sql in RULES.items():
        rows = yield Query(f"{sql} LIMIT {_NAMED + 1}")
        if rows:
            keys = ", ".join(str(row[0]) for row in rows[:_NAMED])
            found.append(f"{meaning}: {keys}{', ...' if len(rows) > _NAMED else ''}")
    return found
