"""Numbered, forward-only steps of the schema, run by Alembic; each is safe while the version before still runs.

On PostgreSQL nodes are replaced one by one, so the version before goes on writing rows during a migration and after
it (design §10). `tests/store/test_migrations_beside.py` writes such rows into every table. So a step

- only adds: tables, columns, indexes, views. It drops, renames and narrows nothing that the version before names; what
  nobody uses any more goes in a later version, when no process names it.
- gives each new column of an old table a constant default or lets it be NULL, for the old statements do not name it.
  Such a column costs the same in a table of any size; a default that is computed per row writes the whole table anew.
- adds no constraint that a row of the version before may break, and no value that it cannot read.
- writes no rows of large tables: what has to be filled is filled by the sweep, some rows at a time, later.
- makes an index only where few rows are in it or the table is small: writers wait until it is made, and it cannot be
  made CONCURRENTLY within the one transaction that all steps run in.
- comes through or leaves nothing: the steps are one transaction, on both databases.

`sendpool.store.migrate` sees to it that a step which waits for a lock stands in front of the old version's statements
for a second at most: then it gives up, lets them pass and begins anew.
"""
