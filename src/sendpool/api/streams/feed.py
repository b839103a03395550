"""`GET /Events`: events to pull, for those whose machines nothing can post to. Our own addition.

A page goes on after a position; where nothing has happened yet it may wait, and with `Accept: text/event-stream` the
answer goes on for ever. Positions ascend and are never given twice; events of other accounts leave holes between them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple

from sendpool.api.exchange import Reply, Request, Streaming
from sendpool.api.problems import TOO_MANY, Findings
from sendpool.api.query import Query
from sendpool.domain.event_types import KINDS
from sendpool.domain.request import Problem, Refused
from sendpool.pipeline.notify.tell import Teller, ToldEvent
from sendpool.store.database import Script
from sendpool.store.feed import feed_page, oldest_position

#: Events of a page: as asked for, at most. Seconds that a page may wait. Streams of an account at one time.
DEFAULT_LIMIT, MOST_EVENTS, LONGEST_WAIT, MOST_STREAMS = 100, 1_000, 60, 20
#: Events that one look walks over: those of other accounts among them.
_WALK = 1_000
_LOOKS = 20
#: Seconds between looks for new events, and between signs of life of a stream.
_EVERY, _ALIVE = 0.1, 15.0
_STREAM = b"text/event-stream"

_open_streams: Counter[int] = Counter()


class _Asked(NamedTuple):
    """What a request asks for."""

    account_id: int
    after: int
    limit: int
    wait: int
    types: frozenset[str]


class _Found(NamedTuple):
    """What one look brought: events, and the position to go on from."""

    events: Sequence[ToldEvent]
    after: int
    #: Events after the position asked for have been removed since.
    gap: bool


def _number(query: Query, name: str, default: int, most: int, findings: Findings) -> int:
    text = query.text(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text) <= most):
        findings.add(f"{name} must be a whole number from 0 to {most:,}", f"$.{name}")
        return default
    return int(text)


def _asked(request: Request) -> _Asked:
    query = Query(request.scope["query_string"])
    findings = query.findings
    last = request.headers.get(b"last-event-id", b"").decode("latin-1")
    begin = int(last) if last.isascii() and last.isdigit() and len(last) < 19 else 0
    after = _number(query, "after", begin, 2**60, findings)
    limit = max(1, _number(query, "limit", DEFAULT_LIMIT, MOST_EVENTS, findings))
    wait = _number(query, "wait", 0, LONGEST_WAIT, findings)
    types = frozenset(filter(None, (query.text("type") or "").split(",")))
    for name in types - KINDS.keys():
        findings.add(f"there is no type of event {name[:60]!a}; GET /Types lists those there are", "$.type")
    findings.refuse()
    return _Asked(request.account_id, max(begin, after) if last else after, limit, wait, types)


def _look(teller: Teller, asked: _Asked, after: int) -> Script[_Found]:
    """Walk over the feed until there are enough events, or for as long as one look may take."""
    oldest = yield from oldest_position()
    gap = 0 < asked.after < oldest - 1
    events: list[ToldEvent] = []
    for _ in range(_LOOKS):
        rows = yield from feed_page(after, _WALK)
        told = yield from teller.tell(rows)
        mine = [one for one in told if one.account_id == asked.account_id and one.kind.name in (asked.types or KINDS)]
        room = asked.limit - len(events)
        events += mine[:room]
        if len(mine) > room or len(events) == asked.limit:
            return _Found(events, events[-1].position, gap)
        after = rows[-1].position if rows else after
        if len(rows) < _WALK:
            break
    return _Found(events, after, gap)


async def get_events(request: Request) -> Reply | Streaming:
    """Events after a position, oldest first."""
    asked = _asked(request)
    if _STREAM in request.headers.get(b"accept", b""):
        if _open_streams[asked.account_id] >= MOST_STREAMS:
            message = f"this account has {MOST_STREAMS} streams open, which is the most; close one"
            raise Refused(Problem(TOO_MANY, message), status=429)
        return Streaming(200, _stream(request, asked), _STREAM)
    found = await _wait_for(request, Teller(), asked, asked.after)
    body = b'{"events":[%b],"after":"%d","gap":%b}' % (
        b",".join(one.body for one in found.events),
        found.after,
        b"true" if found.gap else b"false",
    )
    return Reply(200, body)


async def _wait_for(request: Request, teller: Teller, asked: _Asked, after: int) -> _Found:
    end = asyncio.get_running_loop().time() + asked.wait
    while True:
        found = await request.services.database.read(_look(teller, asked, after))
        if found.events or asyncio.get_running_loop().time() >= end:
            return found
        after = found.after
        await asyncio.sleep(_EVERY)


async def _stream(request: Request, asked: _Asked) -> AsyncGenerator[bytes, None]:
    """Server-sent events, for ever. A client that comes back names the last it saw in `Last-Event-ID`."""
    teller, after = Teller(), asked.after
    asked = asked._replace(wait=int(_ALIVE))
    _open_streams[asked.account_id] += 1
    try:
        while True:
            found = await _wait_for(request, teller, asked, after)
            after = found.after
            yield b"".join(map(_framed, found.events)) or b": still here\n\n"
    finally:
        _open_streams[asked.account_id] -= 1


def _framed(event: ToldEvent) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.position, event.kind.name.encode(), event.body)
