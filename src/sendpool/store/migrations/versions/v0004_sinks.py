"""Events on their way out: notices, sinks, subscriptions, and what a sink did not take.

Only adds, so the version before this one goes on running on it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _required(name: str, kind: object) -> sa.Column[object]:
    return sa.Column(name, kind, nullable=False)  # type: ignore[arg-type]


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "notice",
        _required("id", _KEY),
        _required("account_id", _KEY),
        _required("type", sa.Text()),
        _required("subject", sa.Text()),
        _required("data", sa.Text()),
        _required("created_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
    )
    _create_sinks()
    _create_subscriptions()
    op.create_table(
        "undelivered",
        _required("id", _KEY),
        _required("sink_id", _KEY),
        sa.Column("lane", sa.SmallInteger(), nullable=True),
        _required("first", _KEY),
        _required("last", _KEY),
        sa.Column("only", sa.Text(), nullable=True),
        _required("tries", sa.Integer()),
        _required("since", sa.BigInteger()),
        _required("next_at", sa.BigInteger()),
        _required("error", sa.Text()),
        _required("dead", sa.SmallInteger()),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("undelivered_sink", "undelivered", ["sink_id", "dead", "next_at"])


def _create_sinks() -> None:
    op.create_table(
        "sink",
        _required("id", _KEY),
        _required("sid", sa.Text()),
        _required("account_id", _KEY),
        _required("description", sa.Text()),
        _required("type", sa.Text()),
        _required("configuration", sa.Text()),
        _required("status", sa.Text()),
        _required("secret", sa.Text()),
        sa.Column("old_secret", sa.Text(), nullable=True),
        sa.Column("old_secret_until", sa.BigInteger(), nullable=True),
        sa.Column("test_id", sa.Text(), nullable=True),
        _required("position", _KEY),
        _required("created_at", sa.BigInteger()),
        _required("updated_at", sa.BigInteger()),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sid"),
    )
    op.create_index("sink_account", "sink", ["account_id", "id"])


def _create_subscriptions() -> None:
    op.create_table(
        "subscription",
        _required("id", _KEY),
        _required("sid", sa.Text()),
        _required("account_id", _KEY),
        _required("sink_id", _KEY),
        _required("description", sa.Text()),
        _required("created_at", sa.BigInteger()),
        _required("updated_at", sa.BigInteger()),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sid"),
    )
    op.create_index("subscription_account", "subscription", ["account_id", "id"])
    op.create_table(
        "subscribed_event",
        sa.Column("subscription_id", _KEY, autoincrement=False, nullable=False),
        _required("type", sa.Text()),
        _required("schema_version", sa.Integer()),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.id"]),
        sa.PrimaryKeyConstraint("subscription_id", "type"),
    )
