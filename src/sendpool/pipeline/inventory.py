"""Take inventory: what the configuration declares becomes rows, each connection with its senders in its account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

import msgspec

from sendpool.connectors.base import ConnectionSettings, FindsSenders, SenderSettings
from sendpool.connectors.registry import UnknownConnector, connector_type
from sendpool.domain.limits import PAIR_BURST, PAIR_SECONDS, Limits
from sendpool.domain.pool import DeclaredPool
from sendpool.domain.scopes import ScopeSettings
from sendpool.domain.sender import Channel
from sendpool.pipeline.limiting import limits_declared
from sendpool.store.accounts import AccountRow, list_accounts
from sendpool.store.admin_log import CONFIGURATION, record
from sendpool.store.database import Script
from sendpool.store.declared_pools import store_pools
from sendpool.store.leases import declared_elsewhere
from sendpool.store.limits import replace_declared
from sendpool.store.locks import alone
from sendpool.store.pools import ensure_hidden_pools
from sendpool.store.roster import load_connections, load_senders
from sendpool.store.senders import FoundSender, load_found, store_inventory

#: What is to run: settings and account by connection key.
Wanted = dict[int, tuple[ConnectionSettings, int]]


class UnknownAccount(Exception):
    """A connection or pool belongs to an account that does not exist; `table` says which ("connections[0]")."""

    def __init__(self, table: str, sid: str) -> None:
        super().__init__(f"there is no account {sid}; make it with `sendpool accounts create`, or name another")
        self.table = table


#: Senders that carriers have told of, by the key of the account and the name of the connection.
Found = Mapping[tuple[int, str], Sequence[SenderSettings]]


def take_inventory(
    connections: Sequence[ConnectionSettings],
    first_id: int,
    now: int,
    pools: Sequence[DeclaredPool] = (),
    scopes: Sequence[ScopeSettings] = (),
    node_id: int = 0,
    found: Found = MappingProxyType({}),
) -> Script[Wanted]:
    """Store every connection and sender in its account, the hidden pools that stand for them, declared *pools* and
    what limits there are.

    A connection or pool that names no account belongs to the first, whose key is *first_id*. What belongs to a closed
    account is switched off. A connection that looks for senders has those that were *found* besides; where *found* says
    nothing of it, those that it had before. What other nodes than *node_id* declare stays as it is.
    Brings what is to run. Raises UnknownAccount, SenderDeclaredTwice and UnknownMember.
    """
    yield from alone("inventory")
    accounts = yield from list_accounts()
    elsewhere = yield from declared_elsewhere(node_id)
    owned = _by_owner("connections", connections, accounts, first_id)
    for account_id, ones in owned.items():
        if any(map(finds_senders, ones)):
            owned[account_id] = _with_found(account_id, ones, found, (yield from load_found(account_id)))
    pooled = _by_owner("pools", pools, accounts, first_id)
    for account in accounts:
        closed = account.closed_at is not None
        declared = [] if closed else owned[account.id]
        senders = yield from store_inventory(account.id, declared, now, () if closed else elsewhere)
        if not closed:
            yield from ensure_hidden_pools(account.id, now)
            yield from store_pools(account.id, pooled[account.id], now)
        if declared or any(senders):
            names = [one.name for one in declared]
            detail = {"connections": names, **senders._asdict()}
            if pooled[account.id]:
                detail["pools"] = [one.name for one in pooled[account.id]]
            yield from record(now, CONFIGURATION, "configuration.applied", account.sid, **detail)
    keys = yield from load_connections()
    wanted = {
        keys[account.id, settings.name]: (settings, account.id)
        for account in accounts
        if account.closed_at is None
        for settings in owned[account.id]
    }
    yield from replace_declared(limits_declared(scopes, wanted, (yield from load_senders())))
    return wanted


def finds_senders(settings: ConnectionSettings) -> bool:
    """Whether a connection looks for senders by itself."""
    try:
        connector: object = connector_type(settings.type)
    except UnknownConnector:
        return False
    return isinstance(connector, type) and issubclass(connector, FindsSenders) and connector.finds(settings)


def _with_found(
    account_id: int,
    connections: Sequence[ConnectionSettings],
    found: Found,
    known: Mapping[str, Sequence[FoundSender]],
) -> list[ConnectionSettings]:
    """The connections of an account with what was found for them and nobody has declared."""
    taken = {(one.channel, one.address) for settings in connections for one in settings.senders}
    merged = []
    for settings in connections:
        told: Sequence[SenderSettings] = ()
        if finds_senders(settings):
            said = found.get((account_id, settings.name))
            told = [_settings_of(one) for one in known.get(settings.name, ())] if said is None else said
        more = [one for one in told if (one.channel, one.address) not in taken]
        taken |= {(one.channel, one.address) for one in more}
        merged.append(msgspec.structs.replace(settings, senders=(*settings.senders, *more)) if more else settings)
    return merged


def _settings_of(known: FoundSender) -> SenderSettings:
    channel = Channel(known.channel)
    limits = Limits(pair_seconds=PAIR_SECONDS, pair_burst=PAIR_BURST) if channel is Channel.WHATSAPP else Limits()
    return SenderSettings(
        channel=channel,
        address=known.address,
        display_name=known.display_name,
        mps=known.mps,
        limits=limits,
        options=msgspec.json.decode(known.options),
    )


Owned = TypeVar("Owned", ConnectionSettings, DeclaredPool)


def _by_owner(
    table: str, declared: Sequence[Owned], accounts: Sequence[AccountRow], first_id: int
) -> dict[int, list[Owned]]:
    by_sid = {account.sid: account.id for account in accounts}
    owned: dict[int, list[Owned]] = {account.id: [] for account in accounts}
    for position, settings in enumerate(declared):
        owner = first_id if settings.account is None else by_sid.get(settings.account)
        if owner is None:
            raise UnknownAccount(f"{table}[{position}]", settings.account or "")
        owned[owner].append(settings)
    return owned
