"""`/Emails` and `/Emails/Operations`: emails are messages of a kind that has its own paths, ids and shapes."""

from __future__ import annotations

from asyncio import to_thread

from sendpool.api import kinds
from sendpool.api.bodies import LONG, decode_object
from sendpool.api.checks import check_fields, check_tags
from sendpool.api.content_shapes import tags_of
from sendpool.api.email_schemas import EmailOperationPage, EmailPage
from sendpool.api.email_sending import MAX_EMAIL_BODY, read_emails
from sendpool.api.email_shapes import STATUSES, Letter, email, email_operation
from sendpool.api.exchange import Reply, Request
from sendpool.api.kinds import Kind
from sendpool.api.problems import not_found
from sendpool.api.query import Query
from sendpool.api.references import PROFILE
from sendpool.api.schemas import encode
from sendpool.domain import ids
from sendpool.domain.request import SendRequest
from sendpool.store.database import Script
from sendpool.store.history import MessageFilter, MessagePage, MessageSlice, fetch_message, list_with_contents

EMAILS = Kind("email", "/Emails", ids.EMAIL, email_operation, EmailOperationPage)

_STATES = {name: state for state, name in STATUSES.items()}
_FLAGS = {"TRUE": True, "FALSE": False}
#: What a search may ask for; its page is asked for in the query.
_SEARCHED = ("address", "operationId", "sessionId", "profile", "startDate", "endDate", "status", "tags")


async def post_emails(request: Request) -> Reply:
    """Accept emails; answered once they are durable."""
    body = await request.body(MAX_EMAIL_BODY)

    async def read() -> SendRequest:
        if len(body) > LONG:
            # Not `aside`: html and attachments may keep a core busy for a second.
            return await to_thread(read_emails, body, request.account_id)
        return read_emails(body, request.account_id)

    return await kinds.accept(request, EMAILS, body, read)


async def get_emails(request: Request) -> Reply:
    """List emails with their contents; of attachments everything but their bytes."""
    query = Query(request.scope["query_string"])
    wanted = _filter(query, "operationId", "operation_id")
    return await _page(request, "/Emails", query, wanted)


async def search_emails(request: Request) -> Reply:
    """The same with the filters in the body, and one for the address of either side: it so stays out of URLs."""
    fields = decode_object(await request.body())
    query = Query(request.scope["query_string"])
    check_fields(fields, _SEARCHED, query.findings)
    tags = fields.pop("tags", {})
    known = len(query.findings)
    check_tags(tags, query.findings)
    if tags and len(query.findings) == known:
        fields["tags"] = ";".join(f"{key}:{tag}" for key, tag in tags.items())
    query.take(fields, texts=_SEARCHED, numbers=())
    query.nothing_has("sessionId")
    query.matches_nothing |= query.reference("profile", PROFILE) is not None
    address = query.text("address")
    if address is not None:
        query.filters["address"] = address
    wanted = _filter(query, "operationId")._replace(address=address)
    return await _page(request, "/Emails/Search", query, wanted, in_body=True)


def _filter(query: Query, *operation: str) -> MessageFilter:
    return MessageFilter(
        query.operation(*operation),
        query.choice("status", _STATES),
        ambiguous=query.choice("ambiguous", _FLAGS),
        tags=query.tags(),
        tags_of=tags_of,
        emails=True,
    )


async def _page(request: Request, path: str, query: Query, wanted: MessageFilter, *, in_body: bool = False) -> Reply:
    letters: dict[str, Letter] = {}

    def letter(content: str) -> Letter:
        if content not in letters:
            letters[content] = Letter(content)
        return letters[content]

    def listed(part: MessageSlice) -> Script[MessagePage]:
        return list_with_contents(request.account_id, wanted, part, lambda content: letter(content).weight)

    found, pagination = await kinds.find(request, path, query, listed, in_body=in_body)

    def shown() -> bytes:
        base, contents = request.base, found.contents
        emails = [email(row, letter(contents[row.place.operation_uid]), base, files=False) for row in found.rows]
        return encode(EmailPage(emails=emails, pagination=pagination))

    personal = any(one.is_personal for one in letters.values())
    return Reply(200, await to_thread(shown) if personal else shown())


async def get_email(request: Request) -> Reply:
    """Fetch one email with its content."""
    place = EMAILS.place(request.path("email_id"))
    found = await request.services.database.read(fetch_message(request.account_id, place, email=True))
    if found is None:
        raise not_found("email")
    return Reply(200, encode(email(found.row, Letter(found.content), request.base, files=True)))


async def delete_email(request: Request) -> Reply:
    """Take content, address and name out of an email for good; its states and counters stay."""
    return await kinds.delete(request, EMAILS, request.path("email_id"))


async def cancel_email(request: Request) -> Reply:
    """Cancel one email that has not left."""
    return await kinds.cancel(request, EMAILS, request.path("email_id"))


async def get_operations(request: Request) -> Reply:
    """List email operations."""
    return await kinds.operations(request, EMAILS)


async def get_operation(request: Request) -> Reply:
    """Fetch one email operation with its counters."""
    return await kinds.operation(request, EMAILS)


async def cancel_operation(request: Request) -> Reply:
    """Cancel what has not left of an operation."""
    return await kinds.cancel_operation(request, EMAILS)


async def resume_operation(request: Request) -> Reply:
    """Let an operation go on that is paused."""
    return await kinds.resume_operation(request, EMAILS)
