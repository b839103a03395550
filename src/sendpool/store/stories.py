"""Everything that is kept of one message, for its explanation. Reads only, a bounded amount."""

from __future__ import annotations

from typing import NamedTuple

from sendpool.domain import ids
from sendpool.domain.explanation import WITHDRAWN
from sendpool.domain.failures import FailureClass
from sendpool.domain.message import LETTER_CHANNEL
from sendpool.domain.states import AttemptState
from sendpool.store.database import Query, Script
from sendpool.store.history import MessagePlace

#: Rows of a queue before a message that are counted, of those in one sender's lane, and rows not due yet that are
#: looked through.
FAR, LANE_FAR, LATER_FAR = 50_000, 2_000, 100_000
#: Lanes that are looked through.
LANES = 200


class StoryOfMessage(NamedTuple):
    """A message and its operation. Times are microseconds since 1970."""

    operation_id: int
    uid: bytes
    account_id: int
    #: "message", "inbound" or "email".
    kind: str
    category: str
    pool_id: int
    created_at: int
    deadline: int
    #: JSON.
    origin: str
    content: str
    id: int
    state: int
    address: str
    space: str
    plan: str
    step: int
    segments: int
    sender_id: int | None
    ambiguous: int
    error_code: int | None
    updated_at: int
    scheduled_for: int | None
    deleted_at: int | None
    passed: str | None
    #: 1: the operation is paused.
    paused: int


class StoryOfAttempt(NamedTuple):
    """An attempt, a withdrawn one too."""

    n: int
    sender_id: int
    connection_id: int
    channel: str
    state: int
    marks: int
    failure: str | None
    code: str | None
    rule: str | None
    table_version: int | None
    next: str | None
    scene: int | None
    step: int
    started_at: int
    updated_at: int


class Spot(NamedTuple):
    """Where a message stands in a queue."""

    channel: str
    #: As `queue` has it.
    lane: str
    due: int
    #: Messages before it.
    ahead: int


class Story(NamedTuple):
    """What is kept of a message."""

    message: StoryOfMessage
    attempts: list[StoryOfAttempt]
    #: Bodies (JSON) of scenes by their numbers.
    scenes: dict[int, str]
    #: Where it waits; None: in no queue, or so far back that nobody has looked.
    spot: Spot | None
    #: Whether a queue of it is longer than was looked at.
    deep: bool
    #: (due, queue or 0, lane or None) of its rows that are not due yet, earliest first. Queue 0 holds questions.
    later: list[tuple[int, int, str | None]]


_MESSAGE = (
    "SELECT o.id, o.uid, o.account_id, o.kind, o.category, o.pool_id, o.created_at, o.deadline, c.origin, c.content,"
    " m.id, m.state, m.address, m.space, m.plan, m.step, m.segments, m.sender_id, m.ambiguous, m.error_code,"
    " m.updated_at, m.scheduled_for, m.deleted_at, m.passed,"
    " (SELECT count(*) FROM operation_pause p WHERE p.operation_id = o.id AND p.released_at IS NULL)"
    " FROM operation o JOIN message m ON m.id = o.id + ?"
    " JOIN operation_content c ON c.operation_id = o.id WHERE o.uid = ? AND ? < o.total"
)
_ATTEMPTS = (
    "SELECT id & 63, sender_id, connection_id, channel, state, marks, failure, code, rule, table_version, next, scene,"
    " step, started_at, updated_at FROM attempt WHERE id BETWEEN ? AND ? ORDER BY id"
)

_SPOT = (
    "SELECT q.due, (SELECT count(*) FROM outq p WHERE p.queue_id = q.queue_id AND (p.rank, p.message_id) <"
    " (q.rank, q.message_id)) FROM (SELECT * FROM outq WHERE queue_id = ? ORDER BY rank, message_id LIMIT ?) q"
    " WHERE q.message_id = ?"
)
_MORE = "SELECT 1 FROM outq WHERE queue_id = ? ORDER BY rank, message_id LIMIT 1 OFFSET ?"


