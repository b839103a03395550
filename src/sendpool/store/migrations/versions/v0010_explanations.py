"""Why a message left a step of its plan without a failure there.

Only adds, so the version before this one goes on running on it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nothing is known of older messages."""
    op.add_column("message", sa.Column("passed", sa.Text(), nullable=True))
