"""What small requests have in common: clients that send one message at a time differ in the number and the text.

`resolve` is the authority. This keeps what it says of requests that it cannot tell apart, with the picture of senders
and pools that it went by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import uuid_utils

from sendpool.domain import ids
from sendpool.domain.message import Content, on_channel
from sendpool.domain.request import Origin, SendRequest
from sendpool.domain.segments import count
from sendpool.domain.sender import Channel
from sendpool.domain.states import OperationState
from sendpool.domain.tuples import maker
from sendpool.pipeline.resolve import Resolved
from sendpool.pipeline.roster import Roster
from sendpool.store.messages import NewMessage, NewOperation

#: Kinds of requests that are kept.
_MOST = 1_000
#: Requests that are accepted together: far fewer than a block has keys.
MOST_TOGETHER = 500

_operation_of, _message_of = maker(NewOperation), maker(NewMessage)
_spell = msgspec.json.Encoder().encode


class Alike(NamedTuple):
    """What all requests of one kind come to."""

    pool_id: int
    #: The letters of the plan.
    plan: str
    category: str
    #: Seconds.
    validity: int
    #: Where they are from, as operations keep it.
    origin: str

    def operations(self, requests: Sequence[SendRequest], first: int, at: int) -> list[NewOperation]:
        """Their operations, with keys from *first* on, accepted at *at* (microseconds since 1970)."""
        whose = (requests[0].account_id, requests[0].kind, OperationState.PROCESSING, self.pool_id, self.category)
        begins = (*whose, 1, 0, 1, 0, at + self.validity * 1_000_000, at)
        new_uid, clear = uuid_utils.uuid7, ids.clear
        return [
            _operation_of(
                (
                    key,
                    clear(new_uid().bytes),
                    *begins,
                    _spell(request.content).decode(),
                    _spell(request.tags).decode() if request.tags else "{}",
                    self.origin,
                    self.validity,
                    0,
                    None,
                    0,
                    request.priority,
                )
            )
            for key, request in enumerate(requests, first)
        ]

    def messages(self, requests: Sequence[SendRequest], first: int, at: int) -> list[NewMessage]:
        """The only message of each of these operations."""
        return [
            _message_of((key, key, *request.recipients[0][:2], self.plan, count(_text(request.content)), at))
            for key, request in enumerate(requests, first)
        ]


def _text(content: Content) -> str:
    """What is counted in segments."""
    return on_channel(content, Channel.SMS).text if content.media else content.text


#: All of a small request that its plan, its pool, its policy and its turn hang on.
Kind = tuple[int, Origin, str | None, int | None, str, str]


def kind_of(request: SendRequest) -> Kind | None:
    """The kind of a request that is one plain text to one number, at once; None: it is not small."""
    if len(request.recipients) != 1 or request.kind != "message" or request.send_at is not None:
        return None
    _, space, variables, name = request.recipients[0]
    content = request.content
    if len(space) != 1 or variables or name or content.modules or not content.text:
        return None
    return request.account_id, request.origin, request.category, request.validity, space, request.priority


def runs(requests: Sequence[SendRequest], known: Mapping[Kind, Alike]) -> Iterator[tuple[int, int, Alike | None]]:
    """(first, end, what they come to) of requests in a row of one *known* kind; each other one by itself."""
    first, kind, alike = 0, None, None
    for at, request in enumerate(requests):
        own = kind_of(request)
        if alike is not None and own == kind and at - first < MOST_TOGETHER:
            continue
        if at:
            yield first, at, alike
        # What has just been handed out may have become known by now.
        first, kind, alike = at, own, None if own is None else known.get(own)
    if requests:
        yield first, len(requests), alike


def note(kind: Kind, found: Resolved, origin: str, roster: Roster) -> None:
    """Keep what a small request has come to, unless that hangs on its number too."""
    if found.plans.restricted or not found.addressed or len(roster.alike) >= _MOST:
        return
    plan = found.addressed[0][2]
    roster.alike[kind] = Alike(found.pool.id, plan, found.category.value, found.validity, origin)
