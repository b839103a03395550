"""`/Subscriptions`: which types of events go to which sink."""

from __future__ import annotations

import re
import secrets
from typing import Any

from sendpool.api.exchange import Reply, Request
from sendpool.api.problems import Findings, not_found
from sendpool.api.streams.forms import Form, read_form
from sendpool.api.streams.pages import Paging
from sendpool.api.streams.shapes import encode, shown_subscription, shown_type
from sendpool.api.streams.sinks import SINK_SID, sid_in_path
from sendpool.domain.event_types import KINDS
from sendpool.domain.request import Problem, Refused
from sendpool.store import sinks, subscriptions
from sendpool.store.admin_log import record
from sendpool.store.database import Script
from sendpool.store.subscriptions import SubscribedType, SubscriptionRow

_SUBSCRIPTION = "subscription"
_SID = re.compile(r"DF[0-9a-fA-F]{32}")


def _sid(request: Request) -> str:
    return sid_in_path(request, "subscription_sid", _SID, _SUBSCRIPTION)


def _find(request: Request) -> Script[SubscriptionRow]:
    """The subscription in the path. Raises Refused (404)."""
    row = yield from subscriptions.find_subscription(request.account_id, _sid(request))
    if row is None:
        raise not_found(_SUBSCRIPTION)
    return row


def _sink_id(request: Request, sid: str) -> Script[int]:
    """The key of a sink of the account. Raises Refused (400)."""
    row = yield from sinks.find_sink(request.account_id, sid[:2] + sid[2:].lower(), request.services.key)
    if row is None:
        raise Refused(Problem(20404, "there is no such sink in this account; GET /Sinks lists yours", "SinkSid"))
    return row.id


def _read_sink_sid(form: Form, *, required: bool) -> str | None:
    sid = form.text("SinkSid", required=required)
    if sid is not None and not SINK_SID.fullmatch(sid):
        form.findings.add("SinkSid must be DG and 32 hexadecimal digits", "SinkSid")
    return sid


# ---------------------------------------------------------------- types in a request


def _check_version(version: Any, name: str, findings: Findings, context: str) -> int:
    """A version of a type's schema: any that there has been; events are told in the latest."""
    latest = KINDS[name].version
    if version is None:
        return latest
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= latest:
        findings.add(f"schema_version of {name} must be 1 to {latest}", context)
        return latest
    return version


def _check_name(name: object, findings: Findings, context: str) -> str | None:
    if isinstance(name, str) and name in KINDS:
        return name
    findings.add("there is no such type of event; GET /Types lists those there are", context)
    return None


def _read_types(form: Form) -> list[SubscribedType]:
    found: dict[str, SubscribedType] = {}
    for place, entry in enumerate(form.json_list("Types")):
        context = f"Types[{place}]"
        if not isinstance(entry, dict):
            form.findings.add('each of Types must be a JSON object like {"type": "...", "schema_version": 2}', context)
            continue
        name = _check_name(entry.get("type"), form.findings, context)
        if name is not None:
            version = _check_version(entry.get("schema_version"), name, form.findings, context)
            found[name] = SubscribedType(name, version)
    return list(found.values())


# ---------------------------------------------------------------- subscriptions


async def post_subscription(request: Request) -> Reply:
    """Subscribe a sink to types. Each of `Types` is a JSON object with `type` and perhaps `schema_version`."""
    form = await read_form(request)
    description = form.text("Description", required=True) or ""
    sink_sid = _read_sink_sid(form, required=True) or ""
    types = _read_types(form)
    form.findings.refuse()
    row, account_sid = await request.services.write(lambda: _create(request, description, sink_sid, types))
    return Reply(201, encode(shown_subscription(row, account_sid, request.base)))


def _create(
    request: Request, description: str, sink_sid: str, types: list[SubscribedType]
) -> Script[tuple[SubscriptionRow, str]]:
    now, sid = request.services.now(), f"DF{secrets.token_hex(16)}"
    sink_id = yield from _sink_id(request, sink_sid)
    row = yield from subscriptions.create_subscription(request.account_id, sid, sink_id, description, types, now)
    yield from record(now, request.actor, "subscription.created", sid, sink=row.sink_sid)
    return row, (yield from subscriptions.account_sid(request.account_id))


async def get_subscriptions(request: Request) -> Reply:
    """List subscriptions; `SinkSid` picks those of one sink."""
    paging = Paging(request, "/Subscriptions")
    sink_sid = paging.parameters.get("SinkSid")
    if sink_sid is not None and not SINK_SID.fullmatch(sink_sid):
        raise Refused(Problem(60701, "SinkSid must be DG and 32 hexadecimal digits", "SinkSid"))
    wanted = sink_sid and sink_sid[:2] + sink_sid[2:].lower()
    rows, account_sid = await request.services.database.read(_list(request, wanted))
    shown = [shown_subscription(row, account_sid, request.base) for row in paging.cut(rows)]
    return Reply(200, encode({"subscriptions": shown, "meta": paging.meta("subscriptions", len(rows))}))


