"""Clients of the public HTTP API: a plain one, and one that loads many connections at once."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast
from urllib.parse import urlencode, urlsplit

import uvloop
from bench.rig import ACCOUNT_SID, AUTH_TOKEN, RigFailed, wait_for

PAGE_SIZE = 1_000
#: Seconds after which a connection is opened anew: servers hang up on idle ones.
IDLE = 2.0
TEXT = "Your parcel arrives today between 14:00 and 16:00. Thank you for your order."
AUTHORIZATION = "Basic " + base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
Json = dict[str, Any]

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def recipient(number: int) -> str:
    """A plausible number of its own for each *number* below ten million."""
    return f"+1415{number:07d}"


def send_body(pool_id: str, first: int, count: int) -> bytes:
    """The body of a request to send to recipients *first* and following through a pool."""
    to = [{"address": recipient(number), "channel": "PHONE"} for number in range(first, first + count)]
    return json.dumps({"from": {"senderPoolId": pool_id}, "to": to, "content": {"text": TEXT}}).encode()


class Api:
    """One connection to one server."""

    def __init__(self, base: str, seconds: float = 30.0) -> None:
        self._http = http.client.HTTPConnection(urlsplit(base).netloc, timeout=seconds)
        self._used = 0.0
        #: Of the latest answer, names in lower case.
        self.headers: Mapping[str, str] = {}

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def call(
        self, method: str, path: str, body: bytes | None = None, query: Mapping[str, object] | None = None
    ) -> Json:
        """An answer's JSON. Raises `RigFailed` for a refusal and for a server that is not there."""
        status, text = self.ask(method, f"{path}?{urlencode(query)}" if query else path, body)
        if status >= 300:
            raise RigFailed(f"{method} {path} was answered {status}: {text[:300].decode(errors='replace')}")
        found: Json = json.loads(text)
        return found

    def ask(self, method: str, target: str, body: bytes | None = None, **more: str) -> tuple[int, bytes]:
        """An answer's status and body; *more* are headers. Raises `RigFailed` for a server that is not there."""
        headers = {"Authorization": AUTHORIZATION, "Content-Type": "application/json", **more}
        if time.monotonic() - self._used > IDLE:
            self._http.close()
        try:
            self._http.request(method, target, body or None, headers)
            answer = self._http.getresponse()
            text = answer.read()
            self.headers = {name.lower(): value for name, value in answer.headers.items()}
            self._used = time.monotonic()
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            raise RigFailed(f"{method} {target} failed: {error!r}") from error
        return answer.status, text

    def pages(self, path: str, key: str, **filters: object) -> Iterator[Json]:
        """Every item of a list."""
        query = {"pageSize": PAGE_SIZE, **filters}
        while True:
            page = self.call("GET", path, query=query)
            yield from page[key]
            if not (token := page["pagination"]["next"]):
                return
            query["pageToken"] = token

    def create_pool(self) -> str:
        """A pool of every active sender; returns its id."""
        senders = [{"senderId": one["id"]} for one in self.pages("/v1/Senders", "senders", status="ACTIVATED")]
        made = self.call("POST", "/v1/SenderPools", json.dumps({"name": "bench", "senders": senders}).encode())
        found = list(self.pages("/v1/SenderPools", "senderPools", operationId=made["operationId"]))
        if len(found) != 1:
            raise RigFailed(f"creating one pool made {len(found)}")
        return str(found[0]["id"])

    def send(self, body: bytes) -> tuple[str, float]:
        """Send; returns the operation's id and the seconds until it was answered."""
        began = time.perf_counter()
        accepted = self.call("POST", "/v1/Messages", body)
        return str(accepted["operationId"]), time.perf_counter() - began

    def stats(self, operation_ids: Iterable[str]) -> Counter[str]:
        """The sums of the operations' counters."""
        sums: Counter[str] = Counter()
        for operation_id in operation_ids:
            sums.update(self.call("GET", f"/v1/Messages/Operations/{operation_id}")["stats"])
        return sums

    def wait_delivered(self, operation_ids: Sequence[str], seconds: float, every: float = 0.05) -> float:
        """Wait until every message of these is delivered; returns the time (since 1970) of the last look."""
        deadline = time.monotonic() + seconds
        for operation_id in operation_ids:
            while True:
                stats = self.call("GET", f"/v1/Messages/Operations/{operation_id}")["stats"]
                if stats["delivered"] >= stats["total"]:
                    break
                if time.monotonic() > deadline:
                    raise RigFailed(f"not everything was delivered within {seconds:.0f} s; one operation: {stats}")
                time.sleep(every)
        return time.time()

    def warm_up(self, pool_id: str, number: int) -> None:
        """Send one message (recipient *number*) and wait until it is delivered: every link in use is up then."""
        operation_id, _ = self.send(send_body(pool_id, number, 1))
        wait_for(lambda: self.stats([operation_id])["delivered"], 20.0, "a first message is delivered")


