"""What the demo counts: progress and rates while it runs, and an account of every message at its end. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Json = Mapping[str, Any]

#: Statuses in which a message has left through its sender.
LEFT = frozenset({"SENT", "DELIVERED", "READ", "UNDELIVERED"})
DELIVERED = frozenset({"DELIVERED", "READ"})
FAILED = frozenset({"UNDELIVERED", "FAILED", "CANCELED"})
#: Seconds over which a rate is taken.
RATE_OVER = 3.0


class SenderProgress(NamedTuple):
    """One sender at one moment."""

    #: Messages a second, lately.
    rate: float
    delivered: int
    #: Messages that it had and another sender has now.
    failed_over: int


class Progress(NamedTuple):
    """All messages at one moment."""

    total: int
    waiting: int
    on_the_way: int
    delivered: int
    failed: int
    ambiguous: int
    failed_over: int
    #: Messages a second, lately.
    rate: float

    @property
    def settled(self) -> int:
        """Messages of which nothing more is expected."""
        return self.delivered + self.failed + self.ambiguous


class Watch:
    """Follows the listed messages from one look to the next."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._sender_of: dict[str, str] = {}
        self._failed_over: Counter[str] = Counter()
        #: (when, messages that had left by sender) at earlier looks.
        self._looks: deque[tuple[float, Counter[str]]] = deque([(0.0, Counter())])
        self._delivered: Counter[str] = Counter()
        self._progress = Progress(total, total, 0, 0, 0, 0, 0, 0.0)

    def look(self, at: float, messages: Iterable[Json]) -> Progress:
        """Take in what the list says at *at* seconds after the start."""
        left: Counter[str] = Counter()
        self._delivered = Counter()
        states: Counter[str] = Counter()
        for message in messages:
            state = "AMBIGUOUS" if message.get("ambiguous") else str(message["status"])
            states[state] += 1
            sender = message["from"].get("senderId")
            if sender is None:
                continue
            self._note_sender(message["id"], sender)
            if message["status"] in LEFT:
                left[sender] += 1
            if message["status"] in DELIVERED:
                self._delivered[sender] += 1
        self._looks.append((at, left))
        while len(self._looks) > 2 and self._looks[1][0] <= at - RATE_OVER:
            self._looks.popleft()
        self._progress = self._summed(states)
        return self._progress

    def sender(self, sender_id: str) -> SenderProgress:
        """One sender, as of the last look."""
        return SenderProgress(self._rate(sender_id), self._delivered[sender_id], self._failed_over[sender_id])

    def _note_sender(self, message_id: str, sender_id: str) -> None:
        before = self._sender_of.get(message_id)
        if before is not None and before != sender_id:
            self._failed_over[before] += 1
        self._sender_of[message_id] = sender_id

    def _rate(self, sender_id: str | None = None) -> float:
        (then, before), (now, after) = self._looks[0], self._looks[-1]
        if now <= then:
            return 0.0
        left = after.total() - before.total() if sender_id is None else after[sender_id] - before[sender_id]
        return max(left, 0) / (now - then)

    def _summed(self, states: Counter[str]) -> Progress:
        delivered = sum(states[state] for state in DELIVERED)
        failed = sum(states[state] for state in FAILED)
        on_the_way, ambiguous = states["SENT"], states["AMBIGUOUS"]
        waiting = self._total - delivered - failed - on_the_way - ambiguous
        over = self._failed_over.total()
        return Progress(self._total, waiting, on_the_way, delivered, failed, ambiguous, over, self._rate())


class SenderAccount(NamedTuple):
    """What one sender did, or all of a channel, by the attempts of all messages."""

    attempts: int
    delivered: int
    #: Attempts that failed here, after which another sender of the same channel tried.
    failed_over: int
    #: Attempts that failed or were taken back here, after which another channel tried.
    fell_back: int
    #: Attempts that came here after another sender had failed.
    taken_over: int


class Account(NamedTuple):
    """What became of every message."""

    delivered: int
    #: Failed or undelivered, with the attempts' error codes: code -> messages.
    failed: Counter[int]
    ambiguous: int
    failovers: int
    fallbacks: int
    #: Messages that more than one attempt delivered.
    doubles: int
    senders: dict[str, SenderAccount]
    channels: dict[str, SenderAccount]
    #: Messages that are none of these: "status id".
    unaccounted: list[str]


def account_for(messages: Sequence[Json]) -> Account:
    """Account for fetched messages: delivered, failed with a reason, or stated ambiguous; else unaccounted."""
    failed: Counter[int] = Counter()
    unaccounted = []
    delivered = ambiguous = doubles = 0
    for message in messages:
        doubles += sum(attempt["status"] in DELIVERED for attempt in message["attempts"]) > 1
        status = message["status"]
        reason = _reason(message)
        if status in DELIVERED:
            delivered += 1
        elif message.get("ambiguous"):
            ambiguous += 1
        elif status in FAILED and reason is not None:
            failed[reason] += 1
        else:
            unaccounted.append(f"{status} {message['id']}")
    senders = _accounts(messages, lambda attempt: str(attempt["from"]["senderId"]))
    channels = _accounts(messages, lambda attempt: str(attempt["channel"]))
    failovers = sum(channel.failed_over for channel in channels.values())
    fallbacks = sum(channel.fell_back for channel in channels.values())
    return Account(delivered, failed, ambiguous, failovers, fallbacks, doubles, senders, channels, unaccounted)


def _accounts(messages: Sequence[Json], whose: Callable[[Json], str]) -> dict[str, SenderAccount]:
    """What senders or channels did; *whose* names the one that made an attempt."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for message in messages:
        before: Json | None = None
        for attempt in message["attempts"]:
            mine = counts[whose(attempt)]
            mine["attempts"] += 1
            mine["delivered"] += attempt["status"] in DELIVERED
            if before is not None and before["from"]["senderId"] != attempt["from"]["senderId"]:
                same = before["channel"] == attempt["channel"]
                counts[whose(before)]["failed_over" if same else "fell_back"] += 1
                mine["taken_over"] += 1
            before = attempt
    return {name: SenderAccount(*(one[field] for field in SenderAccount._fields)) for name, one in counts.items()}


def _reason(message: Json) -> int | None:
    """The error code of the last attempt that failed."""
    codes = [attempt["error"]["code"] for attempt in message["attempts"] if attempt.get("error")]
    return int(codes[-1]) if codes else None
