"""What small requests have in common: clients that send one message at a time differ in the number and the text.

`resolve` is the authority. This keeps what it says of requests that it cannot tell apart, with the picture of senders
and pools that it went by.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from sendpool.domain.message import on_channel
from sendpool.domain.request import Origin, SendRequest
from sendpool.domain.segments import count
from sendpool.domain.sender import Channel
from sendpool.domain.states import OperationState
from sendpool.pipeline.resolve import Resolved
from sendpool.pipeline.roster import Roster
from sendpool.store.messages import NewMessage, NewOperation

#: Kinds of requests that are kept.
_MOST = 1_000


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

    def rows(self, request: SendRequest, key: int, uid: bytes, at: int) -> tuple[NewOperation, NewMessage]:
        """The operation with this key and uid, accepted at *at* (microseconds since 1970), and its only message."""
        content, recipient = request.content, request.recipients[0]
        segments = count(on_channel(content, Channel.SMS).text if content.media else content.text)
        operation = NewOperation(
            key,
            uid,
            request.account_id,
            request.kind,
            OperationState.PROCESSING,
            self.pool_id,
            self.category,
            1,
            0,
            1,
            0,
            at + self.validity * 1_000_000,
            at,
            msgspec.json.encode(content).decode(),
            msgspec.json.encode(request.tags).decode() if request.tags else "{}",
            self.origin,
            self.validity,
            priority=request.priority,
        )
        return operation, NewMessage(key, key, recipient.address, recipient.space, self.plan, segments, at)


#: All of a small request that its plan, its pool and its policy hang on.
Kind = tuple[int, Origin, str | None, int | None, str]


def kind_of(request: SendRequest) -> Kind | None:
    """The kind of a request that is one plain text to one number, at once; None: it is not small."""
    if len(request.recipients) != 1 or request.kind != "message" or request.send_at is not None:
        return None
    _, space, variables, name = request.recipients[0]
    content = request.content
    if len(space) != 1 or variables or name or content.modules or not content.text:
        return None
    return request.account_id, request.origin, request.category, request.validity, space


def note(kind: Kind, found: Resolved, origin: str, roster: Roster) -> None:
    """Keep what a small request has come to, unless that hangs on its number too."""
    if found.plans.restricted or not found.addressed or len(roster.alike) >= _MOST:
        return
    plan = found.addressed[0][2]
    roster.alike[kind] = Alike(found.pool.id, plan, found.category.value, found.validity, origin)
