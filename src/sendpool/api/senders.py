"""`/Senders`: what the connections declare, to be read."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET, Raw

from sendpool.api import schemas
from sendpool.api.exchange import Reply, Request
from sendpool.api.paging import Listing, Page
from sendpool.api.problems import not_found
from sendpool.api.query import Query
from sendpool.api.references import in_path
from sendpool.api.schemas import encode, instant
from sendpool.domain import ids
from sendpool.domain.sender import Channel
from sendpool.store.senders import SenderFilter, SenderRow, fetch_sender, list_senders
from sendpool.store.slices import Slice

#: Channels of the contract; no sender of ours has the last one.
_CHANNELS = {name: name for name in (*Channel, "PUSH")}
_ACTIVE = {"ACTIVATED": True, "DEACTIVATED": False}


def sender_filter(query: Query) -> SenderFilter:
    """The filters of lists of senders."""
    return SenderFilter(query.choice("channel", _CHANNELS), query.choice("status", _ACTIVE))


def sender_page(rows: Iterable[SenderRow], listing: Listing, page: Page) -> Reply:
    """A page of senders; *rows* holds one more than fits if there is another page."""
    found = list(rows)
    shown = found[: page.limit]
    pagination = listing.pagination(page, shown[-1].uid if len(found) > page.limit else None)
    return Reply(200, encode(schemas.SenderPage(senders=[_shown(row) for row in shown], pagination=pagination)))


def _shown(row: SenderRow) -> schemas.Sender:
    return schemas.Sender(
        id=ids.encode(ids.SENDER, row.uid),
        display_name=row.display_name,
        address=row.address,
        channel=row.channel,
        status="ACTIVATED" if row.active else "DEACTIVATED",
        tags=Raw(row.tags.encode()),
        created_at=instant(row.created_at),
        updated_at=instant(row.updated_at),
        weight=UNSET if row.weight is None else row.weight,
        tier=UNSET if row.tier is None else row.tier,
    )


async def get_senders(request: Request) -> Reply:
    """List senders."""
    query = Query(request.scope["query_string"])
    wanted = sender_filter(query)
    start, end = query.created()
    listing = Listing(request, "/Senders", query)
    page = listing.page()
    part = Slice(page.limit + 1, page.place, start, end)
    rows = await request.services.database.read(list_senders(request.account_id, wanted, part))
    return sender_page(rows, listing, page)


async def get_sender(request: Request) -> Reply:
    """Fetch one sender."""
    uid = in_path(ids.SENDER, request.path("sender_id"), "sender")
    row = await request.services.database.read(fetch_sender(request.account_id, uid))
    if row is None:
        raise not_found("sender")
    return Reply(200, encode(_shown(row)))
