"""What people send: parts of long texts until they are whole, sessions, and the replies that are owed for keywords."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sendpool.domain.reassembly import Gathered
from sendpool.domain.sessions import Session
from sendpool.store.database import Bulk, Query, Script


class Long(NamedTuple):
    """A long text: which connection it came over, who wrote to whom, its reference, and of how many parts it is."""

    connection_id: int
    sender: str
    recipient: str
    reference: int
    total: int


class Late(NamedTuple):
    """A long text that is not whole, and the account of its connection."""

    long: Long
    account_id: int


class Talk(NamedTuple):
    """Who talks to whom: a person and one of our senders (0: none of ours any more) in an account."""

    account_id: int
    space: str
    address: str
    sender_id: int


class OwedReply(NamedTuple):
    """A keyword's answer that was not sent yet."""

    message_id: int
    account_id: int
    sender_id: int
    space: str
    address: str
    text: str
    created_at: int


_LONG = (
    ("connection_id", "bigint"),
    ("sender", "text"),
    ("recipient", "text"),
    ("reference", "int"),
    ("total", "int"),
)
_LONG_NAMES = tuple(name for name, _ in _LONG)
_SAME = " AND ".join(f"p.{name} = v.{name}" for name in _LONG_NAMES)
_SESSION = (("uid", "bytea"), ("began_at", "bigint"), ("last_at", "bigint"), ("helped_at", "bigint"))
_SESSION_FIELDS = tuple(name for name, _ in _SESSION)
_TALK = (("account_id", "bigint"), ("space", "text"), ("address", "text"), ("sender_id", "bigint"))
_REPLY = tuple((name, "text" if name in ("space", "address", "text") else "bigint") for name in OwedReply._fields)


# ---------------------------------------------------------------- parts


def lock_parts(longs: Iterable[Long], now: int) -> Script[dict[Long, Gathered]]:
    """What is there of these long texts, locked until the end of the transaction: other processes wait for it."""
    keys = sorted(set(longs))
    yield Bulk(
        f"INSERT INTO inbound_parts ({', '.join(_LONG_NAMES)}, parts, joined, at)"
        f" SELECT {', '.join(f'v.{name}' for name in _LONG_NAMES)}, '{{}}', 0, v.at FROM v WHERE true"
        " ON CONFLICT DO NOTHING",
        (*_LONG, ("at", "bigint")),
        [(*key, now) for key in keys],
    )
    rows = yield Bulk(
        f"FROM v JOIN inbound_parts p ON {_SAME} /*shared FOR UPDATE OF p*/",
        _LONG,
        keys,
        (*(f"p.{name}" for name in _LONG_NAMES), "p.parts", "p.joined"),
    )
    return {Long(*row[:5]): Gathered(_read(row[5]), bool(row[6])) for row in rows}


def write_parts(gathered: Iterable[tuple[Long, Gathered]], now: int) -> Script[None]:
    """Keep what is there of long texts that `lock_parts` has locked."""
    yield Bulk(
        f"UPDATE inbound_parts AS p SET parts = v.parts, joined = v.joined, at = v.at FROM v WHERE {_SAME}",
        (*_LONG, ("parts", "text"), ("joined", "int"), ("at", "bigint")),
        [(*key, _written(one.parts), int(one.joined), now) for key, one in sorted(gathered, key=lambda pair: pair[0])],
    )


def late_parts(before: int, limit: int) -> Script[list[Late]]:
    """Long texts that are not whole and of which no part has come since a moment (microseconds since 1970)."""
    rows = yield Query(
        "FROM inbound_parts p JOIN connection c ON c.id = p.connection_id WHERE p.joined = 0 AND p.at < ?"
        " ORDER BY p.at LIMIT ?",
        (before, limit),
        (*(f"p.{name}" for name in _LONG_NAMES), "c.account_id"),
    )
    return [Late(Long(*row[:5]), row[5]) for row in rows]


