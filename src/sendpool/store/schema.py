"""The whole schema: the tables of every module."""

from __future__ import annotations

from sendpool.store import columns, inbound_tables, node_tables, shared_tables, sink_tables, tables, trust_tables

MODULES = (tables, sink_tables, node_tables, trust_tables, shared_tables, inbound_tables)
metadata = columns.metadata
