"""What the API needs from the rest of the program, handed over once by `runtime`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from sendpool.api.auth import Accounts
from sendpool.api.forwarded import Network
from sendpool.api.once import Once
from sendpool.api.rates import RequestRates
from sendpool.connectors.base import CallbackRoute
from sendpool.domain.explanation import Explanation
from sendpool.domain.outlook import Queued
from sendpool.domain.rehearsal import Rehearsal
from sendpool.domain.request import Accepted, SendRequest
from sendpool.domain.resolving import Pair, Question
from sendpool.domain.sender import Sender
from sendpool.domain.states import MessageState
from sendpool.pipeline.cancel import Cancellation, Wish
from sendpool.pipeline.waiter import Tell
from sendpool.store.database import Script
from sendpool.store.history import MessagePlace
from sendpool.store.idempotency import Key
from sendpool.store.reading import Reader

T = TypeVar("T")

#: Bytes of a request's body. 10,000 recipients with their longest addresses take 0.6 MB.
MAX_BODY = 10 * 1024 * 1024


class Writer(Protocol):
    """Runs a cold script in the next commit, under a savepoint of its own.

    Resolves when the commit is durable and the roster in memory has been read again, so that a message accepted
    afterwards sees the change. Raises what the script raised, or `pipeline.engine.StoreUnavailable`.
    """

    def __call__(self, script: Callable[[], Script[T]]) -> Awaitable[T]:
        """Run what *script* makes."""


def _no_callbacks(connection: str) -> Sequence[CallbackRoute]:
    """No connection takes reports by HTTP."""
    return ()


def _nobody(method: str, route: str, status: int, seconds: float) -> None:
    """Listen to no answer."""


def _never(request: SendRequest, tell: Tell) -> bool:
    """Take no request without a task."""
    return False


def _nobody_knows(queued: Queued) -> None:
    """Make no estimate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The seams between the API and the rest of the program."""

    #: For reads, which run on their own snapshot beside the writer.
    database: Reader
    write: Writer
    #: Makes an operation durable. Raises `domain.request.Refused` for what only senders and pools can tell
    #: (an unknown pool, a deactivated sender), or `pipeline.engine.StoreUnavailable`.
    #: With a key, which is kept in the same commit, also `store.idempotency.KeyTaken`.
    accept: Callable[[SendRequest, Key | None], Awaitable[Accepted]]
    #: Takes back what has not left; returns once that is durable. Raises `pipeline.engine.StoreUnavailable`.
    cancel: Callable[[Wish], Awaitable[tuple[Cancellation, MessageState | None]]]
    #: Says why a message of an account went the way it did, or what it waits for; None: there is no such message.
    explain: Callable[[int, MessagePlace], Awaitable[Explanation | None]]
    #: Says what a request would do now. Raises what `accept` raises.
    rehearse: Callable[[SendRequest], Awaitable[Rehearsal]]
    #: Whether an account has a pool of this uid.
    has_pool: Callable[[int, bytes], bool]
    #: The senders that could reach a human, the best first; None: the account has no such pool.
    pairs: Callable[[int, Question], Sequence[Pair[Sender]] | None]
    #: Who may call.
    accounts: Accounts
    #: Microseconds since 1970.
    now: Callable[[], int]
    #: Whether /readyz is 200: migrated, listening and the inventory stored.
    ready: Callable[[], bool]
    #: The Prometheus text of /metrics.
    metrics: Callable[[], bytes]
    #: What /metrics asks for as a Bearer token; None: nothing.
    metrics_token: str | None = None
    #: As `accept`, without a task that waits, for what needs no look into the database: who is told is told later what
    #: was accepted, or why not. False: this request is not of that kind.
    ask: Callable[[SendRequest, Tell], bool] = field(default=_never)
    #: When what waits of an operation will have left, in microseconds since 1970; None: nobody knows.
    completion: Callable[[Queued], int | None] = field(default=_nobody_knows)
    #: Opens what is stored encrypted.
    key: bytes = b""
    #: The base of absolute URLs, with a path prefix if there is one; None: what the request used.
    public_url: str | None = None
    #: Networks of the proxies that are believed about what clients used.
    trusted_proxies: tuple[Network, ...] = ()
    #: Bytes of a request's body.
    max_body: int = MAX_BODY
    #: How often an account may ask.
    rates: RequestRates = field(default_factory=RequestRates)
    #: Requests with a key that are under way.
    once: Once = field(default_factory=Once)
    #: The callback endpoints of a connection, by its name; none for one that is not there.
    callbacks: Callable[[str], Sequence[CallbackRoute]] = field(default=_no_callbacks)
    #: False: no API, only what carriers and those who watch the server ask for.
    public: bool = True
    #: Told of each answer: method, route's template, status and seconds (`Metrics.request`).
    observe: Callable[[str, str, int, float], None] = field(default=_nobody)
