"""Commands that go over the API, of a server that runs here or anywhere: where it is, as whom, and what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sendpool.cli.options import MISUSED, failed

if TYPE_CHECKING:
    from sendpool.client import Client

ApiUrl = Annotated[
    str | None, Parameter(help="Where the API is. Else SENDPOOL_URL says so, else http://127.0.0.1:8080.")
]


def client_of(url: str | None) -> Client:
    """A client with the credentials of the environment. Raises ValueError where there are none."""
    from sendpool.client import Client

    return Client(base_url=url)


def over_api(url: str | None, ask: Callable[[Client], Any], show: Callable[[Any], None]) -> int:
    """Ask something of the API and show what it brings, named as the API names it; returns the exit status."""
    import msgspec

    from sendpool.client import ClientError

    try:
        with client_of(url) as client:
            show(msgspec.to_builtins(ask(client)))
    except ValueError as error:
        return failed(error, MISUSED)
    except (ClientError, OSError) as error:
        return failed(error)
    return 0


def pool_of(client: Client, named: str) -> str:
    """The id of a pool by its id or its name. Raises ValueError and ClientError."""
    if named.startswith("comms_senderpool_"):
        return named
    found = [pool.id for pool in client.pools.list() if pool.name == named]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f'{len(found)} pools are called "{named}"; give an id: {", ".join(found)}')
    raise ValueError(f'there is no pool "{named}"; `sendpool pools list` names them')
