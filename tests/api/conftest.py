"""The API on a real store and a real engine, called in the process so that a test can send any bytes at all."""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import jsonschema_rs
import msgspec
import pytest
from sqlalchemy import insert, select, update
from starlette.types import ASGIApp

from sendpool.api.app import create_app
from sendpool.api.auth import Accounts
from sendpool.api.services import Services
from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.domain import ids
from sendpool.domain.sender import Channel
from sendpool.domain.states import AttemptState
from sendpool.metrics import Metrics
from sendpool.pipeline.cancel import cancel
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.explain import explain_message
from sendpool.pipeline.outlook import Outlook
from sendpool.pipeline.rehearse import rehearse
from sendpool.pipeline.roster import load_roster
from sendpool.pipeline.turn import Turn
from sendpool.store.accounts import Account, ensure_first_account
from sendpool.store.database import Script
from sendpool.store.migrate import migrate
from sendpool.store.numbers import take_block
from sendpool.store.pools import ensure_hidden_pools
from sendpool.store.senders import store_inventory
from sendpool.store.sqlite import Sqlite
from sendpool.store.tables import account, attempt, message, operation, sender

CONTRACT = Path(__file__).parents[1] / "contract" / "openapi.yaml"

SID, TOKEN = "AC" + "1" * 32, "first-token"
PHONE = {"address": "+19143188062", "channel": "PHONE"}
#: The sender of emails, and something for it to say.
MAILBOX = "support@coolcompany.com"
LETTER = {"subject": "Hello", "html": "<p>Hello, <b>World</b>!</p>"}
OTHER_SID, OTHER_TOKEN = "AC" + "2" * 32, "other-token"


