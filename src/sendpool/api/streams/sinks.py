"""`/Sinks`: where events go."""

from __future__ import annotations

import re
import secrets

from sendpool.api.exchange import Reply, Request
from sendpool.api.problems import CONFLICT, not_found
from sendpool.api.streams.configuration import check_configuration, check_type
from sendpool.api.streams.forms import read_form
from sendpool.api.streams.pages import Paging
from sendpool.api.streams.shapes import Outcome, SinkSecret, encode, shown_sink
from sendpool.domain.delivery import SinkStatus
from sendpool.domain.request import Problem, Refused
from sendpool.domain.signing import SECRET_BYTES, spell_secret
from sendpool.store import sinks, subscriptions
from sendpool.store.admin_log import noting, record
from sendpool.store.database import Script
from sendpool.store.sinks import NewSink, SinkRow

_SINK = "sink"
SINK_SID = re.compile(r"DG[0-9a-fA-F]{32}")
#: Sinks of an account.
MOST_SINKS = 100


def sid_in_path(request: Request, name: str, pattern: re.Pattern[str], what: str) -> str:
    """A sid in the path, as it is stored. Raises Refused (404), also when it is malformed."""
    sid = request.path(name)
    if not pattern.fullmatch(sid):
        raise not_found(what)
    return sid[:2] + sid[2:].lower()


def _sid(request: Request) -> str:
    return sid_in_path(request, "sink_sid", SINK_SID, _SINK)


def _new_secret() -> str:
    return spell_secret(secrets.token_bytes(SECRET_BYTES))


async def post_sink(request: Request) -> Reply:
    """Make a sink. Its `SinkConfiguration` is JSON text."""
    form = await read_form(request)
    description = form.text("Description", required=True) or ""
    kind = check_type(form.text("SinkType", required=True), form.findings)
    configuration = check_configuration(kind, form.json("SinkConfiguration"), form.findings)
    form.findings.refuse()
    new = NewSink(f"DG{secrets.token_hex(16)}", description, kind, configuration, _new_secret())
    row = await request.services.write(lambda: _create(request, new))
    return Reply(201, encode(shown_sink(row, request.base)))


def _create(request: Request, new: NewSink) -> Script[SinkRow]:
    if (yield from subscriptions.count_sinks(request.account_id)) >= MOST_SINKS:
        raise Refused(Problem(CONFLICT, f"this account has {MOST_SINKS} sinks, which is the most"), status=409)
    now = request.services.now()
    row = yield from sinks.create_sink(request.account_id, new, request.services.key, now)
    yield from record(now, request.actor, "sink.created", row.sid)
    return row


async def get_sinks(request: Request) -> Reply:
    """List sinks; `Status` and `InUse` pick some."""
    paging = Paging(request, "/Sinks")
    used = {"true": True, "false": False}.get(paging.parameters.get("InUse", "").lower())
    status = paging.parameters.get("Status")
    key = request.services.key
    rows = await request.services.database.read(sinks.list_sinks(request.account_id, key, status=status, in_use=used))
    shown = [shown_sink(row, request.base) for row in paging.cut(rows)]
    return Reply(200, encode({"sinks": shown, "meta": paging.meta("sinks", len(rows))}))


async def get_sink(request: Request) -> Reply:
    """Fetch one sink."""
    services = request.services
    row = await services.database.read(sinks.find_sink(request.account_id, _sid(request), services.key))
    return _answer(row, request)


def _answer(row: SinkRow | None, request: Request) -> Reply:
    if row is None:
        raise not_found(_SINK)
    return Reply(200, encode(shown_sink(row, request.base)))


async def post_to_sink(request: Request) -> Reply:
    """Give a sink another description."""
    sid, services = _sid(request), request.services
    form = await read_form(request)
    description = form.text("Description", required=True) or ""
    form.findings.refuse()
    row = await services.write(
        lambda: sinks.describe_sink(request.account_id, sid, description, services.key, services.now())
    )
    return _answer(row, request)


async def delete_sink(request: Request) -> Reply:
    """Delete a sink that no subscription names."""
    sid, now = _sid(request), request.services.now()
    gone = await request.services.write(
        lambda: noting(
            sinks.delete_sink(request.account_id, sid, now), now, request.actor, "sink.deleted", lambda _: sid
        )
    )
    if gone is None:
        raise not_found(_SINK)
    if not gone:
        message = "a subscription names this sink; delete the subscription first, or give it another sink"
        raise Refused(Problem(CONFLICT, message), status=409)
    return Reply(204, b"")


async def test_sink(request: Request) -> Reply:
    """Send a test event to a sink, with a `test_id` in its data."""
    sid, services = _sid(request), request.services
    test_id = secrets.token_hex(17)
    row = await services.write(lambda: sinks.begin_test(request.account_id, sid, test_id, services.key, services.now()))
    if row is None:
        raise not_found(_SINK)
    return Reply(201, encode(Outcome(result="submitted")))


async def validate_sink(request: Request) -> Reply:
    """Say which `test_id` a sink got: the right one makes it active."""
    sid, services = _sid(request), request.services
    form = await read_form(request)
    given = form.text("TestId", required=True)
    form.findings.refuse()
    row = await services.database.read(sinks.find_sink(request.account_id, sid, services.key))
    if row is None:
        raise not_found(_SINK)
    if row.test_id is None or given != row.test_id:
        return Reply(201, encode(Outcome(result="invalid")))
    if row.status != SinkStatus.ACTIVE:
        await services.write(lambda: sinks.activate_sink(request.account_id, sid, services.key, services.now()))
    return Reply(201, encode(Outcome(result="valid")))


async def rotate_secret(request: Request) -> Reply:
    """Give a sink another secret, shown this once; the one before signs as well for a day."""
    sid, services, secret = _sid(request), request.services, _new_secret()
    now = services.now()
    row = await services.write(
        lambda: noting(
            sinks.rotate_secret(request.account_id, sid, secret, services.key, now),
            now,
            request.actor,
            "sink.secret-rotated",
            lambda _: sid,
        )
    )
    if row is None:
        raise not_found(_SINK)
    return Reply(201, encode(SinkSecret(sid=sid, secret=secret)))
