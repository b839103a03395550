"""Every request of the contract, and Sendpool's own, as a function that makes a `Call` or a `Listing`."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sendpool.client.calls import Call, Listing
from sendpool.client.making import act, decoder_of, delete, filled, get, list_of, path_of, post, reader_of
from sendpool.client.models import (
    Accepted,
    Changed,
    Email,
    Message,
    Operation,
    OperationError,
    PoolOperation,
    Receipt,
    ResolvedPairs,
    Sender,
    SenderPool,
)

T = TypeVar("T")
Json = Mapping[str, Any]
#: A recipient: a phone number, or the recipient as the contract has it.
To = str | Json
#: Who sends: the id of a sender or a pool, or the `from` as the contract has it.
From = str | Json
When = datetime | str

_POOL, _SENDER = "comms_senderpool_", "comms_sender_"


def new_key() -> str:
    """An idempotency key that nobody else has."""
    return uuid.uuid4().hex


# ---------------------------------------------------------------- messages


def send(
    to: To | Iterable[To],
    text: str | None = None,
    *,
    from_: From | None = None,
    media: Sequence[str] = (),
    content: Json | None = None,
    send_at: When | None = None,
    tags: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
    **more: Any,
) -> Call[Accepted]:
    """Send to up to 10,000 recipients: a number ("+4477..."), or what the contract has ({"address", "channel",
    "variables"}).

    Either *text* and URLs of *media*, or *content* as the contract has it (`contentId`, `modules`). Texts are Liquid.
    *from_* is the id of a pool or a sender, or {"address", "channel"}. *more* are further fields of the request, such
    as Sendpool's `category`, `priority` and `validity` (seconds).

    Without an *idempotency_key* a new one is made for each call: a repetition after a lost answer doubles nothing.
    Give your own to repeat a call that another process began.
    """
    body = {
        "from": _sender(from_),
        "to": _recipients(to),
        "content": content if content is not None else _content(text, media),
        **_common(send_at, tags),
        **more,
    }
    return send_body(filled(body), idempotency_key=idempotency_key)


def send_body(body: Json, *, idempotency_key: str | None = None) -> Call[Accepted]:
    """Send a request as the contract has it."""
    return post("/Messages", body, Accepted, idempotency_key or new_key())


def list_messages(
    operation: str | None = None,
    *,
    status: str | None = None,
    channel: str | None = None,
    session: str | None = None,
    profile: str | None = None,
    tags: Mapping[str, str] | None = None,
    since: When | None = None,
    until: When | None = None,
    ambiguous: bool | None = None,
    page_size: int = 1000,
) -> Listing[Message]:
    """Messages, newest first, without attempts and content; each filter narrows it."""
    filters = {
        "operationId": operation,
        "status": status,
        "channel": channel,
        "sessionId": session,
        "profile": profile,
        "tags": None if tags is None else ";".join(f"{name}:{value}" for name, value in tags.items()),
        "ambiguous": None if ambiguous is None else str(ambiguous).lower(),
        **_period(since, until),
    }
    return list_of("/Messages", "messages", Message, filters, page_size)


def fetch_message(message_id: str) -> Call[Message]:
    """One message with content and attempts."""
    return get("/Messages/{}", Message, message_id)


def seek_message(sid: str) -> Call[Message]:
    """The message that an attempt (its SM or MM sid) belongs to."""
    return get("/Messages/Seek/{}", Message, sid)


def delete_message(message_id: str) -> Call[Changed]:
    """Take text, variables and address out of a message that has ended (Sendpool)."""
    return delete("/Messages/{}", Changed, message_id)


def cancel_message(message_id: str) -> Call[Changed]:
    """Cancel a message that has not left (Sendpool)."""
    return act("/Messages/{}/Cancel", Changed, message_id)


def explain_message(message_id: str) -> Call[dict[str, Any]]:
    """Why a message went the way it did, or what it waits for (Sendpool)."""
    return get("/Messages/{}/Explanation", dict[str, Any], message_id)


def list_receipts(message_id: str, *, page_size: int = 1000) -> Listing[Receipt]:
    """How far a message has come, for each recipient of it."""
    return list_of(path_of("/Messages/{}/Receipts", message_id), "receipts", Receipt, {}, page_size)


# ---------------------------------------------------------------- emails


def send_emails(
    to: To | Iterable[To],
    *,
    from_: From,
    subject: str,
    html: str | None = None,
    text: str | None = None,
    attachments: Sequence[Json] = (),
    send_at: When | None = None,
    tags: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
    **more: Any,
) -> Call[Accepted]:
    """Send an email to each recipient: an address, or {"address", "name", "variables"}. *from_* is an address, or
    {"address", "name"}. See `send` for the rest.
    """
    content = filled({"subject": subject, "html": html, "text": text, "attachments": list(attachments) or None})
    body = {
        "from": {"address": from_} if isinstance(from_, str) else from_,
        "to": [{"address": one} if isinstance(one, str) else one for one in _several(to)],
        "content": content,
        **_common(send_at, tags),
        **more,
    }
    return post("/Emails", filled(body), Accepted, idempotency_key or new_key())


def list_emails(
    operation: str | None = None,
    *,
    status: str | None = None,
    since: When | None = None,
    until: When | None = None,
    page_size: int = 1000,
) -> Listing[Email]:
    """Emails, newest first."""
    filters = {"operationId": operation, "status": status, **_period(since, until)}
    return list_of("/Emails", "emails", Email, filters, page_size)


def fetch_email(email_id: str) -> Call[Email]:
    """One email."""
    return get("/Emails/{}", Email, email_id)


def delete_email(email_id: str) -> Call[Changed]:
    """Delete the record of an email that has ended."""
    return delete("/Emails/{}", Changed, email_id)


# ---------------------------------------------------------------- operations


def list_operations(
    *, status: str | None = None, since: When | None = None, until: When | None = None, page_size: int = 1000
) -> Listing[Operation]:
    """Sends of messages, newest first."""
    filters = {"status": status, **_period(since, until)}
    return list_of("/Messages/Operations", "operations", Operation, filters, page_size)


def list_email_operations(
    *, status: str | None = None, since: When | None = None, until: When | None = None, page_size: int = 1000
) -> Listing[Operation]:
    """Sends of emails, newest first."""
    filters = {"status": status, **_period(since, until)}
    return list_of("/Emails/Operations", "operations", Operation, filters, page_size)


def fetch_operation(operation_id: str) -> Call[Operation]:
    """A send of messages and its counters."""
    return get("/Messages/Operations/{}", Operation, operation_id)


def fetch_email_operation(operation_id: str) -> Call[Operation]:
    """A send of emails and its counters."""
    return get("/Emails/Operations/{}", Operation, operation_id)


def list_errors(operation_id: str, *, page_size: int = 1000) -> Listing[OperationError]:
    """Recipients of an operation that got no message, and messages of it that failed."""
    path = path_of("/Messages/Operations/{}/Errors", operation_id)
    return list_of(path, "errors", OperationError, {}, page_size)


def cancel_operation(operation_id: str) -> Call[Accepted]:
    """Cancel what has not left of an operation (Sendpool)."""
    return act("/Messages/Operations/{}/Cancel", Accepted, operation_id)


def resume_operation(operation_id: str) -> Call[Accepted]:
    """Let an operation go on that is paused since carriers refuse what it says (Sendpool)."""
    return act("/Messages/Operations/{}/Resume", Accepted, operation_id)


# ---------------------------------------------------------------- senders


def list_senders(
    *,
    channel: str | None = None,
    status: str | None = None,
    since: When | None = None,
    until: When | None = None,
    page_size: int = 1000,
) -> Listing[Sender]:
    """Senders of the account."""
    filters = {"channel": channel, "status": status, **_period(since, until)}
    return list_of("/Senders", "senders", Sender, filters, page_size)


def fetch_sender(sender_id: str) -> Call[Sender]:
    """One sender."""
    return get("/Senders/{}", Sender, sender_id)


def search_senders(address: str, channel: str, *, status: str | None = None, page_size: int = 1000) -> Listing[Sender]:
    """Senders with exactly this address on this channel."""
    body = filled({"address": address, "channel": channel, "status": status, "pageSize": page_size})
    read = reader_of("senders", Sender)
    return Listing(Call(method="POST", path="/Senders/Search", body=body, read=read))


def resolve_senders(
    to: Iterable[Json],
    *,
    pool: str | None = None,
    senders: Iterable[Json] | None = None,
    channels: Json | None = None,
) -> Call[ResolvedPairs]:
    """Which senders of a pool (else of *senders*, else of all) could reach a person with these addresses, the best
    first.
    """
    body = {
        "recipientAddresses": list(to),
        "senderPoolId": pool,
        "senderAddresses": None if senders is None else list(senders),
        "channels": channels,
    }
    return post("/Senders/Resolve", filled(body), ResolvedPairs)


# ---------------------------------------------------------------- sender pools


def create_pool(
    name: str,
    *,
    senders: Iterable[str] = (),
    tags: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
    **more: Any,
) -> Call[Accepted]:
    """Make a pool of senders (their ids). *more* are further fields, such as Sendpool's `preference`."""
    body = {"name": name, "senders": [{"senderId": one} for one in senders], "tags": tags, **more}
    return post("/SenderPools", filled(body), Accepted, idempotency_key or new_key())


