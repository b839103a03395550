"""The tables by which several writers keep out of each other's way; one writer alone leaves them empty."""

from __future__ import annotations

from sqlalchemy import DDL, BigInteger, Column, Index, Integer, SmallInteger, Table, event

from sendpool.store.columns import Key, Time, metadata, required

operation_delta = Table(
    "operation_delta",
    metadata,
    #: What one commit adds to an operation's counters, until the keeper folds it into them.
    Column("id", Key, primary_key=True),
    required("operation_id", Key),
    required("attempts", Integer),
    required("scheduled", Integer),
    required("queued", Integer),
    required("sent", Integer),
    required("delivered", Integer),
    required("read", Integer),
    required("undelivered", Integer),
    required("failed", Integer),
    required("canceled", Integer),
    required("at", Time),
    Index("operation_delta_operation", "operation_id"),
)

feed = Table(
    "feed",
    metadata,
    #: 1: there is one row, or none where one process writes alone.
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    #: Up to this position every event is there that ever will be.
    required("upto", BigInteger),
)

#: Operations with counters and states that what is not folded yet has moved on. Without other writers: as they are.
event.listen(
    metadata,
    "after_create",
    DDL("CREATE VIEW counted_operation AS SELECT * FROM operation").execute_if(dialect="sqlite"),  # type: ignore[no-untyped-call]
)
