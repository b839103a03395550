"""`accounts`: whose senders, pools and messages are kept apart from each other."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from sendpool.admin.context import COMMAND_LINE, Arguments, Context, instant
from sendpool.admin.protocol import CommandRefused
from sendpool.store import accounts
from sendpool.store.accounts import AccountRow
from sendpool.store.admin_log import record
from sendpool.store.database import Script

Name = Annotated[str, msgspec.Meta(max_length=100)]


class ListAccounts(Arguments, frozen=True, kw_only=True):
    """`accounts list` takes nothing."""


class CreateAccount(Arguments, frozen=True, kw_only=True):
    """`accounts create`."""

    name: Name = ""


class RenameAccount(Arguments, frozen=True, kw_only=True):
    """`accounts rename`."""

    sid: str
    name: Name


def shown(row: AccountRow) -> dict[str, Any]:
    """An account as it is answered."""
    return {"sid": row.sid, "name": row.name, "createdAt": instant(row.created_at)}


def unknown_account(sid: str) -> CommandRefused:
    """There is no such account."""
    return CommandRefused(f"there is no account {sid[:64]}; `sendpool accounts list` shows those there are")


def list_accounts(_: ListAccounts, context: Context) -> Script[list[dict[str, Any]]]:
    """Every account, oldest first."""
    rows = yield from accounts.list_accounts()
    return [shown(row) for row in rows]


def create_account(ask: CreateAccount, context: Context) -> Script[dict[str, Any]]:
    """A new account and its auth token."""
    made = yield from accounts.create_account(ask.name, context.key, context.now)
    yield from record(context.now, COMMAND_LINE, "account.created", made.sid, name=ask.name)
    return {"sid": made.sid, "name": ask.name, "authToken": made.auth_token}


def rename_account(ask: RenameAccount, context: Context) -> Script[dict[str, Any]]:
    """Another name for an account."""
    row = yield from accounts.rename_account(ask.sid, ask.name)
    if row is None:
        raise unknown_account(ask.sid)
    yield from record(context.now, COMMAND_LINE, "account.renamed", ask.sid, name=ask.name)
    return shown(row)
