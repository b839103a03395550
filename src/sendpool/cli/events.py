"""`sendpool events`: what happened, and how far sinks have come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from cyclopts import App, Parameter

from sendpool.cli.asking import ask, listing, one, show_json, show_table
from sendpool.cli.options import AsJson, ConfigPath, DatabaseUrl

events = App(name="events", help="What happened, and how far the sinks have come that are told of it.")

_COLUMNS = {
    "position": "Position",
    "time": "When",
    "type": "What",
    "subject": "Of what",
    "attempt": "Attempt",
    "code": "Code",
}


_SINKS = {
    "sid": "Sink SID",
    "accountSid": "Account SID",
    "status": "Status",
    "behind": "Events behind",
    "waiting": "Runs offered again",
    "dead": "Events given up",
    "error": "Last refusal",
}
_DEAD = {"first": "From", "last": "To", "since": "Since", "tries": "Tries", "error": "Refusal"}


@events.default
def list_(
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


@events.command
def sinks(*, json: AsJson = False, config: ConfigPath = None, database: DatabaseUrl = None) -> int:
    """Show how every sink stands: how many events it is behind, and what it did not take."""
    return ask(listing(_SINKS, "There is no sink.", as_json=json), "events.sinks", config=config, database=database)


SinkSid = Annotated[str | None, Parameter(help="The SID of a sink.")]


@events.command
def dead(
    sink: SinkSid = None,
    *,
    limit: Annotated[int, Parameter(help="How many runs, at most 10000.")] = 100,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """List runs of events that a sink, else any, did not take within four hours."""
    show = listing(_DEAD, "Nothing was given up.", as_json=json)
    return ask(show, "events.dead", config=config, database=database, sink=sink, limit=limit)


@events.command
def replay(
    sink: str,
    *,
    start: Annotated[str | None, Parameter(help="Only what happened from then on (RFC 3339).")] = None,
    end: Annotated[str | None, Parameter(help="Only what happened before.")] = None,
    type: Annotated[tuple[str, ...], Parameter(help="Only this type; as often as you like.")] = (),  # noqa: A002
    operation: Annotated[str | None, Parameter(help="Only of this operation.")] = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Offer events to a sink once more, with the ids that they had."""
    return ask(
        one(lambda run: f"{run['sink']} is offered events {run['first']} to {run['last']} again", as_json=json),
        "events.replay",
        config=config,
        database=database,
        sink=sink,
        start=start,
        end=end,
        types=type,
        operation=operation,
    )
