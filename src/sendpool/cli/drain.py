"""`sendpool drain`: let the server end, and see it through."""

from __future__ import annotations

import asyncio
from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sendpool.cli.accounts import to_seconds
from sendpool.cli.options import AsJson, ConfigPath, DatabaseUrl, failed, load_config


def drain(
    *,
    within: Annotated[
        int,
        Parameter(converter=to_seconds, help="How long to wait until it has ended: 90s, 2m. It goes on after that."),
    ] = 120,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Let the server of this machine end as SIGTERM does, and say how far it is until it has.

    It starts nothing new and ends what is in flight; what waits is sent after the next start. Exits 1 if it has not
    ended in time. With --json each line of progress is an object, and the last one says whether it has ended.
    """
    settings = load_config(config, database=database)
    from sendpool.admin.client import NoServer, drain_server
    from sendpool.admin.protocol import CommandRefused
    from sendpool.config.places import command_socket, database_of

    url = settings.server.database
    try:
        ended = drain_server(command_socket(url), within, partial(_tell, database_of(url), json))
    except NoServer:
        return failed(RuntimeError(f"no server takes commands at {command_socket(url)}; there is nothing to drain"))
    except (CommandRefused, OSError) as error:
        return failed(error)
    if json:
        print(dumps({"ended": ended}))
    else:
        print("The server has ended." if ended else f"The server has not ended within {within} s; it goes on.")
    return 0 if ended else 1


def _tell(where: Path | str, as_json: bool, passed: float) -> None:
    from sendpool.store.database import DatabaseAway
    from sendpool.store.reading import WrongSchema

    in_flight, why = None, ""
    try:
        in_flight = asyncio.run(_in_flight(where))
    except (DatabaseAway, WrongSchema, OSError) as error:
        why = str(error)
    if as_json:
        print(dumps({"seconds": round(passed), "inFlight": in_flight}), flush=True)
        return
    left = f"attempts in flight are not known: {why}" if in_flight is None else f"{in_flight} attempts in flight"
    print(f"{passed:.0f} s: {left}", flush=True)


async def _in_flight(where: Path | str) -> int:
    from sendpool.store.begun import in_flight_by
    from sendpool.store.reading import open_reader

    async with open_reader(where) as reader:
        return sum((await reader.read(in_flight_by("connection_id"))).values())
