"""`sendpool quarantine`: addresses that carriers call unknown, to which nothing is sent on a channel for 30 days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from cyclopts import App, Parameter

from sendpool.cli.asking import ask, one, show_json, show_table
from sendpool.cli.keys import AccountSid
from sendpool.cli.options import AsJson, ConfigPath, DatabaseUrl

quarantine = App(
    name="quarantine",
    help="Addresses to which nothing is sent on a channel for 30 days: carriers have said twice that nobody has them.",
)

_COLUMNS = {
    "address": "Address",
    "channel": "Channel",
    "status": "Status",
    "words": "Said by",
    "suspectedAt": "Suspected",
    "quarantinedAt": "Quarantined",
    "until": "Until",
}

Connection = Annotated[str | None, Parameter(help="Only what this connection has said.")]
Since = Annotated[str | None, Parameter(help="Only what was said since then, for example 2026-11-26T09:30:00Z.")]


@quarantine.command(name="list")
def list_(
    address: Annotated[str | None, Parameter(help="Only this address.")] = None,
    *,
    connection: Connection = None,
    since: Since = None,
    suspected: Annotated[bool, Parameter(negative=(), help="Those as well that only one refusal speaks against.")] = (
        False
    ),
    full: Annotated[bool, Parameter(negative=(), help="Show addresses in full.")] = False,
    limit: Annotated[int, Parameter(help="How many.")] = 100,
    account: AccountSid = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """List who is in quarantine, the newest first."""
    which = {"address": address, "connection": connection, "since": since, "account": account}
    more = {"suspected": suspected, "full": full, "limit": limit}
    show = show_json if json else _show
    return ask(show, "quarantine.list", config=config, database=database, **which, **more)


@quarantine.command
def remove(
    address: Annotated[str | None, Parameter(help="The address to send to again.")] = None,
    *,
    connection: Connection = None,
    since: Since = None,
    account: AccountSid = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Send again to an address, or to all that a connection or a bad day has put here; suspicions go with them."""
    which = {"address": address, "connection": connection, "since": since, "account": account}
    show = one(lambda done: f"{done['removed']:,} removed", as_json=json)
    return ask(show, "quarantine.remove", config=config, database=database, **which)


def _show(rows: Sequence[Mapping[str, Any]]) -> None:
    shown = [{**row, "words": ", ".join(f"{it['connection']} ({it['rule']})" for it in row["saidBy"])} for row in rows]
    show_table(shown, _COLUMNS, "Nobody is in quarantine.")
