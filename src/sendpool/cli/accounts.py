"""`sendpool accounts`: who may send, and with which token."""

from __future__ import annotations

from cyclopts import App

from sendpool.cli.asking import ask, listing, one
from sendpool.cli.options import AsJson, ConfigPath, DatabaseUrl

accounts = App(name="accounts", help="Accounts: list, create, rename. A running server knows each change at once.")

_COLUMNS = {"sid": "Account SID", "name": "Name", "createdAt": "Created"}


@accounts.command(name="list")
def list_(*, json: AsJson = False, config: ConfigPath = None, database: DatabaseUrl = None) -> int:
    """List the accounts, oldest first."""
    show = listing(_COLUMNS, "There is no account yet; start `sendpool serve` once.", as_json=json)
    return ask(show, "accounts.list", config=config, database=database)


@accounts.command
def create(name: str = "", *, json: AsJson = False, config: ConfigPath = None, database: DatabaseUrl = None) -> int:
    """Make an account. Its auth token is shown this once."""
    show = one(
        lambda made: f"Account SID: {made['sid']}\nAuth token:  {made['authToken']}\n(shown only once)", as_json=json
    )
    return ask(show, "accounts.create", config=config, database=database, name=name)


@accounts.command
def rename(
    sid: str, name: str, *, json: AsJson = False, config: ConfigPath = None, database: DatabaseUrl = None
) -> int:
    """Give an account another name."""
    show = one(lambda made: f"{made['sid']} is called {made['name']}", as_json=json)
    return ask(show, "accounts.rename", config=config, database=database, sid=sid, name=name)
