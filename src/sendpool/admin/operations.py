"""`operations`: those that are paused, since carriers refuse what they say."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from sendpool.admin.accounts import known_account
from sendpool.admin.context import Arguments, Context, instant
from sendpool.admin.protocol import CommandRefused
from sendpool.domain import ids
from sendpool.store import pauses
from sendpool.store.admin_log import record
from sendpool.store.database import Script


class ListPaused(Arguments, frozen=True, kw_only=True):
    """`operations paused`."""

    #: None: of every account.
    account: str | None = None


class OneOperation(Arguments, frozen=True, kw_only=True):
    """`operations resume`."""

    id: Annotated[str, msgspec.Meta(max_length=100)]


def list_paused(ask: ListPaused, context: Context) -> Script[list[dict[str, Any]]]:
    """Paused operations, the latest first."""
    account_id = None if ask.account is None else (yield from known_account(ask.account)).id
    rows = yield from pauses.list_paused(account_id)
    return [
        {
            "operationId": ids.operation_id(row.uid),
            "accountSid": row.account_sid,
            "kind": row.kind,
            "since": instant(row.pause.at),
            "refused": row.pause.filtered,
            "answers": row.pause.answers,
            "code": row.pause.code,
            "rule": row.pause.rule,
            "queued": row.queued,
            "scheduled": row.scheduled,
        }
        for row in rows
    ]


def resume(ask: OneOperation, context: Context) -> Script[dict[str, str]]:
    """Let an operation go on."""
    uid = ids.parse_operation(ask.id)
    found = None if uid is None else (yield from pauses.release_operation(None, uid, context.now))
    if found is None:
        raise CommandRefused(f"there is no operation {ask.id[:64]}; `sendpool operations paused` lists those that wait")
    yield from record(context.now, context.actor, "operation.resumed", ask.id)
    return {"operationId": ask.id}
