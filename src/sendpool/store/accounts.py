"""Accounts and their credentials. Auth tokens are kept encrypted, not hashed: they sign the accounts' webhooks."""

from __future__ import annotations

import base64
import binascii
import secrets
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from sqlalchemy import insert, select, update

from sendpool.store.admin_log import CONFIGURATION, record
from sendpool.store.choices import CountriesSetting
from sendpool.store.database import Script
from sendpool.store.locks import alone
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
    #: The token before, taken until that time (microseconds since 1970).
    old_auth_token: str | None = None
    old_auth_token_until: int = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id}, sid={self.sid!r})"


class FirstAccount(Account, frozen=True, kw_only=True):
    """The first account. `shown_token` is its token where it was made just now: it has to be shown, this once."""

    shown_token: str | None = None


class AccountRow(NamedTuple):
    """An account as lists show it. Times are microseconds since 1970."""

    id: int
    sid: str
    name: str
    created_at: int
    old_auth_token_until: int | None
    closed_at: int | None


_COLUMNS = tuple(account.c[name] for name in AccountRow._fields)


def ensure_first_account(sid: str | None, token: str | None, key: bytes, now: int) -> Script[FirstAccount]:
    """Give the first account the credentials asked for; what is not asked for is kept, or made.

    *sid* and *token* are SENDPOOL_ACCOUNT_SID and SENDPOOL_AUTH_TOKEN: a changed one replaces the old one. Where
    another account has that sid already, it is the one that gets the token. *now* is microseconds since 1970.
    Raises WrongSecretKey, and ValueError for credentials that cannot be used: Basic authentication cannot carry them,
    or the account is closed.
    """
    if sid is not None and not fit_sid(sid):
        raise ValueError("the account sid must be printable ASCII without a colon, for example AC and 32 hex digits")
    if token is not None and not token:
        raise ValueError("the auth token is empty; leave SENDPOOL_AUTH_TOKEN out to have one made")
    yield from alone("accounts")
    known = yield from find_first(sid)
    if known is None:
        made = yield from _insert(sid, token, key, now)
        yield from record(now, CONFIGURATION, "account.created", made.sid)
        return made
    if known.closed_at is not None:
        raise ValueError(f"account {known.sid} is closed; set SENDPOOL_ACCOUNT_SID to another, or to a new one")
    rows = yield select(account.c.auth_token).where(account.c.id == known.id)
    kept = FirstAccount(id=known.id, sid=known.sid, auth_token=decrypt(rows[0][0], key))
    wanted = FirstAccount(id=kept.id, sid=sid or kept.sid, auth_token=token or kept.auth_token)
    if wanted != kept:
        values: dict[str, Any] = {"sid": wanted.sid}
        if wanted.auth_token != kept.auth_token:
            values |= {"auth_token": encrypt(wanted.auth_token, key)}
            values |= {"old_auth_token": None, "old_auth_token_until": None}
        changed = [name for name in ("sid", "auth_token") if name in values and getattr(kept, name) != values[name]]
        yield from record(now, CONFIGURATION, "account.changed", wanted.sid, changed=changed)
        yield update(account).where(account.c.id == kept.id).values(**values)
    return wanted


def fit_sid(sid: str) -> bool:
    """Whether Basic authentication can carry it as a user name."""
    return bool(sid) and sid.isascii() and sid.isprintable() and ":" not in sid


def find_first(sid: str | None) -> Script[AccountRow | None]:
    """The first account: the one with *sid* (SENDPOOL_ACCOUNT_SID), else the oldest. None: there is no account."""
    rows = yield from list_accounts()
    return next((row for row in rows if row.sid == sid), rows[0] if rows else None)


def _insert(sid: str | None, token: str | None, key: bytes, now: int, name: str = "") -> Script[FirstAccount]:
    new_sid = sid or f"AC{secrets.token_hex(16)}"
    new_token = token or secrets.token_hex(16)
    values = {"sid": new_sid, "name": name, "auth_token": encrypt(new_token, key), "created_at": now}
    rows = yield insert(account).values(**values).returning(account.c.id)
    shown = new_token if sid is None or token is None else None
    return FirstAccount(id=rows[0][0], sid=new_sid, auth_token=new_token, shown_token=shown)


def list_accounts() -> Script[list[AccountRow]]:
    """Every account, oldest first."""
    rows = yield select(*_COLUMNS).order_by(account.c.id)
    return [AccountRow(*row) for row in rows]


def find_account(sid: str) -> Script[AccountRow | None]:
    """The account with this sid, closed or not."""
    rows = yield select(*_COLUMNS).where(account.c.sid == sid)
    return AccountRow(*rows[0]) if rows else None


def create_account(name: str, sid: str | None, key: bytes, now: int) -> Script[Account]:
    """Make an account with an auth token of its own, and a sid where none is given. The sid must be free."""
    made = yield from _insert(sid, None, key, now, name)
    return made


def rename_account(account_id: int, name: str) -> Script[None]:
    """Give an account another name."""
    yield update(account).where(account.c.id == account_id).values(name=name)


def set_countries(account_id: int, countries: CountriesSetting | None) -> Script[None]:
    """Say which countries an account sends to; None: all."""
    raw = None if countries is None else msgspec.json.encode(countries).decode()
    yield update(account).where(account.c.id == account_id).values(countries=raw)


def rotate_token(account_id: int, old_until: int, key: bytes) -> Script[str]:
    """Give an account another auth token; the one that it has is taken until *old_until*. Brings the new one."""
    rows = yield select(account.c.auth_token).where(account.c.id == account_id).with_for_update()
    token = secrets.token_hex(16)
    values = {"auth_token": encrypt(token, key), "old_auth_token": rows[0][0], "old_auth_token_until": old_until}
    yield update(account).where(account.c.id == account_id).values(**values)
    return token


def close_account(account_id: int, now: int) -> Script[None]:
    """Close an account. Whoever calls takes its connections and senders away too (`store_inventory` of nothing)."""
    values = {"closed_at": now, "old_auth_token": None, "old_auth_token_until": None}
    yield update(account).where(account.c.id == account_id).values(**values)


def load_accounts(key: bytes) -> Script[list[Account]]:
    """Every account that is not closed, with its credentials. Raises WrongSecretKey."""
    columns = account.c
    rows = yield (
        select(columns.id, columns.sid, columns.auth_token, columns.old_auth_token, columns.old_auth_token_until)
        .where(columns.closed_at.is_(None))
        .order_by(columns.id)
    )
    return [
        Account(
            id=row[0],
            sid=row[1],
            auth_token=decrypt(row[2], key),
            old_auth_token=None if row[3] is None else decrypt(row[3], key),
            old_auth_token_until=row[4] or 0,
        )
        for row in rows
    ]
