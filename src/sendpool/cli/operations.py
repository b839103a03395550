"""`sendpool operations`: sends, what became of them, and those that are paused since carriers refuse what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Annotated, Any

from cyclopts import App, Parameter

from sendpool.cli.api import ApiUrl, over_api
from sendpool.cli.asking import ask, listing, one, show_json, show_table
from sendpool.cli.keys import AccountSid
from sendpool.cli.options import AsJson, ConfigPath, DatabaseUrl

operations = App(
    name="operations",
    help="Sends: what became of them, and those that are paused, since carriers refuse what they say.",
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
_STATS = {
    "id": "Operation",
    "status": "Status",
    "createdAt": "Created",
    "total": "Total",
    "scheduled": "Scheduled",
    "queued": "Queued",
    "sent": "Sent",
    "delivered": "Delivered",
    "undelivered": "Undelivered",
    "failed": "Failed",
}
_ERRORS = {"code": "Code", "message": "Why", "messageId": "Message", "context": "Place"}
OperationId = Annotated[str, Parameter(help="The operation's id.")]


@operations.command(name="list")
def list_(
    *,
    status: Annotated[str | None, Parameter(help="scheduled, processing, completed or canceled.")] = None,
    limit: Annotated[int, Parameter(help="How many.")] = 50,
    url: ApiUrl = None,
    json: AsJson = False,
) -> int:
    """List the latest sends of the account and what became of them, over the API."""
    show = show_json if json else _show_operations
    size = max(1, min(limit, 1000))
    return over_api(
        url, lambda client: list(islice(client.operations.list(status=status, page_size=size), limit)), show
    )


@operations.command
def show(
    operation: OperationId,
    *,
    wait: Annotated[bool, Parameter(help="Until nothing of it is scheduled or queued any more.")] = False,
    url: ApiUrl = None,
    json: AsJson = False,
) -> int:
    """Show what became of a send, over the API."""
    say = show_json if json else lambda found: _show_operations([found])
    return over_api(url, lambda api: (api.operations.wait if wait else api.operations.fetch)(operation), say)


@operations.command
def errors(operation: OperationId, *, url: ApiUrl = None, json: AsJson = False) -> int:
    """List who of a send got no message, and which messages failed, over the API."""
    show = listing(_ERRORS, "Nothing failed.", as_json=json)
    return over_api(url, lambda client: list(client.operations.errors(operation)), show)


@operations.command
def cancel(operation: OperationId, *, url: ApiUrl = None, json: AsJson = False) -> int:
    """Cancel what has not left of a send, over the API."""
    say = one(lambda done: f"{done['operationId']}: what had not left is canceled", as_json=json)
    return over_api(url, lambda client: client.operations.cancel(operation), say)


def _show_operations(found: Sequence[Mapping[str, Any]]) -> None:
    show_table([{**one, **one["stats"]} for one in found], _STATS, "Nothing was sent.")


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
