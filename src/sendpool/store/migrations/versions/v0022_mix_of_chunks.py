"""Chunks say what they are made of: channels and lanes of their first steps.

The version before goes on writing: its chunks do not say so, and count as made of all their channels alike.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, empty."""
    op.add_column("chunk", sa.Column("mix", sa.Text(), nullable=True))
