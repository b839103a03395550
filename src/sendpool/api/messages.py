"""`/Messages` and `/Messages/Operations`: send, and read what became of it."""

from __future__ import annotations

from sendpool.api.accepted import operation_accepted, resource_accepted
from sendpool.api.exchange import Reply, Request
from sendpool.api.idempotency import refuse_key
from sendpool.api.message_shapes import message, message_metadata, message_operation
from sendpool.api.paging import Listing
from sendpool.api.problems import CONFLICT, not_found
from sendpool.api.query import Query
from sendpool.api.references import PROFILE, operation_in_path
from sendpool.api.schemas import MessageOperationPage, MessagePage, encode
from sendpool.api.sending import read_send
from sendpool.domain import ids
from sendpool.domain.request import Problem, Refused
from sendpool.domain.sender import Channel
from sendpool.domain.states import MessageState, OperationState
from sendpool.store import history
from sendpool.store.history import MessageFilter, MessagePlace, MessageSlice
from sendpool.store.operations import fetch_operation, list_operations
from sendpool.store.redaction import Redaction, redact_message
from sendpool.store.slices import Slice

_CHANNELS = {name: name for name in Channel.__members__}
#: GROUP is a status of the contract; no message of ours has it.
_GROUP = 0
_STATES = {**{state.name: int(state) for state in MessageState}, "GROUP": _GROUP}
_OPERATION_STATES = {state.name: state for state in OperationState}
_FLAGS = {"TRUE": True, "FALSE": False}

#: A place in a list of messages: the operation's uid and the message's position in it.
_PLACE_SIZE = 18


async def post_messages(request: Request) -> Reply:
    """Accept a send; answered once it is durable."""
    refuse_key(request)
    send = read_send(await request.body(), request.account_id)
    accepted = await request.services.accept(send)
    operation_id = ids.operation_id(accepted.uid)
    collection = f"{request.base}/Messages"
    return operation_accepted(
        operation_id, f"{collection}/Operations/{operation_id}", f"{collection}?operationId={operation_id}"
    )


def _message_filter(query: Query) -> MessageFilter:
    operation_uid = query.operation("operationId", "operation_id")
    query.nothing_has("sessionId")
    query.reference("profile", PROFILE)
    wanted = MessageFilter(
        operation_uid,
        query.choice("status", _STATES),
        query.choice("channel", _CHANNELS),
        query.choice("ambiguous", _FLAGS),
        query.tags(),
    )
    query.matches_nothing |= wanted.state == _GROUP
    return wanted


async def get_messages(request: Request) -> Reply:
    """List messages. A page under a rare filter may be short, or empty, and still name a next one."""
    query = Query(request.scope["query_string"])
    wanted = _message_filter(query)
    start, end = query.created()
    listing = Listing(request, "/Messages", query, place_size=_PLACE_SIZE)
    page = listing.page()
    found = history.MessagePage([], None)
    if not query.matches_nothing:
        before = None if page.place is None else MessagePlace(page.place[:16], int.from_bytes(page.place[16:], "big"))
        part = MessageSlice(page.limit, before, start, end)
        found = await request.services.database.read(history.list_messages(request.account_id, wanted, part))
    following = None if found.next is None else found.next.operation_uid + found.next.position.to_bytes(2, "big")
    base = request.base
    messages = [message_metadata(row, base) for row in found.rows]
    return Reply(200, encode(MessagePage(messages=messages, pagination=listing.pagination(page, following))))


async def get_message(request: Request) -> Reply:
    """Fetch one message with its content and attempts."""
    place = ids.parse_message(request.path("message_id"))
    if place is None:
        raise not_found("message")
    found = await request.services.database.read(history.fetch_message(request.account_id, MessagePlace(*place)))
    if found is None:
        raise not_found("message")
    return Reply(200, encode(message(found, request.base, request.origin)))


#: Why a message is not deleted yet, and what to do.
_NOT_YET = {
    Redaction.WAITING: "this message is still to be sent; cancel it first (POST .../Cancel), or delete it once it has"
    " been sent",
    Redaction.UNDER_WAY: "an attempt to send this message is under way; delete it once that has ended",
}


def redacted(outcome: Redaction, what: str) -> None:
    """Return if a *what* was redacted. Raises Refused: 404 where there is none, 409 where it is still to be sent."""
    if outcome is Redaction.UNKNOWN:
        raise not_found(what)
    if outcome in _NOT_YET:
        raise Refused(Problem(CONFLICT, _NOT_YET[outcome].replace("message", what)), status=409)


async def delete_message(request: Request) -> Reply:
    """Take text, variables and address out of a message for good; its states, attempts and counters stay."""
    place = ids.parse_message(request.path("message_id"))
    if place is None:
        raise not_found("message")
    now = request.services.now()
    outcome = await request.services.write(lambda: redact_message(request.account_id, MessagePlace(*place), now))
    redacted(outcome, "message")
    message_id = ids.message_id(*place)
    return resource_accepted(message_id, f"{request.base}/Messages/{message_id}")


async def get_operations(request: Request) -> Reply:
    """List message operations."""
    query = Query(request.scope["query_string"])
    state = query.choice("status", _OPERATION_STATES)
    start, end = query.created()
    listing = Listing(request, "/Messages/Operations", query)
    page = listing.page()
    part = Slice(page.limit, page.place, start, end)
    found = await request.services.database.read(list_operations(request.account_id, part, state))
    operations = [message_operation(row) for row in found.rows]
    pagination = listing.pagination(page, found.next)
    return Reply(200, encode(MessageOperationPage(operations=operations, pagination=pagination)))


async def get_operation(request: Request) -> Reply:
    """Fetch one message operation with its counters."""
    uid = operation_in_path(request.path("operation_id"))
    row = await request.services.database.read(fetch_operation(request.account_id, uid))
    if row is None:
        raise not_found("operation")
    return Reply(200, encode(message_operation(row)))