class Answer(NamedTuple):
    """What the app answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def contexts(self) -> list[str | None]:
        return [error.get("context") for error in self.json["errors"]]

    @property
    def codes(self) -> list[int]:
        return [error["code"] for error in self.json["errors"]]


def basic(sid: str, token: str) -> bytes:
    return b"Basic " + base64.b64encode(f"{sid}:{token}".encode())


class Client:
    """Calls an ASGI app with exactly the bytes given."""

    def __init__(self, app: ASGIApp, authorization: bytes | None = basic(SID, TOKEN)) -> None:
        self.app = app
        self.authorization = authorization

    def as_account(self, sid: str, token: str) -> Client:
        return Client(self.app, basic(sid, token))

    async def request(
        self,
        method: str,
        target: str | bytes,
        body: bytes = b"",
        *,
        headers: Mapping[str, str | bytes] | None = None,
        chunks: list[bytes] | None = None,
        scope: Mapping[str, Any] | None = None,
    ) -> Answer:
        raw = target if isinstance(target, bytes) else target.encode()
        path, _, query = raw.partition(b"?")
        sent: dict[bytes, bytes] = {b"host": b"localhost:8080"}
        if self.authorization is not None:
            sent[b"authorization"] = self.authorization
        for name, value in (headers or {}).items():
            sent[name.lower().encode()] = value if isinstance(value, bytes) else value.encode("latin-1")
        whole: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": _unquoted(path),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": list(sent.items()),
            "server": ("127.0.0.1", 8080),
            "client": ("127.0.0.1", 50000),
        }
        whole.update(scope or {})
        return await _exchange(self.app, whole, [body] if chunks is None else chunks)

    async def get(self, target: str | bytes, **options: Any) -> Answer:
        return await self.request("GET", target, **options)

    async def delete(self, target: str | bytes, **options: Any) -> Answer:
        return await self.request("DELETE", target, **options)

    async def post(self, target: str, value: Any, method: str = "POST", **options: Any) -> Answer:
        headers = {"content-type": "application/json", **options.pop("headers", {})}
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return await self.request(method, target, body, headers=headers, **options)

    async def patch(self, target: str, value: Any) -> Answer:
        return await self.post(target, value, method="PATCH")

    async def sent(self, *, version: str = "v1", origin: Any = None, **changes: Any) -> str:
        """Send and return the operation's id; *origin* is the request's `from`."""
        body = {"to": [PHONE], "content": {"text": "Hi"}, **changes}
        if origin is not None:
            body["from"] = origin
        answer = await self.post(f"/{version}/Messages", body)
        assert answer.status == 202, answer.body
        operation_id: str = answer.json["operationId"]
        return operation_id

    async def mailed(self, *, version: str = "v1", origin: Any = None, **changes: Any) -> str:
        """Send emails and return the operation's id; *origin* is the request's `from`."""
        body = {"from": origin or {"address": MAILBOX}, "to": [{"address": "ana@example.test"}], "content": LETTER}
        answer = await self.post(f"/{version}/Emails", {**body, **changes})
        assert answer.status == 202, answer.body
        operation_id: str = answer.json["operationId"]
        return operation_id

    async def mails(self, query: str = "", version: str = "v1") -> list[dict[str, Any]]:
        """A page of emails."""
        answer = await self.get(f"/{version}/Emails{query}")
        assert answer.status == 200, answer.body
        found: list[dict[str, Any]] = answer.json["emails"]
        return found

    async def listed(self, query: str = "", version: str = "v1") -> list[dict[str, Any]]:
        """A page of messages."""
        answer = await self.get(f"/{version}/Messages{query}")
        assert answer.status == 200, answer.body
        found: list[dict[str, Any]] = answer.json["messages"]
        return found

    async def senders(self) -> dict[str, str]:
        """Ids of the senders by address."""
        return {one["address"]: one["id"] for one in (await self.get("/v1/Senders")).json["senders"]}

    async def pool_of(self, *addresses: str) -> str:
        """Make a pool of these senders; its id."""
        known = await self.senders()
        body = {"name": "pool", "senders": [{"senderId": known[address]} for address in addresses]}
        created = await self.post("/v1/SenderPools", body)
        found = await self.get(f"/v1/SenderPools?operationId={created.json['operationId']}")
        pool_id: str = found.json["senderPools"][0]["id"]
        return pool_id


def _unquoted(path: bytes) -> str:
    return unquote(path.decode("latin-1"))


async def _exchange(app: ASGIApp, scope: dict[str, Any], chunks: list[bytes]) -> Answer:
    events = [
        {"type": "http.request", "body": chunk, "more_body": i < len(chunks) - 1} for i, chunk in enumerate(chunks)
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return events.pop(0) if events else {"type": "http.disconnect"}

    async def send(event: Any) -> None:
        sent.append(event)

    await app(scope, receive, send)
    assert [event["type"] for event in sent] == ["http.response.start", "http.response.body"]
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], headers, sent[1]["body"])


class World(NamedTuple):
    """A server in a process, with two accounts and the senders of the first."""

    client: Client
    engine: Engine
    services: Services
    accounts: tuple[Account, Account]

    @property
    def other(self) -> Client:
        return self.client.as_account(OTHER_SID, OTHER_TOKEN)

    async def write(self, script: Script[Any]) -> Any:
        return await self.engine.database.write(script)

    async def change(self, operation_id: str, index: int, *, address: str | None = None, **values: Any) -> None:
        """Change a message's row as the pipeline would; *address* binds it to a sender."""
        await self.write(_change(operation_id, index, address, values))

    async def tried(self, operation_id: str, n: int, address: str, state: AttemptState, **values: Any) -> None:
        """Write an attempt as the pipeline would."""
        await self.write(_tried(operation_id, n, address, {"state": int(state), **values}))

    async def deactivate(self, address: str) -> None:
        """Switch the sender off, as an inventory without it would."""
        await self.write(_deactivate(address))


def _deactivate(address: str) -> Script[None]:
    yield update(sender).where(sender.c.address == address).values(active=0)


def _change(operation_id: str, index: int, address: str | None, values: dict[str, Any]) -> Script[None]:
    uid = ids.parse_operation(operation_id)
    ((key, account_id),) = yield select(operation.c.id, operation.c.account_id).where(operation.c.uid == uid)
    if address is not None:
        ((values["sender_id"],),) = yield select(sender.c.id).where(
            sender.c.account_id == account_id, sender.c.address == address
        )
    if values:
        yield update(message).where(message.c.id == key + index).values(**values)


