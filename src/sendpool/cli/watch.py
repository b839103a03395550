"""`sendpool watch`: how a pool does, second by second, over the API."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from cyclopts import Parameter

from sendpool.cli.api import ApiUrl, client_of, pool_of
from sendpool.cli.options import MISUSED, AsJson, failed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sendpool.client import Client

#: Operations that are looked at: the latest of the account.
_LATEST = 50
#: Operations that a terminal shows: those that are under way before the rest.
_SHOWN = 12
#: Seconds between looks at who is in the pool.
_MEMBERS_EVERY = 10.0
_COUNTERS = ("total", "scheduled", "queued", "sent", "delivered", "read", "undelivered", "failed", "canceled")
_WAITING = ("scheduled", "queued")


class Look(NamedTuple):
    """A pool at one moment."""

    pool: str
    at: float
    #: Members that are activated, and all.
    active: int
    members: int
    #: Operations by their ids: status, counters, and when the last message will have left.
    operations: dict[str, dict[str, Any]]
    #: Messages a second that left, and that arrived, since the look before.
    left_per_second: float
    arrived_per_second: float

    @property
    def totals(self) -> dict[str, int]:
        """All operations together."""
        return {name: sum(one[name] for one in self.operations.values()) for name in _COUNTERS}


def watch(
    pool: Annotated[str, Parameter(help="A pool's id, or its name where no other has it.")],
    *,
    every: Annotated[float, Parameter(help="Seconds between two looks.")] = 1.0,
    looks: Annotated[int | None, Parameter(help="How many looks. Else until Ctrl-C.")] = None,
    url: ApiUrl = None,
    json: AsJson = False,
) -> int:
    """Show live what a pool's operations have come to and how fast they leave; with --json a line for each look.

    It looks at the latest 50 operations of the account.
    """
    from sendpool.client import ClientError

    try:
        if every < 0.1:
            raise ValueError(f"--every {every:g} is below 0.1")
        with client_of(url) as client:
            _show(_looks(client, pool_of(client, pool), every, looks), as_json=json)
    except ValueError as error:
        return failed(error, MISUSED)
    except (ClientError, OSError) as error:
        return failed(error)
    except KeyboardInterrupt:
        return 0
    return 0


def _looks(client: Client, pool: str, every: float, most: int | None) -> Iterator[Look]:
    watched = _Watched(client, pool)
    done = 0
    while True:
        yield watched.look()
        done += 1
        if done == most:
            return
        time.sleep(every)


class _Watched:
    """A pool, and what was seen of it before."""

    def __init__(self, client: Client, pool: str) -> None:
        self._client = client
        self._pool = pool
        #: The pool of each operation that was looked at.
        self._pools: dict[str, str | None] = {}
        self._members = (0, 0)
        self._members_at = -_MEMBERS_EVERY
        self._before: Look | None = None

    def look(self) -> Look:
        """Look again. Raises ClientError."""
        now = time.monotonic()
        if now - self._members_at >= _MEMBERS_EVERY:
            status = [sender.status for sender in self._client.pools.members(self._pool)]
            self._members, self._members_at = (status.count("ACTIVATED"), len(status)), now
        found = Look(self._pool, now, *self._members, self._operations(), 0.0, 0.0)
        if self._before is not None:
            found = _with_rates(self._before, found)
        self._before = found
        return found

    def _operations(self) -> dict[str, dict[str, Any]]:
        from itertools import islice

        latest = islice(self._client.operations.list(page_size=_LATEST), _LATEST)
        shown = {}
        for operation in latest:
            if self._pool_of(operation.id) == self._pool:
                counters = {name: getattr(operation.stats, name) for name in _COUNTERS}
                ends = operation.estimated_completion
                shown[operation.id] = {"status": operation.status, **counters, "ends": ends and ends.isoformat()}
        return shown

    def _pool_of(self, operation: str) -> str | None:
        """Which pool an operation sends from: that of its messages. Asked until there is a message."""
        if operation not in self._pools:
            first = next(self._client.messages.list(operation=operation, page_size=1), None)
            if first is None:
                return None
            self._pools[operation] = first.from_.sender_pool_id
        return self._pools[operation]


def _with_rates(before: Look, now: Look) -> Look:
    """How fast it went between two looks, by the operations that both have seen."""
    both = before.operations.keys() & now.operations.keys()
    seconds = max(now.at - before.at, 0.001)

    def gone(look: Look) -> int:
        return sum(look.operations[one]["total"] - sum(look.operations[one][name] for name in _WAITING) for one in both)

    def arrived(look: Look) -> int:
        return sum(look.operations[one]["delivered"] + look.operations[one]["read"] for one in both)

    return now._replace(
        left_per_second=max(0, gone(now) - gone(before)) / seconds,
        arrived_per_second=max(0, arrived(now) - arrived(before)) / seconds,
    )


def _show(looks: Iterator[Look], *, as_json: bool) -> None:
    if as_json or not sys.stdout.isatty():
        say: Callable[[Look], str] = _as_json if as_json else _in_words
        for look in looks:
            print(say(look), flush=True)
        return
    from rich.live import Live

    with Live(refresh_per_second=4) as live:
        for look in looks:
            live.update(_table(look))


def _as_json(look: Look) -> str:
    import json

    told = look._asdict() | {"totals": look.totals}
    del told["at"]
    return json.dumps(told)


def _in_words(look: Look) -> str:
    counted = ", ".join(f"{number:,} {name}" for name, number in look.totals.items() if number)
    speed = f"{look.left_per_second:.1f} left and {look.arrived_per_second:.1f} arrived a second"
    return f"{look.active} of {look.members} senders; {counted or 'nothing was sent'}; {speed}"


def _table(look: Look) -> RenderableType:
    from rich.table import Table

    table = Table(title=_in_words(look), title_justify="left", box=None, pad_edge=False, header_style="bold")
    for title in ("Operation", "Status", *(name.capitalize() for name in _COUNTERS), "Ends"):
        table.add_column(title, justify="right" if title.lower() in _COUNTERS else "left")
    under_way_first = sorted(look.operations.items(), key=lambda one: one[1]["status"] != "PROCESSING")
    for operation, found in under_way_first[:_SHOWN]:
        table.add_row(operation, found["status"], *(f"{found[name]:,}" for name in _COUNTERS), found["ends"] or "")
    return table
