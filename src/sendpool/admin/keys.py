"""`keys`: further credentials of an account, each of which can be revoked alone."""

from __future__ import annotations

from typing import Any

from sendpool.admin.accounts import Name, known_account, whose
from sendpool.admin.context import Arguments, Context, instant
from sendpool.admin.protocol import CommandRefused
from sendpool.store import keys
from sendpool.store.admin_log import COMMAND_LINE, record
from sendpool.store.database import Script
from sendpool.store.keys import KeyRow


class ListKeys(Arguments, frozen=True, kw_only=True):
    """`keys list`."""

    #: None: of every account.
    account: str | None = None


class CreateKey(Arguments, frozen=True, kw_only=True):
    """`keys create`."""

    name: Name = ""
    #: None: the only one there is.
    account: str | None = None


class RevokeKey(Arguments, frozen=True, kw_only=True):
    """`keys revoke`."""

    sid: str


def _shown(row: KeyRow) -> dict[str, Any]:
    return {
        "sid": row.sid,
        "accountSid": row.account_sid,
        "name": row.name,
        "status": "revoked" if row.revoked_at is not None else "active",
        "createdAt": instant(row.created_at),
        "revokedAt": instant(row.revoked_at),
    }


def list_keys(ask: ListKeys, context: Context) -> Script[list[dict[str, Any]]]:
    """Every key, or those of one account, oldest first."""
    account = None if ask.account is None else (yield from known_account(ask.account)).id
    rows = yield from keys.list_keys(account)
    return [_shown(row) for row in rows]


def create_key(ask: CreateKey, context: Context) -> Script[dict[str, Any]]:
    """A new key and its secret."""
    account = yield from whose(ask.account)
    made = yield from keys.create_key(account.id, ask.name, context.now)
    yield from record(context.now, COMMAND_LINE, "key.created", made.sid, account=account.sid, name=ask.name)
    return {"sid": made.sid, "accountSid": account.sid, "name": ask.name, "secret": made.secret}


def revoke_key(ask: RevokeKey, context: Context) -> Script[dict[str, Any]]:
    """Take a key out of use; one that is already stays as it is."""
    row = yield from keys.find_key(ask.sid)
    if row is None:
        raise CommandRefused(f"there is no key {ask.sid[:64]}; `sendpool keys list` shows those there are")
    if row.revoked_at is not None:
        return _shown(row)
    yield from keys.revoke_key(ask.sid, context.now)
    yield from record(context.now, COMMAND_LINE, "key.revoked", ask.sid, account=row.account_sid)
    return _shown(row._replace(revoked_at=context.now))
