"""On PostgreSQL: how the tables that grow with traffic, or change all the time, are kept small.

Only settings, so the version before this one goes on running on it. On SQLite there is nothing to do.
"""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

#: Rows are added at one end and pruned at the other, and hardly change: pages are filled to the brim, and what pruning
#: left is reused long before a fifth of the table is dead.
_PRUNED = ("event", "segment", "scope_contact", "inbound_seen")
#: A few rows that change every second: room for the new version of each on its page (no index has to change).
_CHANGED = ("scope_day", "scope_learned", "lease", "node", "number_block", "feed")
#: Rows that change until they go.
_TRIED = ("undelivered",)
_FREE = "autovacuum_vacuum_cost_delay = 0"
_FEW = f"autovacuum_vacuum_scale_factor = 0.01, {_FREE}"
_SMALL = f"autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, {_FREE}"
_OPTIONS = {
    **dict.fromkeys(_PRUNED, _FEW),
    **dict.fromkeys(_TRIED, f"fillfactor = 80, {_FEW}"),
    **dict.fromkeys(_CHANGED, f"fillfactor = 50, {_SMALL}"),
    # Beside what 0016 says of it: rows are only added and removed.
    "operation_delta": "fillfactor = 100",
}


def upgrade() -> None:
    """Tell the server how the tables are used."""
    if op.get_context().dialect.name != "postgresql":
        return
    for table, options in _OPTIONS.items():
        op.execute(f"ALTER TABLE {table} SET ({options})")
