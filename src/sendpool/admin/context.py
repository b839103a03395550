"""What every command gets besides its arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from sendpool.domain.consent import OptOut
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.sight import Sight
from sendpool.store.admin_log import COMMAND_LINE


class Context(NamedTuple):
    """When a command runs, and what it needs of the configuration."""

    #: Microseconds since 1970.
    now: int
    #: Encrypts secrets.
    key: bytes
    #: The account that the configuration names as the first, if it names one.
    account_sid: str | None = None
    #: Whether the configuration sets the first account's auth token.
    token_set: bool = False
    #: Who can send and what holds them back just now; None: no server runs.
    live: Callable[[], tuple[Roster, Sight]] | None = None
    #: Told of entries of the ledger of consent as they are written, so that a running server keeps to them at once.
    learn: Callable[[Iterable[OptOut]], None] = lambda _: None
    #: Who commands, for the log: the sid of who is signed in to the console, else the command line.
    actor: str = COMMAND_LINE


class Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a command takes. A field that this version does not know is an error, not ignored."""


def instant(microseconds: int | None) -> str | None:
    """A time as commands answer it: RFC 3339 in UTC."""
    if microseconds is None:
        return None
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
