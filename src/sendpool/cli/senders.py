"""`sendpool senders`: the identities that messages come from, how they do, and how they are drained for maintenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from cyclopts import App, Parameter

from sendpool.cli.asking import ask, listing, one, show_json, show_table
from sendpool.cli.keys import AccountSid
from sendpool.cli.options import AsJson, ConfigPath, DatabaseUrl

senders = App(
    name="senders",
    help="Senders, as connections declare them. One that is drained starts nothing new, ends what is in flight and goes"
    " on taking receipts.",
)

_COLUMNS = {
    "address": "Address",
    "channel": "Channel",
    "connection": "Connection",
    "accountSid": "Account SID",
    "status": "Status",
    "inFlight": "In flight",
}
_Channel = Annotated[str | None, Parameter(help="On this channel only: SMS, RCS, WHATSAPP or EMAIL.")]
_HEALTH_COLUMNS = {
    "address": "Sender",
    "channel": "Channel",
    "connection": "Connection",
    "country": "Country",
    "condition": "Health",
    "part": "Share",
    "symptom": "Symptom",
    "own": "Its own",
    "peers": "Its peers'",
    "since": "Since",
}
#: What a symptom is measured by: the names of a sender's own and its peers' figure.
_MEASURES = {
    "faults": ("faults", "peersFaults"),
    "lost-receipts": ("lost", "peersLost"),
    "late-receipts": ("delay", "peersDelay"),
}


@senders.command
def health(
    *,
    account: Annotated[str | None, Parameter(help="Only senders of the account with this SID.")] = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """List senders that do worse than their peers in a country, or did so in the last seven days."""
    return ask(show_json if json else _show, "senders.health", config=config, database=database, account=account)


def _show(rows: Sequence[Mapping[str, Any]]) -> None:
    shown = [{**row, "part": f"{row['share']:.0%}", **_measured(row)} for row in rows]
    show_table(shown, _HEALTH_COLUMNS, "Every sender is healthy.")


def _measured(row: Mapping[str, Any]) -> dict[str, str]:
    own, peers = _MEASURES.get(row["symptom"] or "", ("", ""))
    unit = "{:.1f} s" if row["symptom"] == "late-receipts" else "{:.0%}"
    figures = row["figures"]
    return {name: unit.format(figures[key]) for name, key in (("own", own), ("peers", peers)) if key in figures}


def _words(rows: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(
        f"{row['channel']} {row['address']} is {row['status']}, with {row['inFlight']} in flight" for row in rows
    )


@senders.command(name="list")
def list_(
    *, account: AccountSid = None, json: AsJson = False, config: ConfigPath = None, database: DatabaseUrl = None
) -> int:
    """List the senders of an account, else of all."""
    show = listing(_COLUMNS, "There is no sender; name some in sendpool.toml.", as_json=json)
    return ask(show, "senders.list", config=config, database=database, account=account)


@senders.command
def drain(
    address: str,
    *,
    channel: _Channel = None,
    account: AccountSid = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Let a sender start nothing new, also after a restart. What waits goes through other senders, or waits on."""
    wanted = {"address": address, "channel": channel, "account": account}
    return ask(one(_words, as_json=json), "senders.drain", config=config, database=database, **wanted)


@senders.command
def resume(
    address: str,
    *,
    channel: _Channel = None,
    account: AccountSid = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Let a drained sender start again."""
    wanted = {"address": address, "channel": channel, "account": account}
    return ask(one(_words, as_json=json), "senders.resume", config=config, database=database, **wanted)
