"""What fixed loads cost in counted operations, from a request's bytes to its last receipt, in virtual time.

The API, the engine, its statements on a real SQLite file, settlement and events, all in one thread, so that the counts
are the same on every machine and however busy it is. What is counted is our own code, not that of libraries; the
connector is the tests' own, and the process that hands events over is not there.

    PYTHONPATH=. python -m tests.pipeline.counting   # writes work.json anew, where more is meant to be spent
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple, TypeVar, cast
from unittest.mock import patch

from tests.api.conftest import Client, basic
from tests.pipeline.carriers import Carrier
from tests.pipeline.stores import Watched
from tests.pipeline.worlds import Line, World

import sendpool
from sendpool.api.app import create_app
from sendpool.api.auth import Accounts
from sendpool.api.quick import Hot, QuickServer
from sendpool.api.services import Services
from sendpool.domain import ids
from sendpool.pipeline.cancel import cancel
from sendpool.pipeline.explain import explain_message
from sendpool.pipeline.outlook import Outlook
from sendpool.pipeline.rehearse import rehearse
from sendpool.pipeline.turn import Turn
from sendpool.store.accounts import ensure_first_account
from sendpool.store.database import Script, Work
from sendpool.store.sqlite import Sqlite, snapshot, transact
from sendpool.testing.clock import run_virtually

T = TypeVar("T")

Counts = Mapping[str, Mapping[str, int]]
#: How many times as much as expected is too much.
MOST = 1.1
#: Their number is another one with another version of SQLite.
STEPS = "sqlite steps"
EXPECTED = Path(__file__).with_name("work.json")
#: Instructions of SQLite's machine between two counts of them.
STEP = 100
_KEY = b"k" * 32
_BASIC = basic("ACtest", "token")
_HEAD = b"POST /v1/Messages HTTP/1.1\r\nHost: a\r\nAuthorization: %b\r\nContent-Length: %d\r\n\r\n"
_OURS = str(Path(sendpool.__file__).parent)


class Load(NamedTuple):
    """Requests of so many recipients each, sent over so many connections."""

    requests: int
    recipients: int
    connections: int

    @property
    def messages(self) -> int:
        """How many messages they come to."""
        return self.requests * self.recipients


LOADS = {"bulk": Load(4, 1_000, 2), "single": Load(400, 1, 50)}


class Inline:
    """A store that works where it is asked, in no thread of its own, and counts."""

    shared = False

    def __init__(self, inner: Sqlite) -> None:
        self.inner = inner
        self.connection = inner._writer.connection
        self.commits = 0

    async def read(self, script: Script[T], *, one: bool = False) -> T:
        """Run a script that only reads."""
        return snapshot(self.connection, script)

    async def write(self, work: Work[T], *, brief: bool = False) -> T:
        """Run a script in one transaction. Others get their turn first, as they do while a thread works."""
        await asyncio.sleep(0)
        self.commits += 1
        return transact(self.connection, work() if callable(work) else work)

    async def close(self) -> None:
        """As the store inside."""
        await self.inner.close()


async def _inline(work: Callable[[], T]) -> T:
    """Stands for `aside`: in no thread of its own either, where it would be counted by chance."""
    await asyncio.sleep(0)
    return work()


class Count:
    """Operations since this was made."""

    def __init__(self, store: Inline) -> None:
        self._store = store
        self._commits, self._rows = store.commits, store.connection.total_changes
        self._known: dict[CodeType, bool] = {}
        self._statements = self._steps = self._calls = 0
        store.connection.set_trace_callback(self._statement)
        store.connection.set_progress_handler(self._stepped, STEP)
        sys.setprofile(self._event)

    def _statement(self, _: str) -> None:
        self._statements += 1

    def _stepped(self) -> int:
        self._steps += STEP
        return 0

    def _event(self, frame: FrameType, event: str, _: Any) -> None:
        if event not in ("call", "c_call"):
            return
        code = frame.f_code
        ours = self._known.get(code)
        if ours is None:
            ours = self._known[code] = code.co_filename.startswith(_OURS)
        self._calls += ours

    def stop(self) -> dict[str, int]:
        """End counting. Calls are of our functions, and ours of functions written in C."""
        sys.setprofile(None)
        self._store.connection.set_trace_callback(None)
        self._store.connection.set_progress_handler(None, 0)
        return {
            "commits": self._store.commits - self._commits,
            "statements": self._statements,
            "rows": self._store.connection.total_changes - self._rows,
            STEPS: self._steps,
            "python calls": self._calls,
        }


class Wire:
    """A connection to the API without a socket: what is written to it is the next answer."""

    def __init__(self, server: QuickServer) -> None:
        self._end = server.connection()
        self._end.connection_made(self)  # type: ignore[arg-type]
        self._answer: asyncio.Future[bytes] | None = None

    async def ask(self, request: bytes) -> bytes:
        """The answer to a request."""
        self._answer = asyncio.get_running_loop().create_future()
        self._end.data_received(request)
        return await self._answer

    def write(self, data: bytes) -> None:
        """As the transport of the server's end."""
        assert self._answer is not None
        self._answer.set_result(data)

    def is_closing(self) -> bool:
        """As the transport of the server's end."""
        return False

    def get_extra_info(self, name: str) -> None:
        """As the transport of the server's end, which has no address."""


