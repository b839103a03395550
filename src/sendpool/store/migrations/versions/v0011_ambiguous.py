"""Messages of unknown fate have an index, so that they can be counted every few seconds.

The version before goes on writing: the databases keep the index by themselves.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    where = sa.text("ambiguous != 0")
    op.create_index("message_ambiguous", "message", ["id"], sqlite_where=where, postgresql_where=where)
