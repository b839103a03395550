"""Senders as lists show them, by their ids."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from sendpool.store.database import Script
from sendpool.store.senders import SENDER_COLUMNS, SenderRow
from sendpool.store.tables import sender


def activated(account_id: int, uids: Sequence[bytes]) -> Script[dict[bytes, SenderRow]]:
    """Those of an account's senders *uids* that are activated, by uid; a few hundred at most."""
    statement = select(*SENDER_COLUMNS).where(sender.c.account_id == account_id, sender.c.active == 1)
    rows = yield statement.where(sender.c.uid.in_(uids))
    return {row.uid: row for row in (SenderRow(*row) for row in rows)}
