"""What a client asked for, checked and decoded: the input of acceptance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from sendpool.domain.message import Category, Content, has_markup
from sendpool.domain.outlook import Queued
from sendpool.domain.schedule import Moment
from sendpool.domain.sender import Channel


class PoolOrigin(msgspec.Struct, frozen=True, array_like=True, tag="pool"):
    """`from: {senderPoolId, channels?}`."""

    uid: bytes
    #: `channels.filterIn`; None: no filter.
    filter_in: frozenset[Channel] | None = None
    #: `channels.priority`, lower first; channels left out come after.
    priority: tuple[tuple[Channel, int], ...] = ()


class SenderOrigin(msgspec.Struct, frozen=True, array_like=True, tag="sender"):
    """`from: {senderId}`."""

    uid: bytes


class AddressOrigin(msgspec.Struct, frozen=True, array_like=True, tag="address"):
    """`from: {address, channel}`."""

    address: str
    channel: Channel


class AccountOrigin(msgspec.Struct, frozen=True, array_like=True, tag="account"):
    """No `from`: any activated sender of the account that fits."""


Origin = PoolOrigin | SenderOrigin | AddressOrigin | AccountOrigin


#: Among the variables of a recipient whom a profile stands for: the ids of the profile and of its store, with a blank
#: between. No variable of a client's has an empty name.
OF_PROFILE = ""


class Recipient(NamedTuple):
    """One person. `space` is "P", "W" or "E" (PHONE, WHATSAPP, EMAIL).

    A person with several addresses has them all in `address`, with blanks between, and as many letters in `space`.
    """

    address: str
    space: str
    #: Values for the templates of the content: text by name.
    variables: Mapping[str, str] | None = None
    #: The name beside an email address.
    name: str | None = None


class SendRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One `POST /Messages` or `/Emails`, already valid by itself; acceptance checks it against senders and pools."""

    account_id: int
    origin: Origin
    recipients: Sequence[Recipient]
    content: Content
    tags: Mapping[str, str] = {}
    #: None takes the pool's, else transactional.
    category: Category | None = None
    #: Seconds the message is still useful; None takes the category's default.
    validity: int | None = None
    #: "message" or "email": what clients see what it makes as.
    kind: str = "message"
    #: "low", "normal" or "high": the weight of the operation's turn in its pool.
    priority: str = "normal"
    #: When to send; None, or what is past: at once.
    send_at: Moment | None = None

    @property
    def personal(self) -> bool:
        """Whether it reads differently for different recipients."""
        return self.content.liquid or any(map(has_markup, self.tags.values()))


class Problem(NamedTuple):
    """One thing wrong with a request. `context` is a JSON path ("$.from.senderPoolId") or None."""

    code: int
    message: str
    context: str | None = None


class Refused(Exception):
    """The request cannot be carried out as it stands; `problems` says everything that is wrong with it."""

    def __init__(self, *problems: Problem, status: int = 400) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems
        self.status = status


class Accepted(NamedTuple):
    """What a client may rely on once it has it: the operation is durable."""

    uid: bytes
    operation_id: int
    #: What of it waits.
    queued: Queued | None = None
    #: When the last of it will have left, as far as one can tell (microseconds since 1970); None: nobody knows.
    complete: int | None = None
