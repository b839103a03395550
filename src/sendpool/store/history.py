"""What clients read of messages and their attempts. Reads only, and a bounded amount of work for each page.

Messages carry no account of their own: a list walks the account's operations from the newest to the oldest (index
`operation_account`) and takes each one's messages by key range. A filter that few pass could walk for ever, so a
page gives up after `SCAN` messages or `OPERATIONS` operations; it then comes back short, perhaps empty, with the
place to go on from. Clients go on until no place is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import select

from sendpool.domain import ids
from sendpool.domain.message import has_markup
from sendpool.domain.request import OF_PROFILE
from sendpool.domain.states import AttemptState
from sendpool.store.database import Query, Script
from sendpool.store.slices import created_between
from sendpool.store.tables import pool_member, sender

#: Messages that one page looks at before it gives up (and the rest of the operations in hand).
SCAN = 20_000
#: Operations that one page looks at before it gives up.
OPERATIONS = 5_000
#: Characters of contents that one page reads, or shows, before it ends: an email may have megabytes.
CONTENTS = 8_000_000
#: Operations read at a time, and messages that one statement may look at (or one operation's, if it has more).
_STEP = 250
_RUN = 5_000


class SenderName(NamedTuple):
    """What a message says of its sender."""

    uid: bytes
    address: str
    channel: str


class MessagePlace(NamedTuple):
    """A place in lists of messages: what comes after message `position` of an operation, so has a lower one."""

    operation_uid: bytes
    position: int


class MessageRow(NamedTuple):
    """A message as lists show it. Times are microseconds since 1970."""

    place: MessagePlace
    #: "message", "inbound" or "email".
    kind: str
    state: int
    #: As `message` keeps it: one, or one for each step of the plan.
    address: str
    #: "P", "W" or "E", or as many letters.
    space: str
    #: The present step, or the one that delivered.
    step: int
    ambiguous: int
    #: The sender in use, the only one it can have, or (inbound) the one that received it; None before binding.
    sender: SenderName | None
    #: The pool it was sent from; hidden for sends that named none.
    pool_uid: bytes | None
    #: "pool", "sender" or "account".
    pool_kind: str | None
    #: JSON.
    tags: str
    #: JSON: {"kind": ...}, and of an inbound message {"to": our address that it was written to}.
    origin: str
    created_at: int
    updated_at: int
    #: The recipient's name beside an email address.
    name: str | None
    scheduled_for: int | None
    deleted_at: int | None
    #: The ids of the profile that the recipient was named by and of its memory store, with a blank between.
    profile: str | None
    #: JSON by name: what texts and tags are filled in with.
    variables: str | None


class AttemptRow(NamedTuple):
    """One try through one sender."""

    n: int
    state: int
    marks: int
    failure: str | None
    code: str | None
    rule: str | None
    started_at: int
    updated_at: int
    #: The step of the message's plan that it was a try of.
    step: int
    sender: SenderName


class FoundMessage(NamedTuple):
    """A message with its content (JSON) and its attempts in order."""

    row: MessageRow
    content: str
    attempts: list[AttemptRow]


#: Where acceptance keeps the profile that a recipient was named by: among the variables, under `OF_PROFILE`.
_PROFILE = f"""json_extract(m.variables, '$."{OF_PROFILE}"')"""


class MessageFilter(NamedTuple):
    """Which messages are wanted; None: any. `channel` is that of the sender in use, `emails`: emails alone, or none."""

    operation_uid: bytes | None = None
    state: int | None = None
    channel: str | None = None
    ambiguous: bool | None = None
    tags: Mapping[str, str] = {}
    emails: bool = False
    #: Of the recipient or of the sender in use.
    address: str | None = None
    #: The id of the profile that the recipient was named by.
    profile: str | None = None
    #: The public id of the session that it belongs to.
    session: str | None = None
    #: The tags of a message, where those of its operation (JSON) hold Liquid: by its variables (JSON) and the time at
    #: which it was accepted.
    tags_of: Callable[[str, str | None, int], Mapping[str, str]] | None = None

    def conditions(self) -> tuple[str, list[Any]]:
        """The part that concerns messages, as SQL over `m` and `o`, and its values."""
        sql = ""
        values: list[Any] = []
        if self.state is not None:
            sql += " AND m.state = ?"
            values.append(self.state)
        if self.ambiguous is not None:
            sql += " AND m.ambiguous = ?"
            values.append(int(self.ambiguous))
        if self.channel is not None:
            sql += _ON_CHANNEL
            values += [self.channel, self.channel]
        if self.address is not None:
            sql += _WITH_ADDRESS
            values += [self.address, self.address, self.address]
        if self.profile is not None:
            sql += f" AND substr({_PROFILE}, 1, {len(self.profile) + 1}) = ?"
            values.append(f"{self.profile} ")
        return sql, values


#: The sender in use: the one named, else that of the latest attempt that has a result.
_BOUND = "coalesce(m.sender_id, (SELECT b.sender_id FROM attempt b WHERE b.id = m.id * 64 + m.attempts))"
#: A message that has no sender yet, but can have only one, is on that one's channel already.
_ON_CHANNEL = (
    f" AND ({_BOUND} IN (SELECT id FROM sender WHERE channel = ?) OR ({_BOUND} IS NULL AND o.pool_id IN"
    " (SELECT pm.pool_id FROM pool_member pm JOIN sender s ON s.id = pm.sender_id JOIN sender_pool p"
    " ON p.id = pm.pool_id WHERE p.kind = 'sender' AND s.channel = ?)))"
)


_WITH_ADDRESS = (
    f" AND (m.address = ? OR {_BOUND} IN (SELECT id FROM sender WHERE address = ?) OR ({_BOUND} IS NULL AND o.pool_id"
    " IN (SELECT pm.pool_id FROM pool_member pm JOIN sender s ON s.id = pm.sender_id JOIN sender_pool p"
    " ON p.id = pm.pool_id WHERE p.kind = 'sender' AND s.address = ?)))"
)


class MessageSlice(NamedTuple):
    """Messages of operations created in [start, end), from `before` on in the list's order, at most `limit`."""

    limit: int
    before: MessagePlace | None = None
    start: int | None = None
    end: int | None = None


