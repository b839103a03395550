"""API keys: further credentials of an account. Their secrets are kept as SHA-256 only, and shown once."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, NamedTuple

from sqlalchemy import Select, insert, select, update

from sendpool.store.database import Script
from sendpool.store.tables import account, api_key


class ApiKey(NamedTuple):
    """What it takes to recognise a key: the SHA-256 of its secret."""

    sid: str
    account_id: int
    digest: bytes


class KeyRow(NamedTuple):
    """A key as lists show it. Times are microseconds since 1970."""

    sid: str
    account_sid: str
    name: str
    created_at: int
    revoked_at: int | None


class MadeKey(NamedTuple):
    """A new key; its secret is shown this once."""

    sid: str
    secret: str


def digest_of(secret: bytes) -> bytes:
    """A secret as it is stored. It is long and random, so that a slow hash would gain nothing."""
    return hashlib.sha256(secret).digest()


def create_key(account_id: int, name: str, now: int) -> Script[MadeKey]:
    """Make a key of an account."""
    made = MadeKey(f"SK{secrets.token_hex(16)}", secrets.token_hex(16))
    values = {"sid": made.sid, "account_id": account_id, "name": name, "created_at": now}
    yield insert(api_key).values(**values, digest=digest_of(made.secret.encode()))
    return made


def _keys() -> Select[Any]:
    columns = api_key.c
    shown = select(columns.sid, account.c.sid, columns.name, columns.created_at, columns.revoked_at)
    return shown.join(account, account.c.id == columns.account_id)


def list_keys(account_id: int | None = None) -> Script[list[KeyRow]]:
    """Every key, revoked ones too, oldest first; with *account_id* only that account's."""
    statement = _keys().order_by(api_key.c.id)
    if account_id is not None:
        statement = statement.where(api_key.c.account_id == account_id)
    rows = yield statement
    return [KeyRow(*row) for row in rows]


def find_key(sid: str) -> Script[KeyRow | None]:
    """The key with this sid, revoked or not."""
    rows = yield _keys().where(api_key.c.sid == sid)
    return KeyRow(*rows[0]) if rows else None


def revoke_key(sid: str, now: int) -> Script[None]:
    """Take a key out of use, for ever."""
    yield update(api_key).where(api_key.c.sid == sid, api_key.c.revoked_at.is_(None)).values(revoked_at=now)


def load_keys() -> Script[list[ApiKey]]:
    """Every key that is in use, of accounts that are not closed."""
    columns = api_key.c
    rows = yield (
        select(columns.sid, columns.account_id, columns.digest)
        .join(account, account.c.id == columns.account_id)
        .where(columns.revoked_at.is_(None), account.c.closed_at.is_(None))
    )
    return [ApiKey(*row) for row in rows]
