"""`POST /SenderPools/{id}/Rehearsal`: what a send from this pool would do now."""

from __future__ import annotations

from msgspec.structs import replace

from sendpool.api.exchange import Reply, Request
from sendpool.api.messages import read_request
from sendpool.api.problems import INVALID, not_found
from sendpool.api.schemas import encode
from sendpool.domain import ids
from sendpool.domain.request import AccountOrigin, PoolOrigin, Problem, Refused


async def rehearse(request: Request) -> Reply:
    """Say what the body would do as a send from this pool; nothing is sent or stored.

    The body is that of a send. Its `from` may be left out; if it is there, it has to name this pool, and may say which
    channels.
    """
    uid = ids.decode(ids.POOL, request.path("pool_id"))
    asked = await read_request(request, await request.body())
    if uid is None or not request.services.has_pool(request.account_id, uid):
        raise not_found("sender pool")
    if isinstance(asked.origin, AccountOrigin):
        asked = replace(asked, origin=PoolOrigin(uid))
    elif not isinstance(asked.origin, PoolOrigin) or asked.origin.uid != uid:
        raise Refused(Problem(INVALID, "from names another sender than this pool; leave it out", "$.from"))
    return Reply(200, encode(await request.services.rehearse(asked)))
