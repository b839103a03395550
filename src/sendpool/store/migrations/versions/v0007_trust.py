"""What is trusted: senders' health, codes that carriers answer with, and who has opted out.

Only adds, so the version before this one goes on running on it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _required(name: str, kind: object) -> sa.Column[object]:
    return sa.Column(name, kind, nullable=False)  # type: ignore[arg-type]


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "sender_health",
        _required("sender_id", _KEY),
        _required("country", sa.Text()),
        _required("condition", sa.Text()),
        _required("share", sa.Float()),
        sa.Column("symptom", sa.Text(), nullable=True),
        _required("figures", sa.Text()),
        _required("relapses", sa.SmallInteger()),
        _required("since", sa.BigInteger()),
        _required("updated_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("sender_id", "country"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "code_seen",
        _required("connection_id", _KEY),
        _required("place", sa.Text()),
        _required("code", sa.Text()),
        _required("failure", sa.Text()),
        _required("rule", sa.Text()),
        _required("count", _KEY),
        _required("first_at", sa.BigInteger()),
        _required("last_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("connection_id", "place", "code"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "opt_out",
        _required("account_id", _KEY),
        _required("space", sa.Text()),
        _required("address", sa.Text()),
        _required("scope", sa.Text()),
        _required("source", sa.Text()),
        _required("actor", sa.Text()),
        _required("created_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("account_id", "space", "address", "scope"),
        sqlite_with_rowid=False,
    )
    op.create_index("opt_out_age", "opt_out", ["account_id", "created_at"])
