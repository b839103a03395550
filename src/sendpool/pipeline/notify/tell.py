"""Tell: stored events as the bytes that are handed over (CloudEvents 1.0, JSON), a page at a time.

Written by hand: there are three events to each message, and an encoder over dictionaries took four times as long.
What the events of an operation, a sender or a type share is encoded once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from sendpool.domain import ids
from sendpool.domain.delivery import LANES
from sendpool.domain.event_types import NOTICE_EVENT, OPERATION_EVENT, EventKind, kind_of
from sendpool.domain.ids import LETTERS
from sendpool.domain.message import at_step, space_at_step
from sendpool.domain.sender import AddressSpace
from sendpool.pipeline.render import say_tags
from sendpool.store.database import Script
from sendpool.store.feed import (
    FeedNotice,
    FeedOperation,
    FeedRow,
    feed_accounts,
    feed_notices,
    feed_operations,
    feed_senders,
)
from sendpool.store.notices import subject_of

#: What events share that tell the same of messages.
_KIND = attrgetter("number", "sender_id", "error_code")
_SPACE = {space[0]: space.value for space in AddressSpace}
#: Operations and senders that are remembered.
_MOST_KEPT = 20_000
#: What an inbound message's event tells beside its parties, and where its origin has it.
_INBOUND_MORE = {"session_id": "session", "postback": "postback"}


class ToldEvent(msgspec.Struct, frozen=True, gc=False):
    """An event as it is handed over."""

    position: int
    account_id: int
    kind: EventKind
    #: Events of one message have the same.
    lane: int
    #: When it happened (microseconds since 1970).
    at: int
    #: The operation that it is about, as its key.
    operation_id: int | None
    body: bytes


class Unknown(NamedTuple):
    """What events name and nobody has looked up yet: keys."""

    operations: Collection[int]
    senders: Collection[int]
    #: These are always looked up.
    notices: Collection[int]


#: What events share, by their number, sender and error.
Shapes = dict[tuple[int, int | None, int | None], "_Shape"]


class _Operation:
    """What the events of an operation share, encoded."""

    __slots__ = ("account_sid", "attempt", "id", "inbound", "message", "origin", "row", "shapes", "tags")

    def __init__(self, row: FeedOperation, account_sid: str, shapes: Shapes) -> None:
        self.row = row
        self.account_sid = account_sid
        self.shapes = shapes
        self.inbound = row.kind == "inbound"
        # The last 20 bits of an id are what it names in the operation: four letters, or five digits of an attempt's.
        stem = ids.stem(bytes.fromhex(row.uid))
        self.id = f"{ids.OPERATION}_{stem}{ids.WHOLE}"
        self.message = f"{ids.MESSAGE}_{stem}"
        self.attempt = row.uid[:-5].lower()
        #: The pool, where an attempt names no sender.
        self.origin = f'"from":{_party(row.pool, ids.POOL)},' if row.pool else ""
        #: None: they are filled in for each recipient.
        self.tags = None if "{" in row.tags[1:] else f',"tags":{row.tags}}}}}'


class _Shape:
    """What events of an account with one number, sender and error share: all but ids, time, recipient and tags."""

    __slots__ = ("account_id", "after_attempt", "after_id", "before_attempt", "kind", "n", "origin")

    def __init__(self, row: FeedRow, operation: _Operation, sender: str | None) -> None:
        n, kind = row.number // 16, kind_of(row.number)
        account = f'"account_sid":{_json(operation.account_sid)}'
        error = f'"error_code":"{row.error_code}",' if row.error_code else ""
        self.kind = kind
        #: The number of the attempt; 0: the event is of none.
        self.n = n
        self.account_id = operation.row.account_id
        self.after_id = f'.{row.number}{_head(kind, operation.account_sid)},"time":"'
        self.before_attempt = f'",{account},"downstream_id":"SM'
        self.after_attempt = f'","attempt":"{n}",{error}' if n else f'",{account},{error}'
        #: None: what the operation names.
        self.origin = "" if operation.inbound else f'"from":{sender},' if sender else None


#: What events share before there is one.
_NOTHING: Any = (None, "", "", "", "")


def _is_one_of(types: Collection[str], number: int) -> bool:
    """Whether an event of this number may be of one of these types; what a notice is, only its row says."""
    return number >= NOTICE_EVENT or kind_of(number).name in types


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


@lru_cache(maxsize=256)
def _head(kind: EventKind, account_sid: str) -> str:
    """What stands between an event's id and its time."""
    source = _json(f"urn:sendpool:{account_sid}")
    return f'","source":{source},"type":"{kind.name}","datacontenttype":"application/json","dataschema":"{kind.schema}"'