class MessagePage(NamedTuple):
    """Messages, newest first, and the place to go on from: None when there are no more."""

    rows: list[MessageRow]
    next: MessagePlace | None
    #: What their operations say (JSON) by the operation's uid, where that was asked for.
    contents: Mapping[bytes, str] = {}


class _Operation(NamedTuple):
    """What the messages of one operation have in common."""

    id: int
    uid: bytes
    kind: str
    total: int
    pool_id: int
    created_at: int
    pool_uid: bytes | None
    pool_kind: str | None
    tags: str
    origin: str


class _Message(NamedTuple):
    """A message as its own row has it."""

    operation: _Operation
    id: int
    state: int
    address: str
    space: str
    step: int
    ambiguous: int
    sender_id: int | None
    updated_at: int
    name: str | None
    scheduled_for: int | None
    deleted_at: int | None
    profile: str | None
    variables: str | None


#: The columns of a message's own row, as `_Message` has them after the operation.
_COLUMNS = (
    f"m.id, m.state, m.address, m.space, m.step, m.ambiguous, {_BOUND}, m.updated_at, m.name, m.scheduled_for,"
    f" m.deleted_at, {_PROFILE}, m.variables"
)


def _kind(*, emails: bool) -> str:
    """Emails are messages that no list or fetch shows together with others."""
    return " AND o.kind = 'email'" if emails else " AND o.kind <> 'email'"


def list_messages(account_id: int, wanted: MessageFilter, part: MessageSlice) -> Script[MessagePage]:
    """Messages of an account, newest first: by operation, and within one from the last recipient to the first.

    Messages of an operation that is still being expanded show as they appear.
    """
    rows: list[_Message] = []
    before = part.before
    scanned = seen = 0
    while True:
        operations = yield from _operations(account_id, wanted, part, before)
        for run in _runs(operations, wanted.tags):
            find = _tagged if wanted.tags and has_markup(run[0].tags) else _messages
            rows += yield from find(account_id, run, wanted, before, part.limit + 1 - len(rows))
            if len(rows) > part.limit:
                shown = yield from _shown(rows[: part.limit])
                return MessagePage(shown, shown[-1].place)
            before = MessagePlace(run[-1].uid, 0)
            scanned += sum(operation.total for operation in run)
            if scanned >= SCAN:
                return MessagePage((yield from _shown(rows)), before)
        if len(operations) < _STEP:
            return MessagePage((yield from _shown(rows)), None)
        before = MessagePlace(operations[-1].uid, 0)
        seen += len(operations)
        if seen >= OPERATIONS:
            return MessagePage((yield from _shown(rows)), before)


