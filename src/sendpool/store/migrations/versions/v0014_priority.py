"""Operations have a priority: the weight of their turn in the pool.

Only adds, so the version before this one goes on running on it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column to what is there."""
    op.add_column("operation", sa.Column("priority", sa.Text(), server_default="normal", nullable=False))
