"""Take inventory: what the configuration declares becomes rows, each connection with its senders in its account."""

from __future__ import annotations

from collections.abc import Sequence

from sendpool.connectors.base import ConnectionSettings
from sendpool.store.accounts import AccountRow, list_accounts
from sendpool.store.admin_log import CONFIGURATION, record
from sendpool.store.database import Script
from sendpool.store.pools import ensure_hidden_pools
from sendpool.store.roster import load_connections
from sendpool.store.senders import store_inventory

#: What is to run: settings and account by connection key.
Wanted = dict[int, tuple[ConnectionSettings, int]]


class UnknownAccount(Exception):
    """A connection belongs to an account that does not exist; `position` is its place among the connections."""

    def __init__(self, position: int, sid: str) -> None:
        super().__init__(f"there is no account {sid}; make it with `sendpool accounts create`, or name another")
        self.position = position


def take_inventory(connections: Sequence[ConnectionSettings], first_id: int, now: int) -> Script[Wanted]:
    """Store every connection and sender in its account, and the hidden pools that stand for them.

    A connection that names no account belongs to the first, whose key is *first_id*. What belongs to a closed account
    is switched off. Brings what is to run. Raises UnknownAccount and SenderDeclaredTwice.
    """
    accounts = yield from list_accounts()
    owned = _by_owner(connections, accounts, first_id)
    for account in accounts:
        closed = account.closed_at is not None
        declared = [] if closed else owned[account.id]
        senders = yield from store_inventory(account.id, declared, now)
        if not closed:
            yield from ensure_hidden_pools(account.id, now)
        if declared or any(senders):
            names = [one.name for one in declared]
            detail = {"connections": names, **senders._asdict()}
            yield from record(now, CONFIGURATION, "configuration.applied", account.sid, **detail)
    keys = yield from load_connections()
    return {
        keys[account.id, settings.name]: (settings, account.id)
        for account in accounts
        if account.closed_at is None
        for settings in owned[account.id]
    }


def _by_owner(
    connections: Sequence[ConnectionSettings], accounts: Sequence[AccountRow], first_id: int
) -> dict[int, list[ConnectionSettings]]:
    by_sid = {account.sid: account.id for account in accounts}
    owned: dict[int, list[ConnectionSettings]] = {account.id: [] for account in accounts}
    for position, settings in enumerate(connections):
        owner = first_id if settings.account is None else by_sid.get(settings.account)
        if owner is None:
            raise UnknownAccount(position, settings.account or "")
        owned[owner].append(settings)
    return owned
