"""What must hold of every database after every commit: the rules of `sendpool audit`, asked of whole tables."""

from __future__ import annotations

from sendpool.store.audit_rules import RULES, WHOLE
from sendpool.store.database import Query, Script

#: Keys that one finding names, at most.
_NAMED = 5


def contradictions() -> Script[list[str]]:
    """What the rows say that cannot be true together, in words with a few keys; empty for a sound database.

    Reads whole tables: for tests, and for databases that are small.
    """
    found = []
    for rule in RULES:
        rows = yield Query(f"{rule.sql(WHOLE)} LIMIT {_NAMED + 1}")
        if rows:
            keys = ", ".join(str(row[0]) for row in rows[:_NAMED])
            found.append(f"{rule.wrong}: {keys}{', ...' if len(rows) > _NAMED else ''}")
    return found
