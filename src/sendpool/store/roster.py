"""Senders, pools and members as domain values, read whole: the in-memory roster is made from this."""

from __future__ import annotations

import msgspec
from sqlalchemy import or_, select

from sendpool.domain.destinations import Countries
from sendpool.domain.message import Category
from sendpool.domain.policy import Duplicates, OpenOutcome, PoolRules
from sendpool.domain.pool import Member, Pool
from sendpool.domain.sender import Channel, Sender
from sendpool.store.choices import read_choice, read_countries, read_destinations
from sendpool.store.database import Script
from sendpool.store.tables import account, connection, pool_member, sender, sender_pool


def load_senders() -> Script[list[Sender]]:
    """Every sender, active or not."""
    names = ("id", "uid", "account_id", "connection_id", "channel", "address", "mps", "burst", "active", "destinations")
    options = sender.c.options
    drained = or_(sender.c.drained_at.is_not(None), connection.c.drained_at.is_not(None))
    joined = sender.outerjoin(connection, connection.c.id == sender.c.connection_id)
    rows = yield select(*(sender.c[name] for name in names), options, drained).select_from(joined)
    return [
        Sender(
            **{
                **dict(zip(names, row[:-2], strict=True)),
                "channel": Channel(row[4]),
                "active": bool(row[8]),
                "destinations": read_destinations(row[9]),
                "whole_domain": Channel(row[4]) is Channel.EMAIL and _is_whole_domain(row[-2]),
                "drained": bool(row[-1]),
            }
        )
        for row in rows
    ]


def _is_whole_domain(options: str) -> bool:
    """Whether a sender is declared to send for every mailbox of its domain; what else it says is its connector's."""
    return msgspec.json.decode(options).get("whole_domain") is True


def load_countries() -> Script[dict[int, Countries]]:
    """The countries of those accounts that do not send everywhere."""
    rows = yield select(account.c.id, account.c.countries).where(account.c.countries.is_not(None))
    return {key: read_countries(raw) for key, raw in rows}


def load_pools() -> Script[list[Pool]]:
    """Every pool with its members, hidden and deleted ones too: a deleted pool still drains."""
    found = yield select(pool_member.c.pool_id, pool_member.c.sender_id, pool_member.c.weight, pool_member.c.tier)
    members: dict[int, list[Member]] = {}
    for pool_id, sender_id, weight, tier in found:
        members.setdefault(pool_id, []).append(Member(sender_id=sender_id, weight=weight, tier=tier))
    rows = yield select(
        sender_pool.c.id,
        sender_pool.c.uid,
        sender_pool.c.account_id,
        sender_pool.c.kind,
        sender_pool.c.deleted_at,
        sender_pool.c.settings,
    )
    return [
        Pool(
            id=key,
            uid=uid,
            account_id=account_id,
            hidden=kind != "pool",
            everyone=kind == "account",
            deleted=deleted_at is not None,
            rules=_rules(settings),
            category=settings.category,
            members=tuple(members.get(key, ())),
            choice=read_choice(raw),
        )
        for key, uid, account_id, kind, deleted_at, raw in rows
        for settings in (read_settings(raw),)
    ]


class PoolSettings(msgspec.Struct, rename="camel", omit_defaults=True):
    """What a pool's `settings` column holds: the extension fields that were given."""

    category: Category | None = None
    #: Seconds to stay on a channel before the next one.
    fallback_after: float | None = None
    duplicates: Duplicates | None = None
    open_outcome: OpenOutcome | None = None


def read_settings(raw: str) -> PoolSettings:
    """A pool's settings from its column."""
    return msgspec.json.decode(raw, type=PoolSettings)


def _rules(settings: PoolSettings) -> PoolRules | None:
    rules = PoolRules(
        fallback_after=settings.fallback_after, duplicates=settings.duplicates, open_outcome=settings.open_outcome
    )
    return None if rules == PoolRules() else rules


def load_kinds() -> Script[dict[int, str]]:
    """Types of connections ("smpp") by key."""
    rows = yield select(connection.c.id, connection.c.type)
    return dict(rows)


def load_connection_names() -> Script[dict[int, str]]:
    """Names of connections by key."""
    rows = yield select(connection.c.id, connection.c.name)
    return dict(rows)


def load_connections() -> Script[dict[tuple[int, str], int]]:
    """Keys of connections by (account, name)."""
    rows = yield select(connection.c.account_id, connection.c.name, connection.c.id)
    return {(account_id, name): key for account_id, name, key in rows}
