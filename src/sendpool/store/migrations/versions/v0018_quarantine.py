"""The quarantine of addresses that carriers call unknown. Only adds, so the version before this one goes on running."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _required(name: str, kind: object) -> sa.Column[object]:
    return sa.Column(name, kind, nullable=False)  # type: ignore[arg-type]


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "quarantine",
        _required("account_id", _KEY),
        _required("address", sa.Text()),
        _required("channel", sa.Text()),
        _required("first_connection", _KEY),
        _required("first_rule", sa.Text()),
        _required("first_at", sa.BigInteger()),
        _required("until", sa.BigInteger()),
        sa.Column("second_connection", _KEY, nullable=True),
        sa.Column("second_rule", sa.Text(), nullable=True),
        sa.Column("held_at", sa.BigInteger(), nullable=True),
        _required("invalid", sa.SmallInteger()),
        sa.PrimaryKeyConstraint("account_id", "address", "channel"),
        sqlite_with_rowid=False,
    )
    op.create_index("quarantine_age", "quarantine", ["first_at"])
    op.create_index("quarantine_end", "quarantine", ["until"])
    op.create_table(
        "quarantine_trial",
        sa.Column("attempt_id", _KEY, autoincrement=False, nullable=False),
        _required("account_id", _KEY),
        _required("address", sa.Text()),
        _required("channel", sa.Text()),
        sa.PrimaryKeyConstraint("attempt_id"),
    )
