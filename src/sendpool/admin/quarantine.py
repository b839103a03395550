"""`quarantine`: addresses to which nothing is sent on a channel, because carriers have said that nobody has them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from sendpool.admin.accounts import whose
from sendpool.admin.context import Arguments, Context, instant
from sendpool.admin.events import microseconds
from sendpool.admin.protocol import CommandRefused
from sendpool.domain.quarantine import Entry
from sendpool.logs import mask_address
from sendpool.store import quarantine as store
from sendpool.store.admin_log import COMMAND_LINE, record
from sendpool.store.database import Script
from sendpool.store.draining import list_connections
from sendpool.store.quarantine import Wanted

_Text = Annotated[str, msgspec.Meta(max_length=320)]


class Which(Arguments, frozen=True, kw_only=True):
    """Which entries are meant; None: whatever it is."""

    address: _Text | None = None
    #: The name of a connection that has said so.
    connection: _Text | None = None
    #: Only what was said at or after that time.
    since: _Text | None = None
    account: str | None = None


class ListQuarantine(Which, frozen=True, kw_only=True):
    """`quarantine list`."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 100
    #: Those as well that one refusal has only made suspected.
    suspected: bool = False
    #: Addresses as they are, not masked.
    full: bool = False


class RemoveQuarantined(Which, frozen=True, kw_only=True):
    """`quarantine remove`."""


def list_quarantine(ask: ListQuarantine, context: Context) -> Script[list[dict[str, Any]]]:
    """Entries, the newest first."""
    wanted, names = yield from _wanted(ask)
    rows = yield from store.list_entries(wanted, ask.limit, held=not ask.suspected)
    return [_shown(one, names, full=ask.full) for one in rows if one.until > context.now]


def remove_quarantined(ask: RemoveQuarantined, context: Context) -> Script[dict[str, int]]:
    """Remove entries, suspicions included: these addresses are sent to again."""
    if (ask.address, ask.connection, ask.since) == (None, None, None):
        raise CommandRefused("say which: an address, --connection NAME or --since TIME; nothing was removed")
    account = yield from whose(ask.account)
    wanted, _ = yield from _wanted(ask)
    removed = yield from store.remove_entries(wanted)
    if removed:
        what = {name: value for name, value in (("connection", ask.connection), ("since", ask.since)) if value}
        yield from record(context.now, COMMAND_LINE, "quarantine.removed", account.sid, entries=removed, **what)
    return {"removed": removed}


def _wanted(ask: Which) -> Script[tuple[Wanted, dict[int, str]]]:
    """The entries that are meant; and the names of the account's connections."""
    account = yield from whose(ask.account)
    names = {row.id: row.name for row in (yield from list_connections(account.id))}
    found = [key for key, name in names.items() if name == ask.connection]
    if ask.connection is not None and not found:
        raise CommandRefused(
            f'there is no connection "{ask.connection[:64]}"; `sendpool connections list` shows those there are'
        )
    address = ask.address.lower() if ask.address and "@" in ask.address else ask.address
    since = None if ask.since is None else microseconds(ask.since)
    return Wanted(account.id, address, found[0] if found else None, since), names


def _shown(one: Entry, names: dict[int, str], *, full: bool) -> dict[str, Any]:
    said = [(one.first_connection, one.first_rule), (one.second_connection, one.second_rule)]
    return {
        "address": one.place.address if full else mask_address(one.place.address),
        "channel": "every" if one.invalid else one.place.channel,
        "status": "quarantined" if one.held else "suspected",
        "saidBy": [{"connection": names.get(key, "gone"), "rule": rule} for key, rule in said if key is not None],
        "suspectedAt": instant(one.first_at),
        "quarantinedAt": instant(one.held_at),
        "until": instant(one.until),
    }
