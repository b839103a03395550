"""Codes that carriers have answered with, counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import or_, select

from sendpool.store.database import Bulk, Script
from sendpool.store.tables import account, connection
from sendpool.store.trust_tables import code_seen


class Code(NamedTuple):
    """A carrier's code: where it was seen, and what it is taken for."""

    connection_id: int
    #: "submit" or "receipt".
    place: str
    code: str
    #: Class and rule; a rule that ends in "/?" is that of a code nobody knows.
    failure: str
    rule: str

    @property
    def is_known(self) -> bool:
        """Whether some row of the table, or of the connection's own settings, says what it means."""
        return not self.rule.endswith("/?")


class SeenCode(NamedTuple):
    """A code with its counts. Times are microseconds since 1970."""

    code: Code
    times: int
    first_at: int
    last_at: int
    connection: str
    account_sid: str


def count_codes(codes: Mapping[Code, int], now: int) -> Script[None]:
    """Count that these were seen so many times."""
    if not codes:
        return
    # One row a key, whatever class it had: a statement may touch no row twice.
    merged: dict[tuple[int, str, str], tuple[str, str, int]] = {}
    for code, n in codes.items():
        before = merged.get(code[:3], ("", "", 0))[2]
        merged[code[:3]] = (code.failure, code.rule, before + n)
    yield Bulk(
        "INSERT INTO code_seen (connection_id, place, code, failure, rule, count, first_at, last_at)"
        " SELECT connection_id, place, code, failure, rule, n, at, at FROM v WHERE true"
        " ON CONFLICT (connection_id, place, code) DO UPDATE SET failure = excluded.failure, rule = excluded.rule,"
        " count = code_seen.count + excluded.count, last_at = excluded.last_at",
        (
            ("connection_id", "bigint"),
            ("place", "text"),
            ("code", "text"),
            ("failure", "text"),
            ("rule", "text"),
            ("n", "bigint"),
            ("at", "bigint"),
        ),
        [(*key, *said, now) for key, said in sorted(merged.items())],
    )


def known_codes() -> Script[list[tuple[int, str, str]]]:
    """(connection, place, code) of every code that was ever seen."""
    rows = yield select(code_seen.c.connection_id, code_seen.c.place, code_seen.c.code)
    return [tuple(row) for row in rows]


def list_codes(*, unclassified: bool = False, account_id: int | None = None) -> Script[list[SeenCode]]:
    """Codes, the most frequent first: all, or those that nobody knows the meaning of; of one account or of all."""
    names = [code_seen.c[name] for name in (*Code._fields, "count", "first_at", "last_at")]
    statement = (
        select(*names, connection.c.name, account.c.sid)
        .join(connection, connection.c.id == code_seen.c.connection_id)
        .join(account, account.c.id == connection.c.account_id)
        .order_by(code_seen.c.count.desc(), code_seen.c.connection_id, code_seen.c.place, code_seen.c.code)
    )
    if unclassified:
        # Of a receipt whose `err` says nothing to us only the word beside it is understood.
        by_word = code_seen.c.rule.like("smpp.stat/%") & (code_seen.c.rule != "smpp.stat/" + code_seen.c.code)
        statement = statement.where(or_(code_seen.c.rule.like("%/?"), by_word))
    if account_id is not None:
        statement = statement.where(connection.c.account_id == account_id)
    rows = yield statement
    n = len(Code._fields)
    return [SeenCode(Code(*row[:n]), *row[n:]) for row in rows]