@lru_cache(maxsize=1024)
def _instant(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


@lru_cache(maxsize=1024)
def _party(uid: str, prefix: str, more: str = "") -> str:
    return f'{{"id":"{ids.encode(prefix, bytes.fromhex(uid))}"{more}}}'


def _filled_in(row: FeedRow, operation: _Operation) -> str:
    """The tags of a message for whose recipient they are filled in."""
    variables = msgspec.json.decode(row.variables) if row.variables else {}
    tags = _json(say_tags(msgspec.json.decode(operation.row.tags), variables, operation.row.accepted_at))
    return f',"tags":{tags}}}}}'


def _to(row: FeedRow) -> str:
    """The recipient of a message that we send."""
    address = row.address
    if not address:
        return '"to":{}'
    step = row.step or 0
    channel = _SPACE.get(space_at_step(row.space or "", step))
    named = f',"channel":"{channel}"' if channel else ""
    return f'"to":{{"address":{_json(at_step(address, step))}{named}}}'


class Teller:
    """Turns rows of the feed into what is handed over."""

    def __init__(self) -> None:
        self._operations: dict[int, _Operation | None] = {}
        self._senders: dict[int, str] = {}
        #: By account, and whether operations are inbound.
        self._shapes: defaultdict[tuple[int, bool], Shapes] = defaultdict(dict)
        self._accounts: dict[int, str] = {}

    def tell(self, rows: Sequence[FeedRow]) -> Script[list[ToldEvent]]:
        """Events as they are handed over. Those of emails, of which the contract tells none, are left out, and those
        of what has been removed.
        """
        return self.spell(rows, (yield from self.look_up(rows)))

    def spell(
        self, rows: Sequence[FeedRow], notices: Mapping[int, FeedNotice], types: Collection[str] | None = None
    ) -> list[ToldEvent]:
        """The same of rows that were looked up, outside of any snapshot; *types*: only events of those."""
        unwanted = set() if types is None else {n for n in {row.number for row in rows} if not _is_one_of(types, n)}
        told: list[ToldEvent] = []
        for (number, _, _), alike in groupby(rows, _KIND):
            if number in unwanted:
                continue
            if number >= NOTICE_EVENT:
                told += filter(None, [self._notice(row, notices.get(row.subject_id)) for row in alike])
            elif number >= OPERATION_EVENT:
                told += filter(None, [self._of_operation(row) for row in alike])
            else:
                told += self._about_messages(alike)
        return told

    def _about_messages(self, rows: Iterable[FeedRow]) -> Iterator[ToldEvent]:
        """Events that tell the same of several messages: what those of an operation share is put together once."""
        key, operation, happened, instant = -1, None, -1, ""
        shape, begins, has_ids, has_attempt, has_parties = _NOTHING
        for row in rows:
            if row.operation_id != key:
                key = row.operation_id or 0
                operation = self._operations.get(key)
                if operation is not None:
                    shape, begins, has_ids, has_attempt, has_parties = self._common(row, operation)
            if operation is None:
                continue
            own = row.subject_id - key << 6
            subject = LETTERS[own >> 10] + LETTERS[own & 1023]
            if row.at != happened:
                happened = row.at
                instant = _instant(happened // 1000)
            attempt = f"{has_attempt}{own | shape.n:05x}" if has_attempt else ""
            address = row.address
            if address and address[0] == "+" and row.space == "P" and not operation.inbound and " " not in address:
                parties = f'"to":{{"address":"{address}","channel":"PHONE"}}'
            else:
                parties = self._inbound(row, operation) if operation.inbound else _to(row)
            body = (
                f"{begins}{subject}{shape.after_id}{instant}{has_ids}{subject}{attempt}{has_parties}{parties}"
                f"{operation.tags or _filled_in(row, operation)}"
            ).encode()
            yield ToldEvent(row.position, shape.account_id, shape.kind, row.subject_id % LANES, happened, key, body)

    def _common(self, row: FeedRow, operation: _Operation) -> tuple[_Shape, str, str, str, str]:
        """What events like this one have in common that are of one operation."""
        shape = operation.shapes.get((row.number, row.sender_id, row.error_code)) or self._shape(row, operation)
        return (
            shape,
            f'{{"specversion":"1.0","id":"{operation.message}',
            f'","data":{{"operation_id":"{operation.id}","message_id":"{operation.message}',
            f"{shape.before_attempt}{operation.attempt}" if shape.n else "",
            f"{shape.after_attempt}{operation.origin if shape.origin is None else shape.origin}",
        )

    def _shape(self, row: FeedRow, operation: _Operation) -> _Shape:
        if len(operation.shapes) > _MOST_KEPT:
            operation.shapes.clear()
        sender = self._senders.get(row.sender_id or 0) if row.number >= 16 else None
        shape = operation.shapes[row.number, row.sender_id, row.error_code] = _Shape(row, operation, sender)
        return shape

    def _of_operation(self, row: FeedRow) -> ToldEvent | None:
        operation = self._operations.get(row.subject_id)
        if operation is None:
            return None
        kind, subject = kind_of(row.number), row.subject_id
        body = (
            f'{{"specversion":"1.0","id":"{operation.id}.{row.number}{_head(kind, operation.account_sid)}'
            f',"time":"{_instant(row.at // 1000)}","data":{{"operation_id":"{operation.id}"}}}}'
        )
        account = operation.row.account_id
        return ToldEvent(row.position, account, kind, subject % LANES, row.at, subject, body.encode())

    def _inbound(self, row: FeedRow, operation: _Operation) -> str:
        sender = msgspec.json.decode(self._senders.get(row.sender_id or 0, "{}"))
        told = msgspec.json.decode(operation.row.origin)
        ours = told.get("to", "")
        theirs = {"address": row.address, "channel": sender.get("channel")}
        origin = {name: value for name, value in theirs.items() if value is not None}
        more = {name: told[key] for name, key in _INBOUND_MORE.items() if told.get(key)}
        # Error 30009: parts of it never came.
        missing = ',"error_code":"30009"' if told.get("missing") else ""
        named = _json(more)[1:-1]
        return f'"from":{_json(origin)},"to":{_json({**sender, "address": ours})}{named and "," + named}{missing}'

    def _notice(self, row: FeedRow, notice: FeedNotice | None) -> ToldEvent | None:
        account_sid = None if notice is None else self._accounts.get(notice.account_id)
        if notice is None or account_sid is None:
            return None
        kind = kind_of(row.number, notice.type)
        data = {"account_sid": account_sid, "subject": notice.subject, **msgspec.json.decode(notice.data)}
        body = (
            f'{{"specversion":"1.0","id":"notice-{notice.id}.{row.number}{_head(kind, account_sid)}'
            f',"time":"{_instant(row.at // 1000)}","data":{_json(data)}}}'
        )
        return ToldEvent(row.position, notice.account_id, kind, notice.id % LANES, row.at, None, body.encode())

    # ------------------------------------------------------------ what events share

    def look_up(self, rows: Sequence[FeedRow]) -> Script[dict[int, FeedNotice]]:
        """Get to know what events share; brings the notices among them, by the subjects of their events."""
        return (yield from self.learn(self.unknown(rows)))

    def unknown(self, rows: Sequence[FeedRow]) -> Unknown:
        """What is to be looked up before these rows are told."""
        if len(self._operations) > _MOST_KEPT:
            self._operations.clear()
        if len(self._senders) > _MOST_KEPT:
            self._senders.clear()
            for shapes in self._shapes.values():
                shapes.clear()
        operations = {row.operation_id for row in rows if row.operation_id is not None}
        operations |= {row.subject_id for row in rows if OPERATION_EVENT <= row.number < NOTICE_EVENT}
        senders = {row.sender_id for row in rows if row.sender_id}
        notices = {-row.subject_id for row in rows if row.number >= NOTICE_EVENT}
        return Unknown(operations - self._operations.keys(), senders - self._senders.keys(), notices)

    def learn(self, unknown: Unknown) -> Script[dict[int, FeedNotice]]:
        """Look it up; brings the notices, by the subjects of their events."""
        yield from self._know_operations(unknown.operations, unknown.notices)
        yield from self._know_senders(unknown.senders)
        found = (yield from feed_notices(unknown.notices)) if unknown.notices else []
        return {subject_of(notice.id): notice for notice in found}

    def _know_operations(self, missing: Collection[int], notices: Collection[int]) -> Script[None]:
        found = (yield from feed_operations(missing)) if missing else []
        if found or notices:
            unknown = {one.account_id for one in found} - self._accounts.keys()
            if unknown or notices:
                self._accounts = yield from feed_accounts()
        self._operations.update(dict.fromkeys(missing))
        for one in found:
            if one.kind != "email":
                shapes = self._shapes[one.account_id, one.kind == "inbound"]
                self._operations[one.id] = _Operation(one, self._accounts[one.account_id], shapes)

    def _know_senders(self, missing: Collection[int]) -> Script[None]:
        for one in (yield from feed_senders(missing)) if missing else []:
            more = f',"address":{_json(one.address)},"channel":"{one.channel}"'
            self._senders[one.id] = _party(one.uid, ids.SENDER, more)
