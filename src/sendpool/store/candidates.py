"""Activated senders out of which some are to be chosen: of a pool, of those named, or of the whole account."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Select, select, tuple_

from sendpool.domain.sender import Channel
from sendpool.store.database import Script
from sendpool.store.pools import fetch_pool
from sendpool.store.senders import SENDER_COLUMNS, SenderRow
from sendpool.store.tables import pool_member, sender

Candidates = dict[Channel, list[SenderRow]]


def in_account(account_id: int, channels: Collection[Channel], limit: int) -> Script[Candidates]:
    """At most *limit* of an account's senders on each channel, the oldest first."""
    return (yield from _on_each(_active(account_id).order_by(sender.c.uid), channels, limit))


def in_pool(account_id: int, pool_uid: bytes, channels: Collection[Channel], limit: int) -> Script[Candidates | None]:
    """The same of a pool, lower tiers first; None: there is no such pool."""
    found = yield from fetch_pool(account_id, pool_uid)
    if found is None:
        return None
    if found.everyone:
        return (yield from in_account(account_id, channels, limit))
    members = (
        _active(account_id)
        .join(pool_member, pool_member.c.sender_id == sender.c.id)
        .where(pool_member.c.pool_id == found.id)
    )
    return (yield from _on_each(members.order_by(pool_member.c.tier, sender.c.uid), channels, limit))


def named(account_id: int, wanted: Sequence[tuple[Channel, str]]) -> Script[Candidates]:
    """Those of the senders *wanted* that the account has, in that order; a few hundred at most."""
    rows = yield _active(account_id).where(tuple_(sender.c.channel, sender.c.address).in_(set(wanted)))
    known = {(row.channel, row.address): row for row in (SenderRow(*row) for row in rows)}
    found: Candidates = {}
    for channel, address in dict.fromkeys(wanted):
        if (channel.value, address) in known:
            found.setdefault(channel, []).append(known[channel.value, address])
    return found


def _active(account_id: int) -> Select[tuple[object, ...]]:
    return select(*SENDER_COLUMNS).where(sender.c.account_id == account_id, sender.c.active == 1)


def _on_each(statement: Select[tuple[object, ...]], channels: Collection[Channel], limit: int) -> Script[Candidates]:
    found: Candidates = {}
    for channel in channels:
        rows = yield statement.where(sender.c.channel == channel.value).limit(limit)
        found[channel] = [SenderRow(*row) for row in rows]
    return found
