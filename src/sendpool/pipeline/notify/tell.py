"""Tell: stored events as the bytes that are handed over (CloudEvents 1.0, JSON), a page at a time.

Written by hand: there are three events to each message, and an encoder over dictionaries took four times as long.
What the events of an operation, a sender or a type share is encoded once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec

from sendpool.domain import ids
from sendpool.domain.delivery import LANES
from sendpool.domain.event_types import NOTICE_EVENT, OPERATION_EVENT, EventKind, kind_of
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

_SPACE = {space[0]: space.value for space in AddressSpace}
#: Operations and senders that are remembered.
_MOST_KEPT = 20_000
#: What an inbound message's event tells beside its parties, and where its origin has it.
_INBOUND_MORE = {"session_id": "session", "postback": "postback"}


class ToldEvent(NamedTuple):
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


class _Operation:
    """What the events of an operation share, encoded."""

    __slots__ = ("account", "account_sid", "attempt", "message", "named", "origin", "row", "tags", "uid")

    def __init__(self, row: FeedOperation, account_sid: str) -> None:
        self.row = row
        self.uid = uid = bytes.fromhex(row.uid)
        self.account_sid = account_sid
        self.named = f'"operation_id":"{ids.operation_id(uid)}"'
        self.account = f'"account_sid":{_json(account_sid)}'
        # The last 20 bits of a message's id are its own: four letters of the id, five digits of an attempt's.
        self.message = ids.message_id(uid, 0)[:-4]
        self.attempt = ids.attempt_id(uid, 0, 0)[:-5]
        #: The pool, where an attempt names no sender.
        self.origin = f'"from":{_party(row.pool, ids.POOL)},' if row.pool else ""
        #: None: they are filled in for each recipient.
        self.tags = None if "{" in row.tags[1:] else row.tags


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


def _party(uid: str, prefix: str, more: str = "") -> str:
    return f'{{"id":"{ids.encode(prefix, bytes.fromhex(uid))}"{more}}}'


def _filled_in(row: FeedRow, operation: _Operation) -> str:
    """The tags of a message for whose recipient they are filled in."""
    variables = msgspec.json.decode(row.variables) if row.variables else {}
    return _json(say_tags(msgspec.json.decode(operation.row.tags), variables, operation.row.accepted_at))


class Teller:
    """Turns rows of the feed into what is handed over."""

    def __init__(self) -> None:
        self._operations: dict[int, _Operation | None] = {}
        self._senders: dict[int, str] = {}
        self._accounts: dict[int, str] = {}

    def tell(self, rows: Sequence[FeedRow]) -> Script[list[ToldEvent]]:
        """Events as they are handed over. Those of emails, of which the contract tells none, are left out, and those
        of what has been removed.
        """
        notices = yield from self._look_up(rows)
        told = []
        for row in rows:
            one = self._notice(row, notices.get(row.subject_id)) if row.number >= NOTICE_EVENT else self._about(row)
            if one is not None:
                told.append(one)
        return told

    def _about(self, row: FeedRow) -> ToldEvent | None:
        number = row.number
        key = row.subject_id if number >= OPERATION_EVENT else row.operation_id
        operation = self._operations.get(key) if key is not None else None
        if operation is None:
            return None
        kind = kind_of(number)
        if number >= OPERATION_EVENT:
            subject, data = ids.operation_id(operation.uid), operation.named
        else:
            own = row.subject_id - operation.row.id << 6
            subject = operation.message + ids.LETTERS[own >> 10] + ids.LETTERS[own & 1023]
            data = self._of_message(row, operation, subject, own)
        body = (
            f'{{"specversion":"1.0","id":"{subject}.{number}{_head(kind, operation.account_sid)}'
            f',"time":"{_instant(row.at // 1000)}","data":{{{data}}}}}'
        )
        lane = row.subject_id % LANES
        return ToldEvent(row.position, operation.row.account_id, kind, lane, row.at, operation.row.id, body.encode())

    def _of_message(self, row: FeedRow, operation: _Operation, subject: str, own: int) -> str:
        n = row.number // 16
        attempt = f'"downstream_id":"{operation.attempt}{own | n:05x}","attempt":"{n}",' if n else ""
        error = f'"error_code":"{row.error_code}",' if row.error_code else ""
        inbound = operation.row.kind == "inbound"
        parties = self._inbound(row, operation) if inbound else self._outbound(row, operation, n)
        return (
            f'{operation.named},"message_id":"{subject}",{operation.account},{attempt}{error}{parties}'
            f',"tags":{operation.tags or _filled_in(row, operation)}'
        )

    def _outbound(self, row: FeedRow, operation: _Operation, n: int) -> str:
        sender = self._senders.get(row.sender_id or 0) if n else None
        origin = f'"from":{sender},' if sender else operation.origin
        address = row.address
        if not address:
            return f'{origin}"to":{{}}'
        if " " not in address and address[0] == "+" and row.space == "P":
            return f'{origin}"to":{{"address":"{address}","channel":"PHONE"}}'
        step = row.step or 0
        channel = _SPACE.get(space_at_step(row.space or "", step))
        named = f',"channel":"{channel}"' if channel else ""
        return f'{origin}"to":{{"address":{_json(at_step(address, step))}{named}}}'

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

    def _look_up(self, rows: Sequence[FeedRow]) -> Script[dict[int, FeedNotice]]:
        if len(self._operations) > _MOST_KEPT:
            self._operations.clear()
        wanted = {row.operation_id for row in rows if row.operation_id is not None}
        wanted |= {row.subject_id for row in rows if OPERATION_EVENT <= row.number < NOTICE_EVENT}
        notices = {-row.subject_id for row in rows if row.number >= NOTICE_EVENT}
        yield from self._know_operations(wanted - self._operations.keys(), notices)
        yield from self._know_senders({row.sender_id for row in rows if row.sender_id} - self._senders.keys())
        found = (yield from feed_notices(notices)) if notices else []
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
                self._operations[one.id] = _Operation(one, self._accounts[one.account_id])

    def _know_senders(self, missing: Collection[int]) -> Script[None]:
        if len(self._senders) > _MOST_KEPT:
            self._senders.clear()
        for one in (yield from feed_senders(missing)) if missing else []:
            more = f',"address":{_json(one.address)},"channel":"{one.channel}"'
            self._senders[one.id] = _party(one.uid, ids.SENDER, more)
