"""Long texts of people until they are whole, sessions, and replies that are owed.

Only adds, so the version before this one goes on running on it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "inbound_parts",
        sa.Column("connection_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("reference", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("total", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("parts", sa.Text(), nullable=False),
        sa.Column("joined", sa.SmallInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("connection_id", "sender", "recipient", "reference", "total"),
    )
    op.create_index("inbound_parts_at", "inbound_parts", ["at"])
    op.create_table(
        "session",
        sa.Column("account_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("space", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("sender_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("uid", sa.LargeBinary(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("helped_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "space", "address", "sender_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("session_last", "session", ["last_at"])
    op.create_table(
        "owed_reply",
        sa.Column("message_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("account_id", _KEY, nullable=False),
        sa.Column("sender_id", _KEY, nullable=False),
        sa.Column("space", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
        sqlite_with_rowid=False,
    )
