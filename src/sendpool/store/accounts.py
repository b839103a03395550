"""Accounts and their credentials. Auth tokens are kept encrypted, not hashed: they sign the accounts' webhooks."""

from __future__ import annotations

import base64
import binascii
import secrets
from functools import lru_cache
from typing import NamedTuple

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from sqlalchemy import insert, select, update

from sendpool.store.database import Script
from sendpool.store.tables import account


class WrongSecretKey(Exception):
    """Stored secrets were encrypted with another key than the one given."""

    def __init__(self) -> None:
        super().__init__(
            "the stored secrets cannot be read with this secret key; set SENDPOOL_SECRET_KEY to the key that this"
            " database was made with, or put its key file back"
        )


@lru_cache(maxsize=2)
def _cipher(key: bytes) -> Fernet:
    """The cipher (AES-128-CBC with HMAC-SHA256) of a secret key: 32 random bytes in base 64, or any other text."""
    text = key.strip()
    if not text:
        raise ValueError("the secret key is empty; give SENDPOOL_SECRET_KEY a long random text")
    try:
        raw = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != 32:
        # A person's own text may hold little chance, so guessing it has to be slow. Once per start: 50 ms.
        raw = Scrypt(salt=b"sendpool.secret_key", length=32, n=2**14, r=8, p=1).derive(text)
    return Fernet(base64.urlsafe_b64encode(raw))


def encrypt(secret: str, key: bytes) -> str:
    """A secret as it is stored."""
    return _cipher(key).encrypt(secret.encode()).decode()


def decrypt(stored: str, key: bytes) -> str:
    """A stored secret. Raises WrongSecretKey."""
    try:
        return _cipher(key).decrypt(stored.encode()).decode()
    except InvalidToken:
        raise WrongSecretKey from None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account with the credentials that its clients use."""

    id: int
    sid: str
    auth_token: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id}, sid={self.sid!r})"


class FirstAccount(Account, frozen=True, kw_only=True):
    """The first account. `shown_token` is its token where it was made just now: it has to be shown, this once."""

    shown_token: str | None = None


def ensure_first_account(sid: str | None, token: str | None, key: bytes, now: int) -> Script[FirstAccount]:
    """Give the first account the credentials asked for; what is not asked for is kept, or made.

    *sid* and *token* are SENDPOOL_ACCOUNT_SID and SENDPOOL_AUTH_TOKEN: a changed one replaces the old one. Where
    another account has that sid already, it is the one that gets the token. *now* is microseconds since 1970.
    Raises WrongSecretKey, and ValueError for credentials that Basic authentication cannot carry.
    """
    if sid is not None and (not sid.isascii() or not sid.isprintable() or ":" in sid or not sid):
        raise ValueError("the account sid must be printable ASCII without a colon, for example AC and 32 hex digits")
    if token is not None and not token:
        raise ValueError("the auth token is empty; leave SENDPOOL_AUTH_TOKEN out to have one made")
    rows = yield select(account.c.id, account.c.sid, account.c.auth_token).order_by(account.c.id)
    known = next((row for row in rows if row[1] == sid), rows[0] if rows else None)
    if known is None:
        return (yield from _insert(sid, token, key, now))
    kept = FirstAccount(id=known[0], sid=known[1], auth_token=decrypt(known[2], key))
    wanted = FirstAccount(id=kept.id, sid=sid or kept.sid, auth_token=token or kept.auth_token)
    if wanted != kept:
        values = {"sid": wanted.sid, "auth_token": encrypt(wanted.auth_token, key)}
        yield update(account).where(account.c.id == kept.id).values(**values)
    return wanted


def _insert(sid: str | None, token: str | None, key: bytes, now: int, name: str = "") -> Script[FirstAccount]:
    new_sid = sid or f"AC{secrets.token_hex(16)}"
    new_token = token or secrets.token_hex(16)
    values = {"sid": new_sid, "name": name, "auth_token": encrypt(new_token, key), "created_at": now}
    rows = yield insert(account).values(**values).returning(account.c.id)
    shown = new_token if sid is None or token is None else None
    return FirstAccount(id=rows[0][0], sid=new_sid, auth_token=new_token, shown_token=shown)


class AccountRow(NamedTuple):
    """An account as lists show it. Times are microseconds since 1970."""

    id: int
    sid: str
    name: str
    created_at: int


_COLUMNS = tuple(account.c[name] for name in AccountRow._fields)


def list_accounts() -> Script[list[AccountRow]]:
    """Every account, oldest first."""
    rows = yield select(*_COLUMNS).order_by(account.c.id)
    return [AccountRow(*row) for row in rows]


def create_account(name: str, key: bytes, now: int) -> Script[Account]:
    """Make an account with a sid and an auth token of its own."""
    made = yield from _insert(None, None, key, now, name)
    return made


def rename_account(sid: str, name: str) -> Script[AccountRow | None]:
    """Give an account another name. None: there is no such account."""
    rows = yield update(account).where(account.c.sid == sid).values(name=name).returning(*_COLUMNS)
    return AccountRow(*rows[0]) if rows else None


def load_accounts(key: bytes) -> Script[list[Account]]:
    """Every account with its credentials. Raises WrongSecretKey."""
    rows = yield select(account.c.id, account.c.sid, account.c.auth_token).order_by(account.c.id)
    return [Account(id=row[0], sid=row[1], auth_token=decrypt(row[2], key)) for row in rows]
