"""What clients ask of messages besides the messages themselves: by an attempt's id, by recipient, by failure."""

from __future__ import annotations

from msgspec import UNSET

from sendpool.api.exchange import Reply, Request
from sendpool.api.message_shapes import UNEXPLAINED_CODE, message_metadata, recipient
from sendpool.api.paging import Listing
from sendpool.api.problems import INVALID, not_found
from sendpool.api.query import Query
from sendpool.api.references import operation_in_path
from sendpool.api.schemas import (
    OperationError,
    OperationErrorPage,
    Receipt,
    ReceiptPage,
    ResourceReference,
    encode,
    instant,
)
from sendpool.domain import ids
from sendpool.domain.failures import api_code
from sendpool.domain.request import Problem, Refused
from sendpool.store.history import MessagePlace, fetch_message
from sendpool.store.lookups import ErrorPlace, ErrorRow, attempt_exists, attempt_of_carrier, list_errors

#: A place in a list of errors: one byte for its part, four for the position.
_PLACE_SIZE = 5


async def seek_message(request: Request) -> Reply:
    """Redirect from an attempt's id, or the one that a Twilio account behind us gave it, to its message."""
    sid = request.path("message_sid")
    named = ids.parse_attempt(sid)
    if named is None:
        raise Refused(Problem(INVALID, "this is not the id of an attempt; one is SM or MM and 32 hex digits"))
    uid, position, n = named
    database = request.services.database
    if not await database.read(attempt_exists(request.account_id, MessagePlace(uid, position), n)):
        carried = await database.read(attempt_of_carrier(request.account_id, sid))
        if carried is None:
            raise not_found("attempt")
        uid, position = carried
    message_id = ids.message_id(uid, position)
    location = f"{request.base}/Messages/{message_id}"
    body = encode(ResourceReference(resource_id=message_id, resource_location=location))
    return Reply(301, body, ((b"location", location.encode()),))


async def get_receipts(request: Request) -> Reply:
    """How far a message has come with each of its recipients: ours have one each."""
    place = ids.parse_message(request.path("message_id"))
    if place is None:
        raise not_found("message")
    message_id = ids.message_id(*place)
    listing = Listing(request, f"/Messages/{message_id}/Receipts", Query(request.scope["query_string"]), place_size=0)
    page = listing.page()
    found = await request.services.database.read(fetch_message(request.account_id, MessagePlace(*place)))
    if found is None:
        raise not_found("message")
    shown = message_metadata(found.row, request.base)
    receipts = [Receipt(to=to, status=shown.status, updated_at=shown.updated_at) for to in shown.to]
    return Reply(200, encode(ReceiptPage(receipts=receipts, pagination=listing.pagination(page, None))))


async def get_errors(request: Request) -> Reply:
    """List what went wrong in an operation: recipients that nobody can reach, then messages that failed."""
    uid = operation_in_path(request.path("operation_id"))
    path = f"/Messages/Operations/{ids.operation_id(uid)}/Errors"
    listing = Listing(request, path, Query(request.scope["query_string"]), place_size=_PLACE_SIZE)
    page = listing.page()
    after = None if page.place is None else ErrorPlace(page.place[0] == 1, int.from_bytes(page.place[1:], "big"))
    rows = await request.services.database.read(list_errors(request.account_id, uid, page.limit + 1, after))
    if rows is None:
        raise not_found("operation")
    shown = rows[: page.limit]
    following = None
    if len(rows) > page.limit:
        failed, position = shown[-1].place
        following = bytes([failed]) + position.to_bytes(4, "big")
    errors = [_shown(row, uid, request.origin) for row in shown]
    return Reply(200, encode(OperationErrorPage(errors=errors, pagination=listing.pagination(page, following))))


def _shown(row: ErrorRow, uid: bytes, origin: str) -> OperationError:
    failed, position = row.place
    code = row.code or UNEXPLAINED_CODE
    return OperationError(
        code=code,
        message=row.reason or api_code(code).meaning,
        context=UNSET if failed else f"$.to[{position}]",
        info_url=f"{origin}/docs/errors/{code}",
        message_id=ids.message_id(uid, position) if failed else UNSET,
        to=recipient(row.address, row.space, row.step),
        created_at=instant(row.created_at),
    )
