"""Nodes and leases in the database. Only PostgreSQL has several nodes, so what locks is written for it alone.

Whoever takes a lease locks its row FOR UPDATE; a commit that uses one locks it FOR KEY SHARE, which lets its owner
renew it meanwhile and nobody take it. A holder is its node's key: a node that starts again is another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from sendpool.domain.ownership import ASPECTS, LEASE, Lease, NodeView, View
from sendpool.domain.throughput import BucketState
from sendpool.store.database import Bulk, Query, Script

#: {lease: {connection's key: digests of its settings}}
Declared = Mapping[str, Mapping[str, str]]
#: Where buckets stood, by their names ("connection:12", "sender:34", or what several connections share).
Debts = Mapping[str, BucketState]


class NodeRow(NamedTuple):
    """A node, for people and for comparison."""

    node_id: int
    name: str
    role: str
    version: str
    scopes: Declared
    started_at: int
    seen_at: int
    ended_at: int | None


class Taken(NamedTuple):
    """A lease that has just been taken."""

    scope: str
    epoch: int
    #: Where its buckets stood, at most `since` seconds ago; None after an end that nobody handed over.
    debts: Debts | None
    #: Seconds since it was handed over.
    since: float
    #: Whether nobody has ever held it.
    first: bool
    #: Seconds since it was over, where its last owner did not hand it over.
    overdue: float
    #: Whether all that its last owner started and all that earlier ones left is noted in `begun`.
    journaled: bool = True


_decode_scopes = msgspec.json.Decoder(dict[str, dict[str, str]]).decode
_decode_debts = msgspec.json.Decoder(dict[str, BucketState] | None).decode


def _encoded(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def register_node(name: str, role: str, version: str, scopes: Declared) -> Script[int]:
    """A process begins; brings its key."""
    rows = yield Query(
        "INSERT INTO node (name, role, version, scopes, started_at, seen_at) VALUES (?, ?, ?, ?, clock_us(),"
        " clock_us()) RETURNING id",
        (name, role, version, _encoded(scopes)),
    )
    return int(rows[0][0])


def declare_scopes(node_id: int, scopes: Declared) -> Script[None]:
    """A node's configuration has changed."""
    yield Query("UPDATE node SET scopes = ?, seen_at = clock_us() WHERE id = ?", (_encoded(scopes), node_id))


def end_node(node_id: int) -> Script[None]:
    """A process ends, in order."""
    yield Query("UPDATE node SET seen_at = clock_us(), ended_at = clock_us() WHERE id = ?", (node_id,))


def declared_elsewhere(node_id: int) -> Script[set[int]]:
    """The connections that other nodes declare which run."""
    now = yield from database_clock()
    rows = yield from list_nodes()
    alive = [one for one in rows if one.ended_at is None and one.seen_at > now - int(LEASE * 1e6)]
    return {int(key) for one in alive if one.node_id != node_id for ones in one.scopes.values() for key in ones}


def forget_nodes(before: int) -> Script[int]:
    """Drop nodes that have not been heard of since *before*; brings how many."""
    changed: int = yield Query("DELETE FROM node WHERE seen_at < ?", (before,))
    return changed


def list_nodes() -> Script[list[NodeRow]]:
    """All nodes that are still known, oldest first."""
    rows = yield Query("SELECT id, name, role, version, scopes, started_at, seen_at, ended_at FROM node ORDER BY id")
    return [
        NodeRow(key, name, role, version, _decode_scopes(scopes), *times)
        for key, name, role, version, scopes, *times in rows
    ]


def list_leases() -> Script[list[Lease]]:
    """All leases, by scope."""
    rows = yield Query("SELECT scope, node_id, until, taken_at, epoch FROM lease ORDER BY scope")
    return [Lease(*row) for row in rows]


def database_clock() -> Script[int]:
    """Microseconds since 1970 by the database's clock."""
    rows = yield Query("SELECT clock_us()")
    return int(rows[0][0])


