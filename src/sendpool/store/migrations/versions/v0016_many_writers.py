"""Many writers: counters as deltas, and up to where the feed of events is complete.

Only adds, so the version before this one goes on running on it: alone, so that it leaves both empty.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_COUNTERS = ("attempts", "scheduled", "queued", "sent", "delivered", "read", "undelivered", "failed", "canceled")
_OTHERS = (
    "id, uid, account_id, kind, pool_id, category, total, unexpanded, recipients, unaddressable, deadline, created_at,"
    " scheduled_for, priority"
)
#: As `store.counters` decides it, of an operation `o` and the sum `d` of its deltas.
_STATE = (
    "CASE WHEN o.state <= 2 AND o.queued + d.queued = 0 AND o.scheduled + d.scheduled = 0 THEN CASE WHEN o.state = 1 OR"
    " o.canceled + d.canceled = o.total THEN 4 ELSE 3 END ELSE o.state END"
)


def upgrade() -> None:
    """Create the tables, and the view of operations as they stand."""
    op.create_table(
        "operation_delta",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("operation_id", _KEY, nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in _COUNTERS),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("operation_delta_operation", "operation_delta", ["operation_id"])
    op.create_table(
        "feed",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("upto", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    if op.get_context().dialect.name != "postgresql":
        op.execute("CREATE VIEW counted_operation AS SELECT * FROM operation")
        return
    sums = ", ".join(f"coalesce(sum({name}), 0)::int AS {name}" for name in _COUNTERS)
    op.execute(
        f"CREATE VIEW counted_operation AS SELECT {', '.join(f'o.{name}' for name in _OTHERS.split(', '))},"
        f" {', '.join(f'o.{name} + d.{name} AS {name}' for name in _COUNTERS)},"
        f" ({_STATE})::smallint AS state, greatest(o.updated_at, d.at) AS updated_at FROM operation o"
        f" CROSS JOIN LATERAL (SELECT {sums}, max(at) AS at FROM operation_delta WHERE operation_id = o.id) d"
    )
    # Rows that live for a second: what is dead of them must not wait for the usual fifth of a table.
    op.execute(
        "ALTER TABLE operation_delta SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,"
        " autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0)"
    )
