"""Keep to consent: nobody who has opted out is sent to, not at acceptance, not at the claim and not at a failover.

A filter in memory says of nearly everybody that there is no entry; only for the others the ledger is asked, once for
a whole batch. An account without entries costs one look into a dictionary.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import NamedTuple

import msgspec

from sendpool.connectors.base import OptedOut
from sendpool.domain import ids
from sendpool.domain.consent import SPACE_OF_LETTER, Filter, OptOut, Person, person, scope_of, scopes_over
from sendpool.domain.message import STEP_LETTER
from sendpool.domain.pool import Pool
from sendpool.domain.request import Recipient, SendRequest
from sendpool.pipeline.render import Readings
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.settle import Changes
from sendpool.store.consent import PAGE, add_opt_outs, all_people, count_opt_outs, find_opt_outs, newer_opt_outs
from sendpool.store.database import Database, Script

#: The code of a recipient who has opted out, what is said of it, and the rule by which a message ends for it.
OPTED_OUT = 21610
SAID = "the recipient has opted out of messages from this account, pool or sender"
RULE = "sendpool/suppressed"
#: Entries that a new account's filter has room for.
_MOST_KNOWN = 16_384
#: Microseconds that a look at the ledger reaches back behind the one before.
_OVERLAP = 30_000_000


class Addressee(NamedTuple):
    """A message that is about to be sent: may it be?"""

    key: int
    account_id: int
    pool_id: int
    category: str
    address: str
    #: The letter of the channel that it would take.
    letter: str

    @property
    def person(self) -> Person:
        """Whom it is for, as the ledger knows them."""
        return person(SPACE_OF_LETTER[self.letter], self.address)


class Consent:
    """The ledger as the pipeline sees it. Filters are added to on any thread, and only ever say "perhaps" too often."""

    def __init__(self, roster: Callable[[], Roster]) -> None:
        self._roster = roster
        self._filters: dict[int, Filter] = {}
        #: When the ledger was last looked at for what other processes have written (microseconds since 1970).
        self._looked_at = 0
        #: What is learned while the ledger is being loaded.
        self._recent: list[OptOut] | None = None
        #: Whether the commit under way has written entries: other processes are to know them too.
        self.unsaid = False
        self._programmes: tuple[Roster | None, dict[int, frozenset[str]]] = (None, {})

    async def load(self, database: Database, barrier: Callable[[], Awaitable[None]] | None = None) -> None:
        """Know the ledger as it stands. *barrier* returns when every commit is over that began before it was called:
        what these have written is read, and what comes after them is known anyway.
        """
        recent: list[OptOut] = []
        self._recent = recent
        if barrier is not None:
            await barrier()
        fresh = {key: Filter(2 * n) for key, n in (await database.read(count_opt_outs())).items()}
        after = (0, "", "")
        while True:
            rows = await database.read(all_people(after))
            for account_id, one in rows:
                fresh.setdefault(account_id, Filter(_MOST_KNOWN)).add(one)
            if len(rows) < PAGE:
                break
            after = (rows[-1][0], *rows[-1][1])
        self._filters, self._recent = fresh, None
        self.learn(recent)

    async def refresh(self, database: Database, now: int) -> None:
        """Learn what other processes on the same database have written since the last look (microseconds)."""
        # As far back again as clocks of machines may differ and commits may take.
        # The first look goes back to long before the whole ledger was read.
        after, self._looked_at = (self._looked_at or now - 20 * _OVERLAP) - _OVERLAP, now
        self.learn(await database.read(newer_opt_outs(self._roster().hidden_by_account, after)))

    def any_of(self, account_id: int) -> bool:
        """Whether anybody has opted out of what this account sends."""
        return account_id in self._filters

    def perhaps(self, account_id: int, one: Person) -> bool:
        """Whether the ledger has to be asked about somebody."""
        known = self._filters.get(account_id)
        return known is not None and one in known

    def keep(self, entries: Collection[OptOut], now: int) -> Script[int]:
        """Write entries, and know them from now on. Brings how many are new."""
        self.learn(entries)
        self.unsaid = self.unsaid or bool(entries)
        return (yield from add_opt_outs(entries, now))

    def learn(self, entries: Iterable[OptOut]) -> None:
        """Know entries that are being written."""
        for entry in entries:
            known = self._filters.get(entry.account_id)
            if known is None:
                known = self._filters[entry.account_id] = Filter(_MOST_KNOWN)
            one = Person(entry.space, entry.address)
            if one not in known:
                known.add(one)
            if self._recent is not None:
                self._recent.append(entry)

    @property
    def crowded(self) -> bool:
        """Whether some filter should be loaded anew, with more room."""
        return any(known.full for known in list(self._filters.values()))

    def programmes_of(self, pool_id: int) -> frozenset[str]:
        """The public ids that an entry may name to cover what is from a pool: its own, and those of its senders."""
        roster = self._roster()
        if self._programmes[0] is not roster:
            self._programmes = (roster, {})
        known = self._programmes[1]
        found = known.get(pool_id)
        if found is None:
            pool = roster.pools.get(pool_id)
            found = known[pool_id] = frozenset() if pool is None else frozenset(_programmes(pool, roster))
        return found

    # ------------------------------------------------------------ acceptance

    async def opted_out(self, request: SendRequest, pool: Pool, category: str, database: Database) -> set[Person]:
        """Those among a request's recipients who are not to be sent to."""
        if not self.any_of(request.account_id):
            return set()
        people = {one for r in request.recipients for one in people_of(r) if self.perhaps(request.account_id, one)}
        if not people:
            return set()
        found = await database.read(find_opt_outs([(request.account_id, one) for one in people]))
        covering = scopes_over(category, self.programmes_of(pool.id))
        return {one for _, one, scope in found if scope in covering}

    # ------------------------------------------------------------ claim and failover

    def stopped(self, asked: Sequence[Addressee]) -> Script[set[int]]:
        """The keys of those messages that may not be sent."""
        doubtful = [one for one in asked if self.perhaps(one.account_id, one.person)]
        if not doubtful:
            return set()
        found = yield from find_opt_outs((one.account_id, one.person) for one in doubtful)
        scopes: dict[tuple[int, Person], set[str]] = {}
        for account_id, someone, scope in found:
            scopes.setdefault((account_id, someone), set()).add(scope)
        return {
            one.key
            for one in doubtful
            if (has := scopes.get((one.account_id, one.person)))
            and has & scopes_over(one.category, self.programmes_of(one.pool_id))
        }


