"""`sendpool connections`: the links to carriers, and how they are drained for maintenance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cyclopts import App

from sendpool.cli.asking import ask, listing, one
from sendpool.cli.keys import AccountSid
from sendpool.cli.options import AsJson, ConfigPath, DatabaseUrl

connections = App(
    name="connections",
    help="Connections. One that is drained starts nothing new, ends what is in flight and goes on taking receipts.",
)

_COLUMNS = {
    "name": "Name",
    "type": "Type",
    "accountSid": "Account SID",
    "status": "Status",
    "inFlight": "In flight",
    "drainedAt": "Drained since",
}


def _words(row: Mapping[str, Any]) -> str:
    return f"{row['name']} is {row['status']}, with {row['inFlight']} in flight"


@connections.command(name="list")
def list_(
    *, account: AccountSid = None, json: AsJson = False, config: ConfigPath = None, database: DatabaseUrl = None
) -> int:
    """List the connections of an account, else of all."""
    show = listing(_COLUMNS, "There is no connection; name one in sendpool.toml.", as_json=json)
    return ask(show, "connections.list", config=config, database=database, account=account)


@connections.command
def drain(
    name: str,
    *,
    account: AccountSid = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Let a connection start nothing new, also after a restart. What waits goes through other senders, or waits on."""
    show = one(_words, as_json=json)
    return ask(show, "connections.drain", config=config, database=database, name=name, account=account)


@connections.command
def resume(
    name: str,
    *,
    account: AccountSid = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Let a drained connection start again."""
    show = one(_words, as_json=json)
    return ask(show, "connections.resume", config=config, database=database, name=name, account=account)
