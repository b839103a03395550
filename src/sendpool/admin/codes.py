"""`classes --seen`: what carriers have answered with."""

from __future__ import annotations

from typing import Any

from sendpool.admin.accounts import known_account
from sendpool.admin.context import Arguments, Context, instant
from sendpool.store.codes import SeenCode, list_codes
from sendpool.store.database import Script


class ListCodes(Arguments, frozen=True, kw_only=True):
    """`classes --seen` and `classes --unclassified`."""

    #: Only codes of which nobody knows the meaning.
    unclassified: bool = False
    #: None: of every account.
    account: str | None = None


def _shown(seen: SeenCode) -> dict[str, Any]:
    code = seen.code
    return {
        "connection": seen.connection,
        "accountSid": seen.account_sid,
        "where": code.place,
        "code": code.code,
        "class": code.failure,
        "rule": code.rule,
        "known": code.is_known,
        "count": seen.times,
        "firstAt": instant(seen.first_at),
        "lastAt": instant(seen.last_at),
    }


def show_codes(ask: ListCodes, context: Context) -> Script[list[dict[str, Any]]]:
    """Codes, the most frequent first."""
    account = None if ask.account is None else (yield from known_account(ask.account)).id
    rows = yield from list_codes(unclassified=ask.unclassified, account_id=account)
    return [_shown(row) for row in rows]
