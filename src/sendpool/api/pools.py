"""`/SenderPools`: pools, their members, and the operations that changed them.

Changes are applied before they are answered, so that a read that follows sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from sendpool.api import schemas
from sendpool.api.accepted import operation_accepted, resource_accepted
from sendpool.api.exchange import Reply, Request
from sendpool.api.idempotency import once
from sendpool.api.paging import Listing
from sendpool.api.pool_bodies import read_added_senders, read_new_pool, read_pool_change, unknown_senders
from sendpool.api.problems import CONFLICT, not_found
from sendpool.api.query import Query
from sendpool.api.references import in_path, operation_in_path
from sendpool.api.schemas import encode, instant
from sendpool.api.senders import sender_filter, sender_page
from sendpool.domain import ids
from sendpool.domain.request import Problem, Refused
from sendpool.domain.states import OperationState
from sendpool.store import pools
from sendpool.store.admin_log import noting
from sendpool.store.database import Script
from sendpool.store.idempotency import Key, keep_key
from sendpool.store.pools import NewPool, PoolOperationRow, PoolRow, UnknownSenders
from sendpool.store.slices import Slice

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

_POOL = "sender pool"
#: Senders of one change that its note names.
_LISTED = 100
#: FAILED is a state that clients ask for; no operation of ours ends so.
_FAILED = 0
_STATES = {**{state.name: int(state) for state in OperationState}, "FAILED": _FAILED}


def _pool_uid(request: Request) -> bytes:
    return in_path(ids.POOL, request.path("pool_id"), _POOL)


def _shown(row: PoolRow) -> schemas.SenderPool:
    settings = msgspec.json.decode(row.settings)
    return schemas.SenderPool(
        id=ids.encode(ids.POOL, row.uid),
        name=row.name,
        tags=Raw(row.tags.encode()),
        created_at=instant(row.created_at),
        updated_at=instant(row.updated_at),
        category=settings.get("category", UNSET),
        fallback_after=settings.get("fallbackAfter", UNSET),
        duplicates=settings.get("duplicates", UNSET),
        open_outcome=settings.get("openOutcome", UNSET),
        preference=settings.get("preference", UNSET),
        grace=settings.get("grace", UNSET),
        reach=settings.get("reach", UNSET),
        countries=_shape(settings.get("countries"), schemas.PoolCountries),
        quiet_hours=_shape(settings.get("quietHours"), schemas.PoolQuietHours),
        health=_shape(settings.get("health"), schemas.PoolHealth),
    )


def _shape(value: object, shape: type[S]) -> S | UnsetType:
    """A setting that is an object, as it is shown."""
    return UNSET if value is None else msgspec.convert(value, shape)


def _operation(row: PoolOperationRow) -> schemas.SenderPoolOperation:
    return schemas.SenderPoolOperation(
        id=ids.operation_id(row.uid),
        status=OperationState(row.state).name,
        stats=schemas.SenderPoolOperationStats(
            total=row.total, queued=row.queued, created=row.created, failed=row.failed
        ),
        created_at=instant(row.created_at),
        updated_at=instant(row.updated_at),
    )


async def _write(
    request: Request,
    action: str,
    change: Callable[[int], Script[T]],
    pool: Callable[[T], bytes],
    **detail: object,
) -> T:
    """Carry out a change and note in the same commit who made it; *pool* knows the pool's uid by what that brought."""
    now = request.services.now()

    def noted() -> Script[T]:
        return noting(
            change(now), now, request.actor, action, lambda brought: ids.encode(ids.POOL, pool(brought)), **detail
        )

    return await request.services.write(noted)


async def post_pool(request: Request) -> Reply:
    """Make a pool."""
    body = await request.body()

    async def act(key: Key | None) -> bytes:
        return await _create(request, read_new_pool(body), key)

    operation_id = ids.operation_id(await once(request, body, act))
    collection = f"{request.base}/SenderPools"
    return operation_accepted(
        operation_id, f"{collection}/Operations/{operation_id}", f"{collection}?operationId={operation_id}"
    )


async def _create(request: Request, new: NewPool, key: Key | None) -> bytes:
    """Make a pool; the uid of its operation."""
    account = request.account_id
    try:
        created = await _write(
            request,
            "pool.created",
            lambda now: _keeping(pools.create_pool(account, new, now), lambda made: made.operation_uid, key, now),
            lambda made: made.pool_uid,
            name=new.name,
            senders=len(new.sender_uids),
        )
    except UnknownSenders as error:
        raise unknown_senders(error) from None
    return created.operation_uid


def _keeping(change: Script[T], made: Callable[[T], bytes | None], key: Key | None, now: int) -> Script[T]:
    """Carry out a change and keep its key in the same commit; *made* knows the operation's uid, if one was made."""
    brought = yield from change
    operation_uid = made(brought)
    if key is not None and operation_uid is not None:
        yield from keep_key(key, operation_uid, now)
    return brought


async def get_pools(request: Request) -> Reply:
    """List pools."""
    query = Query(request.scope["query_string"])
    operation_uid = query.operation("operationId", "operation_id")
    start, end = query.created()
    listing = Listing(request, "/SenderPools", query)
    page = listing.page()
    rows: list[PoolRow] = []
    if not query.matches_nothing:
        part = Slice(page.limit + 1, page.place, start, end)
        rows = await request.services.database.read(pools.list_pools(request.account_id, part, operation_uid))
    shown = rows[: page.limit]
    pagination = listing.pagination(page, shown[-1].uid if len(rows) > page.limit else None)
    return Reply(
        200, encode(schemas.SenderPoolPage(sender_pools=[_shown(row) for row in shown], pagination=pagination))
    )


