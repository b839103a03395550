"""Attempts without a result in a journal instead of an index on their state; those of unknown fate by their failure.

PostgreSQL then updates attempts and messages where they are, on pages half of which is kept free for that.

The version before goes on running: it names neither index, and misses them when it takes a lease over or places
receipts of unknown ids, which then reads the whole table. It notes nothing of what it starts, and its leases say so.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_DOUBTFUL = sa.text("failure = 'AMBIGUOUS'")
#: A few rows for some seconds each.
_JOURNAL = "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0"


def upgrade() -> None:
    """Create the table with what is under way, exchange the indexes, and make room on pages."""
    shared = op.get_context().dialect.name == "postgresql"
    op.create_table(
        "begun",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("attempts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.add_column("lease", sa.Column("journaled", sa.BigInteger(), nullable=False, server_default="0"))
    listed = "CAST(json_agg(id) AS TEXT)" if shared else "json_group_array(id)"
    under_way = f"SELECT {listed} AS attempts, count(*) AS n FROM attempt WHERE state = 1"
    op.execute(f"INSERT INTO begun (attempts) SELECT attempts FROM ({under_way}) s WHERE n > 0")
    op.create_index(
        "attempt_doubtful",
        "attempt",
        ["connection_id", "started_at"],
        sqlite_where=_DOUBTFUL,
        postgresql_where=_DOUBTFUL,
    )
    op.drop_index("attempt_started", "attempt")
    op.drop_index("attempt_unknown", "attempt")
    if shared:
        op.execute(f"ALTER TABLE begun SET ({_JOURNAL})")
        for table in ("attempt", "message"):
            op.execute(f"ALTER TABLE {table} SET (fillfactor = 50)")
