"""The whole contract: keys and their log, profiles, templates, schedules, idempotency, redaction.

Only adds, so the version before this one goes on running on it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create what is new and add columns to what is there."""
    for column in (
        sa.Column("old_auth_token", sa.Text(), nullable=True),
        sa.Column("old_auth_token_until", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
    ):
        op.add_column("account", column)
    op.add_column("operation", sa.Column("scheduled_for", sa.BigInteger(), nullable=True))
    scheduled = sa.text("state = 1")
    op.create_index(
        "operation_scheduled", "operation", ["scheduled_for"], sqlite_where=scheduled, postgresql_where=scheduled
    )
    op.add_column("attempt", sa.Column("step", sa.SmallInteger(), server_default="0", nullable=False))
    op.add_column("chunk", sa.Column("due", sa.BigInteger(), server_default="0", nullable=False))
    for column in (
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("scheduled_for", sa.BigInteger(), nullable=True),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
    ):
        op.add_column("message", column)
    _create_keys()
    _create_contents()


def _create_keys() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("sid", sa.Text(), nullable=False),
        sa.Column("account_id", _KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sid"),
    )
    op.create_table(
        "admin_log",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "idempotency_key",
        sa.Column("account_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("operation_uid", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index("idempotency_key_age", "idempotency_key", ["created_at"], unique=False)
    op.create_table(
        "uptime",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _create_contents() -> None:
    op.create_table(
        "profile",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("account_id", _KEY, nullable=False),
        sa.Column("profile_id", sa.Text(), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("addresses", sa.Text(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account_id", "store_id", "profile_id"),
    )
    op.create_index("profile_account", "profile", ["account_id", "profile_id"], unique=False)
    op.create_table(
        "template",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("sid", sa.Text(), nullable=False),
        sa.Column("account_id", _KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("variables", sa.Text(), nullable=False),
        sa.Column("types", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sid"),
    )
    op.create_index("template_account", "template", ["account_id", "id"], unique=False)
