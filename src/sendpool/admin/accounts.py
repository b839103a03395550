"""`accounts`: whose senders, pools and messages are kept apart from each other."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from phonenumbers import SUPPORTED_REGIONS

from sendpool.admin.context import Arguments, Context, instant
from sendpool.admin.protocol import CommandRefused
from sendpool.store import accounts
from sendpool.store.accounts import AccountRow
from sendpool.store.admin_log import COMMAND_LINE, record
from sendpool.store.choices import CountriesSetting
from sendpool.store.database import Script
from sendpool.store.pools import delete_all_pools, ensure_hidden_pools
from sendpool.store.profiles import delete_all_profiles
from sendpool.store.senders import store_inventory

Name = Annotated[str, msgspec.Meta(max_length=100)]
#: Seconds that an auth token may go on after it was replaced: 30 days.
LONGEST_OVERLAP = 30 * 86_400


class ListAccounts(Arguments, frozen=True, kw_only=True):
    """`accounts list` takes nothing."""


class CreateAccount(Arguments, frozen=True, kw_only=True):
    """`accounts create`."""

    name: Name = ""
    #: None: one is made.
    sid: Annotated[str, msgspec.Meta(pattern="^[!-9;-~]{1,64}$")] | None = None


class RenameAccount(Arguments, frozen=True, kw_only=True):
    """`accounts rename`."""

    sid: str
    name: Name


class RotateToken(Arguments, frozen=True, kw_only=True):
    """`accounts rotate`."""

    sid: str
    #: Seconds that the old token is still taken.
    overlap: Annotated[int, msgspec.Meta(ge=0, le=LONGEST_OVERLAP)]


class SetCountries(Arguments, frozen=True, kw_only=True):
    """`accounts countries`."""

    sid: str
    #: The only countries that the account sends to, by their ISO codes; None: all.
    allow: Annotated[list[str], msgspec.Meta(max_length=300)] | None = None
    #: Countries that it does not send to.
    deny: Annotated[tuple[str, ...], msgspec.Meta(max_length=300)] = ()


class CloseAccount(Arguments, frozen=True, kw_only=True):
    """`accounts close`."""

    sid: str


def shown(row: AccountRow, now: int) -> dict[str, Any]:
    """An account as it is answered; *now* is microseconds since 1970."""
    until = row.old_auth_token_until
    return {
        "sid": row.sid,
        "name": row.name,
        "status": "closed" if row.closed_at is not None else "open",
        "createdAt": instant(row.created_at),
        "oldTokenUntil": instant(until) if until is not None and until > now else None,
        "closedAt": instant(row.closed_at),
    }


def known_account(sid: str) -> Script[AccountRow]:
    """The account with this sid, closed or not. Raises CommandRefused where there is none."""
    row = yield from accounts.find_account(sid)
    if row is None:
        raise CommandRefused(f"there is no account {sid[:64]}; `sendpool accounts list` shows those there are")
    return row


def open_account(sid: str) -> Script[AccountRow]:
    """The account with this sid. Raises CommandRefused where there is none, or it is closed."""
    row = yield from known_account(sid)
    if row.closed_at is not None:
        raise CommandRefused(f"account {sid} is closed; `sendpool accounts create` makes another")
    return row


def whose(sid: str | None) -> Script[AccountRow]:
    """The open account that is meant: the one named, else the only one. Raises CommandRefused."""
    if sid is not None:
        return (yield from open_account(sid))
    rows = yield from accounts.list_accounts()
    usable = [row for row in rows if row.closed_at is None]
    if len(usable) != 1:
        raise CommandRefused(f"there are {len(usable)} open accounts; say which with --account")
    return usable[0]


def list_accounts(_: ListAccounts, context: Context) -> Script[list[dict[str, Any]]]:
    """Every account, oldest first."""
    rows = yield from accounts.list_accounts()
    return [shown(row, context.now) for row in rows]


def create_account(ask: CreateAccount, context: Context) -> Script[dict[str, Any]]:
    """A new account and its auth token."""
    if ask.sid is not None and (yield from accounts.find_account(ask.sid)) is not None:
        raise CommandRefused(f"there is an account {ask.sid} already; leave --sid out to have one made")
    made = yield from accounts.create_account(ask.name, ask.sid, context.key, context.now)
    # What a send without `from` stands for.
    yield from ensure_hidden_pools(made.id, context.now)
    yield from record(context.now, COMMAND_LINE, "account.created", made.sid, name=ask.name)
    return {"sid": made.sid, "name": ask.name, "authToken": made.auth_token}


def rename_account(ask: RenameAccount, context: Context) -> Script[dict[str, Any]]:
    """Another name for an account."""
    row = yield from open_account(ask.sid)
    yield from accounts.rename_account(row.id, ask.name)
    yield from record(context.now, COMMAND_LINE, "account.renamed", ask.sid, before=row.name, name=ask.name)
    return shown(row._replace(name=ask.name), context.now)


def set_countries(ask: SetCountries, context: Context) -> Script[dict[str, Any]]:
    """Say which countries an account sends to, whatever its pools and senders say; without any: all."""
    row = yield from open_account(ask.sid)
    allow = None if ask.allow is None else [_country(code) for code in ask.allow]
    countries = CountriesSetting(allow=allow, deny=[_country(code) for code in ask.deny])
    yield from accounts.set_countries(row.id, None if countries == CountriesSetting() else countries)
    told = {"allow": countries.allow, "deny": countries.deny}
    yield from record(context.now, COMMAND_LINE, "account.countries_set", ask.sid, **told)
    return {"sid": ask.sid, **told}


def _country(code: str) -> str:
    if code.upper() not in SUPPORTED_REGIONS:
        hint = "the United Kingdom is GB" if code.upper() == "UK" else "give ISO 3166-1 codes such as US"
        raise CommandRefused(f'"{code[:20]}" is no country; {hint}')
    return code.upper()


def rotate_token(ask: RotateToken, context: Context) -> Script[dict[str, Any]]:
    """Another auth token for an account; the old one is taken for the overlap that is asked for."""
    row = yield from open_account(ask.sid)
    first = yield from accounts.find_first(context.account_sid)
    if context.token_set and first is not None and first.id == row.id:
        raise CommandRefused(
            f"the auth token of {ask.sid} is set by SENDPOOL_AUTH_TOKEN or auth_token; change it there"
        )
    until = context.now + ask.overlap * 1_000_000
    token = yield from accounts.rotate_token(row.id, until, context.key)
    yield from record(context.now, COMMAND_LINE, "account.token_rotated", ask.sid, overlap=ask.overlap)
    return {"sid": ask.sid, "authToken": token, "oldTokenUntil": instant(until)}


def close_account(ask: CloseAccount, context: Context) -> Script[dict[str, Any]]:
    """Close an account for ever: its credentials open nothing, its senders carry nothing, its pools are gone.

    What still waits in these finds no sender, and ends FAILED with 21703.
    """
    row = yield from open_account(ask.sid)
    first = yield from accounts.find_first(context.account_sid)
    if first is not None and first.id == row.id:
        raise CommandRefused(
            f"{ask.sid} is the first account and cannot be closed: connections belong to it by default"
        )
    yield from accounts.close_account(row.id, context.now)
    yield from store_inventory(row.id, (), context.now)
    yield from delete_all_pools(row.id, context.now)
    yield from delete_all_profiles(row.id)
    yield from record(context.now, COMMAND_LINE, "account.closed", ask.sid)
    return shown(row._replace(closed_at=context.now, old_auth_token_until=None), context.now)
