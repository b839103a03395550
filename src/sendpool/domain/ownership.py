"""Who may send for a connection when several nodes share a database: leases, their terms, and a fair share of them.

A lease lasts `LEASE` seconds by the database's clock and is renewed every third of that. Its node counts from before it
asked, by a clock of its own that nobody sets, and stops `MARGIN` seconds early: whatever the network does, nobody else
can have taken the lease by then. A lease is taken when it is over or was handed over, never otherwise. Times of leases
are microseconds since 1970 by the database's clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from math import inf
from typing import NamedTuple

#: Seconds that a lease lasts, and between two renewals.
LEASE = 15.0
RENEW_EVERY = LEASE / 3
#: Seconds before its end that a lease counts as over where it is held: clocks of two machines drift by 0.1 s in 15 s at
#: the very worst, and what a connector was given a moment ago still has to leave.
MARGIN = 2.0
#: The lease of whoever does what is to be done once for all nodes.
KEEPER = "keeper"


class Terms(NamedTuple):
    """How long leases last; shorter in tests. All in seconds."""

    lease: float = LEASE
    renew_every: float = RENEW_EVERY
    margin: float = MARGIN
    #: Between two looks at the leases, where nobody gives notice.
    poll: float = 1.0
    #: After which a lease that is free is anybody's, whoever was to take it.
    grace: float = 2.0
    #: A lease goes to another node for balance no sooner after it was taken: nodes that come and go do not shake all.
    steady: float = LEASE

    def good_until(self, asked_at: float) -> float:
        """Until when (monotonic seconds) its holder may use a lease that it asked for at *asked_at*, not later."""
        return asked_at + self.lease - self.margin

    @property
    def lease_us(self) -> int:
        """How long a lease lasts, in microseconds."""
        return int(self.lease * 1e6)


class Tenure:
    """One term in which this node owns a lease; `epoch` is its number, unique over all leases and nodes."""

    __slots__ = ("epoch", "good_until", "scope")

    def __init__(self, scope: str, epoch: int, good_until: float) -> None:
        self.scope = scope
        self.epoch = epoch
        #: Monotonic seconds; each renewal moves it.
        self.good_until = good_until

    def good(self, now: float) -> bool:
        """Whether the lease may be used at *now* (monotonic seconds)."""
        return now < self.good_until

    def renewed(self, asked_at: float, terms: Terms) -> None:
        """The lease was renewed; the renewal was asked for at *asked_at* or later. Never shortens it."""
        self.good_until = max(self.good_until, terms.good_until(asked_at))

    def end(self) -> None:
        """Use it no more, whatever the database says: it was lost, or is about to be handed over."""
        self.good_until = -inf


#: The tenure of everything where one process has the database to itself.
FOREVER = Tenure("", 0, inf)


class Lease(NamedTuple):
    """A lease as the database has it."""

    scope: str
    #: The node that holds it, or None.
    holder: int | None
    #: When it is over; of a free one, since when it is free.
    until: int
    taken_at: int
    epoch: int

    def is_free(self, now: int) -> bool:
        """Whether another node may take it: it is over, or was handed over."""
        return self.holder is None or self.until <= now


class NodeView(NamedTuple):
    """A node as the database has it."""

    node_id: int
    #: Whether it opens connections at all.
    sends: bool
    #: What its configuration declares.
    scopes: Collection[str]
    seen_at: int
    #: By lease, what else than its own limits it has to keep, together with others: digests of named scopes.
    shared: Mapping[str, Collection[str]] = {}
    #: What people know it by.
    name: str = ""

    def is_alive(self, now: int, terms: Terms) -> bool:
        """Whether it has been heard of within the length of a lease."""
        return self.seen_at + terms.lease_us > now


class View(NamedTuple):
    """Nodes and leases at one moment, as one transaction sees them."""

    now: int
    nodes: Sequence[NodeView]
    leases: Sequence[Lease]

    def alive(self, terms: Terms) -> list[NodeView]:
        """Nodes that run, in order."""
        return sorted((one for one in self.nodes if one.is_alive(self.now, terms)), key=lambda one: one.node_id)

    def held(self, terms: Terms) -> Counter[int]:
        """How many connections each node that runs serves."""
        counts = Counter({one.node_id: 0 for one in self.alive(terms)})
        for lease in self.leases:
            holder = None if lease.scope == KEEPER or lease.is_free(self.now) else lease.holder
            if holder is not None and holder in counts:
                counts[holder] += 1
        return counts

    def groups(self, terms: Terms) -> list[list[Lease]]:
        """The leases that go together, each group and all groups in order; the keeper's is alone.

        What any node that runs and sends declares to be shared counts: nodes that are configured differently, as they
        are for a while when all are being changed, agree on it.
        """
        senders = [one for one in self.alive(terms) if one.sends]
        names = {
            lease.scope: {name for one in senders for name in one.shared.get(lease.scope, ())} for lease in self.leases
        }
        rows = {lease.scope: lease for lease in self.leases}
        return [[rows[scope] for scope in group] for group in grouped(names)]


def grouped(names: Mapping[str, Collection[str]]) -> list[list[str]]:
    """What shares a name, directly or by way of others, together; *names* by what has them. All in order."""
    groups: list[tuple[set[str], set[str]]] = []
    for one, its in names.items():
        members, known = {one}, set(its)
        apart = []
        for group in groups:
            if known.isdisjoint(group[1]):
                apart.append(group)
            else:
                members |= group[0]
                known |= group[1]
        groups = [*apart, (members, known)]
    return sorted(sorted(members) for members, _ in groups)


def to_take(node_id: int, view: View, terms: Terms) -> list[str]:
    """The free leases that are this node's to take.

    Free groups of leases are dealt to the nodes that could serve them, the one with the fewest connections first; the
    rest of a group goes to who has its first. All nodes deal alike, so that nobody races; where whoever it was dealt to
    does not come within the grace, a group that is wholly free is anybody's.
    """
    alive, counts = view.alive(terms), view.held(terms)
    found: list[str] = []
    for group in view.groups(terms):
        able = _able(group, alive)
        free = [lease for lease in group if lease.is_free(view.now)]
        if not free or not able:
            continue
        chosen = _holder(group, able, view.now) or min(able, key=lambda key: (counts[key], key))
        if group[0].scope != KEEPER:
            counts[chosen] += len(free)
        late = free == group and all(lease.until + int(terms.grace * 1e6) <= view.now for lease in free)
        if chosen == node_id or (node_id in able and late):
            found += [lease.scope for lease in free]
    return found


def to_leave(node_id: int, view: View, terms: Terms) -> list[str]:
    """Leases of this node whose group is another node's, by who has the first of it: the group goes there whole."""
    alive = view.alive(terms)
    found: list[str] = []
    for group in view.groups(terms):
        holder = _holder(group, _able(group, alive), view.now)
        if holder not in (None, node_id):
            found += [lease.scope for lease in group if lease.holder == node_id and not lease.is_free(view.now)]
    return found


