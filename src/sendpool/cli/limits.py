"""`sendpool limits`: how fast everybody may be, what throttle answers have taught, and what is used up."""

from __future__ import annotations

from sendpool.cli.asking import ask, listing
from sendpool.cli.options import AsJson, ConfigPath, DatabaseUrl

_COLUMNS = {
    "kind": "What",
    "name": "Name",
    "mps": "Segments/s",
    "learnedMps": "Learned",
    "throttles": "Throttles",
    "pausedUntil": "Paused until",
    "dailyLimit": "A day",
    "usedToday": "Used",
    "resetsAt": "Until",
    "recipientLimit": "New recipients",
    "recipients": "Counted",
    "pairSeconds": "Pair seconds",
}


def limits(*, json: AsJson = False, config: ConfigPath = None, database: DatabaseUrl = None) -> int:
    """List the limits of senders, connections and named scopes, what carriers' throttle answers taught, and what is
    used up.
    """
    show = listing(_COLUMNS, "There is nobody to limit; name connections in sendpool.toml.", as_json=json)
    return ask(show, "limits.list", config=config, database=database)
