"""Sender pools: senders used interchangeably, as immutable values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sendpool.domain.destinations import EVERYWHERE, Countries
from sendpool.domain.health import USUAL, Thresholds
from sendpool.domain.message import Category
from sendpool.domain.policy import PoolRules
from sendpool.domain.preference import Preference
from sendpool.domain.quiet import QuietHours
from sendpool.domain.sender import Channel

#: Seconds that a message is kept for the sender, or the tier, that should have it: the default and the bounds.
GRACE = 10.0
LEAST_GRACE, MOST_GRACE = 1.0, 300.0
#: Channels that a pool may try a PHONE recipient on, in the order in which it does if it says nothing: the first two.
REACHABLE = (Channel.RCS, Channel.SMS, Channel.WHATSAPP)
#: Seconds to stay on a channel: below, receipts have no time to arrive; above, no carrier goes on trying.
LEAST_FALLBACK_AFTER, MOST_FALLBACK_AFTER = 5, 86_400
#: Bounds of what a member may be given.
LEAST_WEIGHT, MOST_WEIGHT = 0.01, 1000.0
MOST_TIER = 99


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A sender's place in a pool."""

    sender_id: int
    #: Its share, relative to the others.
    weight: float = 1.0
    #: The lowest is used first.
    tier: int = 0


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """How a pool chooses, where it says otherwise."""

    preference: Preference = Preference.SPREAD
    #: Seconds that a message waits for the sender or tier that should have it before others may take it.
    grace: float = GRACE
    #: Channels that a PHONE recipient may be tried on, in order; None: the usual ones.
    reach: tuple[Channel, ...] | None = None
    countries: Countries = EVERYWHERE
    quiet: QuietHours | None = None
    #: Whether senders that do worse than their peers get less of its messages.
    heeds_health: bool = True
    #: By what they are judged.
    thresholds: Thresholds = USUAL


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """Senders used interchangeably; a hidden pool stands for a send without a pool."""

    id: int
    uid: bytes
    account_id: int
    hidden: bool = False
    #: True for the account's own hidden pool, whose members are all its active senders.
    everyone: bool = False
    deleted: bool = False
    #: What the pool says otherwise than the category does.
    rules: PoolRules | None = None
    #: The category of its messages where a request names none.
    category: Category | None = None
    members: tuple[Member, ...] = ()
    choice: Choice = Choice()


class DeclaredMember(msgspec.Struct, frozen=True, kw_only=True):
    """A member as the configuration names it."""

    channel: Channel
    address: str
    weight: float = 1.0
    tier: int = 0


class DeclaredPool(msgspec.Struct, frozen=True, kw_only=True):
    """A pool that the configuration declares. `settings` are by the names and in the form that the API has for them."""

    name: str
    #: The sid of its account; None: the first.
    account: str | None = None
    settings: Mapping[str, Any] = {}
    members: tuple[DeclaredMember, ...] = ()
