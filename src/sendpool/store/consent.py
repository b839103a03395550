"""The ledger of who has opted out, each account's apart from every other's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import delete, func, select

from sendpool.domain.consent import OptOut, Person
from sendpool.store.database import Bulk, Query, Script
from sendpool.store.tables import sender, sender_pool
from sendpool.store.trust_tables import opt_out

#: Entries read at a time.
PAGE = 50_000


class LedgerRow(NamedTuple):
    """An entry, with when it was made: microseconds since 1970."""

    entry: OptOut
    created_at: int


_NAMES = (
    ("account_id", "bigint"),
    ("space", "text"),
    ("address", "text"),
    ("scope", "text"),
    ("source", "text"),
    ("actor", "text"),
    ("at", "bigint"),
)


def add_opt_outs(entries: Iterable[OptOut], now: int) -> Script[int]:
    """Write entries; one that is there stays as it was. Brings how many are new."""
    rows = sorted({entry[:4]: (*entry, now) for entry in entries}.values())
    if not rows:
        return 0
    added: int = yield Bulk(
        "INSERT INTO opt_out (account_id, space, address, scope, source, actor, created_at)"
        " SELECT * FROM v WHERE true ON CONFLICT DO NOTHING",
        _NAMES,
        rows,
    )
    return added


def remove_opt_outs(account_id: int, people: Sequence[Person], scope: str | None) -> Script[int]:
    """Remove the entries of these addresses, of one scope or of all (None). Brings how many went."""
    gone = 0
    for one in people:
        where = [opt_out.c.account_id == account_id, opt_out.c.space == one.space, opt_out.c.address == one.address]
        if scope is not None:
            where.append(opt_out.c.scope == scope)
        gone += yield delete(opt_out).where(*where)
    return gone


def find_opt_outs(people: Iterable[tuple[int, Person]]) -> Script[list[tuple[int, Person, str]]]:
    """(account, address, scope) of the entries of these addresses in these accounts."""
    rows = yield Bulk(
        "FROM v JOIN opt_out o ON o.account_id = v.account_id AND o.space = v.space AND o.address = v.address",
        (("account_id", "bigint"), ("space", "text"), ("address", "text")),
        sorted({(account_id, *one) for account_id, one in people}),
        ("o.account_id", "o.space", "o.address", "o.scope"),
    )
    return [(row[0], Person(row[1], row[2]), row[3]) for row in rows]


def count_opt_outs() -> Script[dict[int, int]]:
    """How many entries each account has."""
    rows = yield select(opt_out.c.account_id, func.count()).group_by(opt_out.c.account_id)
    return {row[0]: row[1] for row in rows}


def all_people(after: tuple[int, str, str]) -> Script[list[tuple[int, Person]]]:
    """The next `PAGE` (account, address) of the ledger behind a place in it, once for each scope."""
    rows = yield Query(
        "FROM opt_out WHERE (account_id, space, address) > (?, ?, ?) ORDER BY account_id, space, address LIMIT ?",
        (*after, PAGE),
        ("account_id", "space", "address"),
    )
    return [(row[0], Person(row[1], row[2])) for row in rows]


def newer_opt_outs(account_ids: Iterable[int], after: int) -> Script[list[OptOut]]:
    """Entries of these accounts that were made after a moment (microseconds since 1970)."""
    rows = yield Bulk(
        "FROM v JOIN opt_out o ON o.account_id = v.account_id AND o.created_at > v.after",
        (("account_id", "bigint"), ("after", "bigint")),
        [(account_id, after) for account_id in account_ids],
        ("o.account_id", "o.space", "o.address", "o.scope", "o.source", "o.actor"),
    )
    return [OptOut(*row) for row in rows]


def list_opt_outs(account_id: int, limit: int, after: tuple[str, str, str] | None = None) -> Script[list[LedgerRow]]:
    """Entries of an account in the order of space, address and scope, behind a place or from the beginning."""
    rows = yield Query(
        "FROM opt_out WHERE account_id = ? AND (space, address, scope) > (?, ?, ?)"
        " ORDER BY space, address, scope LIMIT ?",
        (account_id, *(after or ("", "", "")), limit),
        ("account_id", "space", "address", "scope", "source", "actor", "created_at"),
    )
    return [LedgerRow(OptOut(*row[:6]), row[6]) for row in rows]


def is_programme(account_id: int, pool_uid: bytes | None, sender_uid: bytes | None) -> Script[bool]:
    """Whether an account has a pool, or a sender, of this uid."""
    if pool_uid is not None:
        found = select(sender_pool.c.id).where(
            sender_pool.c.uid == pool_uid, sender_pool.c.account_id == account_id, sender_pool.c.kind == "pool"
        )
    else:
        found = select(sender.c.id).where(sender.c.uid == sender_uid, sender.c.account_id == account_id)
    return bool((yield found))
