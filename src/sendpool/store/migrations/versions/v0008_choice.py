"""Where senders and accounts send, and which pools the configuration declares.

Only adds, so the version before this one goes on running on it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("sender", sa.Column("destinations", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("sender_pool", sa.Column("declared", sa.Text(), nullable=True))
    op.add_column("account", sa.Column("countries", sa.Text(), nullable=True))