def load_view() -> Script[View]:
    """Nodes that have not ended, and leases, as they stand."""
    now = yield from database_clock()
    nodes = [
        NodeView(one.node_id, one.role != "api", one.scopes.keys(), one.seen_at, _shared(one.scopes), one.name)
        for one in (yield from list_nodes())
        if one.ended_at is None
    ]
    return View(now, nodes, (yield from list_leases()))


def _shared(scopes: Declared) -> dict[str, list[str]]:
    """What each lease shares with others: the words behind the digests of its connections' settings."""
    return {
        lease: [name for words in ones.values() for name in words.split()[len(ASPECTS) - 1 :]]
        for lease, ones in scopes.items()
    }


def add_leases(scopes: Iterable[str]) -> Script[None]:
    """Make leases that nobody has held yet."""
    rows = [(scope,) for scope in scopes]
    if rows:
        yield Bulk(
            "INSERT INTO lease (scope, until, taken_at, epoch, debts) SELECT scope, 0, 0, 0, '{}' FROM v WHERE true"
            " ON CONFLICT DO NOTHING",
            (("scope", "text"),),
            rows,
        )


def renew_leases(node_id: int, length: int) -> Script[set[int]]:
    """Extend everything that this node holds to *length* microseconds from now; brings the epochs of what it holds.

    A lease that is over is not renewed: another node may be about to take it.
    """
    yield Query("UPDATE node SET seen_at = clock_us() WHERE id = ?", (node_id,))
    rows = yield Query(
        "UPDATE lease SET until = clock_us() + ? WHERE node_id = ? AND until > clock_us() RETURNING epoch",
        (length, node_id),
    )
    return {epoch for (epoch,) in rows}


def take_lease(node_id: int, scope: str, length: int) -> Script[Taken | None]:
    """Take a lease that is over or was handed over, for *length* microseconds. None: it is not to be had.

    That is so also while a commit of its last owner, begun when the lease was still good, is under way.
    """
    rows = yield Query(
        "SELECT node_id, until, epoch, debts, clock_us(), journaled FROM lease WHERE scope = ? AND (node_id IS NULL OR"
        " until <= clock_us()) FOR UPDATE SKIP LOCKED",
        (scope,),
    )
    if not rows:
        return None
    holder, until, epoch, debts, now, journaled = rows[0]
    taken = yield Query(
        "UPDATE lease SET node_id = ?, until = clock_us() + ?, taken_at = clock_us(), epoch = nextval('lease_epoch'),"
        " debts = '{}' WHERE scope = ? RETURNING epoch",
        (node_id, length, scope),
    )
    passed = max(0.0, (now - until) / 1e6)
    handed = _decode_debts(debts) if holder is None else None
    overdue = passed if holder is not None else 0.0
    return Taken(scope, taken[0][0], handed, passed, epoch == 0, overdue, journaled == epoch)


def note_settled(scope: str, epoch: int) -> Script[None]:
    """The owner of this epoch has settled what earlier ones left; what it starts itself is in `begun`."""
    yield Query("UPDATE lease SET journaled = epoch WHERE scope = ? AND epoch = ?", (scope, epoch))


def release_lease(node_id: int, scope: str, epoch: int, debts: Debts | None) -> Script[bool]:
    """Hand a lease over; *debts* None: where its buckets stand is not known. False: it was not this node's any more."""
    changed = yield Query(
        "UPDATE lease SET node_id = NULL, until = clock_us(), debts = ? WHERE scope = ? AND node_id = ? AND epoch = ?",
        (_encoded(debts), scope, node_id, epoch),
    )
    return bool(changed)


def held_epochs(node_id: int, epochs: Sequence[int]) -> Script[set[int]]:
    """Of these epochs, those whose lease this node holds now; nobody else takes them before this commit ends."""
    rows = yield Bulk(
        f"FROM v JOIN lease l ON l.epoch = v.epoch WHERE l.node_id = {int(node_id)}"
        " AND l.until > clock_us() FOR KEY SHARE OF l",
        (("epoch", "bigint"),),
        [(epoch,) for epoch in epochs],
        ("l.epoch",),
    )
    return {epoch for (epoch,) in rows}
