"""Pools that the configuration declares: kept in step with it, by their names."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import uuid_utils
from sqlalchemy import delete, insert, select, update

from sendpool.domain.pool import DeclaredPool
from sendpool.store.database import Bulk, Script
from sendpool.store.tables import pool_member, sender, sender_pool


class UnknownMember(Exception):
    """A declared pool names a sender that its account does not have; `position` is its place among the members."""

    def __init__(self, pool: DeclaredPool, position: int) -> None:
        member = pool.members[position]
        super().__init__(
            f"there is no {member.channel.value} sender {member.address} in this account;"
            " declare it in a connection, or leave it out"
        )
        self.pool = pool
        self.position = position


def store_pools(account_id: int, pools: Sequence[DeclaredPool], now: int) -> Script[None]:
    """Make an account's declared pools what the configuration says; *pools* are all there are. Raises UnknownMember.

    A pool keeps its id as long as its name stays. One that is no longer declared is deleted: what waits in it drains.
    Pools that were made over the API are left alone.
    """
    columns = sender_pool.c
    rows = yield select(columns.declared, columns.id, columns.settings).where(
        columns.account_id == account_id, columns.declared.is_not(None), columns.deleted_at.is_(None)
    )
    known = {name: (key, settings) for name, key, settings in rows}
    if not pools and not known:
        return
    senders = yield select(sender.c.channel, sender.c.address, sender.c.id).where(sender.c.account_id == account_id)
    by_address = {(channel, address): key for channel, address, key in senders}
    for pool in pools:
        settings = msgspec.json.encode(dict(pool.settings), order="deterministic").decode()
        if pool.name not in known:
            pool_id = yield from _insert(account_id, pool.name, settings, now)
        else:
            pool_id, stored = known[pool.name]
            if stored != settings:
                yield update(sender_pool).where(columns.id == pool_id).values(settings=settings, updated_at=now)
        yield from _store_members(pool_id, _members(pool, by_address), now)
    gone = [key for name, (key, _) in known.items() if name not in {pool.name for pool in pools}]
    if gone:
        yield update(sender_pool).where(columns.id.in_(gone)).values(deleted_at=now, updated_at=now)


def _insert(account_id: int, name: str, settings: str, now: int) -> Script[int]:
    values = {"kind": "pool", "name": name, "tags": "{}", "settings": settings, "declared": name}
    rows = yield (
        insert(sender_pool)
        .values(uid=uuid_utils.uuid7().bytes, account_id=account_id, created_at=now, updated_at=now, **values)
        .returning(sender_pool.c.id)
    )
    return int(rows[0][0])


#: Weight and tier by the sender's key.
_Members = dict[int, tuple[float, int]]


def _members(pool: DeclaredPool, by_address: dict[tuple[str, str], int]) -> _Members:
    found: _Members = {}
    for position, member in enumerate(pool.members):
        key = by_address.get((member.channel.value, member.address))
        if key is None:
            raise UnknownMember(pool, position)
        found[key] = (member.weight, member.tier)
    return found


def _store_members(pool_id: int, wanted: _Members, now: int) -> Script[None]:
    columns = pool_member.c
    rows = yield select(columns.sender_id, columns.weight, columns.tier).where(columns.pool_id == pool_id)
    known = {key: (weight, tier) for key, weight, tier in rows}
    if known == wanted:
        return
    changed = [(pool_id, key, *values, now) for key, values in wanted.items() if known.get(key) != values]
    yield Bulk(
        "INSERT INTO pool_member (pool_id, sender_id, weight, tier, created_at)"
        " SELECT pool_id, sender_id, weight, tier, at FROM v WHERE true ON CONFLICT (pool_id, sender_id)"
        " DO UPDATE SET weight = excluded.weight, tier = excluded.tier",
        (
            ("pool_id", "bigint"),
            ("sender_id", "bigint"),
            ("weight", "double precision"),
            ("tier", "int"),
            ("at", "bigint"),
        ),
        changed,
    )
    for key in known.keys() - wanted.keys():
        yield delete(pool_member).where(columns.pool_id == pool_id, columns.sender_id == key)
    yield update(sender_pool).where(sender_pool.c.id == pool_id).values(updated_at=now)
