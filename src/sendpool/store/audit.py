"""What `sendpool audit` reads: rules over a part of the tables at a time, walks for what no index leads to, and names.

Each script is one short snapshot. Within it a rule holds exactly, whatever the server does meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sendpool.domain.decision import CLOSE_AFTER
from sendpool.domain.ownership import KEEPER
from sendpool.domain.retention import lived_through
from sendpool.domain.states import MessageState
from sendpool.store.audit_rules import OVERDUE, RULES, UNCOUNTED_KINDS, UNDER_WAY, Named, Rule, Span
from sendpool.store.database import Bulk, Query, Script
from sendpool.store.messages import COUNTER
from sendpool.store.uptime import latest_spans
from sendpool.store.walks import Place, beginning, walk, window_end

#: Operations that one look takes, at most.
_OPERATIONS = 500
_SPANS = 1_000
_CLOSING = int(CLOSE_AFTER * 1e6)
_SEGMENT = ("connection_id", "carrier_id", "attempt_id", "part")

#: The last key of what is kept by message: what belongs to no operation may lie behind the last one.
_EDGES = (
    "SELECT coalesce(max(id + total), 0) AS edge FROM (SELECT id, total FROM operation ORDER BY id DESC LIMIT 1) o",
    "SELECT coalesce(max(id), 0) FROM message",
    "SELECT coalesce(max(id), 0) / 64 FROM attempt",
    "SELECT coalesce(max(operation_id), 0) FROM chunk",
)
#: Counters of operations, and what of `sent` is stated as unknown: ambiguous, or closed without a receipt.
Sums = dict[str, int]


class Bounds(NamedTuple):
    """What an audit looks at."""

    #: The last key of what was there when it began.
    edge: int
    #: The moment since which a server has run for so many microseconds, by that number; None: it has not yet.
    moments: Mapping[int, int | None]


def bounds(ages: Sequence[int]) -> Script[Bounds]:
    """The last key there is, and since when a server has run for each of *ages*, in microseconds."""
    rows = yield Query(f"SELECT max(edge) FROM ({' UNION ALL '.join(_EDGES)}) r")
    spans = [span for _, span in (yield from latest_spans(_SPANS))]
    return Bounds(int(rows[0][0]), {age: lived_through(spans, age) for age in ages})


class Look(NamedTuple):
    """What one part of the tables shows."""

    #: Keys by the name of the rule that is broken for them.
    broken: dict[str, list[int]]
    #: Messages that must be waiting somewhere.
    waiting: list[int]
    #: Messages of which nobody knows whether they have left.
    doubtful: list[int]
    sums: Sums
    #: Where to go on, or None.
    next: int | None


def look_at(first: int, within: Bounds, messages: int) -> Script[Look]:
    """Ask every rule about the operations from key *first* on, of about so many *messages* together."""
    span, after = yield from _span(first, within.edge, messages)
    broken = {}
    for rule in (*RULES, *OVERDUE):
        moment = within.moments[rule.age] if rule.age else 0
        if not rule.by_walk and moment is not None:
            broken[rule.name] = yield from _keys(rule, span, moment)
    waiting = yield from _keys(UNDER_WAY, span)
    doubtful = yield Query(f"SELECT id FROM message WHERE {span.holds('id')} AND ambiguous <> 0")
    return Look(broken, waiting, [row[0] for row in doubtful], (yield from _sums(span)), after)


def _span(first: int, edge: int, messages: int) -> Script[tuple[Span, int | None]]:
    rows = yield Query(
        f"SELECT id, total FROM operation WHERE id >= ? AND id <= ? ORDER BY id LIMIT {_OPERATIONS + 1}", (first, edge)
    )
    last = first
    for number, (key, total) in enumerate(rows):
        if number and (number == _OPERATIONS or key + total - first > messages):
            return Span(first, last), last + 1
        last = key + max(total, 1) - 1
    return Span(first, max(edge, first)), None


def _keys(rule: Rule, part: Span | Named, moment: int = 0) -> Script[list[int]]:
    rows = yield Query(rule.sql(part, moment))
    return [row[0] for row in rows]


def _sums(span: Span) -> Script[Sums]:
    names = ("total", *COUNTER.values(), "unaddressable")
    rows = yield Query(
        f"SELECT count(*), {', '.join(f'coalesce(sum({name}), 0)' for name in names)} FROM counted_operation"
        f" WHERE {span.holds('id')} AND kind NOT IN {UNCOUNTED_KINDS}"
    )
    unknown = yield Query(
        "SELECT count(*) FROM message m JOIN operation o ON o.id = m.operation_id"
        f" WHERE {span.holds('m.id')} AND o.kind NOT IN {UNCOUNTED_KINDS} AND m.state = {MessageState.SENT:d}"
        f" AND (m.ambiguous <> 0 OR o.deadline < (SELECT coalesce(max(ended_at), 0) FROM uptime) - {_CLOSING})"
    )
    found = dict(zip(("operations", *names), map(int, rows[0]), strict=True))
    return {**found, "unknown": int(unknown[0][0])}


def broken_of(rule: Rule, keys: Sequence[int]) -> Script[list[int]]:
    """Those of a few keys for which a rule is broken, asked of whole tables at one moment."""
    return (yield from _keys(rule, Named(keys)))


class Waiting(NamedTuple):
    """A row of `outq` or `later`."""

    message_id: int
    #: It is a row to send, not a question to ask about an attempt.
    to_send: bool
    due: int
    #: Its message, or its queue, is not there.
    lost: bool
    unnamed: bool


def waiting_rows(table: str, place: Place, window: int) -> Script[tuple[list[Waiting], Place | None]]:
    """The next *window* rows of `outq` or `later`, and where to go on, or None."""
    key = ("queue_id", "rank", "message_id") if table == "outq" else ("due", "message_id")
    order = ", ".join(key)
    begin, bound = beginning(key, place)
    rows = yield Query(
        f"FROM (SELECT queue_id, message_id, due FROM {table}{begin} ORDER BY {order} LIMIT ?) w"
        " LEFT JOIN message m ON m.id = w.message_id LEFT JOIN queue q ON q.id = w.queue_id",
        (*bound, window),
        (
            "w.message_id",
            "CASE WHEN w.queue_id <> 0 THEN 1 ELSE 0 END",
            "w.due",
            "CASE WHEN m.id IS NULL THEN 1 ELSE 0 END",
            "CASE WHEN q.id IS NULL AND w.queue_id <> 0 THEN 1 ELSE 0 END",
        ),
    )
    found = [Waiting(row[0], bool(row[1]), row[2], bool(row[3]), bool(row[4])) for row in rows]
    return found, (yield from window_end(table, key, place, window))


def segments_of_nobody(place: Place, window: int) -> Script[tuple[list[int], Place | None]]:
    """Attempts that carrier ids of the next *window* segments name and that are not there; where to go on, or None."""
    lost = "NOT EXISTS (SELECT 1 FROM attempt a WHERE a.id = r.attempt_id)"
    rows, after = yield from walk("segment", _SEGMENT, place, window, lost, ())
    return [row[2] for row in rows], after


def rows_of_dead_pools(moment: int, limit: int) -> Script[list[int]]:
    """Messages that wait in queues of pools that are gone, or that were deleted before *moment* and have no sender."""
    rows = yield Query(
        "SELECT w.message_id FROM queue q LEFT JOIN sender_pool p ON p.id = q.pool_id JOIN outq w ON w.queue_id = q.id"
        " WHERE (p.id IS NULL OR p.deleted_at < ? AND NOT EXISTS (SELECT 1 FROM sender s LEFT JOIN pool_member b"
        " ON b.sender_id = s.id AND b.pool_id = p.id WHERE s.active = 1 AND s.channel = q.channel AND"
        " (b.pool_id IS NOT NULL OR p.kind = 'account' AND s.account_id = p.account_id))) LIMIT ?",
        (moment, limit),
    )
    return [row[0] for row in rows]


def leases_of_nobody(moment: int) -> Script[list[str]]:
    """What has had no owner since *moment*: names of configured connections, and "keeper"."""
    # One that nobody has ever held has just been declared.
    rows = yield Query(
        "SELECT coalesce(c.name, l.scope) FROM lease l LEFT JOIN connection c ON l.scope = 'connection:' || c.id"
        f" LEFT JOIN account a ON a.id = c.account_id WHERE l.until < ? AND l.epoch > 0 AND (l.scope = '{KEEPER}'"
        " OR c.active = 1 AND a.closed_at IS NULL) ORDER BY l.scope",
        (moment,),
    )
    return [name for (name,) in rows]


class Parked(NamedTuple):
    """Receipts that found no segment: how many, and (connection, carrier id) of a few."""

    receipts: int
    examples: list[tuple[str, str]]


def parked_receipts(moment: int, named: int, *, known: bool) -> Script[Parked]:
    """Receipts that came before *moment* and still wait: for a segment that is *known* by now, or that nobody knows."""
    where = (
        f"r.received_at < ? AND {'' if known else 'NOT '}EXISTS (SELECT 1 FROM segment s"
        " WHERE s.connection_id = r.connection_id AND s.carrier_id = r.carrier_id)"
    )
    counted = yield Query(f"SELECT count(*) FROM receipt r WHERE {where}", (moment,))
    rows = yield Query(
        "SELECT coalesce(c.name, ''), r.carrier_id FROM receipt r LEFT JOIN connection c ON c.id = r.connection_id"
        f" WHERE {where} ORDER BY r.id LIMIT ?",
        (moment, named),
    )
    return Parked(int(counted[0][0]), [(name, carrier_id) for name, carrier_id in rows])


def owners(message_ids: Sequence[int]) -> Script[dict[int, tuple[str, int, str]]]:
    """(operation's uid in hex, index, kind of operation) of messages by key; those that are not there left out."""
    rows = yield Bulk(
        "FROM v JOIN message m ON m.id = v.id JOIN operation o ON o.id = m.operation_id",
        (("id", "bigint"),),
        [(key,) for key in message_ids],
        ("m.id", "hex(o.uid)", "m.id - o.id", "o.kind"),
    )
    return {key: (uid, index, kind) for key, uid, index, kind in rows}


def operation_uids(operation_ids: Sequence[int]) -> Script[dict[int, str]]:
    """Operations' uids in hex, by key; those that are not there left out."""
    rows = yield Bulk(
        "FROM v JOIN operation o ON o.id = v.id",
        (("id", "bigint"),),
        [(key,) for key in operation_ids],
        ("o.id", "hex(o.uid)"),
    )
    return dict(rows)