class Answer(NamedTuple):
    """One answer of a load."""

    seconds: float
    status: int
    body: bytes


class Load(NamedTuple):
    """What a load brought: when its first byte left and its last answer came (since 1970), and every answer."""

    began: float
    ended: float
    answers: list[Answer]

    def operation_ids(self) -> list[str]:
        """The operations that were made. Raises `RigFailed` if any request was refused."""
        refused = [answer for answer in self.answers if answer.status != 202]
        if refused:
            raise RigFailed(f"{len(refused)} requests were refused, the first with {refused[0]}")
        return [str(json.loads(answer.body)["operationId"]) for answer in self.answers]


class Prober:
    """Sends requests at a steady pace, from a few threads, until it is stopped or has none left.

    What an answer took counts from when its request was due, so that a stall shows in each request that it delayed.
    """

    def __init__(self, base: str, bodies: Sequence[bytes], every: float, connections: int = 1) -> None:
        """*every* is seconds from one request to the next, over all its connections."""
        began = time.monotonic()
        #: When the first of them was due (since 1970).
        self.began = time.time()
        self._requests = iter([(began + number * every, body) for number, body in enumerate(bodies)])
        self._stopped = threading.Event()
        self._error: RigFailed | None = None
        #: Seconds that each answer took, and the operations made.
        self.seconds: list[float] = []
        self.operation_ids: list[str] = []
        self._threads = [threading.Thread(target=self._run, args=(base,), daemon=True) for _ in range(connections)]
        for thread in self._threads:
            thread.start()

    def _run(self, base: str) -> None:
        api = Api(base)
        for due, body in self._requests:
            if self._stopped.wait(max(0.0, due - time.monotonic())):
                return
            try:
                operation_id, _ = api.send(body)
            except RigFailed as error:
                self._error = error
                return
            self.seconds.append(time.monotonic() - due)
            self.operation_ids.append(operation_id)

    def stop(self) -> None:
        """End it. Raises `RigFailed` if a request failed."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        if self._error is not None:
            raise self._error


class _Connection(asyncio.Protocol):
    """Sends one request after another, each when the one before is answered."""

    def __init__(self, requests: Iterator[bytes], answers: list[Answer]) -> None:
        self._requests = requests
        self._answers = answers
        self._received = bytearray()
        self._asked = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def _ask(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
        else:
            self._asked = time.perf_counter()
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._received, 0, end)
        size = end + 4 + (int(length[1]) if length else 0)
        if len(self._received) < size:
            return
        status = int(self._received[9:12])
        body = bytes(self._received[end + 4 : size])
        self._answers.append(Answer(time.perf_counter() - self._asked, status, body))
        del self._received[:size]
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(RigFailed(f"the server closed a connection before it answered: {error!r}"))


def load(base: str | Sequence[str], bodies: Iterable[bytes], connections: int, seconds: float) -> Load:
    """POST these bodies to /v1/Messages over so many connections at once, to several servers in turn where there are.

    Raises `RigFailed`.
    """
    bases = [base] if isinstance(base, str) else base
    head = f"POST /v1/Messages HTTP/1.1\r\nHost: {urlsplit(bases[0]).netloc}\r\nAuthorization: {AUTHORIZATION}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: "
    return ask_all(
        bases, (b"%s%d\r\n\r\n%s" % (head.encode(), len(body), body) for body in bodies), connections, seconds
    )


def ask_all(bases: Sequence[str], requests: Iterable[bytes], connections: int, seconds: float) -> Load:
    """Send requests that are written out over so many connections, each when the one before is answered.

    Raises `RigFailed`.
    """
    try:
        return uvloop.run(_ask_all(bases, list(requests), connections, seconds))
    except (OSError, TimeoutError) as error:
        raise RigFailed(f"the load did not get through: {error!r}") from error


async def _ask_all(bases: Sequence[str], written: list[bytes], connections: int, seconds: float) -> Load:
    places = [urlsplit(base) for base in bases]
    requests = iter(written)
    answers: list[Answer] = []
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds):
        began = time.time()
        opened = [
            await loop.create_connection(lambda: _Connection(requests, answers), at.hostname or "", at.port or 80)
            for at in (places[number % len(places)] for number in range(connections))
        ]
        await asyncio.gather(*(connection.done for _, connection in opened))
    return Load(began, time.time(), answers)
