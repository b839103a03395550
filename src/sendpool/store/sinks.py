"""Sinks and what they subscribe to. A deleted one keeps its row, so that its sid is never given again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Select, delete, exists, func, insert, select, update

from sendpool.domain.delivery import SinkStatus
from sendpool.store.accounts import decrypt, encrypt
from sendpool.store.database import Query, Script
from sendpool.store.feed_end import VISIBLE
from sendpool.store.sink_tables import sink, subscribed_event, subscription, undelivered
from sendpool.store.tables import account

#: Microseconds for which a secret that was replaced still signs.
OVERLAP = 24 * 3600 * 1_000_000


class SinkRow(NamedTuple):
    """A sink as the API shows it. Times are microseconds since 1970."""

    id: int
    sid: str
    description: str
    type: str
    configuration: Mapping[str, Any]
    status: str
    test_id: str | None
    created_at: int
    updated_at: int


class NewSink(NamedTuple):
    """A sink that is to be made."""

    sid: str
    description: str
    type: str
    configuration: Mapping[str, Any]
    #: Signs what is posted.
    secret: str


_SHOWN = tuple(sink.c[name] for name in SinkRow._fields)
_THERE = sink.c.deleted_at.is_(None)


def _row(row: Sequence[Any], key: bytes) -> SinkRow:
    found = SinkRow._make(row)
    return found._replace(configuration=msgspec.json.decode(decrypt(row[4], key)))


def create_sink(account_id: int, new: NewSink, key: bytes, now: int) -> Script[SinkRow]:
    """Make a sink, which gets what happens from now on."""
    newest = yield Query(f"SELECT coalesce(max(position), 0) FROM event WHERE {VISIBLE}")
    values = {
        **new._asdict(),
        "configuration": encrypt(msgspec.json.encode(new.configuration).decode(), key),
        "secret": encrypt(new.secret, key),
        "account_id": account_id,
        "status": SinkStatus.INITIALIZED.value,
        "position": newest[0][0],
        "created_at": now,
        "updated_at": now,
    }
    rows = yield insert(sink).values(**values).returning(*_SHOWN)
    return _row(rows[0], key)


def find_sink(account_id: int, sid: str, key: bytes) -> Script[SinkRow | None]:
    """A sink of an account."""
    rows = yield select(*_SHOWN).where(sink.c.account_id == account_id, sink.c.sid == sid, _THERE)
    return _row(rows[0], key) if rows else None


def list_sinks(
    account_id: int, key: bytes, *, status: str | None = None, in_use: bool | None = None
) -> Script[list[SinkRow]]:
    """The sinks of an account, oldest first. *in_use*: whether a subscription names them."""
    statement = select(*_SHOWN).where(sink.c.account_id == account_id, _THERE)
    if status is not None:
        statement = statement.where(sink.c.status == status)
    if in_use is not None:
        used = exists().where(subscription.c.sink_id == sink.c.id, subscription.c.deleted_at.is_(None))
        statement = statement.where(used if in_use else ~used)
    rows = yield statement.order_by(sink.c.id)
    return [_row(row, key) for row in rows]


def describe_sink(account_id: int, sid: str, description: str, key: bytes, now: int) -> Script[SinkRow | None]:
    """Give a sink another description. None: there is no such sink."""
    return (yield from _change(account_id, sid, key, description=description, updated_at=now))


def begin_test(account_id: int, sid: str, test_id: str, key: bytes, now: int) -> Script[SinkRow | None]:
    """Note which test event is on its way."""
    changes = {"test_id": test_id, "updated_at": now}
    return (yield from _change(account_id, sid, key, **changes, status=SinkStatus.VALIDATING.value))


def activate_sink(account_id: int, sid: str, key: bytes, now: int) -> Script[SinkRow | None]:
    """A sink has shown that it is there."""
    return (yield from _change(account_id, sid, key, status=SinkStatus.ACTIVE.value, updated_at=now))


def rotate_secret(account_id: int, sid: str, secret: str, key: bytes, now: int) -> Script[SinkRow | None]:
    """Sign with another secret, and for a day with the one before as well."""
    rows = yield select(sink.c.secret).where(sink.c.account_id == account_id, sink.c.sid == sid, _THERE)
    if not rows:
        return None
    old = {"old_secret": rows[0][0], "old_secret_until": now + OVERLAP}
    return (yield from _change(account_id, sid, key, secret=encrypt(secret, key), updated_at=now, **old))


def _change(account_id: int, sid: str, key: bytes, **values: Any) -> Script[SinkRow | None]:
    rows = yield (
        update(sink)
        .where(sink.c.account_id == account_id, sink.c.sid == sid, _THERE)
        .values(**values)
        .returning(*_SHOWN)
    )
    return _row(rows[0], key) if rows else None


def delete_sink(account_id: int, sid: str, now: int) -> Script[bool | None]:
    """Delete a sink. None: there is no such sink; False: a subscription still names it."""
    rows = yield select(sink.c.id).where(sink.c.account_id == account_id, sink.c.sid == sid, _THERE)
    if not rows:
        return None
    sink_id = rows[0][0]
    used = yield select(subscription.c.id).where(subscription.c.sink_id == sink_id, subscription.c.deleted_at.is_(None))
    if used:
        return False
    yield delete(undelivered).where(undelivered.c.sink_id == sink_id)
    yield update(sink).where(sink.c.id == sink_id).values(deleted_at=now, updated_at=now, configuration="", secret="")
    return True


# ---------------------------------------------------------------- what the notifier works with


class WantedEvents(msgspec.Struct, frozen=True, kw_only=True):
    """A sink as the notifier sees it: where to, what, and from which position on."""

    id: int
    sid: str
    account_id: int
    account_sid: str
    #: A `SinkType`.
    type: str
    configuration: Mapping[str, Any]
    #: All of them sign.
    secrets: tuple[str, ...]
    #: The account's auth token, which signs too.
    token: str
    types: frozenset[str]
    position: int
    status: str
    #: The id of the last test event.
    test_id: str | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.sid})"


def sinks_version() -> Script[tuple[int, ...]]:
    """Changes whenever a sink, a subscription or an account does."""
    rows = yield Query(
        "SELECT (SELECT count(*) FROM sink), (SELECT coalesce(max(updated_at), 0) FROM sink),"
        " (SELECT count(*) FROM subscription), (SELECT coalesce(max(updated_at), 0) FROM subscription),"
        " (SELECT coalesce(max(id), 0) FROM admin_log)"
    )
    return tuple(rows[0])


def wanted_events(key: bytes, now: int) -> Script[list[WantedEvents]]:
    """Every sink of an open account that some subscription names."""
    rows = yield _subscribed()
    types: dict[int, set[str]] = {}
    for sink_id, name in rows:
        types.setdefault(sink_id, set()).add(name)
    rows = yield (
        select(
            sink.c.id,
            sink.c.sid,
            account.c.id,
            account.c.sid,
            sink.c.configuration,
            sink.c.secret,
            sink.c.old_secret,
            sink.c.old_secret_until,
            account.c.auth_token,
            sink.c.position,
            sink.c.status,
            sink.c.test_id,
            sink.c.type,
        )
        .join(account, account.c.id == sink.c.account_id)
        .where(_THERE, account.c.closed_at.is_(None))
        .order_by(sink.c.id)
    )
    return [_wanted(row, frozenset(types.get(row[0], ())), key, now) for row in rows]


def _subscribed() -> Select[Any]:
    return (
        select(subscription.c.sink_id, subscribed_event.c.type)
        .join(subscribed_event, subscribed_event.c.subscription_id == subscription.c.id)
        .where(subscription.c.deleted_at.is_(None))
    )


def _wanted(row: Sequence[Any], types: frozenset[str], key: bytes, now: int) -> WantedEvents:
    secrets = [row[5]] + ([row[6]] if row[6] and (row[7] or 0) > now else [])
    return WantedEvents(
        id=row[0],
        sid=row[1],
        account_id=row[2],
        account_sid=row[3],
        type=row[12],
        configuration=msgspec.json.decode(decrypt(row[4], key)),
        secrets=tuple(decrypt(secret, key) for secret in secrets),
        token=decrypt(row[8], key),
        types=types,
        position=row[9],
        status=row[10],
        test_id=row[11],
    )


def sink_key(sid: str) -> Script[int | None]:
    """The key of a sink of whatever account; None: there is none."""
    rows = yield select(sink.c.id).where(sink.c.sid == sid, _THERE)
    return rows[0][0] if rows else None


def in_use() -> Script[bool]:
    """Whether any sink has a subscription: without one nobody has to read events."""
    rows = yield select(func.count()).select_from(subscription).where(subscription.c.deleted_at.is_(None))
    return bool(rows[0][0])
