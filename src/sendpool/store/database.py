"""How the pipeline talks to a database without knowing which one: scripts yield statements, a driver runs them.

A *script* is a generator. It yields a `Query`, a `Bulk` or an SQLAlchemy Core statement, is sent what that
brought, and returns its result. It never waits and never sees a connection, so the same script runs on the
one writer thread of SQLite and, later, on an asyncpg connection.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy.sql import ClauseElement

T = TypeVar("T")

Row = tuple[Any, ...]
Rows = list[Any]


class Query(NamedTuple):
    """One hot statement with `?` placeholders. Brings its rows, or the number of changed rows for a write.

    A SELECT of many rows names its `columns` and its text begins at FROM. Such rows are fetched as one JSON value
    (one step of the engine instead of one per row), so it may not select binary columns. They come as lists, or as
    values of `row`: a Struct made from an array.
    """

    sql: str
    args: Sequence[Any] = ()
    columns: Sequence[str] = ()
    row: type = list


class Bulk(NamedTuple):
    """One hot statement over many rows, which it sees as the table `v`.

    `names` are the columns of `v` with their portable types ("bigint", "text", "int"). Brings rows like `Query`
    when `columns` are named, else the number of changed rows.
    """

    sql: str
    names: Sequence[tuple[str, str]]
    rows: Sequence[Row]
    columns: Sequence[str] = ()
    row: type = list


class Unit(NamedTuple):
    """A cold change (pool, members, inventory) under a savepoint of its own inside a batch.

    Brings the script's result, or the exception that it raised and that undid only this change.
    """

    script: Callable[[], Script[Any]]


Statement = Query | Bulk | Unit | ClauseElement
Script = Generator[Any, Any, T]


class DatabaseInUse(Exception):
    """Another process owns the database."""


class DatabaseAway(Exception):
    """The database cannot be reached just now; the same may work in a moment."""


class Database(Protocol):
    """A store: one writer that runs scripts in transactions, and readers beside it."""

    async def read(self, script: Script[T]) -> T:
        """Run a script that only reads, on its own snapshot, beside the writer. Raises `DatabaseAway`."""

    async def write(self, script: Script[T]) -> T:
        """Run a script in one durable transaction; an exception rolls it back and is raised here.

        Raises `DatabaseAway` where nothing was done, or nobody can say whether it was.
        """

    async def close(self) -> None:
        """Wait for running scripts, then close."""
