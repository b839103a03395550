"""Keys of messages come in blocks, numbers of scenes are hashes: several processes number without asking each other.

The version before goes on writing: it has no use for the new table, and its scenes fit into the wider column.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of blocks, empty: a process that starts fills it from the rows that there are."""
    op.create_table(
        "number_block",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    if op.get_context().dialect.name == "postgresql":
        # SQLite's integers are as wide as they need to be. No released version has this table on PostgreSQL.
        op.execute("ALTER TABLE attempt ALTER COLUMN scene TYPE bigint")
