"""What a front and its server tell each other: frames of MessagePack over a pair of sockets, each with its length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

import msgspec

from sendpool.domain.request import Problem, SendRequest
from sendpool.store.accounts import Account
from sendpool.store.idempotency import Key
from sendpool.store.keys import ApiKey

T = TypeVar("T")


class Credentials(msgspec.Struct, frozen=True, array_like=True):
    """Who may call from now on; `number` counts these."""

    number: int
    accounts: Sequence[Account]
    keys: Sequence[ApiKey]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a front has to know of the server's settings."""

    database: str
    #: Whether that is a file.
    file: bool
    public_url: str | None
    trusted_proxies: tuple[str, ...]
    log_level: str
    log_json: bool | None


class Fault(msgspec.Struct, frozen=True, array_like=True):
    """Why the server does not accept: what is raised there, by a name of its own."""

    name: str
    text: str = ""
    problems: Sequence[Problem] = ()
    status: int = 0
    #: Seconds.
    wait: float = 0.0


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """Make this request durable."""

    number: int
    request: SendRequest
    key: Key | None


class Fate(msgspec.Struct, frozen=True, array_like=True):
    """What has become of the request of that number: the operation's uid and number and when it will be complete."""

    number: int
    uid: bytes = b""
    operation_id: int = 0
    complete: int | None = None
    fault: Fault | None = None


class FrontSays(msgspec.Struct, frozen=True, array_like=True):
    """What a front has to say after one turn of its loop."""

    asks: Sequence[Ask] = ()
    #: Answers that it has given: method, route, status, and how many seconds each took.
    answered: Sequence[tuple[str, str, int, Sequence[float]]] = ()
    #: The number of the credentials that it goes by; 0: none yet.
    knows: int = 0
    #: Whether it takes connections.
    listens: bool = False
    #: The last beat that it has heard.
    beat: int = 0


class ServerSays(msgspec.Struct, frozen=True, array_like=True):
    """What the server has to say after one turn of its loop."""

    fates: Sequence[Fate] = ()
    credentials: Credentials | None = None
    #: Comes first, and once.
    settings: Settings | None = None
    #: Take no new connection, answer what was asked, and end.
    close: bool = False
    #: Say this number, to show that all is well; 0: nothing is to be said.
    beat: int = 0


_encode = msgspec.msgpack.Encoder().encode


def frame(said: FrontSays | ServerSays) -> bytes:
    """What is said, ready to be written."""
    body = _encode(said)
    return len(body).to_bytes(4, "big") + body


class Frames(Generic[T]):
    """Puts together what was said from the pieces that come."""

    def __init__(self, kind: type[T]) -> None:
        self._decode = msgspec.msgpack.Decoder(kind).decode
        self._rest = b""

    def read(self, data: bytes) -> Iterator[T]:
        """What is whole now."""
        rest = self._rest + data if self._rest else data
        start = 0
        while len(rest) >= start + 4:
            end = start + 4 + int.from_bytes(rest[start : start + 4], "big")
            if len(rest) < end:
                break
            yield self._decode(memoryview(rest)[start + 4 : end])
            start = end
        self._rest = rest[start:]
