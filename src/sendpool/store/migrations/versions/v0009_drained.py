"""Connections and senders may be drained: they start nothing new until they are resumed.

The version before goes on writing: it leaves the new columns alone, and sends through what is drained.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; nothing is drained."""
    for table in ("connection", "sender"):
        op.add_column(table, sa.Column("drained_at", sa.BigInteger(), nullable=True))
