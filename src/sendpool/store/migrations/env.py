"""Run the migrations on the connection that `sendpool.store.migrate` hands over, or write them down for PostgreSQL."""

from __future__ import annotations

from alembic import context

from sendpool.store.schema import metadata

if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=metadata, literal_binds=True)
else:
    context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