def to_give(node_id: int, view: View, terms: Terms) -> list[str]:
    """The leases that this node should hand over so that nodes serve equally many connections: one group, or none.

    One group moves at a time, only from whoever has more to one that has fewer also with it, and none that has just
    been taken: so each move makes the shares more equal, and none is ever undone. A node that only takes requests is
    keeper no longer than until there is another.
    """
    alive, groups, counts = view.alive(terms), view.groups(terms), view.held(terms)
    for group in groups:
        free = any(lease.is_free(view.now) for lease in group)
        if group[0].scope == KEEPER and not free and group[0].holder not in _able(group, alive):
            return [KEEPER] if group[0].holder == node_id else []
        if free and _able(group, alive):
            return []
    for giver in sorted(counts, key=lambda key: (-counts[key], key)):
        given = _given_by(giver, counts, groups, view, terms)
        if given:
            return given if giver == node_id else []
    return []


def _able(group: Sequence[Lease], alive: Sequence[NodeView]) -> list[int]:
    """The nodes that could serve a group: those that declare most of it, lest it be nobody's."""
    if group[0].scope == KEEPER:
        return [one.node_id for one in alive if one.sends] or [one.node_id for one in alive]
    declared = {one.node_id: sum(lease.scope in one.scopes for lease in group) if one.sends else 0 for one in alive}
    most = max(declared.values(), default=0)
    return [node for node, number in declared.items() if number == most > 0]


