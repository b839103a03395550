"""Sender pools, their members and the operations that changed them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import uuid_utils
from sqlalchemy import Select, delete, insert, select, update

from sendpool.domain import ids
from sendpool.domain.states import OperationState
from sendpool.store.database import Bulk, Script
from sendpool.store.senders import SENDER_COLUMNS, SenderFilter, SenderRow
from sendpool.store.slices import Slice
from sendpool.store.tables import pool_member, pool_operation, sender, sender_pool


class UnknownSenders(Exception):
    """Some of the senders asked for do not exist in this account; `positions` are their places in the request."""

    def __init__(self, positions: Sequence[int]) -> None:
        super().__init__(f"{len(positions)} unknown senders")
        self.positions = positions


#: Anything that JSON can say: a category's name, seconds, countries.
Setting = Any


class Share(NamedTuple):
    """A member's place in its pool; None leaves it as it is, a new member's at weight 1 in tier 0."""

    weight: float | None = None
    tier: int | None = None


class NewPool(NamedTuple):
    """A pool to be made. `settings` are by the names that `roster.PoolSettings` and `ChoiceSettings` have in JSON."""

    name: str
    tags: Mapping[str, str]
    sender_uids: Sequence[bytes]
    settings: Mapping[str, Setting] = {}
    #: The places of those members that have one of their own.
    shares: Mapping[bytes, Share] = {}


class Created(NamedTuple):
    """A new pool and the operation that made it."""

    pool_uid: bytes
    operation_uid: bytes


class PoolRow(NamedTuple):
    """A pool as lists show it. `tags` and `settings` are JSON; times are microseconds since 1970."""

    uid: bytes
    name: str
    tags: str
    settings: str
    created_at: int
    updated_at: int


class PoolOperationRow(NamedTuple):
    """A pool operation; its counters count memberships."""

    uid: bytes
    state: int
    total: int
    queued: int
    created: int
    failed: int
    created_at: int
    updated_at: int


_POOL_COLUMNS = tuple(sender_pool.c[name] for name in PoolRow._fields)
_OPERATION_COLUMNS = tuple(pool_operation.c[name] for name in PoolOperationRow._fields)


_UNCHANGED: Mapping[str, Setting | None] = MappingProxyType({})


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _known_senders(account_id: int, uids: Sequence[bytes]) -> Script[list[int]]:
    """The keys of these senders, in order. Raises UnknownSenders."""
    rows = yield Bulk(
        "FROM v JOIN sender s ON s.uid = v.uid WHERE s.account_id = v.account_id",
        (("place", "int"), ("uid", "bytea"), ("account_id", "bigint")),
        [(place, uid, account_id) for place, uid in enumerate(uids)],
        ("v.place", "s.id"),
    )
    found = dict(rows)
    if len(found) < len(uids):
        raise UnknownSenders([place for place in range(len(uids)) if place not in found])
    return [found[place] for place in range(len(uids))]


def _insert_members(pool_id: int, sender_ids: Sequence[int], now: int) -> Script[None]:
    yield Bulk(
        "INSERT INTO pool_member (pool_id, sender_id, weight, tier, created_at)"
        " SELECT pool_id, sender_id, 1.0, 0, at FROM v WHERE true ON CONFLICT DO NOTHING",
        (("pool_id", "bigint"), ("sender_id", "bigint"), ("at", "bigint")),
        [(pool_id, sender_id, now) for sender_id in sender_ids],
    )


def _set_shares(
    pool_id: int, sender_ids: Sequence[int], uids: Sequence[bytes], shares: Mapping[bytes, Share]
) -> Script[None]:
    rows = [(pool_id, key, *shares[uid]) for key, uid in zip(sender_ids, uids, strict=True) if uid in shares]
    if rows:
        yield Bulk(
            "UPDATE pool_member SET weight = coalesce(v.weight, pool_member.weight), tier = coalesce(v.tier,"
            " pool_member.tier) FROM v WHERE pool_member.pool_id = v.pool_id AND pool_member.sender_id = v.sender_id",
            (("pool_id", "bigint"), ("sender_id", "bigint"), ("weight", "double precision"), ("tier", "int")),
            rows,
        )


def _record_operation(account_id: int, pool_id: int, uid: bytes, memberships: int, now: int) -> Script[None]:
    """Write the operation of a change that this transaction has already made. A repeated member counts as created."""
    yield insert(pool_operation).values(
        uid=uid,
        account_id=account_id,
        pool_id=pool_id,
        state=int(OperationState.COMPLETED),
        total=memberships,
        queued=0,
        created=memberships,
        failed=0,
        created_at=now,
        updated_at=now,
    )


def create_pool(account_id: int, new: NewPool, now: int) -> Script[Created]:
    """Make a pool with its members, and the operation that tells of it. Raises UnknownSenders."""
    sender_ids = yield from _known_senders(account_id, new.sender_uids)
    pool_uid = uuid_utils.uuid7().bytes
    operation_uid = ids.clear(uuid_utils.uuid7().bytes)
    values = {
        "kind": "pool",
        "name": new.name,
        "tags": _json(new.tags),
        "settings": _json(new.settings),
        "operation_uid": operation_uid,
    }
    pool_id = yield from _insert_pool(account_id, pool_uid, values, now)
    yield from _insert_members(pool_id, sender_ids, now)
    yield from _set_shares(pool_id, sender_ids, new.sender_uids, new.shares)
    yield from _record_operation(account_id, pool_id, operation_uid, len(sender_ids), now)
    return Created(pool_uid, operation_uid)


def _insert_pool(account_id: int, uid: bytes, values: Mapping[str, Any], now: int) -> Script[int]:
    rows = yield (
        insert(sender_pool)
        .values(uid=uid, account_id=account_id, created_at=now, updated_at=now, **values)
        .returning(sender_pool.c.id)
    )
    return int(rows[0][0])


def ensure_hidden_pools(account_id: int, now: int) -> Script[int]:
    """Make the hidden pools that an account lacks: one for each sender, one for all of them. Brings how many.

    They stand for sends that name no pool, so that there is one mechanism.
    """
    columns = sender_pool.c
    rows = yield select(columns.id).where(columns.account_id == account_id, columns.kind == "account")
    made = 0
    if not rows:
        values = {"kind": "account", "name": "", "tags": "{}", "settings": "{}"}
        yield from _insert_pool(account_id, uuid_utils.uuid7().bytes, values, now)
        made = 1
    hidden = (
        select(pool_member.c.sender_id)
        .join(sender_pool, columns.id == pool_member.c.pool_id)
        .where(columns.account_id == account_id, columns.kind == "sender")
    )
    lacking = yield select(sender.c.id).where(sender.c.account_id == account_id, sender.c.id.not_in(hidden))
    rows = [(uuid_utils.uuid7().bytes, account_id, row[0], now) for row in lacking]
    names = (("uid", "bytea"), ("account_id", "bigint"), ("sender_id", "bigint"), ("at", "bigint"))
    yield Bulk(
        "INSERT INTO sender_pool (uid, account_id, kind, name, tags, settings, created_at, updated_at)"
        " SELECT uid, account_id, 'sender', '', '{}', '{}', at, at FROM v",
        names,
        rows,
    )
    yield Bulk(
        "INSERT INTO pool_member (pool_id, sender_id, weight, tier, created_at)"
        " SELECT p.id, v.sender_id, 1.0, 0, v.at FROM v JOIN sender_pool p ON p.uid = v.uid",
        names,
        rows,
    )
    return made + len(rows)


def _find(account_id: int, uid: bytes) -> Script[int | None]:
    """The key of a pool that clients may change."""
    columns = sender_pool.c
    rows = yield select(columns.id).where(
        columns.account_id == account_id, columns.uid == uid, columns.kind == "pool", columns.deleted_at.is_(None)
    )
    return int(rows[0][0]) if rows else None


def update_pool(
    account_id: int,
    uid: bytes,
    now: int,
    *,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    settings: Mapping[str, Setting | None] = _UNCHANGED,
) -> Script[bool]:
    """Change a pool's name, replace its tags, or change single settings (None: take it away).

    False: there is no such pool.
    """
    pool_id = yield from _find(account_id, uid)
    if pool_id is None:
        return False
    values: dict[str, Any] = {"updated_at": now}
    if name is not None:
        values["name"] = name
    if tags is not None:
        values["tags"] = _json(tags)
    if settings:
        values["settings"] = yield from _changed_settings(pool_id, settings)
    yield update(sender_pool).where(sender_pool.c.id == pool_id).values(**values)
    return True


def _changed_settings(pool_id: int, settings: Mapping[str, Setting | None]) -> Script[str]:
    # Locked where writers run side by side: of two changes at once, neither may lose the other's.
    rows = yield select(sender_pool.c.settings).where(sender_pool.c.id == pool_id).with_for_update()
    changed = {**msgspec.json.decode(rows[0][0]), **settings}
    return _json({name: value for name, value in changed.items() if value is not None})


def delete_pool(account_id: int, uid: bytes, now: int) -> Script[bool]:
    """Take a pool out of sight; its members stay, so that what waits in it drains. False: there is no such pool."""
    pool_id = yield from _find(account_id, uid)
    if pool_id is None:
        return False
    yield update(sender_pool).where(sender_pool.c.id == pool_id).values(deleted_at=now, updated_at=now)
    return True


def delete_all_pools(account_id: int, now: int) -> Script[None]:
    """Take every pool of an account out of sight, hidden ones too. What waits in them ends with their last sender."""
    columns = sender_pool.c
    yield (
        update(sender_pool)
        .where(columns.account_id == account_id, columns.deleted_at.is_(None))
        .values(deleted_at=now, updated_at=now)
    )


def add_members(
    account_id: int,
    pool_uid: bytes,
    sender_uids: Sequence[bytes],
    now: int,
    shares: Mapping[bytes, Share] = MappingProxyType({}),
) -> Script[bytes | None]:
    """Add senders to a pool; the uid of the operation, or None where there is no such pool. Raises UnknownSenders.

    A sender that is a member already stays one, and takes the place that *shares* gives it: asking twice is harmless.
    """
    pool_id = yield from _find(account_id, pool_uid)
    if pool_id is None:
        return None
    sender_ids = yield from _known_senders(account_id, sender_uids)
    yield from _insert_members(pool_id, sender_ids, now)
    yield from _set_shares(pool_id, sender_ids, sender_uids, shares)
    yield update(sender_pool).where(sender_pool.c.id == pool_id).values(updated_at=now)
    operation_uid = ids.clear(uuid_utils.uuid7().bytes)
    yield from _record_operation(account_id, pool_id, operation_uid, len(sender_ids), now)
    return operation_uid


def remove_member(account_id: int, pool_uid: bytes, sender_uid: bytes, now: int) -> Script[bool]:
    """Take a sender out of a pool. False: there is no such pool, or the sender is not in it."""
    pool_id = yield from _find(account_id, pool_uid)
    if pool_id is None:
        return False
    member = select(sender.c.id).where(sender.c.account_id == account_id, sender.c.uid == sender_uid).scalar_subquery()
    removed = yield delete(pool_member).where(pool_member.c.pool_id == pool_id, pool_member.c.sender_id == member)
    if removed:
        yield update(sender_pool).where(sender_pool.c.id == pool_id).values(updated_at=now)
    return bool(removed)


def _seen(account_id: int) -> Select[Any]:
    """Pools that lists show."""
    columns = sender_pool.c
    return select(*_POOL_COLUMNS).where(
        columns.account_id == account_id, columns.kind == "pool", columns.deleted_at.is_(None)
    )


def list_pools(account_id: int, part: Slice, operation_uid: bytes | None = None) -> Script[list[PoolRow]]:
    """Pools of an account, newest first; with *operation_uid* only the one that this operation made or added to."""
    statement = _seen(account_id)
    if operation_uid is not None:
        touched = select(pool_operation.c.pool_id).where(pool_operation.c.uid == operation_uid)
        statement = statement.where(sender_pool.c.id.in_(touched))
    rows = yield part.applied_to(statement, sender_pool)
    return [PoolRow(*row) for row in rows]


class FoundPool(NamedTuple):
    """A pool by its id. `everyone`: the account's own hidden pool, whose members are all its active senders."""

    id: int
    everyone: bool
    row: PoolRow


