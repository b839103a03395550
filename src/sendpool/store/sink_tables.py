"""The tables of events on their way out: notices, sinks, subscriptions, and what a sink did not take."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, SmallInteger, Table, Text

from sendpool.store.columns import Json, Key, Time, metadata, required

notice = Table(
    "notice",
    metadata,
    #: Below nought it is the subject of its event, whose number is `NOTICE_EVENT`.
    Column("id", Key, primary_key=True),
    required("account_id", Key),
    #: A name in `domain.event_types.NOTICES`.
    required("type", Text),
    #: What it is about: a sender's id, a connection's name.
    required("subject", Text),
    #: Text by name.
    required("data", Json),
    required("created_at", Time),
)

sink = Table(
    "sink",
    metadata,
    Column("id", Key, primary_key=True),
    #: "DG" and 32 hex digits.
    required("sid", Text, unique=True),
    required("account_id", Key),
    required("description", Text),
    #: "webhook" or "nats".
    required("type", Text),
    #: Encrypted, for it may hold a password: {"destination": ..., "method": ..., "batch_events": ...} of a webhook,
    #: {"servers": [...], "subject": ..., "token" or "user" and "password": ...} of nats.
    required("configuration", Text),
    #: "initialized", "validating", "active" or "failed".
    required("status", Text),
    #: Encrypted: signs what is posted, as Standard Webhooks have it.
    required("secret", Text),
    #: The secret before, encrypted, while both sign.
    Column("old_secret", Text),
    Column("old_secret_until", Time),
    #: The id of the last test event.
    Column("test_id", Text),
    #: Every event up to this position was taken, or is in `undelivered`, or is of no interest to it.
    required("position", Key),
    required("created_at", Time),
    required("updated_at", Time),
    Column("deleted_at", Time),
    Index("sink_account", "account_id", "id"),
)

subscription = Table(
    "subscription",
    metadata,
    Column("id", Key, primary_key=True),
    #: "DF" and 32 hex digits.
    required("sid", Text, unique=True),
    required("account_id", Key),
    required("sink_id", Key),
    required("description", Text),
    required("created_at", Time),
    required("updated_at", Time),
    Column("deleted_at", Time),
    Index("subscription_account", "account_id", "id"),
)

subscribed_event = Table(
    "subscribed_event",
    metadata,
    Column("subscription_id", Key, ForeignKey("subscription.id"), primary_key=True, autoincrement=False),
    Column("type", Text, primary_key=True),
    required("schema_version", Integer),
)

undelivered = Table(
    "undelivered",
    metadata,
    #: Runs of events that a sink did not take: to be offered again, or given up.
    Column("id", Key, primary_key=True),
    required("sink_id", Key),
    #: The lane whose events of the run it is; None: of every lane.
    Column("lane", SmallInteger),
    #: Positions, both ends included.
    required("first", Key),
    required("last", Key),
    #: Only these types, and only of this operation: {"types": [...], "operation": ...}. None: what the sink wants.
    Column("only", Json),
    required("tries", Integer),
    #: Since when it is not taken, and when it is offered again.
    required("since", Time),
    required("next_at", Time),
    #: Why it was not taken.
    required("error", Text),
    #: 1: given up; a replay offers it again.
    required("dead", SmallInteger),
    Index("undelivered_sink", "sink_id", "dead", "next_at"),
)