def list_pools(
    *, operation: str | None = None, since: When | None = None, until: When | None = None, page_size: int = 1000
) -> Listing[SenderPool]:
    """Pools of the account; with *operation* the one that it made."""
    filters = {"operationId": operation, **_period(since, until)}
    return list_of("/SenderPools", "senderPools", SenderPool, filters, page_size)


def fetch_pool(pool_id: str) -> Call[SenderPool]:
    """One pool."""
    return get("/SenderPools/{}", SenderPool, pool_id)


def update_pool(
    pool_id: str, *, name: str | None = None, tags: Mapping[str, str] | None = None, **more: Any
) -> Call[Changed]:
    """Change what is given; *tags* replace all that there are."""
    body = filled({"name": name, "tags": tags, **more})
    return Call(method="PATCH", path=path_of("/SenderPools/{}", pool_id), body=body, read=decoder_of(Changed))


def delete_pool(pool_id: str) -> Call[Changed]:
    """Delete a pool; its senders stay."""
    return delete("/SenderPools/{}", Changed, pool_id)


def list_members(
    pool_id: str, *, channel: str | None = None, status: str | None = None, page_size: int = 1000
) -> Listing[Sender]:
    """The senders of a pool."""
    filters = {"channel": channel, "status": status}
    return list_of(path_of("/SenderPools/{}/Senders", pool_id), "senders", Sender, filters, page_size)


