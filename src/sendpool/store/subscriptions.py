"""Subscriptions: which types of events of an account go to which sink."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, func, insert, select, update

from sendpool.store.database import Script
from sendpool.store.sink_tables import sink, subscribed_event, subscription
from sendpool.store.tables import account


class SubscriptionRow(NamedTuple):
    """A subscription. Times are microseconds since 1970."""

    id: int
    sid: str
    sink_sid: str
    description: str
    created_at: int
    updated_at: int


class SubscribedType(NamedTuple):
    """A type that a subscription asks for."""

    type: str
    schema_version: int


_THERE = subscription.c.deleted_at.is_(None)


def _rows(account_id: int) -> Any:
    columns = subscription.c
    shown = (columns.id, columns.sid, sink.c.sid, columns.description, columns.created_at, columns.updated_at)
    return (
        select(*shown)
        .join(sink, sink.c.id == columns.sink_id)
        .where(columns.account_id == account_id, _THERE)
        .order_by(columns.id)
    )


def find_subscription(account_id: int, sid: str) -> Script[SubscriptionRow | None]:
    """A subscription of an account."""
    rows = yield _rows(account_id).where(subscription.c.sid == sid)
    return SubscriptionRow(*rows[0]) if rows else None


def list_subscriptions(account_id: int, sink_sid: str | None = None) -> Script[list[SubscriptionRow]]:
    """The subscriptions of an account, oldest first; with *sink_sid* those of one sink."""
    statement = _rows(account_id)
    if sink_sid is not None:
        statement = statement.where(sink.c.sid == sink_sid)
    rows = yield statement
    return [SubscriptionRow(*row) for row in rows]


def create_subscription(
    account_id: int, sid: str, sink_id: int, description: str, types: Sequence[SubscribedType], now: int
) -> Script[SubscriptionRow]:
    """Subscribe a sink to types."""
    values = {"sid": sid, "account_id": account_id, "sink_id": sink_id, "description": description}
    times = {"created_at": now, "updated_at": now}
    rows = yield insert(subscription).values(**values, **times).returning(subscription.c.id)
    for one in types:
        yield insert(subscribed_event).values(subscription_id=rows[0][0], **one._asdict())
    found = yield from find_subscription(account_id, sid)
    assert found is not None
    return found


def change_subscription(
    row: SubscriptionRow, now: int, *, description: str | None = None, sink_id: int | None = None
) -> Script[None]:
    """Give a subscription another description, or another sink."""
    values: dict[str, Any] = {"updated_at": now}
    if description is not None:
        values["description"] = description
    if sink_id is not None:
        values["sink_id"] = sink_id
    yield update(subscription).where(subscription.c.id == row.id).values(**values)


def delete_subscription(row: SubscriptionRow, now: int) -> Script[None]:
    """End a subscription."""
    yield delete(subscribed_event).where(subscribed_event.c.subscription_id == row.id)
    yield update(subscription).where(subscription.c.id == row.id).values(deleted_at=now, updated_at=now)


def list_types(row: SubscriptionRow) -> Script[list[SubscribedType]]:
    """The types that a subscription asks for, by name."""
    columns = subscribed_event.c
    rows = yield (
        select(columns.type, columns.schema_version).where(columns.subscription_id == row.id).order_by(columns.type)
    )
    return [SubscribedType(*one) for one in rows]


def put_type(row: SubscriptionRow, one: SubscribedType, now: int) -> Script[None]:
    """Ask for a type, or for another version of its schema."""
    yield from drop_type(row, one.type, now)
    yield insert(subscribed_event).values(subscription_id=row.id, **one._asdict())


def drop_type(row: SubscriptionRow, name: str, now: int) -> Script[None]:
    """Ask for a type no longer."""
    columns = subscribed_event.c
    yield delete(subscribed_event).where(columns.subscription_id == row.id, columns.type == name)
    yield update(subscription).where(subscription.c.id == row.id).values(updated_at=now)


def count_sinks(account_id: int) -> Script[int]:
    """How many sinks an account has."""
    rows = (
        yield select(func.count()).select_from(sink).where(sink.c.account_id == account_id, sink.c.deleted_at.is_(None))
    )
    return int(rows[0][0])


def account_sid(account_id: int) -> Script[str]:
    """The sid of an account."""
    rows = yield select(account.c.sid).where(account.c.id == account_id)
    return str(rows[0][0])
