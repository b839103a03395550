"""`senders`: how they do."""

from __future__ import annotations

from typing import Any

import msgspec

from sendpool.admin.accounts import known_account
from sendpool.admin.context import Arguments, Context, instant
from sendpool.domain import ids
from sendpool.store.database import Script
from sendpool.store.health import NamedHealthRow, list_health


class ShowHealth(Arguments, frozen=True, kw_only=True):
    """`senders health`."""

    #: None: of every account.
    account: str | None = None


def _shown(named: NamedHealthRow) -> dict[str, Any]:
    row = named.row
    return {
        "senderId": ids.encode(ids.SENDER, named.sender_uid),
        "address": named.address,
        "channel": named.channel,
        "connection": named.connection,
        "accountSid": named.account_sid,
        "country": row.country or None,
        "condition": row.condition,
        "share": row.share,
        "symptom": row.symptom,
        "relapses": row.relapses,
        "since": instant(row.since),
        "figures": msgspec.json.decode(row.figures),
    }


def show_health(ask: ShowHealth, context: Context) -> Script[list[dict[str, Any]]]:
    """Senders that are worse than their peers in a country, and those that were so lately; all others are healthy."""
    account = None if ask.account is None else (yield from known_account(ask.account)).id
    rows = yield from list_health(account)
    return [_shown(row) for row in rows]
