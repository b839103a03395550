"""`sendpool events`: what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from cyclopts import Parameter

from sendpool.cli.asking import ask, show_json, show_table
from sendpool.cli.options import AsJson, ConfigPath, DatabaseUrl

_COLUMNS = {
    "position": "Position",
    "time": "When",
    "type": "What",
    "subject": "Of what",
    "attempt": "Attempt",
    "code": "Code",
}


def events(
    *,
    after: Annotated[int, Parameter(help="Only events after this position.")] = 0,
    limit: Annotated[int, Parameter(help="How many, at most 10000.")] = 100,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """List events in the order in which they were stored; with --json as CloudEvents."""
    return ask(show_json if json else _show, "events.list", config=config, database=database, after=after, limit=limit)


def _show(rows: Sequence[Mapping[str, Any]]) -> None:
    shown = []
    for row in rows:
        event, data = row["event"], row["event"]["data"]
        subject = data.get("message_id") or data["operation_id"]
        name = event["type"].removeprefix("com.twilio.comms-api.")
        more = {"attempt": data.get("attempt"), "code": data.get("error_code")}
        shown.append({"position": row["position"], "time": event["time"], "type": name, "subject": subject, **more})
    show_table(shown, _COLUMNS, "Nothing has happened.")
