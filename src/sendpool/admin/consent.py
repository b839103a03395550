"""`consent`: who has opted out of what an account sends."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from sendpool.admin.accounts import whose
from sendpool.admin.context import Arguments, Context, instant
from sendpool.admin.protocol import CommandRefused
from sendpool.domain import ids
from sendpool.domain.consent import EVERYTHING, MARKETING, OptOut, Person, fault_of, person
from sendpool.domain.sender import AddressSpace
from sendpool.store import consent
from sendpool.store.admin_log import record
from sendpool.store.database import Script

#: Entries in one command: each command is one commit, and a send may wait for it.
MOST_AT_ONCE = 5_000
_SPACE_NAMES = {space.value[0]: space.value for space in AddressSpace}

Space = Literal["P", "W", "E"]
Scope = Annotated[str, msgspec.Meta(max_length=100)]


class GivenOptOut(Arguments, frozen=True, kw_only=True):
    """An entry as it is handed over."""

    space: Space
    address: Annotated[str, msgspec.Meta(max_length=320)]
    #: "": everything; "marketing"; or the id of a pool or sender.
    scope: Scope = EVERYTHING


class AddOptOuts(Arguments, frozen=True, kw_only=True):
    """`consent add`, or a part of a `consent import`."""

    entries: Annotated[list[GivenOptOut], msgspec.Meta(min_length=1, max_length=MOST_AT_ONCE)]
    source: Literal["command", "import"] = "command"
    account: str | None = None


class RemoveOptOuts(Arguments, frozen=True, kw_only=True):
    """`consent remove`; *scope* None: of every scope."""

    entries: Annotated[list[GivenOptOut], msgspec.Meta(min_length=1, max_length=MOST_AT_ONCE)]
    every_scope: bool = True
    account: str | None = None


class ListOptOuts(Arguments, frozen=True, kw_only=True):
    """`consent list`."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100
    #: The space, address and scope of the entry before the first.
    after: tuple[str, str, str] | None = None
    account: str | None = None


def _people(entries: list[GivenOptOut]) -> list[Person]:
    for one in entries:
        fault = fault_of(one.space, one.address)
        if fault is not None:
            raise CommandRefused(f"{fault}; nothing was changed")
    return [person(one.space, one.address) for one in entries]


def _check_scopes(account_id: int, scopes: set[str]) -> Script[None]:
    for scope in sorted(scopes - {EVERYTHING, MARKETING}):
        pool, sender = ids.decode(ids.POOL, scope), ids.decode(ids.SENDER, scope)
        known = (yield from consent.is_programme(account_id, pool, sender)) if pool or sender else False
        if not known:
            raise CommandRefused(
                f'the account has no pool or sender "{scope}"; name one by its id, or say "{MARKETING}", or nothing'
            )


def add_opt_outs(ask: AddOptOuts, context: Context) -> Script[dict[str, int]]:
    """Write entries. Who is in the ledger already stays there as they are."""
    account = yield from whose(ask.account)
    people = _people(ask.entries)
    yield from _check_scopes(account.id, {one.scope for one in ask.entries})
    entries = [
        OptOut(account.id, *one, given.scope, ask.source, context.actor)
        for one, given in zip(people, ask.entries, strict=True)
    ]
    context.learn(entries)
    added = yield from consent.add_opt_outs(entries, context.now)
    if added:
        yield from record(
            context.now, context.actor, "consent.withdrawn", account.sid, entries=added, source=ask.source
        )
    return {"added": added, "known": len(entries) - added}


def remove_opt_outs(ask: RemoveOptOuts, context: Context) -> Script[dict[str, int]]:
    """Take entries out: their recipients have agreed again."""
    account = yield from whose(ask.account)
    people = _people(ask.entries)
    removed = 0
    for one, given in zip(people, ask.entries, strict=True):
        scope = None if ask.every_scope else given.scope
        removed += yield from consent.remove_opt_outs(account.id, [one], scope)
    if removed:
        yield from record(context.now, context.actor, "consent.given", account.sid, entries=removed)
    return {"removed": removed}


def list_opt_outs(ask: ListOptOuts, context: Context) -> Script[list[dict[str, Any]]]:
    """Entries in the order of space, address and scope."""
    account = yield from whose(ask.account)
    rows = yield from consent.list_opt_outs(account.id, ask.limit, ask.after)
    return [
        {
            "space": _SPACE_NAMES[row.entry.space],
            "address": row.entry.address,
            "scope": row.entry.scope,
            "source": row.entry.source,
            "actor": row.entry.actor,
            "at": instant(row.created_at),
        }
        for row in rows
    ]
