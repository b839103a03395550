"""Commands that the server carries out: ask, then print what it answered, as a table or as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sendpool.cli.options import failed, load_config

Row = Mapping[str, Any]


def ask(
    show: Callable[[Any], None], command: str, *, config: Path | None, database: str | None, **arguments: object
) -> int:
    """Have *command* carried out, by the running server or here, and show its result; returns the exit status."""
    return ask_in_turn(show, command, [arguments], config=config, database=database)


def ask_in_turn(
    took: Callable[[Any], None],
    command: str,
    parts: Iterable[Mapping[str, object]],
    *,
    config: Path | None,
    database: str | None,
) -> int:
    """Have *command* carried out once for each of *parts*, its arguments, and hand over each result; returns the exit
    status.
    """
    settings = load_config(config, database=database)
    from sendpool.admin.client import carry_out
    from sendpool.admin.context import Context
    from sendpool.admin.protocol import Ask, CommandRefused
    from sendpool.config.places import command_socket, database_of, secret_key
    from sendpool.store.accounts import WrongSecretKey
    from sendpool.store.database import DatabaseInUse
    from sendpool.store.revisions import SchemaTooNew

    url = settings.server.database

    def context() -> Context:
        server = settings.server
        key = secret_key(server.secret_key, url)
        return Context(time.time_ns() // 1000, key, server.account_sid, token_set=server.auth_token is not None)

    try:
        for arguments in parts:
            took(carry_out(database_of(url), command_socket(url), Ask(command, dict(arguments)), context))
    except (CommandRefused, DatabaseInUse, SchemaTooNew, WrongSecretKey, OSError) as error:
        return failed(error)
    return 0


def show_json(result: Any) -> None:
    """Print a result as JSON."""
    print(json.dumps(result, indent=2, ensure_ascii=False))


def show_table(rows: Sequence[Row], columns: Mapping[str, str], nothing: str) -> None:
    """Print rows under the titles that *columns* gives to their keys; *nothing* where there are none."""
    if not rows:
        print(nothing)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns.values(), box=None, pad_edge=False, header_style="bold")
    for row in rows:
        # As text: what people write is no markup.
        table.add_row(*(Text("" if row.get(key) is None else str(row[key])) for key in columns))
    # Wider than any terminal: a sid that is cut in two cannot be copied.
    Console(width=1_000).print(table)


def listing(columns: Mapping[str, str], nothing: str, *, as_json: bool) -> Callable[[Any], None]:
    """How a list is shown."""
    return show_json if as_json else lambda rows: show_table(rows, columns, nothing)


def one(lines: Callable[[Any], str], *, as_json: bool) -> Callable[[Any], None]:
    """How a single thing is shown: in the words that *lines* makes of it."""
    return show_json if as_json else lambda result: print(lines(result))
