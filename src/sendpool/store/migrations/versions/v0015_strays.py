"""What a receipt says of its message besides the id, and attempts of unknown fate by their connection.

Only adds, so the version before this one goes on running on it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_UNKNOWN = sa.text("state = 3")


def upgrade() -> None:
    """Add the columns, empty for what waits already, and the index, which holds few rows."""
    for name in ("rule", "sender", "recipient", "submitted"):
        op.add_column("receipt", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.create_index(
        "attempt_unknown",
        "attempt",
        ["connection_id", "started_at"],
        sqlite_where=_UNKNOWN,
        postgresql_where=_UNKNOWN,
    )
