"""The figures of "nothing lost, nothing doubled in silence", measured on real processes that are broken on purpose."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from bench.claim_cost import claim_cost
from bench.database_outage import OUTAGE_QUICK, OutageSizes, database_outage
from bench.figures import Figure
from bench.hundred_kills import KILLS_QUICK, KillSizes, hundred_kills
from bench.show import Show, run
from bench.two_nodes import NODES_QUICK, NodeSizes, two_nodes


class LossSizes(NamedTuple):
    """What each figure takes; `backlog` is how many messages wait, at most, where claims are measured."""

    kills: KillSizes = KillSizes()
    nodes: NodeSizes = NodeSizes()
    outage: OutageSizes = OutageSizes()
    backlog: int = 10_000_000


def kills(sizes: LossSizes) -> list[Figure]:
    """kill -9 at a hundred seeded moments and boundaries, on SQLite and PostgreSQL, over SMPP and RCS."""
    return hundred_kills(sizes.kills)


def nodes(sizes: LossSizes) -> list[Figure]:
    """Two nodes and four carriers on PostgreSQL, one node killed at half, and one asked to end at half."""
    return two_nodes(sizes.nodes)


def outage(sizes: LossSizes) -> list[Figure]:
    """The database gone for a minute: killed, and behind a network that is cut."""
    return database_outage(sizes.outage)


def claims(sizes: LossSizes) -> list[Figure]:
    """What a claim costs with up to ten million messages waiting, as rows and in chunks, on SQLite and PostgreSQL."""
    return claim_cost(sizes.backlog)


SHOW = Show(
    "nothing lost",
    {"a": kills, "b": nodes, "c": outage, "claims": claims},
    LossSizes(),
    LossSizes(KILLS_QUICK, NODES_QUICK, OUTAGE_QUICK, backlog=100_000),
    within=2_700,
)

if __name__ == "__main__":
    sys.exit(run(SHOW))
