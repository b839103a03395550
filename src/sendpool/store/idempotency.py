"""Keys of requests that must not be carried out twice, each kept in the transaction of what its request made."""

from __future__ import annotations

from typing import NamedTuple

from sendpool.store.database import Query, Script

#: Microseconds for which a key stands for its first request.
KEPT_FOR = 86_400_000_000


class Key(NamedTuple):
    """A request's key, and SHA-256 of what it asks for."""

    account_id: int
    key: str
    digest: bytes


class KeyTaken(Exception):
    """Another request has this key: what this one made is undone."""


class Kept(NamedTuple):
    """What is known of a key: the digest of its request, and the operation that this made."""

    digest: bytes
    operation_uid: bytes


def find_key(account_id: int, key: str, now: int) -> Script[Kept | None]:
    """What an account's key stands for, or None where it is free (again)."""
    rows = yield Query(
        "SELECT digest, operation_uid FROM idempotency_key WHERE account_id = ? AND key = ? AND created_at > ?",
        (account_id, key, now - KEPT_FOR),
    )
    return Kept(*rows[0]) if rows else None


def keep_key(key: Key, operation_uid: bytes, now: int) -> Script[None]:
    """Keep a key with what its request made. Raises `KeyTaken`: the unique key decides, whoever else is at it."""
    kept = yield Query(
        "INSERT INTO idempotency_key (account_id, key, digest, operation_uid, created_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (account_id, key) DO UPDATE SET digest = excluded.digest, operation_uid ="
        " excluded.operation_uid, created_at = excluded.created_at WHERE idempotency_key.created_at <= ?",
        (*key, operation_uid, now, now - KEPT_FOR),
    )
    if not kept:
        raise KeyTaken


def forget_keys(now: int, limit: int) -> Script[None]:
    """Drop keys that are free again, oldest first."""
    yield Query(
        "DELETE FROM idempotency_key WHERE (account_id, key) IN (SELECT account_id, key FROM idempotency_key"
        " WHERE created_at <= ? ORDER BY created_at LIMIT ?)",
        (now - KEPT_FOR, limit),
    )
