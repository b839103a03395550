"""What keeps a PostgreSQL server from cleaning up behind us: a transaction that somebody holds open.

Rows of a queue are deleted all the time; as long as an old snapshot may still want to see them they stay in the way of
every look at its head (design §7).
"""

from __future__ import annotations

from typing import NamedTuple

from sendpool.store.database import Database, Query, Script
from sendpool.store.postgres import Postgres

#: Sessions, replication slots and prepared transactions hold it alike.
_AGES = (
    "SELECT age(backend_xmin) AS age FROM pg_stat_activity WHERE backend_xmin IS NOT NULL",
    "SELECT greatest(age(xmin), age(catalog_xmin)) FROM pg_replication_slots",
    "SELECT age(transaction) FROM pg_prepared_xacts",
)
_LONGEST = (
    "SELECT max(seconds) FROM (SELECT extract(epoch FROM clock_timestamp() - xact_start) AS seconds"
    " FROM pg_stat_activity WHERE pid <> pg_backend_pid() UNION ALL"
    " SELECT extract(epoch FROM clock_timestamp() - prepared) FROM pg_prepared_xacts) r"
)


class Held(NamedTuple):
    """How far back the oldest snapshot reaches, in transactions, and for how many seconds the oldest one is open."""

    transactions: int
    seconds: float


async def held_horizon(database: Database) -> Held | None:
    """What is held on the server of a database; None where it is no PostgreSQL.

    Sessions of other users show only to members of `pg_read_all_stats`. Raises `DatabaseAway`.
    """
    return await database.read(_held()) if isinstance(database, Postgres) else None


def _held() -> Script[Held]:
    ages = yield Query(f"SELECT max(age) FROM ({' UNION ALL '.join(_AGES)}) r")
    longest = yield Query(_LONGEST)
    return Held(int(ages[0][0] or 0), max(0.0, float(longest[0][0] or 0)))
