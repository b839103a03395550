"""Nobody sees or changes what another account has: every route of the table, asked by the wrong account.

A foreign id has to look exactly like one that nobody has. A route that is not told of here fails the first tests.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

import pytest
import uuid_utils

from sendpool.api.app import ROUTES, VERSIONS
from sendpool.domain import ids
from sendpool.domain.profile import Profile
from sendpool.domain.states import AttemptState
from sendpool.store.profiles import save_profiles

if TYPE_CHECKING:
    from tests.api.conftest import Answer, Client, World

NUMBER, MAILBOX = "+12034458910", "support@coolcompany.com"
TO = {"address": "+19143188062", "channel": "PHONE"}
TEMPLATE = {"friendly_name": "x", "language": "en", "types": {"twilio/text": {"body": "x"}}}
LETTER = {"subject": "Hello", "html": "<p>Hello</p>"}

#: What one account has, by the names below.
Owned = Mapping[str, str]

#: Which of these the parameters of paths are, by the first word of the path.
PARAMETERS = {
    ("Messages", "operation_id"): "operation",
    ("Messages", "message_id"): "message",
    ("Messages", "message_sid"): "attempt",
    ("Emails", "operation_id"): "email_operation",
    ("Emails", "email_id"): "email",
    ("Content", "content_sid"): "template",
    ("Senders", "sender_id"): "sender",
    ("SenderPools", "operation_id"): "pool_operation",
    ("SenderPools", "pool_id"): "pool",
    ("SenderPools", "sender_id"): "sender",
    ("Sinks", "sink_sid"): "sink",
    ("Subscriptions", "subscription_sid"): "subscription",
}
#: Parameters that name what every account has.
COMMON = {"type": "com.twilio.comms-api.message.sent", "schema_id": "CommsApi.MessageSent", "version": "4"}

#: Queries that name something, for every list that a path without ids answers.
QUERIES: Mapping[str, Sequence[str]] = {
    "/Messages": (
        "operationId={operation}",
        "operation_id={operation}",
        "operationId={email_operation}",
        "profile={profile}",
    ),
    "/Messages/Operations": (),
    "/Emails": ("operationId={email_operation}", "operationId={operation}"),
    "/Emails/Operations": (),
    "/Content": (),
    "/Senders": (),
    "/SenderPools": ("operationId={pool_operation}",),
    "/SenderPools/Operations": (),
    "/Events": (),
    "/Sinks": (),
    "/Subscriptions": ("SinkSid={sink}",),
    "/Types": (),
}


class Form(dict[str, str]):
    """A body that is sent as a form."""


SINK = Form(Description="x", SinkType="webhook", SinkConfiguration='{"destination": "https://sink.example/"}')
SUBSCRIBED = '{"type": "com.twilio.comms-api.message.sent"}'


def _no_body(_: Owned) -> list[Any]:
    return [None]


#: Routes that take none.
BODILESS = (
    "POST /Messages/Operations/{operation_id}/Resume",
    "POST /Emails/Operations/{operation_id}/Resume",
    "POST /Messages/Operations/{operation_id}/Cancel",
    "POST /Messages/{message_id}/Cancel",
    "POST /Emails/Operations/{operation_id}/Cancel",
    "POST /Emails/{email_id}/Cancel",
)

#: Bodies that name something, for every route that takes one.
BODIES: Mapping[str, Callable[[Owned], list[Any]]] = {
    "POST /Messages": lambda own: (
        [
            {"from": origin, "to": [TO], "content": {"text": "x"}}
            for origin in ({"senderId": own["sender"]}, {"senderPoolId": own["pool"]})
        ]
        + [
            {"to": [recipient], "content": {"text": "x"}}
            for recipient in (
                {"profileId": own["profile"]},
                {"profileId": own["profile"], "memoryStoreId": own["store"]},
            )
        ]
    ),
    **dict.fromkeys(BODILESS, _no_body),
    "POST /Sinks": lambda own: [SINK],
    "POST /Sinks/{sink_sid}": lambda own: [Form(Description="taken over")],
    "POST /Sinks/{sink_sid}/Test": _no_body,
    "POST /Sinks/{sink_sid}/Validate": lambda own: [Form(TestId="0")],
    "POST /Sinks/{sink_sid}/Secret": _no_body,
    "POST /Subscriptions": lambda own: [Form(Description="x", SinkSid=own["sink"], Types=SUBSCRIBED)],
    "POST /Subscriptions/{subscription_sid}": lambda own: [Form(SinkSid=own["sink"])],
    "POST /Subscriptions/{subscription_sid}/SubscribedEvents": lambda own: [Form(Type=COMMON["type"])],
    "POST /Subscriptions/{subscription_sid}/SubscribedEvents/{type}": lambda own: [Form(SchemaVersion="4")],
    "POST /Content": lambda own: [TEMPLATE],
    "PUT /Content/{content_sid}": lambda own: [{**TEMPLATE, "friendly_name": "taken over"}],
    "POST /Emails": lambda own: [{"from": {"address": MAILBOX}, "to": [{"address": "a@b.test"}], "content": LETTER}],
    "POST /Emails/Search": lambda own: [{"operationId": own["email_operation"]}, {"address": "ana@example.test"}],
    "POST /Senders/Search": lambda own: [{"address": NUMBER, "channel": "SMS"}],
    "POST /Senders/Resolve": lambda own: [
        {"recipientAddresses": [TO], "senderPoolId": own["pool"]},
        {"recipientAddresses": [TO]},
    ],
    "POST /SenderPools": lambda own: [{"name": "x", "senders": [{"senderId": own["sender"]}]}],
    "PATCH /SenderPools/{pool_id}": lambda own: [{"name": "taken over"}],
    "POST /SenderPools/{pool_id}/Rehearsal": lambda own: [{"to": [TO], "content": {"text": "x"}}],
    "POST /SenderPools/{pool_id}/Senders": lambda own: [[{"senderId": own["sender"]}], {"senderId": own["sender"]}],
}


class Ask(NamedTuple):
    """One request."""

    method: str
    target: str
    body: Any = None

    async def by(self, client: Client) -> Answer:
        if self.body is None:
            return await client.request(self.method, self.target)
        if isinstance(self.body, Form):
            kind = {"content-type": "application/x-www-form-urlencoded"}
            return await client.request(self.method, self.target, urlencode(self.body).encode(), headers=kind)
        return await client.post(self.target, self.body, method=self.method)


def parameters(path: str) -> list[str]:
    """What the parameters of a path are, in order."""
    names = re.findall(r"\{(\w+)\}", path)
    return [PARAMETERS[path.split("/")[1], name] for name in names if name not in COMMON]


def filled(version: str, path: str, values: Sequence[str]) -> str:
    left = iter(values)
    return f"/{version}" + re.sub(r"\{(\w+)\}", lambda found: COMMON.get(found[1]) or next(left), path)


def routes() -> Iterator[tuple[str, str]]:
    """(method, path) of every route."""
    return ((method, path) for path, handlers in ROUTES.items() for method in handlers)


def asks(version: str, method: str, path: str, foreign: Owned, own: Owned) -> Iterator[Ask]:
    """Every way to ask a route for something *foreign*, the rest being one's own."""
    names = parameters(path)
    bodies = BODIES.get(f"{method} {path}", _no_body)
    queries = ["", *QUERIES.get(path, ())] if method == "GET" else [""]
    for whose in itertools.product((foreign, own), repeat=len(names)):
        target = filled(version, path, [owner[name] for owner, name in zip(whose, names, strict=True)])
        for query, body in itertools.product(queries, bodies(foreign)):
            # With only one's own ids in the path the body may have nothing foreign either.
            if foreign in whose or not names or any(one in json.dumps(body) for one in foreign.values()):
                yield Ask(method, target + _query(query, foreign), body)
        if foreign in whose:
            yield from (Ask(method, target, body) for body in bodies(own))


