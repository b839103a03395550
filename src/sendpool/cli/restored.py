"""`sendpool restored`: before a server starts on a copy of its database."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sendpool.cli.asking import show_json
from sendpool.cli.options import AsJson, ConfigPath, DatabaseUrl, failed, load_config

if TYPE_CHECKING:
    from sendpool.store.restoring import Copy


def restored(
    *,
    mark: Annotated[
        bool, Parameter(negative=(), help="Mark what waits as perhaps sent. Without it, only say how much that is.")
    ] = False,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Say what a restored copy would send (again), and with --mark put it in doubt instead, as after a crash.

    Run it before the server starts on the copy: what waited when the copy was made may have been sent since.
    """
    settings = load_config(config, database=database)
    from sendpool.config.places import database_of
    from sendpool.store.database import DatabaseInUse
    from sendpool.store.revisions import SchemaTooNew

    where = database_of(settings.server.database)
    if isinstance(where, Path) and not where.exists():
        return failed(FileNotFoundError(f"there is no database {where}; restore it there, or name another"))
    try:
        copy, marked = asyncio.run(_restore(where, time.time_ns() // 1000, mark=mark))
    except (DatabaseInUse, SchemaTooNew, OSError) as error:
        return failed(error)
    if json:
        show_json(_as_told(copy, marked))
    else:
        print("\n".join(_words(copy, marked)))
    return 0


async def _restore(where: Path | str, now: int, *, mark: bool) -> tuple[Copy, tuple[int, int] | None]:
    from sendpool.pipeline.restore import Restorer
    from sendpool.store.opening import open_database
    from sendpool.store.restoring import describe_copy

    database = await open_database(where)
    try:
        copy = await database.read(describe_copy(now))
        return copy, await Restorer(database, now).run() if mark else None
    finally:
        await database.close()


def _as_told(copy: Copy, marked: tuple[int, int] | None) -> dict[str, Any]:
    from sendpool.admin.context import instant

    told: dict[str, Any] = {"knownUntil": instant(copy.known_until), "due": copy.rows + copy.unexpanded}
    return told if marked is None else {**told, "inDoubt": marked[0], "waitOn": marked[1]}


def _words(copy: Copy, marked: tuple[int, int] | None) -> list[str]:
    from sendpool.admin.context import instant

    waiting = copy.rows + copy.unexpanded
    words = [f"This copy knows what happened until {instant(copy.known_until) or '(nothing has)'}."]
    if marked is not None:
        words.append(f"{marked[0]} messages are in doubt; from the next start on they are shown with ambiguous: true.")
        if marked[1]:
            words.append(f"{marked[1]} wait on: no sender could have sent them.")
    elif waiting:
        words.append(
            f"{waiting} messages are due in it. Those that left after that moment would be sent a second time."
        )
        words.append("`sendpool restored --mark` puts them in doubt instead; a start without it sends them.")
    else:
        words.append("Nothing is due in it, so nothing would be sent twice.")
    return words
