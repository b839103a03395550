"""Since when a row waits that a limit holds, so that its time on its channel goes on.

The version before goes on writing: what it holds begins anew, as before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, empty."""
    op.add_column("later", sa.Column("since", sa.BigInteger(), nullable=True))
