"""Named scopes and lasting limits as sending sees them: made from the configuration, kept in the store.

What counts in a day or in 24 hours is read inside the very transaction that counts on, after a start and after a commit
that failed: memory may then be wrong, the store is not (promise I5).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.domain.limits import Day, Limits, Pairs, Recipients, Tally
from sendpool.domain.scopes import Bounds, ScopeSettings
from sendpool.domain.sender import Sender
from sendpool.domain.throughput import Bucket
from sendpool.store.database import Script
from sendpool.store.limits import (
    Declared,
    Learned,
    add_contacts,
    add_segments,
    load_contacts,
    load_segments,
    save_learned,
)

#: What keeps the segments of the longest message of late, among what was learned.
LONGEST = "longest"
#: Seconds after which the longest message of late is forgotten.
OF_LATE = 3600.0
#: Seconds for which a rate that a throttle answer taught is where a bucket begins after a restart.
LEARNED_FOR = 3600.0


def sender_key(sender_id: int) -> str:
    """A sender as scope."""
    return f"sender:{sender_id}"


def connection_key(connection_id: int) -> str:
    """A connection as scope."""
    return f"connection:{connection_id}"


def scope_key(name: str) -> str:
    """A named scope."""
    return f"scope:{name}"


class Limiter:
    """Every named scope and lasting limit of this process.

    `configure` and `learn` belong to the event loop; `prepare` and `save` run where claims do, in the writer. What the
    loop wants counted meanwhile it leaves with `note`.
    """

    def __init__(self) -> None:
        #: Buckets of named scopes.
        self.scopes: dict[str, Bucket] = {}
        #: Who has to wait for whose pace where a scope has none of its own: settings by name.
        self.settings: dict[str, ScopeSettings] = {}
        self.learned: dict[str, Learned] = {}
        #: Scopes of which something was learned since it was saved.
        self.unsaved: set[str] = set()
        self.tally = Tally()
        #: Who may send has changed: rows that limits hold are looked at again.
        self.release = False
        self._days: dict[str, Day] = {}
        self._recipients: dict[str, Recipients] = {}
        self._pairs: dict[str, tuple[Limits, Pairs]] = {}
        self._notes: deque[Callable[[], None]] = deque()

    # ------------------------------------------------------------ what there is

    def configure(self, scopes: Sequence[ScopeSettings], now: float, wall: int) -> None:
        """Take over the named scopes; bounds are made anew after it (`bounds_of`)."""
        self.settings = {scope.name: scope for scope in scopes}
        for name in self.scopes.keys() - self.settings.keys():
            del self.scopes[name]
        for name, scope in self.settings.items():
            bucket = self.scopes.get(name)
            if bucket is None:
                self.scopes[name] = self.begin(Bucket(scope.mps, scope.burst), scope_key(name), now, wall)
            else:
                bucket.resize(scope.mps, scope.burst, now)
        self._days, self._recipients = {}, {}
        for name, scope in self.settings.items():
            self._lasting(scope_key(name), scope.limits)
        # Those counters know nothing yet.
        self.tally.stale = self.release = True

    def begin(self, bucket: Bucket, key: str, now: float, wall: int) -> Bucket:
        """Start a bucket after nobody knows what: empty, as if a longest message had just left, and no faster than a
        throttle answer has lately taught.
        """
        longest = self.longest(wall)
        bucket.empty(now, max(0.0, longest - bucket.burst))
        learned = self.learned.get(key)
        if learned is not None and wall - learned.at < LEARNED_FOR * 1e6:
            wait = max(0.0, (learned.paused_until - wall) / 1e6)
            bucket.begin_at(learned.mps, now, wait)
        return bucket

    def longest(self, wall: int) -> float:
        """Segments of the longest message that was started of late, also before the last start."""
        known = self.learned.get(LONGEST)
        return (known.mps or 1.0) if known is not None and wall - known.at < OF_LATE * 1e6 else 1.0

    def started(self, longest: int, wall: int) -> Script[None]:
        """Note the longest message of a claim, in its transaction: a crash right after it must find it."""
        known = self.longest(wall)
        if longest < max(2, known):
            return
        if longest == known and wall - self.learned[LONGEST].at < OF_LATE * 1e6 / 2:
            return
        self.learned[LONGEST] = Learned(float(longest), wall, wall, 0)
        yield from save_learned({LONGEST: self.learned[LONGEST]})

    def bounds_of(
        self, sender: Sender, own: SenderSettings | None, connection: ConnectionSettings, now: float
    ) -> Bounds | None:
        """What bounds a sender beside its own bucket and its connection's; None: nothing."""
        limits = own.limits if own is not None else Limits()
        names = dict.fromkeys((*connection.scopes, *(own.scopes if own is not None else ())))
        keys = [scope_key(name) for name in names]
        for key, lasting in (
            (sender_key(sender.id), limits),
            (connection_key(sender.connection_id), connection.limits),
        ):
            self._lasting(key, lasting)
            keys.append(key)
        bounds = Bounds(
            {name: self.scopes[name] for name in names if name in self.scopes},
            [self._days[key] for key in keys if key in self._days],
            [self._recipients[key] for key in keys if key in self._recipients],
            self._pairs_of(sender_key(sender.id), limits, now),
        )
        return bounds or None

    def _lasting(self, key: str, limits: Limits) -> None:
        if limits.daily is not None and key not in self._days:
            self._days[key] = Day(key, limits.daily, limits.zone, self.tally)
        if limits.recipients is not None and key not in self._recipients:
            self._recipients[key] = Recipients(key, limits.recipients, self.tally)

    def _pairs_of(self, key: str, limits: Limits, now: float) -> Pairs | None:
        if limits.pair_seconds is None:
            return None
        made = self._pairs.get(key)
        if made is None or (made[0].pair_seconds, made[0].pair_burst) != (limits.pair_seconds, limits.pair_burst):
            made = self._pairs[key] = (limits, Pairs(limits.pair_seconds, limits.pair_burst, now))
        return made[1]

    # ------------------------------------------------------------ what was counted

    def note(self, change: Callable[[], None]) -> None:
        """Have something counted before the next claim."""
        self._notes.append(change)

    def prepare(self, wall: int) -> Script[None]:
        """Before a claim: count what was noted, and read again what may be wrong."""
        while self._notes:
            self._notes.popleft()()
        if not self.tally.stale:
            return
        yield from self.save()
        segments = yield from load_segments(self._days)
        contacts = yield from load_contacts(self._recipients, wall)
        for key, day in self._days.items():
            day.load(segments.get(key, {}))
        for key, recipients in self._recipients.items():
            recipients.load(contacts.get(key, []))
        self.tally.stale = False

    def save(self) -> Script[None]:
        """Write what was taken, in the transaction that starts the attempts."""
        if self.tally:
            yield from add_segments(self.tally.segments)
            yield from add_contacts(self.tally.contacts)
            self.tally.clear()

    def undone(self) -> None:
        """The commit failed: what memory counts may not have happened."""
        self.tally.clear()
        self.tally.stale = True
        self.learned.pop(LONGEST, None)

    # ------------------------------------------------------------ what was learned

    def learn(self, key: str, bucket: Bucket, now: float, wall: int) -> None:
        """A throttle answer has paused a scope."""
        before = self.learned.get(key)
        rate = bucket.rate(now)
        self.learned[key] = Learned(
            None if bucket.mps is None else rate,
            wall,
            wall + int((bucket.paused_until - now) * 1e6),
            1 + (before.throttles if before else 0),
        )
        self.unsaved.add(key)

    def take_unsaved(self) -> Mapping[str, Learned]:
        """What was learned since it was last saved; hands it over once."""
        keys, self.unsaved = self.unsaved, set()
        return {key: self.learned[key] for key in keys}


def limits_declared(
    scopes: Iterable[ScopeSettings], wanted: Mapping[int, tuple[ConnectionSettings, int]], senders: Iterable[Sender]
) -> list[Declared]:
    """Every limit there is, as it is kept for those who ask; *wanted* are settings and account by connection key."""
    rows = [_declared(scope_key(one.name), one.mps, one.burst, one.limits) for one in scopes]
    rows += [_declared(connection_key(key), one.mps, one.burst, one.limits) for key, (one, _) in wanted.items()]
    own = {
        (key, one.channel, one.address): one.limits for key, (settings, _) in wanted.items() for one in settings.senders
    }
    for sender in senders:
        limits = own.get((sender.connection_id, sender.channel, sender.address))
        if limits is not None:
            rows.append(_declared(sender_key(sender.id), sender.mps, sender.burst, limits))
    return rows


def _declared(key: str, mps: float | None, burst: float | None, limits: Limits) -> Declared:
    lasting = (limits.daily, limits.zone, limits.recipients, limits.pair_seconds)
    return Declared(key, mps, burst, *lasting, None if limits.pair_seconds is None else limits.pair_burst)