def _list(request: Request, sink_sid: str | None) -> Script[tuple[list[SubscriptionRow], str]]:
    rows = yield from subscriptions.list_subscriptions(request.account_id, sink_sid)
    return rows, (yield from subscriptions.account_sid(request.account_id))


def _with_account(request: Request) -> Script[tuple[SubscriptionRow, str]]:
    row = yield from _find(request)
    return row, (yield from subscriptions.account_sid(request.account_id))


async def get_subscription(request: Request) -> Reply:
    """Fetch one subscription."""
    row, account_sid = await request.services.database.read(_with_account(request))
    return Reply(200, encode(shown_subscription(row, account_sid, request.base)))


async def post_to_subscription(request: Request) -> Reply:
    """Give a subscription another description, or another sink."""
    _sid(request)
    form = await read_form(request)
    description = form.text("Description")
    sink_sid = _read_sink_sid(form, required=False)
    form.findings.refuse()

    def change() -> Script[tuple[SubscriptionRow, str]]:
        row = yield from _find(request)
        sink_id = None if sink_sid is None else (yield from _sink_id(request, sink_sid))
        now = request.services.now()
        yield from subscriptions.change_subscription(row, now, description=description, sink_id=sink_id)
        return (yield from _with_account(request))

    row, account_sid = await request.services.write(change)
    return Reply(200, encode(shown_subscription(row, account_sid, request.base)))


async def delete_subscription(request: Request) -> Reply:
    """End a subscription."""

    def change() -> Script[None]:
        row = yield from _find(request)
        now = request.services.now()
        yield from subscriptions.delete_subscription(row, now)
        yield from record(now, request.actor, "subscription.deleted", row.sid)

    await request.services.write(change)
    return Reply(204, b"")


# ---------------------------------------------------------------- subscribed events


def _types(request: Request) -> Script[tuple[SubscriptionRow, str, list[SubscribedType]]]:
    row, account_sid = yield from _with_account(request)
    return row, account_sid, (yield from subscriptions.list_types(row))


async def get_subscribed(request: Request) -> Reply:
    """List the types that a subscription asks for."""
    row, account_sid, types = await request.services.database.read(_types(request))
    paging = Paging(request, f"/Subscriptions/{row.sid}/SubscribedEvents")
    shown = [shown_type(one, row, account_sid, request.base) for one in paging.cut(types)]
    return Reply(200, encode({"types": shown, "meta": paging.meta("types", len(types))}))


async def get_subscribed_type(request: Request) -> Reply:
    """Fetch one of them."""
    row, account_sid, types = await request.services.database.read(_types(request))
    for one in types:
        if one.type == request.path("type"):
            return Reply(200, encode(shown_type(one, row, account_sid, request.base)))
    raise not_found("type in this subscription")


async def post_subscribed(request: Request) -> Reply:
    """Ask for one more type."""
    form = await read_form(request)
    name = form.text("Type", required=True)
    checked = None if name is None else _check_name(name, form.findings, "Type")
    return await _put(request, form, checked, 201)


async def post_to_subscribed_type(request: Request) -> Reply:
    """Ask for another version of a type's schema."""
    form = await read_form(request)
    await get_subscribed_type(request)  # 404 where it is not subscribed to.
    return await _put(request, form, request.path("type"), 200)


async def _put(request: Request, form: Form, name: str | None, status: int) -> Reply:
    version = form.number("SchemaVersion")
    if name is not None:
        version = _check_version(version, name, form.findings, "SchemaVersion")
    form.findings.refuse()
    assert name is not None
    one = SubscribedType(name, version or 1)

    def change() -> Script[tuple[SubscriptionRow, str]]:
        row, account_sid = yield from _with_account(request)
        yield from subscriptions.put_type(row, one, request.services.now())
        return row, account_sid

    row, account_sid = await request.services.write(change)
    return Reply(status, encode(shown_type(one, row, account_sid, request.base)))


async def delete_subscribed_type(request: Request) -> Reply:
    """Ask for a type no longer. One without types gets nothing."""
    name = request.path("type")

    def change() -> Script[None]:
        row, _, types = yield from _types(request)
        if name not in {one.type for one in types}:
            raise not_found("type in this subscription")
        yield from subscriptions.drop_type(row, name, request.services.now())

    await request.services.write(change)
    return Reply(204, b"")
