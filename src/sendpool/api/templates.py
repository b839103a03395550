"""`/Content`: templates, which sends name by `contentId`. Our own addition, in the shapes of the hosted Content API."""

from __future__ import annotations

import re
import secrets

from sendpool.api.exchange import Reply, Request
from sendpool.api.paging import Listing
from sendpool.api.problems import not_found
from sendpool.api.query import Query
from sendpool.api.schemas import ContentTemplate, ContentTemplatePage, encode, instant
from sendpool.api.template_bodies import read_template
from sendpool.store import templates
from sendpool.store.admin_log import noting
from sendpool.store.templates import TemplateRow

_TEMPLATE = "template"
_SID = re.compile(r"HX[0-9a-f]{32}")
#: A place in a list of templates: the row's key.
_PLACE_SIZE = 8


def new_sid() -> str:
    """The sid of a new template."""
    return f"HX{secrets.token_hex(16)}"


def _shown(row: TemplateRow, base: str) -> ContentTemplate:
    return ContentTemplate(
        sid=row.sid,
        friendly_name=row.name,
        language=row.language,
        variables=dict(row.variables),
        types=dict(row.types),
        date_created=instant(row.created_at),
        date_updated=instant(row.updated_at),
        url=f"{base}/Content/{row.sid}",
    )


def _sid(request: Request) -> str:
    """The sid in the path. Raises Refused (404), also when it is malformed."""
    sid = request.path("content_sid")
    if not _SID.fullmatch(sid):
        raise not_found(_TEMPLATE)
    return sid


async def post_template(request: Request) -> Reply:
    """Make a template."""
    new, now, sid = read_template(await request.body()), request.services.now(), new_sid()
    row = await request.services.write(
        lambda: noting(
            templates.create_template(request.account_id, sid, new, now),
            now,
            request.actor,
            "template.created",
            lambda made: made.sid,
        )
    )
    return Reply(201, encode(_shown(row, request.base)))


async def get_templates(request: Request) -> Reply:
    """List templates, the newest first."""
    query = Query(request.scope["query_string"])
    listing = Listing(request, "/Content", query, place_size=_PLACE_SIZE)
    page = listing.page()
    before = None if page.place is None else int.from_bytes(page.place, "big")
    rows = await request.services.database.read(templates.list_templates(request.account_id, before, page.limit + 1))
    shown = [_shown(row, request.base) for row in rows[: page.limit]]
    following = rows[page.limit - 1].id.to_bytes(_PLACE_SIZE, "big") if len(rows) > page.limit else None
    return Reply(200, encode(ContentTemplatePage(contents=shown, pagination=listing.pagination(page, following))))


async def get_template(request: Request) -> Reply:
    """Fetch one template."""
    row = await request.services.database.read(templates.find_template(request.account_id, _sid(request)))
    if row is None:
        raise not_found(_TEMPLATE)
    return Reply(200, encode(_shown(row, request.base)))


async def put_template(request: Request) -> Reply:
    """Let a template say something else from now on."""
    sid, now = _sid(request), request.services.now()
    new = read_template(await request.body())
    row = await request.services.write(
        lambda: noting(
            templates.update_template(request.account_id, sid, new, now),
            now,
            request.actor,
            "template.updated",
            lambda _: sid,
        )
    )
    if row is None:
        raise not_found(_TEMPLATE)
    return Reply(200, encode(_shown(row, request.base)))


async def delete_template(request: Request) -> Reply:
    """Delete a template; messages that were accepted with it go on."""
    sid, now = _sid(request), request.services.now()
    gone = await request.services.write(
        lambda: noting(
            templates.delete_template(request.account_id, sid, now),
            now,
            request.actor,
            "template.deleted",
            lambda _: sid,
        )
    )
    if not gone:
        raise not_found(_TEMPLATE)
    return Reply(204, b"")
