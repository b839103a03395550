"""`/console/api/Search`: messages by number, tag, state and operation. In a body, so that numbers stay out of URLs."""

from __future__ import annotations

from sendpool.api import kinds
from sendpool.api.bodies import decode_object
from sendpool.api.checks import check_fields, check_tags
from sendpool.api.exchange import Reply, Request
from sendpool.api.message_shapes import message_metadata
from sendpool.api.messages import message_filter
from sendpool.api.query import Query
from sendpool.api.schemas import MessagePage, encode
from sendpool.store import history

_TEXTS = ("address", "operationId", "status", "channel", "tags", "pageToken")


async def search(request: Request) -> Reply:
    """List messages, newest first."""
    fields = decode_object(await request.body())
    query = Query(b"")
    check_fields(fields, (*_TEXTS, "pageSize"), query.findings)
    tags = fields.pop("tags", {})
    known = len(query.findings)
    check_tags(tags, query.findings)
    if tags and len(query.findings) == known:
        fields["tags"] = ";".join(f"{key}:{tag}" for key, tag in tags.items())
    query.take(fields, texts=_TEXTS, numbers=("pageSize",))
    address = query.text("address")
    if address is not None:
        query.filters["address"] = address
    wanted = message_filter(query)._replace(address=address)
    found, pagination = await kinds.find(
        request,
        "/Search",
        query,
        lambda part: history.list_messages(request.account_id, wanted, part),
        in_body=True,
    )
    messages = [message_metadata(row, request.base) for row in found.rows]
    return Reply(200, encode(MessagePage(messages=messages, pagination=pagination)))
