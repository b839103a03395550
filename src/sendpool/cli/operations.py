"""`sendpool operations`: what is paused since carriers refuse what it says, and how it goes on."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from sendpool.cli.asking import ask, listing, one
from sendpool.cli.keys import AccountSid
from sendpool.cli.options import AsJson, ConfigPath, DatabaseUrl

operations = App(
    name="operations",
    help="Operations that are paused, since carriers refuse what they say as spam or against a policy.",
)

_COLUMNS = {
    "operationId": "Operation",
    "since": "Since",
    "refused": "Refused",
    "answers": "Of",
    "code": "Code",
    "rule": "Rule",
    "queued": "Queued",
    "scheduled": "Scheduled",
}


@operations.command
def paused(
    *, account: AccountSid = None, json: AsJson = False, config: ConfigPath = None, database: DatabaseUrl = None
) -> int:
    """List the operations that are paused."""
    show = listing(_COLUMNS, "No operation is paused.", as_json=json)
    return ask(show, "operations.paused", config=config, database=database, account=account)


@operations.command
def resume(
    operation: Annotated[str, Parameter(help="The operation's id.")],
    *,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Let an operation go on. What nobody wants any more is canceled by POST .../Operations/{id}/Cancel instead."""
    show = one(lambda done: f"{done['operationId']} goes on", as_json=json)
    return ask(show, "operations.resume", config=config, database=database, id=operation)
