"""`/Messages` and `/Messages/Operations`: send, and read what became of it."""

from __future__ import annotations

from functools import partial

from sendpool.api import kinds
from sendpool.api.bodies import LONG
from sendpool.api.content_shapes import tags_of
from sendpool.api.contents import TemplateWanted
from sendpool.api.exchange import Reply, Request
from sendpool.api.kinds import Kind
from sendpool.api.message_shapes import message, message_metadata, message_operation
from sendpool.api.problems import not_found
from sendpool.api.query import Query
from sendpool.api.recipients import Profiles, ProfilesWanted
from sendpool.api.references import PROFILE
from sendpool.api.schemas import MessageOperationPage, MessagePage, encode
from sendpool.api.sending import read_send
from sendpool.api.template_bodies import content_of
from sendpool.aside import aside
from sendpool.domain import ids
from sendpool.domain.message import Content
from sendpool.domain.request import SendRequest
from sendpool.domain.sender import Channel
from sendpool.domain.states import MessageState
from sendpool.store import history
from sendpool.store.history import MessageFilter
from sendpool.store.profiles import load_profiles
from sendpool.store.templates import find_template

_CHANNELS = {name: name for name in Channel.__members__}
#: GROUP is a status of the contract; no message of ours has it.
_GROUP = 0
_STATES = {**{state.name: int(state) for state in MessageState}, "GROUP": _GROUP}
_FLAGS = {"TRUE": True, "FALSE": False}

MESSAGES = Kind("message", "/Messages", ids.MESSAGE, message_operation, MessageOperationPage)


async def post_messages(request: Request) -> Reply:
    """Accept a send; answered once it is durable."""
    body = await request.body()

    async def read() -> SendRequest:
        return await read_request(request, body)

    return await kinds.accept(request, MESSAGES, body, read)


async def read_request(request: Request, body: bytes) -> SendRequest:
    """What a send's body asks for; one that names profiles or a template is read again with what is found of them."""
    account, read = request.account_id, request.services.database.read
    profiles: Profiles | None = None
    templates: dict[str, Content | None] = {}
    while True:
        reading = partial(read_send, body, account, profiles, templates)
        try:
            return reading() if len(body) <= LONG else await aside(reading)
        except ProfilesWanted as missing:
            profiles = Profiles(await read(load_profiles(account, missing.ids)))
        except TemplateWanted as missing:
            found = await read(find_template(account, missing.sid))
            templates[missing.sid] = None if found is None else content_of(found)


def message_filter(query: Query) -> MessageFilter:
    """Which messages a query asks for."""
    operation_uid = query.operation("operationId", "operation_id")
    session = query.session()
    profile = query.reference("profile", PROFILE)
    wanted = MessageFilter(
        operation_uid,
        query.choice("status", _STATES),
        query.choice("channel", _CHANNELS),
        query.choice("ambiguous", _FLAGS),
        query.tags(),
        profile=profile,
        session=session,
        tags_of=tags_of,
    )
    query.matches_nothing |= wanted.state == _GROUP
    return wanted


async def get_messages(request: Request) -> Reply:
    """List messages. A page under a rare filter may be short, or empty, and still name a next one."""
    query = Query(request.scope["query_string"])
    wanted = message_filter(query)
    found, pagination = await kinds.find(
        request, "/Messages", query, lambda part: history.list_messages(request.account_id, wanted, part)
    )
    base = request.base
    messages = [message_metadata(row, base) for row in found.rows]
    return Reply(200, encode(MessagePage(messages=messages, pagination=pagination)))


async def get_message(request: Request) -> Reply:
    """Fetch one message with its content and attempts."""
    place = MESSAGES.place(request.path("message_id"))
    found = await request.services.database.read(history.fetch_message(request.account_id, place))
    if found is None:
        raise not_found("message")
    return Reply(200, encode(message(found, request.base, request.origin)))


async def delete_message(request: Request) -> Reply:
    """Take text, variables and address out of a message for good; its states, attempts and counters stay."""
    return await kinds.delete(request, MESSAGES, request.path("message_id"))


async def cancel_message(request: Request) -> Reply:
    """Cancel one message that has not left."""
    return await kinds.cancel(request, MESSAGES, request.path("message_id"))


async def explain_message(request: Request) -> Reply:
    """Say why a message went the way it did, or what it waits for."""
    found = await request.services.explain(request.account_id, MESSAGES.place(request.path("message_id")))
    if found is None:
        raise not_found("message")
    return Reply(200, encode(found))


async def get_operations(request: Request) -> Reply:
    """List message operations."""
    return await kinds.operations(request, MESSAGES)


async def get_operation(request: Request) -> Reply:
    """Fetch one message operation with its counters."""
    return await kinds.operation(request, MESSAGES)


async def cancel_operation(request: Request) -> Reply:
    """Cancel what has not left of an operation."""
    return await kinds.cancel_operation(request, MESSAGES)


async def resume_operation(request: Request) -> Reply:
    """Let an operation go on that is paused."""
    return await kinds.resume_operation(request, MESSAGES)
