"""`sendpool senders`: how they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from cyclopts import App, Parameter

from sendpool.cli.asking import ask, show_json, show_table
from sendpool.cli.options import AsJson, ConfigPath, DatabaseUrl

senders = App(name="senders", help="Senders, as connections declare them.")

_COLUMNS = {
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
    show_table(shown, _COLUMNS, "Every sender is healthy.")


def _measured(row: Mapping[str, Any]) -> dict[str, str]:
    own, peers = _MEASURES.get(row["symptom"] or "", ("", ""))
    unit = "{:.1f} s" if row["symptom"] == "late-receipts" else "{:.0%}"
    figures = row["figures"]
    return {name: unit.format(figures[key]) for name, key in (("own", own), ("peers", peers)) if key in figures}
