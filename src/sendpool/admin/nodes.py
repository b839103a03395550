"""`nodes`: the processes on a database, what they hold, and in what their configurations differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sendpool.admin.context import Arguments, Context, instant
from sendpool.domain.ownership import LEASE, Lease, differences
from sendpool.store.database import Script
from sendpool.store.leases import NodeRow, database_clock, list_leases, list_nodes
from sendpool.store.roster import load_connection_names


class ListNodes(Arguments, frozen=True, kw_only=True):
    """`nodes`."""


def show_nodes(ask: ListNodes, context: Context) -> Script[dict[str, Any]]:
    """Nodes that run or ended within a day, leases, and differences; times are those of the database's clock."""
    now = yield from database_clock()
    nodes = yield from list_nodes()
    leases = yield from list_leases()
    names = yield from load_connection_names()
    running = {one.node_id: one.scopes for one in nodes if _state(one, now) == "running"}
    return {
        "nodes": [_node(one, leases, now) for one in nodes],
        "leases": [_lease(one, nodes, names, now) for one in leases],
        "differences": [
            {"connection": names.get(int(key), key), "what": what, "nodes": _names(nodes, odd)}
            for key, what, odd in differences(running)
        ],
    }


def _state(node: NodeRow, now: int) -> str:
    """A node that was not heard of for as long as a lease lasts has lost what it held."""
    if node.ended_at is not None:
        return "ended"
    return "running" if node.seen_at + int(LEASE * 1e6) > now else "silent"


def _node(node: NodeRow, leases: Sequence[Lease], now: int) -> dict[str, Any]:
    return {
        "id": node.node_id,
        "name": node.name,
        "role": node.role,
        "version": node.version,
        "state": _state(node, now),
        "leases": sum(1 for one in leases if one.holder == node.node_id and not one.is_free(now)),
        "startedAt": instant(node.started_at),
        "seenAt": instant(node.seen_at),
        "endedAt": instant(node.ended_at),
    }


def _lease(lease: Lease, nodes: Sequence[NodeRow], names: dict[int, str], now: int) -> dict[str, Any]:
    kind, _, key = lease.scope.partition(":")
    free = lease.is_free(now)
    return {
        "lease": lease.scope,
        "connection": names.get(int(key)) if kind == "connection" else None,
        "state": "held" if not free else "free" if lease.holder is None else "over",
        "node": None if lease.holder is None else next(iter(_names(nodes, [lease.holder])), None),
        "until": instant(lease.until) if lease.epoch else None,
        "epoch": lease.epoch,
    }


def _names(nodes: Sequence[NodeRow], wanted: Sequence[int]) -> list[str]:
    return [one.name for one in nodes if one.node_id in wanted]
