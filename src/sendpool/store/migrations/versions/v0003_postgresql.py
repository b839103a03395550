"""On PostgreSQL: the few functions that both databases know by one name, and tables that stay small under load.

On SQLite there is nothing to do.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_PURE = "LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE"
#: What SQLite has built in. Of one SELECT each, so that the planner sees through them.
_FUNCTIONS = {
    "hex(bytea) RETURNS text": "SELECT upper(encode($1, 'hex'))",
    "json_each(text) RETURNS TABLE (key bigint, value json)": (
        "SELECT place - 1, item FROM json_array_elements($1::json) WITH ORDINALITY AS items (item, place)"
    ),
    # '$[3]' of an array, and '$."name"' of an object that is kept as text: no other paths are asked for.
    "json_extract(json, text) RETURNS text": "SELECT $1 ->> (substring($2 from '[0-9]+'))::int",
    "json_extract(text, text) RETURNS text": """SELECT $1::json ->> trim(both '"' from substring($2 from 3))""",
}
#: Rows come and go, or change a few times, all the time: dead ones must not wait for a fifth of the table.
_BUSY = ("outq", "later", "chunk", "attempt", "message", "operation", "receipt")
_OPTIONS = "fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0"


def upgrade() -> None:
    """Create the functions and tell the server how the tables are used."""
    if op.get_context().dialect.name != "postgresql":
        return
    for signature, body in _FUNCTIONS.items():
        op.execute(f"CREATE FUNCTION {signature} {_PURE} AS $$ {body} $$")
    for table in _BUSY:
        op.execute(f"ALTER TABLE {table} SET ({_OPTIONS})")
