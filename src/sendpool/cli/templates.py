"""`sendpool templates`: what is said again and again; a send names one by its `contentId`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from sendpool.cli.asking import ask, listing, one, show_json
from sendpool.cli.keys import AccountSid
from sendpool.cli.options import MISUSED, AsJson, ConfigPath, DatabaseUrl, failed

templates = App(
    name="templates",
    help="Templates: a text, file or card by channel, with slots. A send names one as its `contentId`.",
)

_COLUMNS = {"sid": "Template", "friendlyName": "Name", "language": "Language", "says": "Says", "updatedAt": "Changed"}

File = Annotated[
    Path, Parameter(help="JSON, or TOML where its name ends so: friendly_name, language, variables and types.")
]


@templates.command(name="list")
def list_(
    *,
    limit: Annotated[int, Parameter(help="How many, at most 1,000.")] = 100,
    account: AccountSid = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """List templates, the newest first."""
    table = listing(_COLUMNS, "No template.", as_json=False)
    show = show_json if json else lambda rows: table([{**row, "says": ", ".join(row["types"])} for row in rows])
    return ask(show, "templates.list", config=config, database=database, account=account, limit=limit)


@templates.command
def show(sid: str, *, account: AccountSid = None, config: ConfigPath = None, database: DatabaseUrl = None) -> int:
    """Show a template as JSON."""
    return ask(show_json, "templates.show", config=config, database=database, sid=sid, account=account)


@templates.command
def create(
    file: File,
    *,
    account: AccountSid = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Make a template from a file; its sid is printed."""
    return _write(file, one(lambda row: str(row["sid"]), as_json=json), config, database, account=account)


@templates.command
def update(
    sid: str,
    file: File,
    *,
    account: AccountSid = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Let a template say what a file says from now on. What was accepted before keeps what it said."""
    changed = one(lambda row: f"{row['sid']} is changed", as_json=json)
    return _write(file, changed, config, database, account=account, sid=sid)


@templates.command
def delete(
    sid: str,
    *,
    account: AccountSid = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Delete a template. Messages that were accepted with it go on."""
    gone = one(lambda row: f"{row['sid']} is deleted", as_json=json)
    return ask(gone, "templates.delete", config=config, database=database, sid=sid, account=account)


def _write(file: Path, show: Any, config: Path | None, database: str | None, **arguments: object) -> int:
    from sendpool.cli.template_file import WrongFile, read_file

    try:
        fields: Mapping[str, object] = read_file(file)
    except (OSError, WrongFile) as error:
        return failed(error, MISUSED if isinstance(error, WrongFile) else 1)
    return ask(show, "templates.write", config=config, database=database, **fields, **arguments)
