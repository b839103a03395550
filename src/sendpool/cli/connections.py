"""`sendpool connections`: the links to carriers, how they are tried out, and how they are drained for maintenance."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from sendpool.cli.asking import ask, listing, one, show_json
from sendpool.cli.keys import AccountSid
from sendpool.cli.options import FAILED, MISUSED, AsJson, ConfigPath, DatabaseUrl, failed, load_config

if TYPE_CHECKING:
    from sendpool.pipeline.check import Finding

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


@connections.command
def check(
    name: Annotated[str, Parameter(help="The connection's name in sendpool.toml.")],
    *,
    send_to: Annotated[
        str | None, Parameter(help="Also send a test message there: your own number, or your mailbox.")
    ] = None,
    sender: Annotated[str | None, Parameter(help="The sender of that message. Else the first one.")] = None,
    within: Annotated[float, Parameter(help="Seconds for each step.")] = 15.0,
    json: AsJson = False,
    config: ConfigPath = None,
) -> int:
    """Bind or log in as the server would, list the senders, and say in plain words what is wrong and what to do.

    It opens a link of its own: a carrier that allows one session alone refuses it while the server runs.
    """
    settings = load_config(config)
    known = {connection.name: connection for connection in settings.connections}
    if name not in known:
        names = ", ".join(known) or "none; name one under [[connections]]"
        return failed(LookupError(f'there is no connection "{name}" in the configuration; it has {names}'), MISUSED)
    from sendpool import logs
    from sendpool.pipeline.check import check_connection

    # What is logged on the way is said again, in words.
    logs.configure("error", json=False, secrets=settings.secrets())
    try:
        findings = asyncio.run(check_connection(known[name], within=within, send_to=send_to, sender=sender))
    except ValueError as error:
        return failed(error, MISUSED)
    if json:
        show_json([finding._asdict() for finding in findings])
    else:
        print("\n".join(_told(finding) for finding in findings))
    return 0 if all(finding.ok for finding in findings) else FAILED


def _told(finding: Finding) -> str:
    """A line, and below it what to do."""
    how = "NO" if not finding.ok else "!" if finding.remedy else "ok"
    line = f"{finding.step:<12}{how:<4}{finding.says}"
    return f"{line}\n{'':<16}{finding.remedy}" if finding.remedy else line