def _programmes(pool: Pool, roster: Roster) -> Iterable[str]:
    yield ids.encode(ids.POOL, pool.uid)
    members = (
        [one for one in roster.senders.values() if one.account_id == pool.account_id]
        if pool.everyone
        else [roster.senders[one.sender_id] for one in pool.members if one.sender_id in roster.senders]
    )
    for sender in members:
        yield ids.encode(ids.SENDER, sender.uid)


def people_of(recipient: Recipient) -> list[Person]:
    """A recipient's addresses as the ledger knows them."""
    if " " not in recipient.address:
        return [person(recipient.space, recipient.address)]
    pairs = zip(recipient.space, recipient.address.split(" "), strict=True)
    return [person(space, address) for space, address in pairs]


def entry_of(account_id: int, item: OptedOut) -> OptOut:
    """The entry of an account's ledger for somebody who has opted out by a link or a complaint."""
    who = person(SPACE_OF_LETTER[STEP_LETTER[item.channel]], item.address)
    return OptOut(account_id, *who, scope_of(item.rule), item.rule, "recipient")


def note_opt_outs(changes: Changes, entries: Sequence[OptOut]) -> Script[None]:
    """Have entries written with the next commit."""
    changes.opt_outs += entries
    yield from ()


class Willing(NamedTuple):
    """A request without those who have opted out."""

    request: SendRequest
    readings: Readings | None
    #: Where each recipient that is left stands in the request as it was made.
    positions: Sequence[int]
    #: (position, recipient) of those of whom no address is left.
    left_out: Sequence[tuple[int, Recipient]] = ()


def everybody(request: SendRequest, readings: Readings | None) -> Willing:
    """A request of whose recipients nobody has opted out."""
    return Willing(request, readings, range(len(request.recipients)))


def without(request: SendRequest, readings: Readings | None, opted_out: set[Person]) -> Willing:
    """Take those who have opted out from a request; somebody with other addresses keeps these."""
    kept: list[Recipient] = []
    positions: list[int] = []
    left_out = []
    for position, recipient in enumerate(request.recipients):
        people = people_of(recipient)
        stay = [i for i, one in enumerate(people) if one not in opted_out]
        if not stay:
            left_out.append((position, recipient))
            continue
        positions.append(position)
        kept.append(recipient if len(stay) == len(people) else _only(recipient, stay))
    if readings is not None:
        readings = readings._replace(each=[readings.each[i] for i in positions])
    return Willing(msgspec.structs.replace(request, recipients=kept), readings, positions, left_out)


def _only(recipient: Recipient, places: Sequence[int]) -> Recipient:
    addresses = recipient.address.split(" ")
    return recipient._replace(
        address=" ".join([addresses[i] for i in places]), space="".join([recipient.space[i] for i in places])
    )