def _holder(group: Sequence[Lease], able: Collection[int], now: int) -> int | None:
    """Who has the first lease of a group that anybody able has."""
    return next((lease.holder for lease in group if not lease.is_free(now) and lease.holder in able), None)


def _given_by(
    giver: int, counts: Mapping[int, int], groups: Sequence[Sequence[Lease]], view: View, terms: Terms
) -> list[str]:
    alive = view.alive(terms)
    for group in sorted(groups, key=lambda group: (max(lease.taken_at for lease in group), group[0].scope)):
        steady = all(lease.taken_at + int(terms.steady * 1e6) <= view.now for lease in group)
        if group[0].scope == KEEPER or not steady or any(lease.holder != giver for lease in group):
            continue
        if any(counts[one] + len(group) < counts[giver] for one in _able(group, alive)):
            return [lease.scope for lease in group]
    return []


class Flaps:
    """Counts leases that come back to a node which has just given them up or lost them: a sign of trouble."""

    def __init__(self, within: float = 60.0) -> None:
        self._within = within
        self._left_at: dict[str, float] = {}

    def left(self, scope: str, now: float) -> None:
        """A lease was given up or lost (monotonic seconds)."""
        self._left_at[scope] = now

    def came(self, scope: str, now: float) -> bool:
        """A lease was taken; True: it has been here a moment ago."""
        left_at = self._left_at.pop(scope, -inf)
        return now - left_at < self._within


def differences(scopes: Mapping[int, Mapping[str, Mapping[str, str]]]) -> list[tuple[str, str, list[int]]]:
    """Where nodes' configurations differ: (connection's key, what, nodes that differ from the most), in order.

    *scopes* is {node: {lease: {connection: digests}}}, digests being words with blanks between, one for each of
    `ASPECTS` but the first, then what it shares with others. What is "missing" or one of the aspects. A node without
    any connection differs in nothing: it only takes requests. A tie is told as all nodes of it.
    """
    declared = {node: _by_connection(leases) for node, leases in scopes.items() if leases}
    keys = sorted({key for one in declared.values() for key in one})
    found: list[tuple[str, str, list[int]]] = []
    for key in keys:
        missing = sorted(node for node, one in declared.items() if key not in one)
        if missing:
            found.append((key, "missing", missing))
        having = {node: one[key] for node, one in declared.items() if key in one}
        for place, what in enumerate(ASPECTS):
            odd = _odd({node: (_together(lease, words), *words)[place] for node, (lease, words) in having.items()})
            if odd:
                found.append((key, what, odd))
    return found


#: What digests tell apart: what is leased together, how the link is dialled, how fast it goes, who sends through it.
ASPECTS = ("scope", "settings", "throughput", "senders")


def _by_connection(leases: Mapping[str, Mapping[str, str]]) -> dict[str, tuple[str, list[str]]]:
    return {key: (lease, words.split()) for lease, ones in leases.items() for key, words in ones.items()}


def _together(lease: str, words: Sequence[str]) -> str:
    """What a connection is leased by, and shares with others."""
    return " ".join((lease, *words[len(ASPECTS) - 1 :]))


def _odd(values: Mapping[int, str]) -> list[int]:
    """The nodes whose value is not the most common one; all of them where there is none."""
    ranked = Counter(values.values()).most_common()
    if len(ranked) < 2:
        return []
    common = ranked[0][0] if ranked[0][1] > ranked[1][1] else None
    return sorted(node for node, value in values.items() if value != common)


def scopes_to_add(wanted: Iterable[str], view: View) -> list[str]:
    """Leases that do not exist yet."""
    known = {lease.scope for lease in view.leases}
    return sorted(scope for scope in {KEEPER, *wanted} if scope not in known)
