"""Lasting limits: what they have counted, what holds rows, and what throttle answers have taught.

Only adds, so the version before this one goes on running on it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create what is new and add a column to what is there."""
    op.add_column("later", sa.Column("held", sa.Text(), nullable=True))
    held = sa.text("held IS NOT NULL")
    op.create_index("later_held", "later", ["held"], sqlite_where=held, postgresql_where=held)
    op.create_table(
        "scope_day",
        sa.Column("scope", sa.Text(), primary_key=True),
        sa.Column("day", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "scope_contact",
        sa.Column("scope", sa.Text(), primary_key=True),
        sa.Column("recipient", sa.Text(), primary_key=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("scope_contact_age", "scope_contact", ["at"])
    op.create_table(
        "scope_learned",
        sa.Column("scope", sa.Text(), primary_key=True),
        sa.Column("mps", sa.Float()),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("paused_until", sa.BigInteger(), nullable=False),
        sa.Column("throttles", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "scope_declared",
        sa.Column("scope", sa.Text(), primary_key=True),
        sa.Column("mps", sa.Float()),
        sa.Column("burst", sa.Float()),
        sa.Column("daily_limit", sa.BigInteger()),
        sa.Column("day_zone", sa.Text(), nullable=False),
        sa.Column("recipient_limit", sa.BigInteger()),
        sa.Column("pair_seconds", sa.Float()),
        sa.Column("pair_burst", sa.BigInteger()),
    )
