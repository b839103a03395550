"""`connections` and `senders`: what there is, what is drained for maintenance, and how far that has come."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from sendpool.admin.accounts import known_account
from sendpool.admin.context import Arguments, Context, instant
from sendpool.admin.protocol import CommandRefused
from sendpool.domain import ids
from sendpool.store import draining as store
from sendpool.store.admin_log import record
from sendpool.store.begun import in_flight_by
from sendpool.store.database import Script
from sendpool.store.draining import ConnectionRow, SenderRow

_Text = Annotated[str, msgspec.Meta(max_length=320)]


class List(Arguments, frozen=True, kw_only=True):
    """`connections list` and `senders list`."""

    #: None: of every account.
    account: str | None = None


class OneConnection(Arguments, frozen=True, kw_only=True):
    """`connections drain` and `connections resume`."""

    name: _Text
    account: str | None = None


class OneSender(Arguments, frozen=True, kw_only=True):
    """`senders drain` and `senders resume`."""

    address: _Text
    #: Where the address is a sender on several; None: all of them.
    channel: _Text | None = None
    account: str | None = None


def _status(active: int, drained: bool, in_flight: int) -> str:
    if not active:
        return "gone"
    if not drained:
        return "active"
    return "draining" if in_flight else "drained"


def _connection(row: ConnectionRow, in_flight: int) -> dict[str, Any]:
    return {
        "name": row.name,
        "accountSid": row.account_sid,
        "type": row.type,
        "status": _status(row.active, row.drained_at is not None, in_flight),
        "inFlight": in_flight,
        "drainedAt": instant(row.drained_at),
    }


def _sender(row: SenderRow, in_flight: int) -> dict[str, Any]:
    drained = row.drained_at is not None or row.connection_drained_at is not None
    return {
        "address": row.address,
        "channel": row.channel,
        "senderId": ids.encode(ids.SENDER, row.uid),
        "accountSid": row.account_sid,
        "connection": row.connection,
        "status": _status(row.active, drained, in_flight),
        "inFlight": in_flight,
        "drainedAt": instant(row.drained_at),
        "connectionDrainedAt": instant(row.connection_drained_at),
    }


def _whose(sid: str | None) -> Script[int | None]:
    return None if sid is None else (yield from known_account(sid)).id


def list_connections(ask: List, context: Context) -> Script[list[dict[str, Any]]]:
    """Every connection, or those of one account."""
    rows = yield from store.list_connections((yield from _whose(ask.account)))
    flying = yield from in_flight_by("connection_id")
    return [_connection(row, flying.get(row.id, 0)) for row in rows]


def list_senders(ask: List, context: Context) -> Script[list[dict[str, Any]]]:
    """Every sender, or those of one account."""
    rows = yield from store.list_senders((yield from _whose(ask.account)))
    flying = yield from in_flight_by("sender_id")
    return [_sender(row, flying.get(row.id, 0)) for row in rows]


def drain_connection(ask: OneConnection, context: Context) -> Script[dict[str, Any]]:
    """A connection starts nothing new; what it has in flight ends, and receipts are taken."""
    return (yield from _set_connection(ask, context, context.now))


def resume_connection(ask: OneConnection, context: Context) -> Script[dict[str, Any]]:
    """A connection starts again, but for senders that are drained for themselves."""
    return (yield from _set_connection(ask, context, None))


def _set_connection(ask: OneConnection, context: Context, at: int | None) -> Script[dict[str, Any]]:
    rows = yield from store.list_connections((yield from _whose(ask.account)))
    found = [row for row in rows if row.name == ask.name]
    if not found:
        raise CommandRefused(
            f'there is no connection "{ask.name[:64]}"; `sendpool connections list` shows those there are'
        )
    if len(found) > 1:
        raise CommandRefused(f'{len(found)} accounts have a connection "{ask.name}"; say which with --account')
    row = found[0]
    flying = yield from in_flight_by("connection_id")
    if (row.drained_at is None) is not (at is None):
        yield from store.drain_connection(row.id, at)
        action = "connection.drained" if at is not None else "connection.resumed"
        yield from record(context.now, context.actor, action, ask.name, account=row.account_sid)
        row = row._replace(drained_at=at)
    return _connection(row, flying.get(row.id, 0))


def drain_senders(ask: OneSender, context: Context) -> Script[list[dict[str, Any]]]:
    """A sender starts nothing new; what it has in flight ends, and receipts are taken."""
    return (yield from _set_senders(ask, context, context.now))


def resume_senders(ask: OneSender, context: Context) -> Script[list[dict[str, Any]]]:
    """A sender starts again, unless its connection is drained."""
    return (yield from _set_senders(ask, context, None))


def _set_senders(ask: OneSender, context: Context, at: int | None) -> Script[list[dict[str, Any]]]:
    rows = yield from store.list_senders((yield from _whose(ask.account)))
    found = [row for row in rows if row.address == ask.address and ask.channel in (None, row.channel)]
    if not found:
        raise CommandRefused(
            f"there is no such sender {ask.address[:64]}; `sendpool senders list` shows those there are"
        )
    if len({row.account_sid for row in found}) > 1:
        raise CommandRefused(f"several accounts have the sender {ask.address}; say which with --account")
    flying = yield from in_flight_by("sender_id")
    changed = [row for row in found if (row.drained_at is None) is not (at is None)]
    if changed:
        yield from store.drain_senders([row.id for row in changed], at)
        action = "sender.drained" if at is not None else "sender.resumed"
        for row in changed:
            subject = ids.encode(ids.SENDER, row.uid)
            yield from record(context.now, context.actor, action, subject, account=row.account_sid)
        found = [row._replace(drained_at=at) if row in changed else row for row in found]
    return [_sender(row, flying.get(row.id, 0)) for row in found]
