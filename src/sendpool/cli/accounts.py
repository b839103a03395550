"""`sendpool accounts`: who may send, and with which token."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

from cyclopts import App, Parameter, Token

from sendpool.cli.asking import ask, listing, one
from sendpool.cli.options import AsJson, ConfigPath, DatabaseUrl

accounts = App(
    name="accounts",
    help="Accounts, which see nothing of each other. A running server knows every change at once.",
)

_COLUMNS = {
    "sid": "Account SID",
    "name": "Name",
    "status": "Status",
    "createdAt": "Created",
    "oldTokenUntil": "Old token until",
}
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def duration(text: str) -> int:
    """Seconds of "90s", "30m", "24h", "7d" or a number of seconds. Raises ValueError."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text.strip())
    if found is None:
        raise ValueError(f'"{text}" is no duration; write for example 30m, 24h or 7d')
    return int(found[1]) * _UNITS[found[2]]


def to_seconds(_: object, tokens: Sequence[Token]) -> int:
    """A duration on the command line, in seconds."""
    return duration(tokens[0].value)


def _credentials(made: Mapping[str, str]) -> str:
    return f"Account SID: {made['sid']}\nAuth token:  {made['authToken']}"


@accounts.command(name="list")
def list_(*, json: AsJson = False, config: ConfigPath = None, database: DatabaseUrl = None) -> int:
    """List the accounts, oldest first."""
    show = listing(_COLUMNS, "There is no account yet; start `sendpool serve` once.", as_json=json)
    return ask(show, "accounts.list", config=config, database=database)


@accounts.command
def create(
    name: str = "",
    *,
    sid: Annotated[str | None, Parameter(help="Its SID; else one is made.")] = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Make an account. Its auth token is shown this once."""
    show = one(lambda made: f"{_credentials(made)}\n(shown only once)", as_json=json)
    return ask(show, "accounts.create", config=config, database=database, name=name, sid=sid)


@accounts.command
def rename(
    sid: str, name: str, *, json: AsJson = False, config: ConfigPath = None, database: DatabaseUrl = None
) -> int:
    """Give an account another name."""
    show = one(lambda made: f"{made['sid']} is called {made['name']}", as_json=json)
    return ask(show, "accounts.rename", config=config, database=database, sid=sid, name=name)


@accounts.command
def countries(
    sid: str,
    *,
    allow: Annotated[
        list[str] | None, Parameter(help="A country that it sends to, and no other: US. Repeat it.")
    ] = None,
    deny: Annotated[list[str] | None, Parameter(help="A country that it does not send to. Repeat it.")] = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Say which countries an account sends to, whatever its pools and senders say; without options: all."""
    show = one(_countries, as_json=json)
    return ask(show, "accounts.countries", config=config, database=database, sid=sid, allow=allow, deny=deny or [])


def _countries(told: Mapping[str, Sequence[str] | None]) -> str:
    only, never = told["allow"], told["deny"]
    where = "everywhere" if only is None else f"to {', '.join(only) or 'no country'}"
    but = f" but {', '.join(never)}" if never else ""
    return f"{told['sid']} sends {where}{but}"


@accounts.command
def rotate(
    sid: str,
    *,
    overlap: Annotated[
        int, Parameter(converter=to_seconds, help="How long the old token is still taken: 30m, 24h, 7d; 0 ends it now.")
    ] = 86_400,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Give an account another auth token, which is shown this once. Both are taken until the overlap is over."""
    show = one(
        lambda made: f"{_credentials(made)}\n(shown only once; the old one is taken until {made['oldTokenUntil']})",
        as_json=json,
    )
    return ask(show, "accounts.rotate", config=config, database=database, sid=sid, overlap=overlap)


@accounts.command
def close(sid: str, *, json: AsJson = False, config: ConfigPath = None, database: DatabaseUrl = None) -> int:
    """Close an account for ever. Its credentials open nothing any more, its connections are left, and what waits to be
    sent ends FAILED.
    """
    show = one(lambda made: f"{made['sid']} is closed", as_json=json)
    return ask(show, "accounts.close", config=config, database=database, sid=sid)