def app_of(world: World, account: Any) -> Hot:
    """The API of a world."""
    engine = world.engine
    outlook = Outlook(engine)
    services = Services(
        database=engine.database,
        write=engine.change,
        accept=outlook.accept,
        ask=Turn(engine, outlook).ask,
        cancel=partial(cancel, engine),
        explain=partial(explain_message, engine),
        rehearse=partial(rehearse, engine),
        has_pool=engine.has_pool,
        pairs=engine.pairs,
        accounts=Accounts([account]),
        key=_KEY,
        now=engine.clock.wall,
        ready=lambda: True,
        metrics=engine.metrics.render,
    )
    return create_app(services)


def _not_quick(*_: Any) -> None:
    raise AssertionError("a small request did not go the short way")


async def send_all(world: World, app: Hot, load: Load, first: int) -> None:
    """Send a load and wait until all of it is delivered: small requests as connections bring them, others by ASGI."""
    client, server = Client(app, _BASIC), QuickServer(app.routes, _not_quick)
    bodies = iter(
        [_body(world.pool, first + number * load.recipients, load.recipients) for number in range(load.requests)]
    )

    async def large_requests() -> None:
        for body in bodies:
            answer = await client.request("POST", "/v1/Messages", body, headers={"content-type": "application/json"})
            assert answer.status == 202, answer

    async def small_requests() -> None:
        wire = Wire(server)
        for body in bodies:
            answer = await wire.ask(_HEAD % (_BASIC, len(body)) + body)
            assert answer.startswith(b"HTTP/1.1 202 "), answer

    carrier = world.lines["line"].carrier
    before = len(carrier.sent)
    one_connection = small_requests if load.recipients == 1 else large_requests
    await asyncio.gather(*(one_connection() for _ in range(load.connections)))
    await world.until(lambda: len(carrier.sent) >= before + load.messages)
    # Receipts are stored by then; looking for them would count.
    await asyncio.sleep(2.0)


def _body(pool: bytes, first: int, recipients: int) -> bytes:
    to = [{"address": f"+1415{number:07d}", "channel": "PHONE"} for number in range(first, first + recipients)]
    origin = {"senderPoolId": ids.encode(ids.POOL, pool)}
    return json.dumps({"from": origin, "to": to, "content": {"text": "Your parcel arrives today."}}).encode()


async def count(load: Load, path: Path) -> dict[str, int]:
    """What a load costs, once everything that is kept from one to the next is there."""
    inner = Sqlite(path, readers=1)
    inner._writer.connection.execute("PRAGMA synchronous=OFF")
    store = Inline(inner)
    line = Line(Carrier(window=500), {"+12034458000": 100_000.0}, mps=100_000.0)
    world = World(cast(Watched, store), {"line": line})
    await world.start()
    beside = patch("sendpool.pipeline.intake.aside", _inline)
    beside.start()
    try:
        account = await store.write(ensure_first_account("ACtest", "token", _KEY, world.engine.clock.wall()))
        app = app_of(world, account)
        await send_all(world, app, load, 0)
        counted = Count(store)
        try:
            await send_all(world, app, load, load.messages)
        finally:
            found = counted.stop()
        states = await world.states()
        assert states == {"DELIVERED": 2 * load.messages}, states
    finally:
        beside.stop()
        await world.stop()
        await store.close()
    return found


def count_all(folder: Path) -> dict[str, dict[str, int]]:
    """What every load costs."""
    return {name: run_virtually(count(load, folder / f"{name}.db")) for name, load in LOADS.items()}


def grown(found: Counts, expected: Counts, *, steps: bool = True) -> list[str]:
    """What costs over a tenth more than it should. *steps*: whether SQLite's steps may be compared."""
    return [
        f"{name}: {found[name][what]:,} {what}, {found[name][what] / should - 1:+.1%} over {should:,}"
        for name, counts in expected.items()
        for what, should in counts.items()
        if found[name][what] > should * MOST and (steps or what != STEPS)
    ]


def main() -> None:
    """Count anew, and write it down."""
    with tempfile.TemporaryDirectory() as folder:
        found = count_all(Path(folder))
    version = {"sqlite": sqlite3.sqlite_version, "python": f"{sys.version_info[0]}.{sys.version_info[1]}"}
    EXPECTED.write_text(json.dumps({"counted with": version, **found}, indent=2) + "\n", encoding="utf-8")
    for name, counts in found.items():
        each = {what: round(number / LOADS[name].messages, 3) for what, number in counts.items()}
        print(f"{name}: {counts}; a message: {each}")


if __name__ == "__main__":
    main()
