"""`sendpool keys`: further credentials of an account."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from sendpool.cli.asking import ask, listing, one
from sendpool.cli.options import AsJson, ConfigPath, DatabaseUrl

keys = App(
    name="keys",
    help="API keys: further credentials of an account, each of which can be revoked alone.",
)

_COLUMNS = {"sid": "Key SID", "accountSid": "Account SID", "name": "Name", "status": "Status", "createdAt": "Created"}
AccountSid = Annotated[str | None, Parameter(help="The SID of the account.")]


@keys.command(name="list")
def list_(
    *, account: AccountSid = None, json: AsJson = False, config: ConfigPath = None, database: DatabaseUrl = None
) -> int:
    """List the keys of an account, else of all, oldest first."""
    show = listing(_COLUMNS, "There is no key.", as_json=json)
    return ask(show, "keys.list", config=config, database=database, account=account)


@keys.command
def create(
    name: str = "",
    *,
    account: AccountSid = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Make a key of an account, else of the only one. Its secret is shown this once, and not kept."""
    show = one(
        lambda made: f"API key SID: {made['sid']}\nSecret:      {made['secret']}\n(shown only once)", as_json=json
    )
    return ask(show, "keys.create", config=config, database=database, name=name, account=account)


@keys.command
def revoke(sid: str, *, json: AsJson = False, config: ConfigPath = None, database: DatabaseUrl = None) -> int:
    """Take a key out of use at once and for ever."""
    return ask(
        one(lambda row: f"{row['sid']} is revoked", as_json=json),
        "keys.revoke",
        config=config,
        database=database,
        sid=sid,
    )