def add_members(pool_id: str, senders: Iterable[str | Json], *, idempotency_key: str | None = None) -> Call[Accepted]:
    """Add senders to a pool: ids, or {"senderId", "weight", "tier"} (the latter two are Sendpool's)."""
    body = [{"senderId": one} if isinstance(one, str) else one for one in senders]
    return post(path_of("/SenderPools/{}/Senders", pool_id), body, Accepted, idempotency_key or new_key())


def remove_member(pool_id: str, sender_id: str) -> Call[Changed]:
    """Take a sender out of a pool."""
    return delete("/SenderPools/{}/Senders/{}", Changed, pool_id, sender_id)


def list_pool_operations(
    *, status: str | None = None, since: When | None = None, until: When | None = None, page_size: int = 1000
) -> Listing[PoolOperation]:
    """Changes of pools, newest first."""
    filters = {"status": status, **_period(since, until)}
    return list_of("/SenderPools/Operations", "operations", PoolOperation, filters, page_size)


def fetch_pool_operation(operation_id: str) -> Call[PoolOperation]:
    """A change of a pool."""
    return get("/SenderPools/Operations/{}", PoolOperation, operation_id)


# ---------------------------------------------------------------- how they are put together


def _moment(when: When | None) -> str | None:
    return when.isoformat() if isinstance(when, datetime) else when


def _period(since: When | None, until: When | None) -> dict[str, str | None]:
    return {"startDate": _moment(since), "endDate": _moment(until)}


def _common(send_at: When | None, tags: Mapping[str, str] | None) -> dict[str, Any]:
    return {"schedule": None if send_at is None else {"sendAt": [_moment(send_at)]}, "tags": tags}


def _sender(from_: From | None) -> Json | None:
    if not isinstance(from_, str):
        return from_
    if from_.startswith(_POOL):
        return {"senderPoolId": from_}
    if from_.startswith(_SENDER):
        return {"senderId": from_}
    raise ValueError(f'{from_!r} is no id of a sender or a pool; for an address say {{"address": ..., "channel": ...}}')


def _several(to: To | Iterable[To]) -> list[To]:
    return [to] if isinstance(to, str | Mapping) else list(to)


def _recipients(to: To | Iterable[To]) -> list[Json]:
    return [{"address": one, "channel": "PHONE"} if isinstance(one, str) else one for one in _several(to)]


def _content(text: str | None, media: Sequence[str]) -> dict[str, Any]:
    return filled({"text": text, "media": [{"url": url} for url in media] or None})
