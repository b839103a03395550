"""What all tables are made of: one `metadata` and the few portable types."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, MetaData, Text

metadata = MetaData()

# An SQLite key is the rowid itself only when it is declared INTEGER.
Key = BigInteger().with_variant(Integer, "sqlite")
Time = BigInteger
Json = Text


def required(name: str, kind: object, **options: object) -> Column[object]:
    """A column that always has a value."""
    return Column(name, kind, nullable=False, **options)  # type: ignore[arg-type]
