"""The tables of what is trusted: senders' health, codes that carriers answer with, who has opted out, and
who is said not to exist.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, SmallInteger, Table, Text

from sendpool.store.columns import Json, Key, Time, metadata, required

sender_health = Table(
    "sender_health",
    metadata,
    #: One row for each sender and country in which it was ever worse than its peers; written when that changes.
    Column("sender_id", Key, primary_key=True, autoincrement=False),
    #: ISO 3166-1 alpha-2, or "".
    Column("country", Text, primary_key=True),
    #: "healthy", "unhealthy" or "returning" (`domain.health.Condition`).
    required("condition", Text),
    #: The part of its usual share that it gets.
    required("share", Float),
    #: What was worse ("faults", "lost-receipts", "late-receipts"), and by which figures.
    Column("symptom", Text),
    required("figures", Json),
    required("relapses", SmallInteger),
    required("since", Time),
    required("updated_at", Time),
    sqlite_with_rowid=False,
)

code_seen = Table(
    "code_seen",
    metadata,
    Column("connection_id", Key, primary_key=True, autoincrement=False),
    #: "submit" or "receipt".
    Column("place", Text, primary_key=True),
    #: The carrier's own, as it spelled it.
    Column("code", Text, primary_key=True),
    #: Class and rule that it had when it was last seen; a rule that ends in "/?" is that of a code nobody knows.
    required("failure", Text),
    required("rule", Text),
    required("count", Key),
    required("first_at", Time),
    required("last_at", Time),
    sqlite_with_rowid=False,
)

opt_out = Table(
    "opt_out",
    metadata,
    Column("account_id", Key, primary_key=True, autoincrement=False),
    #: The address space "P", "W" or "E".
    Column("space", Text, primary_key=True),
    Column("address", Text, primary_key=True),
    #: "": from everything that the account sends; else the public id of the one pool or sender that it is from.
    Column("scope", Text, primary_key=True),
    #: How it came to be known: "command", "import", "reply", or the carrier's code.
    required("source", Text),
    #: Who said so: "command line", "carrier", "recipient".
    required("actor", Text),
    required("created_at", Time),
    Index("opt_out_age", "account_id", "created_at"),
    sqlite_with_rowid=False,
)

quarantine = Table(
    "quarantine",
    metadata,
    #: An address that a carrier has called unknown, on one channel; sent to until a second one has said the same.
    Column("account_id", Key, primary_key=True, autoincrement=False),
    Column("address", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    required("first_connection", Key),
    required("first_rule", Text),
    required("first_at", Time),
    required("until", Time),
    Column("second_connection", Key),
    Column("second_rule", Text),
    #: Since when nothing is sent there; NULL: it is.
    Column("held_at", Time),
    #: 1: the number itself is invalid, on every channel.
    required("invalid", SmallInteger),
    Index("quarantine_age", "first_at"),
    Index("quarantine_end", "until"),
    sqlite_with_rowid=False,
)

quarantine_trial = Table(
    "quarantine_trial",
    metadata,
    #: An attempt (message * 64 + n) to a suspected address, until it has ended: its delivery removes the entry.
    Column("attempt_id", Key, primary_key=True, autoincrement=False),
    required("account_id", Key),
    required("address", Text),
    required("channel", Text),
)

operation_pause = Table(
    "operation_pause",
    metadata,
    #: An operation that pauses, or has paused, since what it says was refused as spam too often.
    Column("operation_id", Key, primary_key=True, autoincrement=False),
    required("at", Time),
    required("filtered", Integer),
    required("answers", Integer),
    #: The carrier's code and the row of the table of the last such refusal.
    required("code", Text),
    required("rule", Text),
    #: When somebody let it go on; NULL: it is paused.
    Column("released_at", Time),
)

sender_hearing = Table(
    "sender_hearing",
    metadata,
    Column("sender_id", Key, primary_key=True, autoincrement=False),
    #: When its receipts last came as they should, to the hour; when they broke, and when they came again.
    Column("usual_at", Time),
    Column("broken_at", Time),
    Column("mended_at", Time),
    required("updated_at", Time),
)
