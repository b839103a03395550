"""Operations that pause since what they say is refused as spam. Only adds: the version before this one goes on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _required(name: str, kind: object) -> sa.Column[object]:
    return sa.Column(name, kind, nullable=False)  # type: ignore[arg-type]


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "operation_pause",
        sa.Column("operation_id", _KEY, autoincrement=False, nullable=False),
        _required("at", sa.BigInteger()),
        _required("filtered", sa.Integer()),
        _required("answers", sa.Integer()),
        _required("code", sa.Text()),
        _required("rule", sa.Text()),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("operation_id"),
    )
