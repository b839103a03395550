"""Chunks say what they cost and which channels they begin with, so that a start need not read all recipients.

The version before goes on writing: its chunks say neither, and are read as before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, empty."""
    op.add_column("chunk", sa.Column("cost", sa.Integer(), nullable=True))
    op.add_column("chunk", sa.Column("letters", sa.Text(), nullable=True))
