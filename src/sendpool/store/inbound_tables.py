"""The tables of what people send: long texts that are not whole, sessions, and keywords that are to be answered."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, SmallInteger, Table, Text

from sendpool.store.columns import Json, Key, Time, metadata, required

inbound_parts = Table(
    "inbound_parts",
    metadata,
    #: One row for each long text: who wrote to whom, the reference that the phone gave it, and of how many parts it is.
    Column("connection_id", Key, primary_key=True, autoincrement=False),
    Column("sender", Text, primary_key=True),
    Column("recipient", Text, primary_key=True),
    Column("reference", Integer, primary_key=True, autoincrement=False),
    Column("total", Integer, primary_key=True, autoincrement=False),
    #: The texts of the parts that are there, by number.
    required("parts", Json),
    #: 1: they were joined; kept for a while, to know repeats by.
    required("joined", SmallInteger),
    #: When the last part came.
    required("at", Time),
    Index("inbound_parts_at", "at"),
)

session = Table(
    "session",
    metadata,
    Column("account_id", Key, primary_key=True, autoincrement=False),
    #: Who writes: "P", "W" or "E", and the address; and the key of our sender, 0 where that is not ours any more.
    Column("space", Text, primary_key=True),
    Column("address", Text, primary_key=True),
    Column("sender_id", Key, primary_key=True, autoincrement=False),
    required("uid", LargeBinary),
    required("began_at", Time),
    required("last_at", Time),
    #: When a request for help was last answered, or 0.
    required("helped_at", Time),
    Index("session_last", "last_at"),
    sqlite_with_rowid=False,
)

window_hearing = Table(
    "window_hearing",
    metadata,
    #: Our sender, and since when its statuses and inbound texts have come without a break, and when last.
    Column("sender_id", Key, primary_key=True, autoincrement=False),
    required("since_at", Time),
    required("last_at", Time),
    #: When last somebody wrote of whom only the platform knows who it is, or 0.
    required("unplaced_at", Time),
)

owed_reply = Table(
    "owed_reply",
    metadata,
    #: The inbound message that is to be answered.
    Column("message_id", Key, primary_key=True, autoincrement=False),
    required("account_id", Key),
    required("sender_id", Key),
    required("space", Text),
    required("address", Text),
    required("text", Text),
    required("created_at", Time),
    sqlite_with_rowid=False,
)
