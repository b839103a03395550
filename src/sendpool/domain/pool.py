"""Sender pools: senders used interchangeably, as immutable values."""

from __future__ import annotations

import msgspec

from sendpool.domain.message import Category
from sendpool.domain.policy import PoolRules


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A sender's place in a pool."""

    sender_id: int
    weight: float = 1.0
    tier: int = 0


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