def list_with_contents(
    account_id: int, wanted: MessageFilter, part: MessageSlice, weigh: Callable[[str], int]
) -> Script[MessagePage]:
    """A list of messages with what they say. A page of long contents ends early and names a next one.

    *weigh* says how many characters of a content (JSON) are shown for each of its messages.
    """
    page = yield from list_messages(account_id, wanted, part)
    contents: dict[bytes, str] = {}
    weights: dict[bytes, int] = {}
    read = shown = 0
    for i, row in enumerate(page.rows):
        if i and max(read, shown) >= CONTENTS:
            return MessagePage(page.rows[:i], page.rows[i - 1].place, contents)
        uid = row.place.operation_uid
        if uid not in contents:
            found = yield Query(
                "SELECT c.content FROM operation o JOIN operation_content c ON c.operation_id = o.id WHERE o.uid = ?",
                (uid,),
            )
            contents[uid] = found[0][0]
            weights[uid] = weigh(contents[uid])
            read += len(contents[uid])
        shown += weights[uid]
    return page._replace(contents=contents)


def _operations(
    account_id: int, wanted: MessageFilter, part: MessageSlice, before: MessagePlace | None
) -> Script[list[_Operation]]:
    """The next operations in the list's order; the one that *before* lies in comes first, if any of it is left."""
    sql, values = created_between(part.start, part.end)
    if before is not None:
        sql += " AND o.uid <= ?" if before.position else " AND o.uid < ?"
        values.append(before.operation_uid)
    if wanted.operation_uid is not None:
        sql += " AND o.uid = ?"
        values.append(wanted.operation_uid)
    if wanted.session is not None:
        sql += " AND o.kind = 'inbound' AND c.origin LIKE ?"
        values.append(f'%"session":"{wanted.session}"%')
    rows = yield Query(
        "SELECT o.id, o.uid, o.kind, o.total, o.pool_id, o.created_at, p.uid, p.kind, c.tags, c.origin FROM operation o"
        " JOIN operation_content c ON c.operation_id = o.id LEFT JOIN sender_pool p ON p.id = o.pool_id"
        f" WHERE o.account_id = ?{_kind(emails=wanted.emails)}{sql} ORDER BY o.uid DESC LIMIT ?",
        (account_id, *values, _STEP),
    )
    return [_Operation(*row) for row in rows]


def _runs(operations: Sequence[_Operation], tags: Mapping[str, str]) -> Iterator[list[_Operation]]:
    """Neighbours that all carry *tags*, so that one statement serves them; each run of a bounded size.

    One whose messages have tags of their own is a run by itself, if they may be those.
    """
    run: list[_Operation] = []
    size = 0
    for operation in operations:
        if tags and has_markup(operation.tags):
            if run:
                yield run
                run, size = [], 0
            if _may_carry(tags, msgspec.json.decode(operation.tags)):
                yield [operation]
            continue
        fits = not tags or tags.items() <= msgspec.json.decode(operation.tags).items()
        if run and (not fits or size + operation.total > _RUN):
            yield run
            run, size = [], 0
        if fits:
            run.append(operation)
            size += operation.total
    if run:
        yield run


def _may_carry(tags: Mapping[str, str], sources: Mapping[str, str]) -> bool:
    return all(key in sources and (sources[key] == tag or has_markup(sources[key])) for key, tag in tags.items())


def _tagged(
    account_id: int, run: Sequence[_Operation], wanted: MessageFilter, before: MessagePlace | None, limit: int
) -> Script[list[_Message]]:
    """The messages of one operation that carry tags of their own."""
    found: list[_Message] = []
    (operation,) = run
    while True:
        rows = yield from _messages(account_id, run, wanted, before, _RUN)
        for row in rows:
            tags = wanted.tags_of(operation.tags, row.variables, operation.created_at) if wanted.tags_of else {}
            if wanted.tags.items() <= tags.items():
                found.append(row)
                if len(found) == limit:
                    return found
        if len(rows) < _RUN:
            return found
        before = MessagePlace(operation.uid, rows[-1].id - operation.id)


