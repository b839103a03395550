"""Nodes and leases, and on each attempt the term of ownership under which it was started."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: The database's clock, which goes on while a transaction waits, as rows have times.
_CLOCK = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


def upgrade() -> None:
    """Create what leases need."""
    op.create_table(
        "node",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "lease",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("node_id", _KEY, nullable=True),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("taken_at", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("debts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("scope"),
        sqlite_with_rowid=False,
    )
    op.add_column("attempt", sa.Column("epoch", sa.BigInteger(), server_default="0", nullable=False))
    if op.get_context().dialect.name == "postgresql":
        op.execute(f"CREATE FUNCTION clock_us() RETURNS bigint LANGUAGE sql VOLATILE AS $$ {_CLOCK} $$")
        # Unique over all leases: an epoch alone tells whose attempt it is.
        op.execute("CREATE SEQUENCE lease_epoch")
