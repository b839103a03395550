"""What a simulated RCS platform remembers: every request to send, what became of it, and totals."""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import NamedTuple

import msgspec

from sendpool.connectors.rcs.content import ContentMessage
from sendpool.simulate.rcs_accounts import Accounts
from sendpool.simulate.rcs_events import Webhook
from sendpool.simulate.rcs_script import RcsFate

_TAKEN = RcsFate(status=200)


class Message(msgspec.Struct, kw_only=True):
    """One request to send as it arrived, how it was answered, and where the message stands."""

    #: Seconds since 1970.
    at: float
    agent: str
    #: E.164 with "+".
    phone: str
    message_id: str
    said: ContentMessage
    traffic: str
    #: Seconds; `inf`: none was given.
    ttl: float = inf
    #: HTTP status of the answer; 200: taken, or repeated.
    status: int = 200
    #: Its id had been taken before: nothing came of it.
    repeated: bool = False
    #: "held" until it is "delivered", "expired" or "revoked". Only of messages that were taken.
    state: str = "held"
    fate: RcsFate = _TAKEN

    @property
    def text(self) -> str:
        """What it says, if it is a text."""
        return self.said.text or ""


class RcsTotals(NamedTuple):
    """Counts since the start. requests = accepted + repeats + refused + throttled."""

    requests: int
    accepted: int
    #: Requests whose id had been taken before, and which were answered as if taken.
    repeats: int
    refused: int
    throttled: int
    delivered: int
    #: Delivered although the same content had been delivered to the same number before.
    duplicates: int
    expired: int
    revoked: int
    #: Requests to take back that came too late or named nothing.
    revokes_failed: int
    events_posted: int
    events_acknowledged: int
    look_ups: int
    bulk_look_ups: int
    #: Numbers in bulk look-ups.
    looked_up: int
    tokens: int
    drops: int


class Tally:
    """Counts as they grow."""

    def __init__(self) -> None:
        self.requests = self.accepted = self.repeats = self.refused = self.throttled = 0
        self.expired = self.revoked = self.revokes_failed = 0
        self.look_ups = self.bulk_look_ups = self.looked_up = 0
        self._delivered: Counter[int] = Counter()

    def enter(self, message: Message) -> None:
        """Count a request to send."""
        self.requests += 1
        if message.status == 429:
            self.throttled += 1
        elif message.repeated and message.status in (200, 409):
            self.repeats += 1
        elif message.status == 200:
            self.accepted += 1
        else:
            self.refused += 1

    def delivered(self, message: Message) -> None:
        """Count a delivery."""
        self._delivered[hash((message.phone, msgspec.json.encode(message.said)))] += 1

    def totals(self, webhook: Webhook, accounts: Accounts, drops: int) -> RcsTotals:
        """The counts up to now; *drops* connections were broken."""
        delivered = self._delivered.total()
        return RcsTotals(
            requests=self.requests,
            accepted=self.accepted,
            repeats=self.repeats,
            refused=self.refused,
            throttled=self.throttled,
            delivered=delivered,
            duplicates=delivered - len(self._delivered),
            expired=self.expired,
            revoked=self.revoked,
            revokes_failed=self.revokes_failed,
            events_posted=webhook.posts,
            events_acknowledged=webhook.acknowledged,
            look_ups=self.look_ups,
            bulk_look_ups=self.bulk_look_ups,
            looked_up=self.looked_up,
            tokens=accounts.given,
            drops=drops,
        )
