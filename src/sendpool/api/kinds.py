"""Messages and emails go the same way: what the paths of both have in common, and the names that differ."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from msgspec import UNSET, UnsetType

from sendpool.api.accepted import operation_accepted, resource_accepted
from sendpool.api.exchange import Reply, Request
from sendpool.api.idempotency import KEY, once
from sendpool.api.paging import Listing
from sendpool.api.problems import CONFLICT, not_found
from sendpool.api.query import Query
from sendpool.api.references import operation_in_path
from sendpool.api.schemas import Pagination, encode, maybe_instant
from sendpool.domain import ids
from sendpool.domain.request import Problem, Refused, SendRequest
from sendpool.domain.states import OperationState
from sendpool.pipeline.cancel import Cancellation, Wish
from sendpool.store.database import Script
from sendpool.store.history import MessagePage, MessagePlace, MessageSlice
from sendpool.store.idempotency import Key
from sendpool.store.operations import OperationRow, fetch_operation, list_operations
from sendpool.store.pauses import release_operation
from sendpool.store.redaction import Redaction, redact_message
from sendpool.store.slices import Slice

_OPERATION_STATES = {state.name: state for state in OperationState}

#: A place in a list of messages: the operation's uid and the message's position in it.
_PLACE_SIZE = 18


_UNDER_WAY = (OperationState.SCHEDULED, OperationState.PROCESSING)


class Kind(NamedTuple):
    """What clients see messages as."""

    #: As operations of it are stored.
    name: str
    #: The collection, below the version.
    path: str
    #: Of the ids of its members.
    prefix: str
    #: The shape of one operation, and of a page of them.
    operation: Callable[[OperationRow, str | UnsetType | None], Any]
    operations: Callable[..., Any]

    @property
    def emails(self) -> bool:
        """Whether it is emails."""
        return self.name == "email"

    def place(self, text: str) -> MessagePlace:
        """Where the member lies that a path names. Raises Refused (404), also when the id is malformed."""
        place = ids.parse_message(text, self.prefix)
        if place is None:
            raise not_found(self.name)
        return MessagePlace(*place)


async def accept(request: Request, kind: Kind, body: bytes, read: Callable[[], Awaitable[SendRequest]]) -> Reply:
    """Make a send durable, once for each key, and answer with the operation. *read* reads the body."""
    if KEY not in request.headers:
        accepted = await request.services.accept(await read(), None)
        return _operation_accepted(request, kind, accepted.uid, maybe_instant(accepted.complete))

    async def act(key: Key | None) -> bytes:
        return (await request.services.accept(await read(), key)).uid

    # The same key gets the same answer, whenever it comes: no place for what depends on the time.
    return _operation_accepted(request, kind, await once(request, body, act))


def _shown(request: Request, kind: Kind, row: OperationRow) -> Any:
    """An operation; while it is not complete, with when it will be."""
    estimate: str | UnsetType | None = UNSET
    if row.state in _UNDER_WAY:
        estimate = maybe_instant(request.services.completion(row.waits()))
    return kind.operation(row, estimate)


def _operation_accepted(request: Request, kind: Kind, uid: bytes, estimate: str | UnsetType | None = UNSET) -> Reply:
    return accepted_at(request.base, kind, uid, estimate)


def accepted_at(base: str, kind: Kind, uid: bytes, estimate: str | UnsetType | None) -> Reply:
    """The answer that an operation was made, below the URL *base* of a version."""
    operation_id = ids.operation_id(uid)
    collection = f"{base}{kind.path}"
    return operation_accepted(
        operation_id, f"{collection}/Operations/{operation_id}", f"{collection}?operationId={operation_id}", estimate
    )


async def find(
    request: Request,
    path: str,
    query: Query,
    listed: Callable[[MessageSlice], Script[MessagePage]],
    *,
    in_body: bool = False,
) -> tuple[MessagePage, Pagination]:
    """The page that a query asks for, of what *listed* lists. Read the filters from the query before.

    *in_body*: the filters stand in the request's body, so that a page has no URL.
    """
    start, end = query.created()
    listing = Listing(request, path, query, place_size=_PLACE_SIZE, in_body=in_body)
    page = listing.page()
    found = MessagePage([], None)
    if not query.matches_nothing:
        before = None if page.place is None else MessagePlace(page.place[:16], int.from_bytes(page.place[16:], "big"))
        found = await request.services.database.read(listed(MessageSlice(page.limit, before, start, end)))
    following = None if found.next is None else found.next.operation_uid + found.next.position.to_bytes(2, "big")
    return found, listing.pagination(page, following)


#: Why a message is not deleted yet, and what to do.
_NOT_YET = {
    Redaction.WAITING: "this message is still to be sent; cancel it first (POST .../Cancel), or delete it once it has"
    " been sent",
    Redaction.UNDER_WAY: "an attempt to send this message is under way; delete it once that has ended",
}


async def delete(request: Request, kind: Kind, member_id: str) -> Reply:
    """Redact a member of a kind. Raises Refused: 404 where there is none, 409 where it is still to be sent."""
    place, now = kind.place(member_id), request.services.now()
    redacted = await request.services.write(lambda: redact_message(request.account_id, place, now, email=kind.emails))
    if redacted is Redaction.UNKNOWN:
        raise not_found(kind.name)
    if redacted in _NOT_YET:
        raise Refused(Problem(CONFLICT, _NOT_YET[redacted].replace("message", kind.name)), status=409)
    return resource_accepted(member_id, f"{request.base}{kind.path}/{member_id}")


async def cancel_operation(request: Request, kind: Kind) -> Reply:
    """Cancel what is left of an operation; what has left, or is leaving, goes on. Raises Refused (404)."""
    uid = operation_in_path(request.path("operation_id"))
    outcome, _ = await request.services.cancel(Wish(request.account_id, uid, kind=kind.name))
    if outcome is Cancellation.UNKNOWN:
        raise not_found("operation")
    return _operation_accepted(request, kind, uid)


async def resume_operation(request: Request, kind: Kind) -> Reply:
    """Let an operation go on that is paused; one that is not goes on anyway. Raises Refused (404)."""
    uid = operation_in_path(request.path("operation_id"))
    now = request.services.now()
    found = await request.services.write(lambda: release_operation(request.account_id, uid, now, kind.name))
    if found is None:
        raise not_found("operation")
    return _operation_accepted(request, kind, uid)


async def cancel(request: Request, kind: Kind, member_id: str) -> Reply:
    """Cancel a member of a kind. Raises Refused: 404 where there is none, 409 where it has left or is leaving."""
    place = kind.place(member_id)
    outcome, state = await request.services.cancel(Wish(request.account_id, *place, kind=kind.name))
    if outcome is Cancellation.UNKNOWN or state is None:
        raise not_found(kind.name)
    if outcome is Cancellation.TOO_LATE:
        raise Refused(Problem(CONFLICT, _TOO_LATE.format(kind=kind.name, state=state.name)), status=409)
    return resource_accepted(member_id, f"{request.base}{kind.path}/{member_id}")


#: What is QUEUED and cannot be canceled has an attempt that is just being submitted.
_TOO_LATE = (
    "this {kind} is {state}, and has left or is just leaving: what waits can be canceled, what a carrier has cannot;"
    " fetch the {kind} to see what became of it"
)


async def operations(request: Request, kind: Kind) -> Reply:
    """List operations of a kind."""
    query = Query(request.scope["query_string"])
    state = query.choice("status", _OPERATION_STATES)
    start, end = query.created()
    listing = Listing(request, f"{kind.path}/Operations", query)
    page = listing.page()
    part = Slice(page.limit, page.place, start, end)
    listed = list_operations(request.account_id, part, state, kind=kind.name)
    found = await request.services.database.read(listed)
    shown = [_shown(request, kind, row) for row in found.rows]
    return Reply(200, encode(kind.operations(operations=shown, pagination=listing.pagination(page, found.next))))


async def operation(request: Request, kind: Kind) -> Reply:
    """Fetch one operation of a kind with its counters."""
    uid = operation_in_path(request.path("operation_id"))
    row = await request.services.database.read(fetch_operation(request.account_id, uid, emails=kind.emails))
    if row is None:
        raise not_found("operation")
    return Reply(200, encode(_shown(request, kind, row)))
