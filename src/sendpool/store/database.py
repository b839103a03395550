"""How the pipeline talks to a database without knowing which one: scripts yield statements, a driver runs them.

A *script* is a generator. It yields a `Query`, a `Bulk` or an SQLAlchemy Core statement, is sent what that
brought, and returns its result. It never waits and never sees a connection, so the same script runs on the
one writer thread of SQLite and on an asyncpg connection.

Where several processes write one database (`Shared`), rows are locked before they are read, judged and written.
SQLite needs no such thing: what stands in `/*shared ... */` is read by a shared PostgreSQL alone, and a `Lock` is
carried out there alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy.sql import ClauseElement

T = TypeVar("T")

#: A file of SQLite, or the URL of a PostgreSQL server.
Where = Path | str
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

    `alike`: of most columns all rows have the same value, and nothing but `v` is read. PostgreSQL is then given such a
    value once. Where `v` is joined, its planner might take the value for the better way into the other table.
    """

    sql: str
    names: Sequence[tuple[str, str]]
    rows: Sequence[Row]
    columns: Sequence[str] = ()
    row: type = list
    alike: bool = False


class Unit(NamedTuple):
    """A cold change (pool, members, inventory) under a savepoint of its own inside a batch.

    Brings the script's result, or the exception that it raised and that undid only this change.
    """

    script: Callable[[], Script[Any]]


class Lock(NamedTuple):
    """A statement that only locks rows, for the rest of the transaction. Skipped where one process writes alone.

    What is read after it is as it stands when the lock was had. Rows of one table are locked in the order of their
    keys, so that two transactions wait for each other only by way of different tables; then one is run again.
    """

    statement: Query | Bulk


class Shared(NamedTuple):
    """Asks whether other processes may write this database at the same time; brings True or False."""


SHARED = Shared()

Statement = Query | Bulk | Unit | Lock | Shared | ClauseElement
Script = Generator[Any, Any, T]
#: A script, or what makes it anew each time: then it may be run again, where another process got in its way.
Work = Script[T] | Callable[[], Script[T]]


class DatabaseInUse(Exception):
    """Another process owns the database."""


class DatabaseAway(Exception):
    """The database cannot be reached just now; the same may work in a moment."""


class FateUnknown(DatabaseAway):
    """Nobody can say whether the transaction was committed. *result* is what its script returned."""

    def __init__(self, message: str, result: Any) -> None:
        super().__init__(message)
        self.result = result


class Database(Protocol):
    """A store: one writer that runs scripts in transactions, and readers beside it."""

    @property
    def shared(self) -> bool:
        """Whether other processes may write it at the same time."""

    async def read(self, script: Script[T], *, one: bool = False) -> T:
        """Run a script that only reads, on its own snapshot, beside the writer. Raises `DatabaseAway`.

        *one*: it asks a single statement, which is a snapshot by itself: PostgreSQL is asked nothing else then.
        """

    async def write(self, work: Work[T], *, brief: bool = False) -> T:
        """Run a script in one durable transaction; an exception rolls it back and is raised here. *brief*: it is a few
        milliseconds of work, for which the loop may stand still where that is cheaper.

        Where another process got in its way it is run again whole, if *work* makes it anew. Raises `DatabaseAway`
        where nothing was done, and its `FateUnknown` where nobody can say whether it was.
        """

    async def close(self) -> None:
        """Wait for running scripts, then close."""
