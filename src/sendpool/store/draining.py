"""What is drained: connections and senders that start nothing new until they are resumed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select, update

from sendpool.store.database import Script
from sendpool.store.tables import account, connection, sender


class ConnectionRow(NamedTuple):
    """A connection as commands show it. Times are microseconds since 1970."""

    id: int
    account_sid: str
    name: str
    type: str
    active: int
    drained_at: int | None


class SenderRow(NamedTuple):
    """A sender as commands show it, with its connection."""

    id: int
    uid: bytes
    account_sid: str
    connection: str
    channel: str
    address: str
    active: int
    drained_at: int | None
    connection_drained_at: int | None


def list_connections(account_id: int | None) -> Script[list[ConnectionRow]]:
    """The connections of one account, or of all, by name."""
    own, owner = connection.c, account.c
    statement = select(own.id, owner.sid, own.name, own.type, own.active, own.drained_at).join_from(
        connection, account, owner.id == own.account_id
    )
    if account_id is not None:
        statement = statement.where(own.account_id == account_id)
    rows = yield statement.order_by(owner.id, own.name)
    return [ConnectionRow(*row) for row in rows]


def list_senders(account_id: int | None) -> Script[list[SenderRow]]:
    """The senders of one account, or of all, by connection and address."""
    own, link, owner = sender.c, connection.c, account.c
    names = (own.id, own.uid, owner.sid, link.name, own.channel, own.address, own.active, own.drained_at)
    joined = sender.join(connection, link.id == own.connection_id).join(account, owner.id == own.account_id)
    statement = select(*names, link.drained_at).select_from(joined)
    if account_id is not None:
        statement = statement.where(own.account_id == account_id)
    rows = yield statement.order_by(owner.id, link.name, own.address, own.channel)
    return [SenderRow(*row) for row in rows]


def drain_connection(connection_id: int, at: int | None) -> Script[None]:
    """Let a connection start nothing new from *at* on; None: it starts again."""
    yield update(connection).where(connection.c.id == connection_id).values(drained_at=at)


def drain_senders(sender_ids: Sequence[int], at: int | None) -> Script[None]:
    """Let senders start nothing new from *at* on; None: they start again."""
    yield update(sender).where(sender.c.id.in_(sender_ids)).values(drained_at=at)