def _query(query: str, owned: Owned) -> str:
    return f"?{query.format_map(owned)}" if query else ""


def unknown_like(one: str) -> str:
    """An id of the same kind that nobody has."""
    uid = ids.clear(uuid_utils.uuid7().bytes)
    if one.startswith("SM"):
        return ids.attempt_id(uid, 0, 1)
    if one.startswith(("HX", "DG", "DF")):
        return one[:2] + uuid_utils.uuid4().hex
    return ids.encode(one.rpartition("_")[0], uid)


def content(answer: Answer) -> Any:
    """What an answer says, without the tokens of its pages, which may hold what was asked for."""
    said = json.loads(answer.body) if answer.body else {}
    if isinstance(said, dict):
        said.pop("pagination", None)
        said.pop("after", None)
        said.pop("meta", None)
    return said


class Tenants(NamedTuple):
    """Two accounts that have the same things under ids of their own."""

    world: World
    mine: Client
    theirs: Client
    my: Owned
    their: Owned


@pytest.fixture
async def tenants(migrated: Path, tmp_path: Path) -> AsyncIterator[Tenants]:
    from tests.api.conftest import CONNECTIONS, declare, microseconds, running

    async with running(migrated, tmp_path) as world:
        await world.engine.change(lambda: declare(world.accounts[1].id, CONNECTIONS, microseconds()))
        # Two of everything, so that lists have a second page.
        for number in (0, 1):
            await fill(world, number)
        my, their = await fill(world, 0), await fill(world, 1)
        assert not set(my.values()) & set(their.values())
        yield Tenants(world, world.client, world.other, my, their)