def fetch_pool(account_id: int, uid: bytes) -> Script[FoundPool | None]:
    """One pool of an account, or None. The account's own hidden pool can be fetched; those of single senders not."""
    columns = sender_pool.c
    rows = yield select(columns.id, columns.kind, *_POOL_COLUMNS).where(
        columns.account_id == account_id,
        columns.uid == uid,
        columns.kind.in_(("pool", "account")),
        columns.deleted_at.is_(None),
    )
    return FoundPool(rows[0][0], rows[0][1] == "account", PoolRow(*rows[0][2:])) if rows else None


def list_members(account_id: int, pool_uid: bytes, wanted: SenderFilter, part: Slice) -> Script[list[SenderRow] | None]:
    """Senders of a pool, newest sender first; None: there is no such pool."""
    found = yield from fetch_pool(account_id, pool_uid)
    if found is None:
        return None
    conditions = (sender.c.account_id == account_id, *wanted.conditions())
    if found.everyone:
        statement: Select[Any] = select(*SENDER_COLUMNS).where(*conditions, sender.c.active == 1)
    else:
        statement = (
            select(*SENDER_COLUMNS, pool_member.c.weight, pool_member.c.tier)
            .join(pool_member, pool_member.c.sender_id == sender.c.id)
            .where(*conditions, pool_member.c.pool_id == found.id)
        )
    rows = yield part.applied_to(statement, sender)
    return [SenderRow(*row) for row in rows]


def list_operations(account_id: int, part: Slice, state: int | None = None) -> Script[list[PoolOperationRow]]:
    """Pool operations of an account, newest first; *state* is that of an `OperationState`, or one that none has."""
    statement = select(*_OPERATION_COLUMNS).where(pool_operation.c.account_id == account_id)
    if state is not None:
        statement = statement.where(pool_operation.c.state == state)
    rows = yield part.applied_to(statement, pool_operation)
    return [PoolOperationRow(*row) for row in rows]


def fetch_operation(account_id: int, uid: bytes, pool_uid: bytes | None = None) -> Script[PoolOperationRow | None]:
    """One pool operation, or None; with *pool_uid* only if it is that pool's."""
    statement = select(*_OPERATION_COLUMNS).where(
        pool_operation.c.account_id == account_id, pool_operation.c.uid == uid
    )
    if pool_uid is not None:
        statement = statement.join(sender_pool, sender_pool.c.id == pool_operation.c.pool_id).where(
            sender_pool.c.uid == pool_uid
        )
    rows = yield statement
    return PoolOperationRow(*rows[0]) if rows else None