def fetch_story(place: MessagePlace, account_id: int | None, *, waits: bool = True) -> Script[Story | None]:
    """What is kept of a message (or email) of an account; None for *account_id* is any account's.

    *waits* False leaves out where it waits.
    """
    rows = yield Query(_MESSAGE, (place.position, place.operation_uid, place.position))
    if not rows or account_id not in (None, rows[0][2]):
        return None
    message = StoryOfMessage(*rows[0])
    found = yield Query(_ATTEMPTS, (message.id * 64, message.id * 64 + ids.MAX_ATTEMPTS))
    attempts = _with_withdrawn(message, [StoryOfAttempt(*row) for row in found])
    scenes: dict[int, str] = {}
    for number in {one.scene for one in attempts if one.scene is not None}:
        for row in (yield Query("SELECT id, body FROM scene WHERE id = ?", (number,))):
            scenes[row[0]] = row[1]
    if not waits:
        return Story(message, attempts, scenes, None, False, [])
    spot, deep = yield from _spot(message)
    later = [] if spot else (yield from _later(message))
    return Story(message, attempts, scenes, spot, deep, later)


def _with_withdrawn(message: StoryOfMessage, attempts: list[StoryOfAttempt]) -> list[StoryOfAttempt]:
    """The same with the withdrawn ones whose numbers later attempts have taken over, in the order of time."""
    kept = {(one.n, one.sender_id, one.updated_at // 1_000_000) for one in attempts}
    for noted in (message.passed or "").split():
        step, _, rest = noted.partition(WITHDRAWN)
        if not (step.isdigit() and rest):
            continue
        n, sender_id, second, code = rest.split(".", 3)
        if (int(n), int(sender_id), int(second)) not in kept:
            at = int(second) * 1_000_000
            channel = LETTER_CHANNEL[message.plan[int(step)]].value
            why = FailureClass.THROTTLED if code == "throttled" else FailureClass.TRANSIENT
            told = (why.value, code.replace("_", " "), None, None, "later", None, int(step), at, at)
            attempts.append(StoryOfAttempt(int(n), int(sender_id), 0, channel, AttemptState.WITHDRAWN, 0, *told))
    return sorted(attempts, key=_time_of)


def _time_of(one: StoryOfAttempt) -> tuple[int, int]:
    """Attempts follow each other; a withdrawn one is over before the next begins."""
    at = one.updated_at if one.state == AttemptState.WITHDRAWN else one.started_at
    return one.n, at


def _spot(message: StoryOfMessage) -> Script[tuple[Spot | None, bool]]:
    """Where it stands in a queue of its pool; and whether some were longer than was looked at.

    Rows are found by queue and rank only, so each queue is looked through from its head, so far and no further.
    """
    queues = yield Query("SELECT id, channel, lane FROM queue WHERE pool_id = ? ORDER BY id", (message.pool_id,))
    shared = [queue for queue in queues if not queue[2].isdigit()]
    lanes = [queue for queue in queues if queue[2].isdigit()]
    deep = len(lanes) > LANES
    for queue_id, channel, lane in [*shared, *lanes[:LANES]]:
        far = LANE_FAR if lane.isdigit() else FAR
        rows = yield Query(_SPOT, (queue_id, far, message.id))
        if rows:
            return Spot(channel, lane, *rows[0]), deep
        deep |= bool((yield Query(_MORE, (queue_id, far - 1))))
    return None, deep


def _later(message: StoryOfMessage) -> Script[list[tuple[int, int, str | None]]]:
    rows = yield Query(
        "SELECT r.due, r.queue_id, k.lane FROM (SELECT due, message_id, queue_id FROM later ORDER BY due, message_id"
        " LIMIT ?) r LEFT JOIN queue k ON k.id = r.queue_id WHERE r.message_id = ? ORDER BY r.due",
        (LATER_FAR, message.id),
    )
    return [(row[0], row[1], row[2]) for row in rows]