async def fill(world: World, number: int) -> Owned:
    """Give an account one of everything; brings the ids."""
    client = (world.client, world.other)[number]
    profile, store = [ids.encode(kind, uuid_utils.uuid7().bytes) for kind in ("mem_profile", "mem_store")]
    person = Profile(profile, store, [(TO["address"], "P")], {"firstName": "Ana"})
    await world.write(save_profiles(world.accounts[number].id, [person], 1))
    sender = (await client.senders())[NUMBER]
    pool = await client.pool_of(NUMBER)
    added = await client.post(f"/v1/SenderPools/{pool}/Senders", [{"senderId": sender}])
    recipient = {"profileId": profile, "memoryStoreId": store}
    operation = await client.sent(origin={"senderPoolId": pool}, to=[recipient])
    await world.tried(operation, 1, NUMBER, AttemptState.ACCEPTED)
    letter = {"from": {"address": MAILBOX}, "to": [{"address": "ana@example.test"}], "content": LETTER}
    mailed = (await client.post("/v1/Emails", letter)).json["operationId"]
    uid, mail = ids.parse_operation(operation), ids.parse_operation(mailed)
    assert uid is not None
    assert mail is not None
    kind = {"content-type": "application/x-www-form-urlencoded"}
    sink = (await client.request("POST", "/v1/Sinks", urlencode(SINK).encode(), headers=kind)).json["sid"]
    wanted = urlencode({"Description": "x", "SinkSid": sink, "Types": SUBSCRIBED}).encode()
    subscription = (await client.request("POST", "/v1/Subscriptions", wanted, headers=kind)).json["sid"]
    return {
        "sink": sink,
        "subscription": subscription,
        "template": (await client.post("/v1/Content", TEMPLATE)).json["sid"],
        "profile": profile,
        "store": store,
        "sender": sender,
        "pool": pool,
        "pool_operation": added.json["operationId"],
        "operation": operation,
        "message": ids.message_id(uid, 0),
        "attempt": ids.attempt_id(uid, 0, 1),
        "email_operation": mailed,
        "email": ids.message_id(mail, 0, ids.EMAIL),
    }


async def everything(client: Client, own: Owned) -> dict[str, Any]:
    """All that an account can read of its own."""
    return {
        ask.target: content(await ask.by(client))
        for method, path in routes()
        if method == "GET"
        for ask in asks("v1", method, path, own, own)
    }


