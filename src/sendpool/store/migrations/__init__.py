"""Numbered, forward-only steps of the schema, run by Alembic; each is safe while the version before still runs."""