def _messages(
    account_id: int, run: Sequence[_Operation], wanted: MessageFilter, before: MessagePlace | None, limit: int
) -> Script[list[_Message]]:
    sql, values = wanted.conditions()
    by_id = {operation.id: operation for operation in run}
    first = run[0]
    if before is not None and before.operation_uid == first.uid:
        sql += " AND (o.id <> ? OR m.id < ?)"
        values += [first.id, first.id + before.position]
    # CROSS JOIN keeps SQLite from starting with messages: operations come from their index in the list's order,
    # messages by key, so nothing is sorted and the limit stops the walk (`o.id` only tells SQLite that no two share
    # a uid).
    rows = yield Query(
        f"SELECT o.id, {_COLUMNS} FROM operation o CROSS JOIN message m"
        f" WHERE o.account_id = ? AND o.uid BETWEEN ? AND ?{_kind(emails=wanted.emails)}"
        f" AND m.id BETWEEN o.id AND o.id + o.total - 1{sql} ORDER BY o.uid DESC, o.id DESC, m.id DESC LIMIT ?",
        (account_id, run[-1].uid, first.uid, *values, limit),
    )
    return [_Message(by_id[row[0]], *row[1:]) for row in rows]


def _shown(messages: Sequence[_Message]) -> Script[list[MessageRow]]:
    """Messages with their senders."""
    unbound = {m.operation.pool_id for m in messages if m.sender_id is None and m.operation.pool_kind == "sender"}
    only: dict[int, int] = {}
    if unbound:
        found = yield select(pool_member.c.pool_id, pool_member.c.sender_id).where(pool_member.c.pool_id.in_(unbound))
        only = {row[0]: row[1] for row in found}
    names: dict[int | None, SenderName] = {}
    bound = {m.sender_id for m in messages if m.sender_id is not None} | set(only.values())
    if bound:
        columns = (sender.c.id, sender.c.uid, sender.c.address, sender.c.channel)
        found = yield select(*columns).where(sender.c.id.in_(bound))
        names = {row[0]: SenderName(*row[1:]) for row in found}
    return [
        _row(m, names.get(m.sender_id if m.sender_id is not None else only.get(m.operation.pool_id))) for m in messages
    ]


def _row(message: _Message, sender_name: SenderName | None) -> MessageRow:
    operation = message.operation
    return MessageRow(
        MessagePlace(operation.uid, message.id - operation.id),
        operation.kind,
        message.state,
        message.address,
        message.space,
        message.step,
        message.ambiguous,
        sender_name,
        operation.pool_uid,
        operation.pool_kind,
        operation.tags,
        operation.origin,
        operation.created_at,
        message.updated_at,
        message.name,
        message.scheduled_for,
        message.deleted_at,
        message.profile,
        message.variables,
    )


_FETCH = (
    "SELECT o.id, o.uid, o.kind, o.total, o.pool_id, o.created_at, p.uid, p.kind, c.tags, c.origin,"
    f" {_COLUMNS}, s.uid, s.address, s.channel, c.content"
    " FROM operation o"
    " JOIN message m ON m.id = o.id + ? JOIN operation_content c ON c.operation_id = o.id"
    " LEFT JOIN sender_pool p ON p.id = o.pool_id"
    " LEFT JOIN pool_member pm ON pm.pool_id = p.id AND p.kind = 'sender'"
    f" LEFT JOIN sender s ON s.id = coalesce({_BOUND}, pm.sender_id)"
    " WHERE o.uid = ? AND o.account_id = ? AND ? < o.total"
)
_ATTEMPTS = (
    "SELECT a.id & 63, a.state, a.marks, a.failure, a.code, a.rule, a.started_at, a.updated_at, a.step, s.uid,"
    " s.address, s.channel FROM attempt a JOIN sender s ON s.id = a.sender_id WHERE a.id BETWEEN ? AND ?"
    f" AND a.state <> {AttemptState.WITHDRAWN:d} ORDER BY a.id"
)


def fetch_message(account_id: int, place: MessagePlace, *, email: bool = False) -> Script[FoundMessage | None]:
    """One message (*email*: one email) of an account with its content and its attempts, or None.

    Withdrawn attempts are none.
    """
    rows = yield Query(_FETCH + _kind(emails=email), (place.position, place.operation_uid, account_id, place.position))
    if not rows:
        return None
    found = rows[0]
    end = len(_Operation._fields) + len(_Message._fields) - 1
    message = _Message(_Operation(*found[:10]), *found[10:end])
    bound, content = found[end : end + 3], found[end + 3]
    attempts = yield Query(_ATTEMPTS, (message.id * 64, message.id * 64 + ids.MAX_ATTEMPTS))
    return FoundMessage(
        _row(message, SenderName(*bound) if bound[0] is not None else None),
        content,
        [AttemptRow._make((*row[:9], SenderName(*row[9:]))) for row in attempts],
    )
