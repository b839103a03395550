"""What may be done with a message: duplicates, time on a channel, validity and caps, by its category and its pool."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import msgspec

from sendpool.domain.message import Category
from sendpool.domain.sender import Channel


class Duplicates(StrEnum):
    """What to do while it is unknown whether a carrier took a message."""

    #: At most once: wait for a receipt (payment notices, marketing).
    AVOID = "avoid"
    #: At least once: send it again by the same sender (the same one-time password twice does no harm).
    TOLERATE = "tolerate"


class OpenOutcome(StrEnum):
    """What becomes of a message whose fate stays unknown although duplicates are to be avoided."""

    #: It is reported as of unknown fate, and nothing is sent again.
    REPORT = "report"
    #: It goes to the next channel.
    FAILOVER = "failover"


#: Seconds to stay on a channel without a delivery before the next one; nothing named: no timed fallback.
OTP_BUDGETS: Mapping[Channel, float] = MappingProxyType({Channel.RCS: 20.0, Channel.WHATSAPP: 30.0, Channel.SMS: 60.0})
#: Channels that a pool's `fallbackAfter` applies to. Not email: it has no receipts to be late, and bounces take days.
_TIMED = (Channel.RCS, Channel.WHATSAPP, Channel.SMS)
#: Seconds between a carrier's expiry and our timer, so that the carrier gives up first.
EXPIRY_MARGIN: Mapping[Channel, float] = MappingProxyType({Channel.RCS: 5.0, Channel.SMS: 10.0})
_NO_BUDGETS: Mapping[Channel, float] = MappingProxyType({})

DAY = 86_400.0
#: Seconds a message is useful where neither request nor pool says: 48 h, a one-time password 10 min.
VALIDITY: Mapping[Category, float] = MappingProxyType(
    {Category.TRANSACTIONAL: 2 * DAY, Category.BULK: 2 * DAY, Category.OTP: 600.0, Category.REPLY: DAY}
)


class PoolRules(msgspec.Struct, frozen=True, kw_only=True):
    """What a pool says otherwise; None takes what the category says."""

    #: Seconds to stay on a channel before the next one (the pool's `fallbackAfter`).
    fallback_after: float | None = None
    duplicates: Duplicates | None = None
    open_outcome: OpenOutcome | None = None
    #: Whether a message that was filtered as spam may take another channel. Never another sender.
    filtered_may_fall_back: bool = False


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Everything `next_step` may decide with, apart from what happened."""

    category: Category
    duplicates: Duplicates = Duplicates.AVOID
    open_outcome: OpenOutcome = OpenOutcome.REPORT
    #: Seconds per channel; a channel left out has no timed fallback.
    budgets: Mapping[Channel, float] = _NO_BUDGETS
    #: Seconds from acceptance to the deadline.
    validity: float = 2 * DAY
    filtered_may_fall_back: bool = False
    #: Attempts and senders of one message in all; attempts on one channel; attempts by one sender.
    max_attempts: int = 12
    max_senders: int = 4
    max_step_attempts: int = 10
    max_sender_attempts: int = 3
    #: Seconds to wait for proof that an attempt of unknown fate was accepted.
    grace: float = 10.0

    def budget(self, channel: Channel) -> float | None:
        """Return the seconds to stay on *channel* without a delivery; None: no timed fallback from it."""
        return self.budgets.get(channel)

    def carrier_validity(self, channel: Channel, left: float) -> float:
        """Return the validity to give the carrier, where *left* seconds of the message's own remain.

        A carrier that gives up before our timer does makes no duplicate of the fallback.
        """
        budget = self.budgets.get(channel)
        return left if budget is None else min(budget, left)

    def over(self, steps: int) -> Policy:
        """The policy of a message to several addresses: caps are for the two steps of one number, so each further
        step brings an attempt and a sender of its own.
        """
        more = max(0, steps - 2)
        return msgspec.structs.replace(self, max_attempts=self.max_attempts + more, max_senders=self.max_senders + more)

    @property
    def marketing(self) -> bool:
        """Whether a cap on marketing forbids other channels too."""
        return self.category is Category.BULK


_POLICIES: Mapping[Category, Policy] = MappingProxyType(
    {
        Category.TRANSACTIONAL: Policy(category=Category.TRANSACTIONAL),
        Category.BULK: Policy(category=Category.BULK),
        Category.REPLY: Policy(category=Category.REPLY),
        Category.OTP: Policy(
            category=Category.OTP,
            duplicates=Duplicates.TOLERATE,
            budgets=OTP_BUDGETS,
            validity=VALIDITY[Category.OTP],
        ),
    }
)


def policy_for(category: Category, rules: PoolRules | None = None) -> Policy:
    """Return the policy of a message of *category* in a pool that says *rules*."""
    policy = _POLICIES[category]
    if rules is None:
        return policy
    after = rules.fallback_after
    return msgspec.structs.replace(
        policy,
        duplicates=rules.duplicates or policy.duplicates,
        open_outcome=rules.open_outcome or policy.open_outcome,
        budgets=policy.budgets if after is None else MappingProxyType(dict.fromkeys(_TIMED, after)),
        filtered_may_fall_back=rules.filtered_may_fall_back,
    )
