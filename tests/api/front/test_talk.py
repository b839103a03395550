"""What a front asks for gets its fate, whichever way it goes: at once, by a task, or refused before either."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import msgspec
import pytest

from sendpool.api.front.faults import error_of
from sendpool.api.front.frames import Ask, Fate, FrontSays, ServerSays, Settings, frame
from sendpool.api.front.talk import Talk, Wiring
from sendpool.api.rates import RequestRates
from sendpool.domain.message import Content
from sendpool.domain.request import Accepted, AccountOrigin, Problem, Recipient, Refused, SendRequest
from sendpool.pipeline.backlog import QueueFull
from sendpool.store.idempotency import Key

SETTINGS = Settings(database="x.db", file=True, public_url=None, trusted_proxies=(), log_level="info", log_json=None)
Tell = Callable[[int, int, Sequence[Accepted] | Exception], None]


def request(text: str) -> SendRequest:
    recipients = [Recipient("+447700900001", "P")]
    return SendRequest(account_id=1, origin=AccountOrigin(), recipients=recipients, content=Content(text=text))


class Server:
    """Takes requests as an engine does; texts say what becomes of them."""

    def __init__(self, rates: RequestRates | None = None) -> None:
        #: Who waits for a commit, by what was asked for.
        self.waiting: dict[str, Callable[[Sequence[Accepted] | Exception], None]] = {}
        self.by_task: list[str] = []
        self.written = b""
        ways = (self.accept, self.is_immediate, self.accept_each)
        self.talk = Talk(
            Wiring(SETTINGS, *ways, rates or RequestRates(), self._nothing, self._nothing), asyncio.Event()
        )
        self.talk.connection_made(self)  # type: ignore[arg-type]

    def _nothing(self, *_: object) -> None:
        pass

    def write(self, data: bytes) -> None:
        self.written += data

    def is_immediate(self, asked: SendRequest) -> bool:
        return asked.content.text != "slow"

    async def accept(self, asked: SendRequest, key: Key | None) -> Accepted:
        self.by_task.append(asked.content.text)
        await asyncio.sleep(0)
        if asked.content.text == "refused":
            raise Refused(Problem(20404, "no such sender pool"))
        return Accepted(b"t" * 16, 2)

    def accept_each(self, asked: Sequence[SendRequest], tell: Tell) -> None:
        for at, request in enumerate(asked):
            if request.content.text == "refused":
                tell(at, at + 1, Refused(Problem(20404, "no such sender pool")))
            elif request.content.text == "full":
                tell(at, at + 1, QueueFull("too many messages wait"))
            elif request.content.text != "together":
                self.waiting[request.content.text] = partial(tell, at, at + 1)
        together = [at for at, request in enumerate(asked) if request.content.text == "together"]
        if together:
            self.waiting["together"] = partial(tell, together[0], together[-1] + 1)

    async def fates(self, *asks: Ask, commit: Callable[[], None] = lambda: None) -> dict[int, Fate]:
        """What is said of these requests, once the commit has told."""
        self.talk.data_received(frame(FrontSays(asks)))
        commit()
        for _ in range(4):
            await asyncio.sleep(0)
        found: dict[int, Fate] = {}
        while self.written:
            end = 4 + int.from_bytes(self.written[:4], "big")
            said = msgspec.msgpack.decode(self.written[4:end], type=ServerSays)
            self.written = self.written[end:]
            found |= {fate.number: fate for fate in said.fates}
        return found


async def test_each_way_ends_in_a_fate() -> None:
    server = Server()
    key = Key(1, "k", b"d" * 32)

    def commit() -> None:
        server.waiting.pop("good")([Accepted(b"u" * 16, 1, None, 5)])
        server.waiting.pop("lost")(OSError("disk full"))

    asks = [Ask(n, request(text), None) for n, text in enumerate(["good", "lost", "refused", "full", "slow"], 1)]
    fates = await server.fates(*asks, Ask(6, request("good"), key), Ask(7, request("refused"), key), commit=commit)

    assert fates[1] == Fate(1, b"u" * 16, 1, 5)
    assert fates[5] == Fate(5, b"t" * 16, 2)
    assert fates[6] == Fate(6, b"t" * 16, 2)
    for number, kind in ((3, Refused), (4, QueueFull), (7, Refused)):
        fault = fates[number].fault
        assert fault is not None
        assert isinstance(error_of(fault), kind)
    assert fates[2].fault is not None
    assert server.by_task == ["slow", "good", "refused"]


async def test_those_accepted_together_are_told_each_its_own_fate() -> None:
    server = Server()
    texts = ["good", "together", "together", "lost"]

    def commit() -> None:
        server.waiting.pop("together")([Accepted(b"u" * 16, 1, None, 5), Accepted(b"v" * 16, 2, None, 5)])
        server.waiting.pop("good")([Accepted(b"t" * 16, 3)])
        server.waiting.pop("lost")(OSError("disk full"))

    fates = await server.fates(*(Ask(n, request(text), None) for n, text in enumerate(texts, 1)), commit=commit)

    assert (fates[1], fates[2]) == (Fate(1, b"t" * 16, 3), Fate(2, b"u" * 16, 1, 5))
    assert fates[3] == Fate(3, b"v" * 16, 2, 5)
    assert fates[4].fault is not None


async def test_nobody_is_told_before_the_commit() -> None:
    server = Server()

    assert await server.fates(Ask(1, request("good"), None)) == {}


@pytest.mark.parametrize("text", ["good", "slow"])
async def test_who_asks_too_often_is_told_so_and_nothing_is_taken(text: str) -> None:
    server = Server(RequestRates(1.0, 1))

    fates = await server.fates(*(Ask(n, request(text), None) for n in (1, 2, 3)))

    assert [number for number, fate in sorted(fates.items()) if fate.fault is not None] == [2, 3]
    assert len(server.waiting) + len(server.by_task) == 1
