"""Attempts of which the carrier is to be asked. Only adds, so the version before this one goes on running.

What that version has sent is asked for by nobody, as before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _required(name: str, kind: object) -> sa.Column[object]:
    return sa.Column(name, kind, nullable=False)  # type: ignore[arg-type]


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "inquiry",
        sa.Column("attempt_id", _KEY, autoincrement=False, nullable=False),
        _required("connection_id", _KEY),
        _required("carrier_id", sa.Text()),
        _required("due_at", sa.BigInteger()),
        _required("asked", sa.SmallInteger()),
        sa.PrimaryKeyConstraint("attempt_id"),
    )
    op.create_index("inquiry_due", "inquiry", ["connection_id", "due_at"])
