"""`sendpool drain`: let the server end, and see it through."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sendpool.cli.accounts import to_seconds
from sendpool.cli.options import ConfigPath, DatabaseUrl, failed, load_config


def drain(
    *,
    within: Annotated[
        int,
        Parameter(converter=to_seconds, help="How long to wait until it has ended: 90s, 2m. It goes on after that."),
    ] = 120,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Let the server of this machine end as SIGTERM does, and say how far it is until it has.

    It starts nothing new and ends what is in flight; what waits is sent after the next start. Exits 1 if it has not
    ended in time.
    """
    settings = load_config(config, database=database)
    from sendpool.admin.client import NoServer, drain_server
    from sendpool.admin.protocol import CommandRefused
    from sendpool.config.places import command_socket, database_of

    url = settings.server.database
    try:
        ended = drain_server(command_socket(url), within, partial(_tell, database_of(url)))
    except NoServer:
        return failed(RuntimeError(f"no server takes commands at {command_socket(url)}; there is nothing to drain"))
    except (CommandRefused, OSError) as error:
        return failed(error)
    print("The server has ended." if ended else f"The server has not ended within {within} s; it goes on.")
    return 0 if ended else 1


def _tell(where: Path | str, passed: float) -> None:
    from sendpool.store.database import DatabaseAway
    from sendpool.store.reading import WrongSchema

    try:
        left = f"{asyncio.run(_in_flight(where))} attempts in flight"
    except (DatabaseAway, WrongSchema, OSError) as error:
        left = f"attempts in flight are not known: {error}"
    print(f"{passed:.0f} s: {left}", flush=True)


async def _in_flight(where: Path | str) -> int:
    from sendpool.store.draining import in_flight_by
    from sendpool.store.reading import open_reader

    async with open_reader(where) as reader:
        return sum((await reader.read(in_flight_by("connection_id"))).values())
