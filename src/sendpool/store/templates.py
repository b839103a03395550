"""Templates of an account. A deleted one keeps its row, so that its sid is never given again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import insert, select, update

from sendpool.store.database import Script
from sendpool.store.tables import template


class NewTemplate(NamedTuple):
    """What a template says; `variables` are defaults of its slots, text by name."""

    name: str
    language: str
    variables: Mapping[str, str]
    types: Mapping[str, Any]


class TemplateRow(NamedTuple):
    """A template. Times are microseconds since 1970."""

    id: int
    sid: str
    name: str
    language: str
    variables: Mapping[str, str]
    types: Mapping[str, Any]
    created_at: int
    updated_at: int


_COLUMNS = tuple(template.c[name] for name in TemplateRow._fields)


def find_template(account_id: int, sid: str) -> Script[TemplateRow | None]:
    """A template of an account that is not deleted."""
    rows = yield select(*_COLUMNS).where(
        template.c.sid == sid, template.c.account_id == account_id, template.c.deleted_at.is_(None)
    )
    return _row(rows[0]) if rows else None


def list_templates(account_id: int, before: int | None, limit: int) -> Script[list[TemplateRow]]:
    """Templates of an account, newest first, from below the key *before* on."""
    statement = select(*_COLUMNS).where(template.c.account_id == account_id, template.c.deleted_at.is_(None))
    if before is not None:
        statement = statement.where(template.c.id < before)
    rows = yield statement.order_by(template.c.id.desc()).limit(limit)
    return list(map(_row, rows))


def create_template(account_id: int, sid: str, new: NewTemplate, now: int) -> Script[TemplateRow]:
    """Keep a new template under *sid*."""
    values = {"sid": sid, "account_id": account_id, "created_at": now, "updated_at": now, **_values(new)}
    rows = yield insert(template).values(**values).returning(*_COLUMNS)
    return _row(rows[0])


def update_template(account_id: int, sid: str, new: NewTemplate, now: int) -> Script[TemplateRow | None]:
    """Let a template say something else from now on; what was accepted before keeps what it said."""
    rows = yield (
        update(template)
        .where(template.c.sid == sid, template.c.account_id == account_id, template.c.deleted_at.is_(None))
        .values(updated_at=now, **_values(new))
        .returning(*_COLUMNS)
    )
    return _row(rows[0]) if rows else None


def delete_template(account_id: int, sid: str, now: int) -> Script[bool]:
    """Delete a template; False: there is none. Its texts go, its sid stays taken."""
    rows = yield (
        update(template)
        .where(template.c.sid == sid, template.c.account_id == account_id, template.c.deleted_at.is_(None))
        .values(deleted_at=now, updated_at=now, types="{}", variables="{}")
        .returning(template.c.id)
    )
    return bool(rows)


def _values(new: NewTemplate) -> dict[str, str]:
    return {
        "name": new.name,
        "language": new.language,
        "variables": msgspec.json.encode(new.variables).decode(),
        "types": msgspec.json.encode(new.types).decode(),
    }


def _row(row: Sequence[Any]) -> TemplateRow:
    found = TemplateRow._make(row)
    return found._replace(
        variables=msgspec.json.decode(row[4]) if isinstance(row[4], str) else row[4],
        types=msgspec.json.decode(row[5]) if isinstance(row[5], str) else row[5],
    )
