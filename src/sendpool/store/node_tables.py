"""The tables of nodes: who runs on this database, and who may send for which connection."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table, Text

from sendpool.store.columns import Json, Key, Time, metadata, required

node = Table(
    "node",
    metadata,
    #: A process, not a machine: each start is another node.
    Column("id", Key, primary_key=True),
    #: Where it runs, for people: host and process.
    required("name", Text),
    #: "all", "api" or "send".
    required("role", Text),
    required("version", Text),
    #: {lease: {connection's key: digests of its settings}} of what its configuration declares.
    required("scopes", Json),
    required("started_at", Time),
    required("seen_at", Time),
    Column("ended_at", Time),
)

lease = Table(
    "lease",
    metadata,
    #: "connection:KEY", the name of what several connections share, or "keeper".
    Column("scope", Text, primary_key=True),
    #: Who holds it; None: it was handed over, or nobody has ever held it.
    Column("node_id", Key),
    #: When it is over, by the database's clock; of one that is free, since when.
    required("until", Time),
    required("taken_at", Time),
    #: Of its latest owner. Unique over all leases, and higher with each owner.
    required("epoch", BigInteger),
    #: Of one that was handed over: where its buckets stood, {bucket: [full in, paused for, share, pauses]} in seconds.
    required("debts", Json),
    #: Epoch of the latest owner that had settled what earlier ones left, and notes in `begun` what it starts.
    required("journaled", BigInteger, server_default="0"),
    sqlite_with_rowid=False,
)
