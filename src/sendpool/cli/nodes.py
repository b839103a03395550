"""`sendpool nodes`: the processes on a PostgreSQL database, their leases, and how their configurations differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sendpool.cli.asking import ask, show_json, show_table
from sendpool.cli.options import AsJson, ConfigPath, DatabaseUrl

_NODES = {"name": "Node", "role": "Role", "version": "Version", "state": "State", "leases": "Leases", "seenAt": "Seen"}
_LEASES = {
    "lease": "Lease",
    "connection": "Connection",
    "state": "State",
    "node": "Node",
    "until": "Until",
    "epoch": "Epoch",
}
_DIFFERENCES = {"connection": "Connection", "what": "Differs in", "who": "On"}


def nodes(*, json: AsJson = False, config: ConfigPath = None, database: DatabaseUrl = None) -> int:
    """List the processes on a PostgreSQL database, what each holds, and in what their configurations differ."""
    return ask(show_json if json else _show, "nodes.list", config=config, database=database)


def _show(found: Mapping[str, Any]) -> None:
    show_table(found["nodes"], _NODES, "No process has this database in common with others.")
    if found["leases"]:
        print()
        show_table(found["leases"], _LEASES, "")
    if found["differences"]:
        print("\nNodes are configured differently:")
        rows = [{**one, "who": ", ".join(one["nodes"])} for one in found["differences"]]
        show_table(rows, _DIFFERENCES, "")
