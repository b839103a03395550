"""Why a sender took a message, and why another did not: one vocabulary for code, API, commands and docs (promise I10).

A rule that keeps a sender from a message says so with a `Remark`; it makes up no words of its own. Codes are stored
and published: they may be added to, but one that is there keeps its meaning.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Self


class Verdict(StrEnum):
    """What became of a sender when a message was to be sent."""

    #: It carries the message, or did.
    TAKEN = "taken"
    #: It may carry the message, and its own pace or limit held it up.
    WAITED = "waited"
    #: It might have carried the message, but was not ready, or another came before it.
    SKIPPED = "skipped"
    #: It may not carry this message at all.
    EXCLUDED = "excluded"


class Reason(StrEnum):
    """A code, the verdict that it gives, and what it means, as a sentence about a sender.

    `{until}` and `{about}` in a sentence stand for a remark's own; what is between square brackets goes where the
    remark does not say.
    """

    verdict: Verdict
    sentence: str

    def __new__(cls, code: str, verdict: Verdict = Verdict.SKIPPED, sentence: str = "") -> Self:
        """Make a member that is its code; called with the code alone it finds the member."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.verdict = verdict
        member.sentence = sentence
        return member

    # ---- taken
    FIRST_FREE = "first_free", Verdict.TAKEN, "It is free first, and of those free at once it has served least."
    ONLY_ONE = "only_one", Verdict.TAKEN, "No other sender can take it."
    NAMED = "named", Verdict.TAKEN, "The request names this sender."
    STICKY = "sticky", Verdict.TAKEN, "It is the sender that this recipient always gets."
    MATCHED = "matched", Verdict.TAKEN, "Its number is nearest to the recipient's[ ({about})]."
    UNTRIED = "untried", Verdict.TAKEN, "Of the senders that have not tried it, this one is free first."
    AGAIN = "again", Verdict.TAKEN, "It tries again: what it met may pass."
    PROBE = "probe", Verdict.TAKEN, "It was stopped, and this message tests whether it works again."
    TRIAL = (
        "trial",
        Verdict.TAKEN,
        "Its health is poor[ for {about}], and this message is in the trickle that it still gets.",
    )
    RECEIVED = "received", Verdict.TAKEN, "The message came in to it."

    # ---- waited: its pace
    WINDOW_FULL = "window_full", Verdict.WAITED, "As many messages are in flight as it or its connection may have."
    USED_UP = "used_up", Verdict.WAITED, "Its throughput is used up[ until {until}]."
    CONNECTION_USED_UP = (
        "connection_used_up",
        Verdict.WAITED,
        "The throughput of its connection is used up[ until {until}].",
    )
    PAUSED = "paused", Verdict.WAITED, "The carrier has asked it to pause[ until {until}]."
    DAILY_LIMIT = "daily_limit", Verdict.WAITED, "Its limit for the day is reached[; it goes on at {until}]."
    SCOPE_FULL = (
        "scope_full",
        Verdict.WAITED,
        "The limit that it shares with others[ ({about})] is used up[ until {until}].",
    )
    RECIPIENT_LIMIT = (
        "recipient_limit",
        Verdict.WAITED,
        "It has written to as many new recipients as it may in 24 hours[; it goes on at {until}].",
    )
    PAIR_LIMIT = "pair_limit", Verdict.WAITED, "It may not send to this recipient again[ before {until}]."
    QUIET_HOURS = "quiet_hours", Verdict.WAITED, "It is a quiet hour where the recipient is[, until {until}]."
    NEXT = "next", Verdict.WAITED, "It is about to take it."
    TURN = "turn", Verdict.WAITED, "Other messages of its queue are before this one."
    GRACE = "grace", Verdict.WAITED, "The message is kept for this sender a little longer[, until {until}]."

    # ---- skipped: not ready, or another came first
    READY = "ready", Verdict.SKIPPED, "It is ready; another is free sooner, or has served less for its weight."
    LINK_DOWN = "down", Verdict.SKIPPED, "Its connection is down[: {about}]."
    NOT_RUNNING = "not_running", Verdict.SKIPPED, "The server is not running."
    ELSEWHERE = "elsewhere", Verdict.SKIPPED, "Its connection is run by another process[ ({about})], which decides."
    UNLEASED = "unleased", Verdict.SKIPPED, "No process runs its connection just now; the next one to take it goes on."
    UNCONFIGURED = "unconfigured", Verdict.SKIPPED, "Its connection is not configured any more."
    DRAINING = "draining", Verdict.SKIPPED, "It, or its connection, is being drained and takes nothing new."
    STOPPED = "stopped", Verdict.SKIPPED, "Faults in a row have stopped it[ until {until}]."
    ACCOUNT_REFUSED = (
        "account_refused",
        Verdict.SKIPPED,
        "The carrier refuses the account of its connection[; it is tried again at {until}].",
    )
    MISCONFIGURED = (
        "misconfigured",
        Verdict.SKIPPED,
        "The carrier refuses the settings of its connection[; they are tried again at {until}].",
    )
    PROBING = "probing", Verdict.SKIPPED, "It was stopped, and one message is testing whether it works again."
    TRICKLE = "trickle", Verdict.SKIPPED, "Its health is poor[ for {about}], so that it gets only a trickle."
    RECOVERING = "recovering", Verdict.SKIPPED, "Its health is coming back[ for {about}], so that it gets only a part."
    OTHER_STICKY = "other_sticky", Verdict.SKIPPED, "The recipient always gets another sender."
    LESS_MATCHING = "less_matching", Verdict.SKIPPED, "The number of another sender is nearer to the recipient's."
    LOWER_TIER = "lower_tier", Verdict.SKIPPED, "A sender of a better tier can take it."
    OTHER_LANE = "other_lane", Verdict.SKIPPED, "The message is kept for another sender."
    OTHER_CONNECTION = (
        "other_connection",
        Verdict.SKIPPED,
        "It shares the connection that has just failed, and a sender of another one is left.",
    )

    # ---- excluded: not this message
    NOT_ON_CHANNEL = "not_on_channel", Verdict.EXCLUDED, "It is on another channel than this step of the plan."
    UNREACHABLE = "unreachable", Verdict.EXCLUDED, "The recipient cannot be reached through it on this channel."
    TRIED = "tried", Verdict.EXCLUDED, "It has tried this message already."
    ACCEPTED_BEFORE = "accepted_before", Verdict.EXCLUDED, "A carrier has accepted this message from it already."
    GONE = "gone", Verdict.EXCLUDED, "It is no longer in the pool, or is switched off."
    NOT_IN_COUNTRY = "not_in_country", Verdict.EXCLUDED, "It does not send to the recipient's country[ ({about})]."
    NO_ALPHANUMERIC = (
        "no_alphanumeric",
        Verdict.EXCLUDED,
        "Senders with a name instead of a number are not allowed in the recipient's country[ ({about})].",
    )
    UNREGISTERED = "unregistered", Verdict.EXCLUDED, "It has no registered campaign[ for {about}]."
    FOREIGN_SHORT_CODE = "foreign_short_code", Verdict.EXCLUDED, "It is a short code of another country[ ({about})]."
    RESERVED = "reserved", Verdict.EXCLUDED, "It is kept for other messages[ ({about})]."
    CONSENT = "consent", Verdict.EXCLUDED, "The recipient has withdrawn consent[ ({about})]."
    CATEGORY_CAP = (
        "category_cap",
        Verdict.EXCLUDED,
        "The recipient has had as much of this category as is allowed[ ({about})].",
    )
    FILTERED = "filtered", Verdict.EXCLUDED, "The request leaves its channel out."


class Remark(NamedTuple):
    """What a rule says about one sender: why, until when in seconds on the caller's clock, and about what.

    `about` is for a country ("DE"), the name of a scope, connection or node: never for an address or a text.
    """

    reason: Reason
    until: float | None = None
    about: str = ""


def say(reason: Reason, until: str = "", about: str = "") -> str:
    """Return the sentence of a reason with *until* and *about* put in; parts that lack theirs are left out."""
    text = reason.sentence
    while "[" in text:
        before, _, rest = text.partition("[")
        optional, _, after = rest.partition("]")
        known = ("{until}" not in optional or until) and ("{about}" not in optional or about)
        text = before + (optional if known else "") + after
    return text.replace("{until}", until).replace("{about}", about)