def forget_parts(before: int, limit: int) -> Script[int]:
    """Drop long texts that were joined before a moment. Brings how many, at most *limit*."""
    rows = yield Query(
        "FROM inbound_parts WHERE joined = 1 AND at < ? ORDER BY at LIMIT ?", (before, limit), _LONG_NAMES
    )
    if rows:
        yield Bulk(f"DELETE FROM inbound_parts AS p WHERE ({', '.join(_LONG_NAMES)}) IN (SELECT * FROM v)", _LONG, rows)
    return len(rows)


def _read(parts: str) -> dict[int, str]:
    return {int(number): text for number, text in json.loads(parts).items()}


def _written(parts: object) -> str:
    # Not msgspec: halves of letters outside the basic plane are no text yet, and no JSON but in escapes.
    return json.dumps(parts)


# ---------------------------------------------------------------- sessions


def load_sessions(talks: Iterable[Talk]) -> Script[dict[Talk, Session]]:
    """The last session of each of these talks, where there was one; locked until the end of the transaction."""
    rows = yield Bulk(
        f"FROM v JOIN session s ON {' AND '.join(f's.{name} = v.{name}' for name in Talk._fields)}"
        " /*shared FOR UPDATE OF s*/",
        _TALK,
        sorted(set(talks)),
        (*(f"s.{name}" for name in Talk._fields), "hex(s.uid)", *(f"s.{name}" for name in _SESSION_FIELDS[1:])),
    )
    return {Talk(*row[:4]): Session(bytes.fromhex(row[4]), *row[5:]) for row in rows}


def write_sessions(sessions: Iterable[tuple[Talk, Session]]) -> Script[None]:
    """Keep sessions, each in place of the one before it."""
    yield Bulk(
        f"INSERT INTO session ({', '.join((*Talk._fields, *_SESSION_FIELDS))}) SELECT * FROM v WHERE true"
        " ON CONFLICT (account_id, space, address, sender_id) DO UPDATE SET"
        f" {', '.join(f'{name} = excluded.{name}' for name in _SESSION_FIELDS)}",
        (*_TALK, *_SESSION),
        sorted((*talk, *one) for talk, one in sessions),
    )


def forget_sessions(before: int, limit: int) -> Script[int]:
    """Drop sessions in which nobody has written since a moment. Brings how many, at most *limit*."""
    rows = yield Query(
        "FROM session WHERE last_at < ? ORDER BY last_at LIMIT ?", (before, limit), tuple(name for name, _ in _TALK)
    )
    if rows:
        yield Bulk(
            "DELETE FROM session WHERE (account_id, space, address, sender_id) IN (SELECT * FROM v)", _TALK, rows
        )
    return len(rows)


def name_receivers(sender_of: Sequence[tuple[int, int]]) -> Script[None]:
    """Note which of our senders received a message: (message, sender)."""
    yield Bulk(
        "UPDATE message AS m SET sender_id = v.sender_id FROM v WHERE m.id = v.id",
        (("id", "bigint"), ("sender_id", "bigint")),
        sender_of,
    )


# ---------------------------------------------------------------- replies


def owe_replies(replies: Sequence[OwedReply]) -> Script[None]:
    """Keep answers until they are sent."""
    yield Bulk(
        f"INSERT INTO owed_reply ({', '.join(OwedReply._fields)}) SELECT * FROM v WHERE true ON CONFLICT DO NOTHING",
        _REPLY,
        replies,
    )


def owed_replies(limit: int) -> Script[list[OwedReply]]:
    """The oldest answers that are owed."""
    rows = yield Query("FROM owed_reply ORDER BY message_id LIMIT ?", (limit,), OwedReply._fields)
    return [OwedReply(*row) for row in rows]


def reply_sent(message_ids: Iterable[int]) -> Script[None]:
    """These answers are on their way, or cannot be given any more."""
    yield Bulk(
        "DELETE FROM owed_reply WHERE message_id IN (SELECT message_id FROM v)",
        (("message_id", "bigint"),),
        [(key,) for key in message_ids],
    )
