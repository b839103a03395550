"""`templates`: what an account says again and again; a send names one by its sid."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

import msgspec

from sendpool.admin.accounts import whose
from sendpool.admin.context import Arguments, Context, instant
from sendpool.admin.protocol import CommandRefused
from sendpool.store import templates
from sendpool.store.admin_log import COMMAND_LINE, record
from sendpool.store.database import Script
from sendpool.store.templates import NewTemplate, TemplateRow

Sid = Annotated[str, msgspec.Meta(max_length=36)]


class ListTemplates(Arguments, frozen=True, kw_only=True):
    """`templates list`."""

    account: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 100


class OneTemplate(Arguments, frozen=True, kw_only=True):
    """`templates show` and `templates delete`."""

    sid: Sid
    account: str | None = None


class WriteTemplate(Arguments, frozen=True, kw_only=True):
    """`templates create` and, with *sid*, `templates update`; what it says has been checked."""

    name: str
    language: str
    variables: dict[str, str]
    types: dict[str, Any]
    sid: Sid | None = None
    account: str | None = None


def _shown(row: TemplateRow) -> dict[str, Any]:
    return {
        "sid": row.sid,
        "friendlyName": row.name,
        "language": row.language,
        "variables": dict(row.variables),
        "types": dict(row.types),
        "createdAt": instant(row.created_at),
        "updatedAt": instant(row.updated_at),
    }


def list_templates(ask: ListTemplates, context: Context) -> Script[list[dict[str, Any]]]:
    """Templates of an account, newest first."""
    account = yield from whose(ask.account)
    rows = yield from templates.list_templates(account.id, None, ask.limit)
    return list(map(_shown, rows))


def show_template(ask: OneTemplate, context: Context) -> Script[dict[str, Any]]:
    """One template."""
    account = yield from whose(ask.account)
    row = yield from templates.find_template(account.id, ask.sid)
    if row is None:
        raise _unknown(ask.sid)
    return _shown(row)


def write_template(ask: WriteTemplate, context: Context) -> Script[dict[str, Any]]:
    """Make a template, or let one say something else from now on."""
    account = yield from whose(ask.account)
    new = NewTemplate(ask.name, ask.language, ask.variables, ask.types)
    row: TemplateRow | None
    if ask.sid is None:
        sid = f"HX{secrets.token_hex(16)}"
        row = yield from templates.create_template(account.id, sid, new, context.now)
    else:
        row = yield from templates.update_template(account.id, ask.sid, new, context.now)
    if row is None:
        raise _unknown(ask.sid or "")
    action = "template.created" if ask.sid is None else "template.updated"
    yield from record(context.now, COMMAND_LINE, action, row.sid, account=account.sid)
    return _shown(row)


def delete_template(ask: OneTemplate, context: Context) -> Script[dict[str, Any]]:
    """Delete a template. Messages that were accepted before go on."""
    account = yield from whose(ask.account)
    if not (yield from templates.delete_template(account.id, ask.sid, context.now)):
        raise _unknown(ask.sid)
    yield from record(context.now, COMMAND_LINE, "template.deleted", ask.sid, account=account.sid)
    return {"sid": ask.sid}


def _unknown(sid: str) -> CommandRefused:
    return CommandRefused(f"there is no template {sid[:36]}; `sendpool templates list` shows those there are")
