"""Take inventory: what the configuration declares becomes rows, each connection with its senders in its account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from sendpool.connectors.base import ConnectionSettings
from sendpool.domain.pool import DeclaredPool
from sendpool.domain.scopes import ScopeSettings
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
from sendpool.store.senders import store_inventory

#: What is to run: settings and account by connection key.
Wanted = dict[int, tuple[ConnectionSettings, int]]


class UnknownAccount(Exception):
    """A connection or pool belongs to an account that does not exist; `table` says which ("connections[0]")."""

    def __init__(self, table: str, sid: str) -> None:
        super().__init__(f"there is no account {sid}; make it with `sendpool accounts create`, or name another")
        self.table = table


def take_inventory(
    connections: Sequence[ConnectionSettings],
    first_id: int,
    now: int,
    pools: Sequence[DeclaredPool] = (),
    scopes: Sequence[ScopeSettings] = (),
    node_id: int = 0,
) -> Script[Wanted]:
    """Store every connection and sender in its account, the hidden pools that stand for them, declared *pools* and
    what limits there are.

    A connection or pool that names no account belongs to the first, whose key is *first_id*. What belongs to a closed
    account is switched off. What other nodes than *node_id* declare stays as it is. Brings what is to run.
    Raises UnknownAccount, SenderDeclaredTwice and UnknownMember.
    """
    yield from alone("inventory")
    accounts = yield from list_accounts()
    elsewhere = yield from declared_elsewhere(node_id)
    owned = _by_owner("connections", connections, accounts, first_id)
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