def test_every_parameter_of_a_path_is_known_here() -> None:
    for _, path in routes():
        assert all(parameters(path)) or "{" not in path


def test_every_list_and_every_body_is_known_here() -> None:
    lists = {path for method, path in routes() if method == "GET" and "{" not in path}
    bodies = {f"{method} {path}" for method, path in routes() if method in ("POST", "PATCH", "PUT")}

    assert lists == QUERIES.keys(), "say which of its parameters name something"
    assert bodies <= BODIES.keys(), "say which bodies name something"


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_another_account_has_looks_unknown_and_stays_as_it_is(version: str, tenants: Tenants) -> None:
    unknown = {name: unknown_like(one) for name, one in tenants.my.items()}
    before = await everything(tenants.mine, tenants.my)

    for method, path in routes():
        foreign = asks(version, method, path, tenants.my, tenants.their)
        nobodys = asks(version, method, path, unknown, tenants.their)
        for ask, same in zip(foreign, nobodys, strict=True):
            answer, wanted = await ask.by(tenants.theirs), await same.by(tenants.theirs)

            assert (answer.status, content(answer)) == (wanted.status, _like(content(wanted), answer)), ask
            if any(one in ask.target.partition("?")[0] for one in tenants.my.values()):
                assert answer.status == 404, ask
            for one in tenants.my.values():
                assert one not in json.dumps(content(answer)), ask
                assert one not in answer.headers.get("location", ""), ask

    assert await everything(tenants.mine, tenants.my) == before


def _like(wanted: Any, answer: Answer) -> Any:
    """What was wanted, with the ids and times of what this answer has just made."""
    return content(answer) if answer.status in (201, 202) else wanted


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_page_token_of_another_account_shows_nothing_of_it(version: str, tenants: Tenants) -> None:
    followed = 0
    for method, path in routes():
        if method != "GET":
            continue
        first = await tenants.mine.get(filled(version, path, [tenants.my[n] for n in parameters(path)]) + "?pageSize=1")
        token = first.json["pagination"]["next"] if first.status == 200 and "pagination" in first.json else None
        if token is None:
            continue
        target = filled(version, path, [tenants.their[name] for name in parameters(path)])
        answer = await tenants.theirs.get(f"{target}?pageSize=1000&pageToken={token}")

        followed += 1
        assert answer.status in (200, 400), path
        assert not any(one in json.dumps(content(answer)) for one in tenants.my.values()), path
    assert followed >= 7


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_same_requests_serve_the_account_itself(version: str, tenants: Tenants) -> None:
    order = ("GET", "POST", "PATCH", "PUT", "DELETE")

    for method, path in sorted(routes(), key=lambda route: (order.index(route[0]), -route[1].count("/"))):
        for ask in asks(version, method, path, tenants.my, tenants.my):
            answer = await ask.by(tenants.mine)
            if method == "DELETE" and answer.status == 404:
                continue  # Asked a second time.
            # 409: it is known, and not in the state for it.
            assert answer.status < 400 or answer.status == 409, (ask, answer)
            if method == "GET" and answer.status == 200 and "{" not in path and "?" not in ask.target:
                assert any(content(answer).values()), ask


async def test_an_idempotency_key_of_another_account_is_a_new_key(tenants: Tenants) -> None:
    body = {"to": [TO], "content": {"text": "x"}}
    headers = {"idempotency-key": "the-same"}

    mine, again, theirs = [
        await client.post("/v1/Messages", body, headers=headers)
        for client in (tenants.mine, tenants.mine, tenants.theirs)
    ]

    assert (mine.status, again.status, theirs.status) == (202, 202, 202)
    assert mine.json["operationId"] == again.json["operationId"] != theirs.json["operationId"]
    other = await tenants.theirs.post("/v1/Messages", {**body, "tags": {"a": "b"}}, headers={"idempotency-key": "mine"})
    assert other.status == 202
    assert (await tenants.mine.post("/v1/Messages", body, headers={"idempotency-key": "mine"})).status == 202
