"""`/Senders/Search`: a sender by its address, which so stays out of URLs."""

from __future__ import annotations

from sendpool.api.bodies import decode_object
from sendpool.api.checks import check_fields, check_text
from sendpool.api.exchange import Reply, Request
from sendpool.api.origins import LONGEST_ADDRESS
from sendpool.api.paging import Listing
from sendpool.api.query import Query
from sendpool.api.senders import sender_filter, sender_page
from sendpool.store.senders import list_senders
from sendpool.store.slices import Slice

#: What a body may leave out, or set to null.
_OPTIONAL = ("status", "pageToken", "pageSize")


async def search_senders(request: Request) -> Reply:
    """List the senders with exactly this address on this channel."""
    query, address = _read(await request.body())
    wanted = sender_filter(query)._replace(address=address)
    listing = Listing(request, "/Senders/Search", query, in_body=True)
    page = listing.page()
    part = Slice(page.limit + 1, page.place)
    rows = await request.services.database.read(list_senders(request.account_id, wanted, part))
    return sender_page(rows, listing, page)


def _read(body: bytes) -> tuple[Query, str | None]:
    """The parameters that a body holds, and the address. What is wrong is noted in the query's findings."""
    fields = decode_object(body)
    query = Query(b"")
    check_fields(fields, ("address", "channel", *_OPTIONAL), query.findings)
    address = check_text(fields.get("address"), "address", "$.address", query.findings, longest=LONGEST_ADDRESS)
    query.filters["address"] = address or ""
    given = {name: value for name, value in fields.items() if name not in _OPTIONAL or value is not None}
    query.take({"channel": None, **given}, texts=("channel", "status", "pageToken"), numbers=("pageSize",))
    return query, address