def _tried(operation_id: str, n: int, address: str, values: dict[str, Any]) -> Script[None]:
    uid = ids.parse_operation(operation_id)
    ((key, account_id),) = yield select(operation.c.id, operation.c.account_id).where(operation.c.uid == uid)
    columns = sender.c
    ((sender_id, connection_id, channel),) = yield select(columns.id, columns.connection_id, columns.channel).where(
        columns.account_id == account_id, columns.address == address
    )
    row = {
        "id": key * 64 + n,
        "sender_id": sender_id,
        "connection_id": connection_id,
        "channel": channel,
        "segments": 1,
        "reference": 0,
        "marks": 0,
        "started_at": 1_800_000_000_000_000 + n,
        "updated_at": 1_800_000_001_000_000,
    }
    yield insert(attempt).values(**{**row, **values})


#: Two numbers and an agent on one connection, a WhatsApp number and an email address on another.
CONNECTIONS = (
    ConnectionSettings(
        name="carrier-a",
        type="sandbox",
        senders=(
            SenderSettings(channel=Channel.SMS, address="+12034458910", display_name="Cool Support", mps=10.0),
            SenderSettings(channel=Channel.SMS, address="+12034458911"),
            SenderSettings(channel=Channel.RCS, address="coolsupport_x12gb_agent"),
        ),
    ),
    ConnectionSettings(
        name="carrier-b",
        type="sandbox",
        senders=(
            SenderSettings(channel=Channel.WHATSAPP, address="+12034458912"),
            SenderSettings(channel=Channel.EMAIL, address=MAILBOX),
        ),
    ),
)


def declare(account_id: int, connections: tuple[ConnectionSettings, ...], now: int) -> Script[None]:
    yield from store_inventory(account_id, connections, now)
    yield from ensure_hidden_pools(account_id, now)


def _second_account(now: int) -> Script[Account]:
    yield insert(account).values(id=2, sid=OTHER_SID, name="", auth_token="", created_at=now)
    return Account(id=2, sid=OTHER_SID, auth_token=OTHER_TOKEN)


def microseconds() -> int:
    return time.time_ns() // 1000


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "sendpool.db"
    migrate(path)
    return path


@asynccontextmanager
async def running(migrated: Path, folder: Path) -> AsyncIterator[World]:
    """A server on a store of its own."""
    path = folder / "sendpool.db"
    shutil.copyfile(migrated, path)
    database = Sqlite(path)
    now = microseconds()
    first = await database.write(ensure_first_account(SID, TOKEN, b"k" * 32, now))
    second = await database.write(_second_account(now))
    await database.write(declare(first.id, CONNECTIONS, now))
    await database.write(declare(second.id, (), now))
    engine = Engine(database, Metrics())
    engine.use_roster(await database.read(load_roster()))
    engine.acceptor.numbers.add(await database.write(take_block()))
    engine.start()
    outlook = Outlook(engine)
    services = Services(
        database=database,
        write=engine.change,
        accept=outlook.accept,
        ask=Turn(engine, outlook).ask,
        cancel=partial(cancel, engine),
        explain=partial(explain_message, engine),
        rehearse=partial(rehearse, engine),
        has_pool=engine.has_pool,
        pairs=engine.pairs,
        accounts=Accounts([first, second]),
        key=b"k" * 32,
        now=microseconds,
        ready=lambda: True,
        metrics=engine.metrics.render,
        max_body=2 * 1024 * 1024,
    )
    yield World(Client(create_app(services)), engine, services, (first, second))
    await engine.stop()
    await database.close()


@pytest.fixture
async def world(migrated: Path, tmp_path: Path) -> AsyncIterator[World]:
    async with running(migrated, tmp_path) as world:
        yield world


@pytest.fixture
def client(world: World) -> Client:
    return world.client


@pytest.fixture(scope="module")
async def still(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A client of a server that no test changes."""
    async with running(migrated, tmp_path_factory.mktemp("still")) as world:
        yield world.client


@pytest.fixture(scope="session")
def conforms() -> Callable[[Any, str], None]:
    """Check a value against a schema of the contract, by name."""
    document = msgspec.yaml.decode(CONTRACT.read_bytes())
    validators: dict[str, Any] = {}

    def check(value: Any, schema: str) -> None:
        if schema not in validators:
            root = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
            validators[schema] = jsonschema_rs.Draft202012Validator(root, validate_formats=True)
        problems = [f"{list(error.instance_path)}: {error.message}" for error in validators[schema].iter_errors(value)]
        assert not problems, problems

    return check
