"""Keep to the quarantine: no attempt on a channel on which carriers have said twice that nobody has the address.

As with consent, a filter in memory says of nearly everybody that nothing is known; only for the others the store is
asked, once for a whole batch. Who is only suspected is sent to, and cleared by a delivery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from sendpool.domain.consent import Filter
from sendpool.domain.explanation import QUARANTINED
from sendpool.domain.message import LETTER_CHANNEL, at_step
from sendpool.domain.quarantine import Place, Refusal, place_of, weigh
from sendpool.pipeline.decide import Bench, expire
from sendpool.pipeline.replan import leave_channel
from sendpool.pipeline.settle import Changes
from sendpool.store.attempts import load_past
from sendpool.store.database import Database, Script
from sendpool.store.messages import Context, load_standing
from sendpool.store.quarantine import (
    PAGE,
    all_places,
    count_entries,
    ended_trials,
    find_entries,
    forget_old_entries,
    load_entries,
    newer_places,
    settle_trials,
    write_entries,
)
from sendpool.store.queue import DueRow

#: The rule by which a message ends that may be sent nowhere else.
RULE = "sendpool/quarantined"
#: And of one to somebody who is known not to be on the channel.
NOT_ON_CHANNEL = "class/CHANNEL"
#: Entries that are kept at most, over all accounts; with so many, further suspicions are dropped until some end.
MOST = 1_000_000
#: Trials that are settled at a time.
_AT_ONCE = 1_000
#: Entries that a new filter has room for at least.
_LEAST_ROOM = 1 << 14
#: Microseconds that a look at the store reaches back behind the one before.
_OVERLAP = 30_000_000
_FIRST = Place(0, "", "")


class Sorted:
    """What a look at due rows brought."""

    __slots__ = ("barred", "free", "suspected")

    def __init__(self, free: list[DueRow]) -> None:
        #: Those that may be sent.
        self.free = free
        #: Those to whom nothing is sent on their channel.
        self.barred: list[DueRow] = []
        #: Where those of `free` go that something is known against, by message.
        self.suspected: dict[int, Place] = {}


class Quarantine:
    """The quarantine as the pipeline sees it. The filter only ever says "perhaps" too often."""

    def __init__(self, clock: Callable[[], int], count: Callable[[int], None] = lambda _: None) -> None:
        """*clock* tells microseconds since 1970; *count* is told how many addresses more are sent to no longer."""
        self._clock = clock
        self._count = count
        self._known = Filter(_LEAST_ROOM)
        self._recent: list[Place] | None = None
        self._looked_at = 0

    async def load(self, database: Database) -> None:
        """Know everybody that something is known against. Expired entries leave the filter this way, too."""
        recent: list[Place] = []
        self._recent = recent
        number, _ = await database.read(count_entries())
        fresh = Filter(max(_LEAST_ROOM, 2 * number))
        after = _FIRST
        while True:
            places = await database.read(all_places(after))
            for place in places:
                fresh.add((place.account_id, place.address))
            if len(places) < PAGE:
                break
            after = places[-1]
        self._known, self._recent = fresh, None
        self.learn(recent)

    async def refresh(self, database: Database) -> None:
        """Learn whom other processes on the same database have come to suspect since the last look."""
        now = self._clock()
        after, self._looked_at = (self._looked_at or now - 20 * _OVERLAP) - _OVERLAP, now
        self.learn(await database.read(newer_places(after)))

    @property
    def crowded(self) -> bool:
        """Whether the filter should be loaded anew, with more room."""
        return self._known.full and self._known.entries < 2 * MOST

    def learn(self, places: Iterable[Place]) -> None:
        """Something is known against these from now on."""
        for place in places:
            if (key := (place.account_id, place.address)) not in self._known:
                self._known.add(key)
            if self._recent is not None:
                self._recent.append(place)

    # ------------------------------------------------------------ claim

    def sort(self, rows: list[DueRow], contexts: Mapping[int, Context]) -> Script[Sorted]:
        """Tell those rows that may be sent from those that may not."""
        found = Sorted(rows)
        if not self._known.entries:
            return found
        places = self._places(rows, contexts)
        if not places:
            return found
        known = yield from find_entries(places.values(), self._clock())
        if not known:
            return found
        barred = {key for key, place in places.items() if known.get(place)}
        found.free = [row for row in rows if row.message_id not in barred] if barred else rows
        found.barred = [row for row in rows if row.message_id in barred]
        found.suspected = {key: place for key, place in places.items() if known.get(place) is False}
        return found

    def _places(self, rows: Sequence[DueRow], contexts: Mapping[int, Context]) -> dict[int, Place]:
        """Where those rows go of which the store has to be asked, by message."""
        places = {}
        for row in rows:
            account_id, channel = contexts[row.operation_id].account_id, LETTER_CHANNEL[row.plan[row.step]].value
            place = place_of(account_id, at_step(row.address, row.step), channel)
            if (account_id, place.address) in self._known:
                places[row.message_id] = place
        return places

    # ------------------------------------------------------------ settle

    def note(self, refusals: Iterable[Refusal], now: int) -> Script[None]:
        """Weigh what carriers have said of addresses, and write down what follows."""
        told = list(refusals)
        entries = yield from load_entries(one.place for one in told)
        written = {}
        for refusal in told:
            place = refusal.place
            before = entries.get(place)
            if before is None and self._known.entries >= MOST:
                continue
            after = entries[place] = weigh(before, refusal, now)
            if after != before:
                written[place] = after
        self.learn(written)
        if held := sum(one.held for one in written.values()):
            self._count(held)
        yield from write_entries(written.values())

    async def tidy(self, database: Database) -> list[Callable[[Changes], Script[None]]]:
        """What the sweep is to do: clear those to whom something was delivered, and forget what is old."""
        ended = await database.read(ended_trials(_AT_ONCE))

        def forget(changes: Changes) -> Script[None]:
            yield from forget_old_entries(changes.now)

        def clear(changes: Changes) -> Script[None]:
            yield from settle_trials(ended)

        return [forget, clear] if ended else [forget]


def leave_barred(
    rows: Sequence[DueRow], bench: Bench, changes: Changes, *, noted: str = QUARANTINED, rule: str = RULE
) -> Script[None]:
    """Rows that are out of their queues since nothing is sent to them there: on to the next channel, or the end by a
    *rule* of the failure table.
    """
    keys = [row.message_id for row in rows]
    standing = yield from load_standing(keys)
    past = yield from load_past(keys)
    ended = [
        row.message_id
        for row in rows
        if not leave_channel(standing[row.message_id], past.get(row.message_id, ()), row, changes, bench, noted=noted)
    ]
    yield from expire(ended, changes, rule=rule)