async def get_pool(request: Request) -> Reply:
    """Fetch one pool."""
    found = await request.services.database.read(pools.fetch_pool(request.account_id, _pool_uid(request)))
    if found is None:
        raise not_found(_POOL)
    return Reply(200, encode(_shown(found.row)))


async def patch_pool(request: Request) -> Reply:
    """Change a pool's name, tags or settings."""
    uid = _pool_uid(request)
    change = read_pool_change(await request.body())
    given = {"name": change.name, "tags": change.tags, **change.settings}
    done = await _write(
        request,
        "pool.changed",
        lambda now: pools.update_pool(
            request.account_id, uid, now, name=change.name, tags=change.tags, settings=change.settings
        ),
        lambda _: uid,
        changed=[key for key in given if given[key] is not None or key in change.settings],
    )
    return await _changed(request, uid, done=done)


async def delete_pool(request: Request) -> Reply:
    """Delete a pool; its senders stay."""
    uid = _pool_uid(request)
    account = request.account_id
    done = await _write(request, "pool.deleted", lambda now: pools.delete_pool(account, uid, now), lambda _: uid)
    return await _changed(request, uid, done=done)


async def _changed(request: Request, uid: bytes, *, done: bool) -> Reply:
    if not done:
        raise await _unchangeable(request, uid)
    pool_id = ids.encode(ids.POOL, uid)
    return resource_accepted(pool_id, f"{request.base}/SenderPools/{pool_id}")


async def _unchangeable(request: Request, uid: bytes) -> Refused:
    """Why a pool was not changed: it does not exist, or it is the one that stands for all senders of the account."""
    if await request.services.database.read(pools.fetch_pool(request.account_id, uid)) is None:
        return not_found(_POOL)
    message = "this pool stands for all senders of the account and cannot be changed; make one of your own"
    return Refused(Problem(CONFLICT, message), status=409)


async def get_members(request: Request) -> Reply:
    """List the senders of a pool."""
    uid = _pool_uid(request)
    query = Query(request.scope["query_string"])
    wanted = sender_filter(query)
    start, end = query.created()
    listing = Listing(request, f"/SenderPools/{ids.encode(ids.POOL, uid)}/Senders", query)
    page = listing.page()
    part = Slice(page.limit + 1, page.place, start, end)
    rows = await request.services.database.read(pools.list_members(request.account_id, uid, wanted, part))
    if rows is None:
        raise not_found(_POOL)
    return sender_page(rows, listing, page)


async def post_members(request: Request) -> Reply:
    """Add senders to a pool."""
    uid = _pool_uid(request)
    body = await request.body()

    async def act(key: Key | None) -> bytes:
        return await _add(request, uid, *read_added_senders(body), key)

    operation_id = ids.operation_id(await once(request, body, act))
    members = f"{request.base}/SenderPools/{ids.encode(ids.POOL, uid)}/Senders"
    return operation_accepted(operation_id, f"{members}/Operations/{operation_id}", members)


async def _add(
    request: Request, uid: bytes, senders: Sequence[bytes], shares: Mapping[bytes, pools.Share], key: Key | None
) -> bytes:
    """Add senders to a pool; the uid of the operation."""
    account = request.account_id
    try:
        operation_uid = await _write(
            request,
            "pool.senders_added",
            lambda now: _keeping(pools.add_members(account, uid, senders, now, shares), lambda made: made, key, now),
            lambda _: uid,
            senders=[ids.encode(ids.SENDER, one) for one in senders[:_LISTED]],
            count=len(senders),
        )
    except UnknownSenders as error:
        raise unknown_senders(error) from None
    if operation_uid is None:
        raise await _unchangeable(request, uid)
    return operation_uid


async def delete_member(request: Request) -> Reply:
    """Take a sender out of a pool; the answer names the sender, which goes on to exist."""
    uid = _pool_uid(request)
    sender_uid = in_path(ids.SENDER, request.path("sender_id"), "sender")
    account = request.account_id
    sender_id = ids.encode(ids.SENDER, sender_uid)
    done = await _write(
        request,
        "pool.sender_removed",
        lambda now: pools.remove_member(account, uid, sender_uid, now),
        lambda _: uid,
        sender=sender_id,
    )
    if not done:
        raise not_found("sender in this pool")
    return resource_accepted(sender_id, f"{request.base}/Senders/{sender_id}")


async def get_operations(request: Request) -> Reply:
    """List the operations that changed pools."""
    query = Query(request.scope["query_string"])
    state = query.choice("status", _STATES)
    start, end = query.created()
    listing = Listing(request, "/SenderPools/Operations", query)
    page = listing.page()
    part = Slice(page.limit + 1, page.place, start, end)
    rows = await request.services.database.read(pools.list_operations(request.account_id, part, state))
    shown = rows[: page.limit]
    pagination = listing.pagination(page, shown[-1].uid if len(rows) > page.limit else None)
    body = schemas.SenderPoolOperationPage(operations=[_operation(row) for row in shown], pagination=pagination)
    return Reply(200, encode(body))


async def get_operation(request: Request) -> Reply:
    """Fetch one pool operation."""
    return await _fetch_operation(request, None)


async def get_member_operation(request: Request) -> Reply:
    """Fetch one operation of a pool; the same as `get_operation` under the path that adding senders answers."""
    return await _fetch_operation(request, _pool_uid(request))


async def _fetch_operation(request: Request, pool_uid: bytes | None) -> Reply:
    uid = operation_in_path(request.path("operation_id"))
    row = await request.services.database.read(pools.fetch_operation(request.account_id, uid, pool_uid))
    if row is None:
        raise not_found("operation")
    return Reply(200, encode(_operation(row)))
