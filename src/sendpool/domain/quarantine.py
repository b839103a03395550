"""Quarantine: to whom nothing is sent on a channel for a while, because carriers have said that nobody is there.

One refusal is a suspicion and stops nothing; a second one that is independent of it does. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from sendpool.domain.failures import Hard, by_rule

#: Microseconds that a suspicion and a quarantine last (failover notes, row 11), and after which the same connection's
#: word counts a second time: more than one bad day of a carrier.
LASTS, APART = 30 * 86_400_000_000, 86_400_000_000


class Place(NamedTuple):
    """An address on a channel, for one account."""

    account_id: int
    address: str
    channel: str


class Refusal(NamedTuple):
    """A carrier has said that an address does not exist, by a row of the failure table that is `hard`."""

    place: Place
    connection_id: int
    rule: str


class Entry(NamedTuple):
    """What is known against an address. Times are microseconds since 1970."""

    place: Place
    first_connection: int
    first_rule: str
    first_at: int
    #: Until when it is kept.
    until: int
    #: The second refusal; None: it is only suspected, and still sent to.
    second_connection: int | None = None
    second_rule: str | None = None
    held_at: int | None = None
    #: The number itself is said to be invalid, so that no channel of it can work.
    invalid: bool = False

    @property
    def held(self) -> bool:
        """Whether nothing is sent to it."""
        return self.held_at is not None


def place_of(account_id: int, address: str, channel: str) -> Place:
    """An address as it is compared: of mailboxes case says nothing."""
    return Place(account_id, address.lower() if "@" in address else address, channel)


def weigh(entry: Entry | None, refusal: Refusal, now: int) -> Entry:
    """What is known of an address after one more refusal (docs/adr/0018)."""
    if entry is None or entry.until <= now:
        return Entry(refusal.place, refusal.connection_id, refusal.rule, now, now + LASTS)
    if entry.held or not _independent(entry, refusal, now):
        return entry
    return entry._replace(
        second_connection=refusal.connection_id,
        second_rule=refusal.rule,
        held_at=now,
        until=now + LASTS,
        invalid=by_rule(entry.first_rule).invalid and by_rule(refusal.rule).invalid,
    )


def _independent(entry: Entry, refusal: Refusal, now: int) -> bool:
    """Whether a refusal says more than that the one before was made."""
    if refusal.connection_id != entry.first_connection:
        return True
    alone = all(by_rule(rule).hard is Hard.DAY for rule in (entry.first_rule, refusal.rule))
    return alone and now - entry.first_at >= APART
