"""The schema, once for both databases. Times are microseconds since 1970; a state is its enum's number.

Narrow and hot: `outq`, `later`, `attempt`, `segment`. Wide and written once: `operation_content`, `message`.
Integer keys are ours alone; public ids are computed from them and an operation's `uid` at the edge.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from sendpool.store import columns
from sendpool.store.columns import Json, Key, Time
from sendpool.store.columns import required as _required

metadata = columns.metadata

account = Table(
    "account",
    metadata,
    Column("id", Key, primary_key=True),
    _required("sid", Text, unique=True),
    _required("name", Text),
    #: Encrypted, not hashed: it signs the account's webhooks.
    _required("auth_token", Text),
    _required("created_at", Time),
    #: The token before the last change, encrypted, while both are taken.
    Column("old_auth_token", Text),
    Column("old_auth_token_until", Time),
    #: Since when nobody may use it; None: in use.
    Column("closed_at", Time),
    #: Countries that it sends to: {"allow": [...], "deny": [...]}; None: all.
    Column("countries", Json),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Key, primary_key=True),
    #: "SK" and 32 hex digits.
    _required("sid", Text, unique=True),
    _required("account_id", Key),
    _required("name", Text),
    #: SHA-256 of the secret, which is long and random: a slow hash would gain nothing.
    _required("digest", LargeBinary),
    _required("created_at", Time),
    Column("revoked_at", Time),
)

admin_log = Table(
    "admin_log",
    metadata,
    Column("id", Key, primary_key=True),
    _required("at", Time),
    #: Who did it: "command line", "configuration", an API key's or account's sid.
    _required("actor", Text),
    #: What was done: "account.created", "key.revoked", "pool.deleted".
    _required("action", Text),
    #: What it was done to: a public id.
    _required("subject", Text),
    _required("detail", Json),
)

profile = Table(
    "profile",
    metadata,
    Column("id", Key, primary_key=True),
    _required("account_id", Key),
    #: "mem_profile_..." and "mem_store_...".
    _required("profile_id", Text),
    _required("store_id", Text),
    #: [[address, space letter], ...] in order of preference.
    _required("addresses", Json),
    #: What `${Twilio.Profile.name}` may name: text by name.
    _required("fields", Json),
    _required("updated_at", Time),
    UniqueConstraint("account_id", "store_id", "profile_id"),
    Index("profile_account", "account_id", "profile_id"),
)

template = Table(
    "template",
    metadata,
    Column("id", Key, primary_key=True),
    #: "HX" and 32 hex digits.
    _required("sid", Text, unique=True),
    _required("account_id", Key),
    _required("name", Text),
    _required("language", Text),
    #: Defaults of its slots: text by ordinal.
    _required("variables", Json),
    #: What it says by content type: {"text": {...}, "card": {...}}.
    _required("types", Json),
    _required("created_at", Time),
    _required("updated_at", Time),
    Column("deleted_at", Time),
    Index("template_account", "account_id", "id"),
)

idempotency_key = Table(
    "idempotency_key",
    metadata,
    Column("account_id", Key, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    #: SHA-256 of method, path and body.
    _required("digest", LargeBinary),
    #: The operation that the request made.
    _required("operation_uid", LargeBinary),
    _required("created_at", Time),
    Index("idempotency_key_age", "created_at"),
    sqlite_with_rowid=False,
)

connection = Table(
    "connection",
    metadata,
    Column("id", Key, primary_key=True),
    _required("account_id", Key),
    _required("name", Text),
    _required("type", Text),
    _required("active", SmallInteger),
    _required("created_at", Time),
    _required("updated_at", Time),
    #: Since when it starts nothing new, on somebody's word; None: it does.
    Column("drained_at", Time),
    UniqueConstraint("account_id", "name"),
)

sender = Table(
    "sender",
    metadata,
    Column("id", Key, primary_key=True),
    _required("uid", LargeBinary, unique=True),
    _required("account_id", Key),
    _required("connection_id", Key),
    _required("channel", Text),
    _required("address", Text),
    Column("display_name", Text),
    _required("active", SmallInteger),
    _required("tags", Json),
    #: Segments a second.
    _required("mps", Float),
    Column("burst", Float),
    _required("options", Json),
    _required("created_at", Time),
    _required("updated_at", Time),
    #: Where it sends, as it and its connection are declared.
    _required("destinations", Json, server_default="{}"),
    #: As that of a connection, for this sender alone.
    Column("drained_at", Time),
    UniqueConstraint("account_id", "channel", "address"),
)

sender_pool = Table(
    "sender_pool",
    metadata,
    Column("id", Key, primary_key=True),
    _required("uid", LargeBinary, unique=True),
    _required("account_id", Key),
    #: "pool", or hidden: "sender" (stands for one sender) or "account" (for all of an account's).
    _required("kind", Text),
    _required("name", Text),
    _required("tags", Json),
    _required("settings", Json),
    #: The pool operation that made it.
    Column("operation_uid", LargeBinary),
    _required("created_at", Time),
    _required("updated_at", Time),
    Column("deleted_at", Time),
    #: The name under which the configuration declares it; None: it was made over the API.
    Column("declared", Text),
    Index("sender_pool_account", "account_id", "id"),
)

pool_member = Table(
    "pool_member",
    metadata,
    Column("pool_id", Key, primary_key=True, autoincrement=False),
    Column("sender_id", Key, primary_key=True, autoincrement=False),
    _required("weight", Float),
    _required("tier", Integer),
    _required("created_at", Time),
    Index("pool_member_sender", "sender_id"),
    sqlite_with_rowid=False,
)

pool_operation = Table(
    "pool_operation",
    metadata,
    Column("id", Key, primary_key=True),
    _required("uid", LargeBinary, unique=True),
    _required("account_id", Key),
    _required("pool_id", Key),
    _required("state", SmallInteger),
    _required("total", Integer),
    _required("queued", Integer),
    _required("created", Integer),
    _required("failed", Integer),
    _required("created_at", Time),
    _required("updated_at", Time),
)

operation = Table(
    "operation",
    metadata,
    #: The integer key of its first message; message i is `id + i`.
    Column("id", Key, primary_key=True),
    #: 128 bits of a UUIDv7 with the last 20 cleared: 14 for the message's index, 6 for the attempt.
    _required("uid", LargeBinary, unique=True),
    _required("account_id", Key),
    #: "message", "email" or "inbound".
    _required("kind", Text),
    _required("state", SmallInteger),
    _required("pool_id", Key),
    _required("category", Text),
    _required("total", Integer),
    #: Messages still only in chunks; they count in `queued` as well.
    _required("unexpanded", Integer),
    _required("recipients", Integer),
    _required("attempts", Integer),
    _required("unaddressable", Integer),
    _required("scheduled", Integer),
    _required("queued", Integer),
    _required("sent", Integer),
    _required("delivered", Integer),
    _required("read", Integer),
    _required("undelivered", Integer),
    _required("failed", Integer),
    _required("canceled", Integer),
    #: After this nothing of it is sent any more.
    _required("deadline", Time),
    _required("created_at", Time),
    _required("updated_at", Time),
    #: When the first of its messages is due, where the request was for later.
    Column("scheduled_for", Time),
    #: "low", "normal" or "high": the weight of its turn in the pool.
    _required("priority", Text, server_default="normal"),
    # By uid, not by id: nodes take integers in blocks, and only the uid orders by the time of creation.
    Index("operation_account", "account_id", "uid"),
    # State 2 is PROCESSING: what expansion, expiry and completion look at.
    Index("operation_open", "deadline", sqlite_where=Column("state") == 2, postgresql_where=Column("state") == 2),
    # State 1 is SCHEDULED.
    Index(
        "operation_scheduled",
        "scheduled_for",
        sqlite_where=Column("state") == 1,
        postgresql_where=Column("state") == 1,
    ),
)

operation_content = Table(
    "operation_content",
    metadata,
    Column("operation_id", Key, primary_key=True),
    _required("content", Json),
    _required("tags", Json),
    #: `from` as it was asked for: {"kind": "pool"|"sender"|"address"|"account"}.
    _required("origin", Json),
    _required("validity", Integer),
)

operation_error = Table(
    "operation_error",
    metadata,
    Column("operation_id", Key, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    _required("address", Text),
    _required("space", Text),
    _required("code", Integer),
    _required("reason", Text),
    _required("created_at", Time),
    sqlite_with_rowid=False,
)

chunk = Table(
    "chunk",
    metadata,
    Column("operation_id", Key, primary_key=True, autoincrement=False),
    Column("first_id", Key, primary_key=True, autoincrement=False),
    _required("count", Integer),
    #: Recipients as a JSON array of [addresses, space letters, plan, segments, variables, name]; the last two may be
    #: null or left out.
    _required("body", Json),
    #: When they are to become rows; 0: as soon as it is their turn. Negative: their time has come, it was then.
    _required("due", Time, server_default="0"),
    #: Segments of the first attempts of all of them, and first letters of their plans; None: from an earlier version.
    Column("cost", Integer),
    Column("letters", Text),
    #: What it is made of, as a JSON array of [letter, lane, messages, segments]; None: from an earlier version.
    Column("mix", Text),
    sqlite_with_rowid=False,
)

message = Table(
    "message",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=False),
    _required("operation_id", Key),
    _required("state", SmallInteger),
    #: The recipient's address; where the steps of the plan have several, that of each step, with blanks between.
    _required("address", Text),
    #: The address space "P", "W" or "E"; a letter per step where `address` has one per step.
    _required("space", Text),
    #: One letter per step, in order: "RS" is RCS, then SMS.
    _required("plan", Text),
    _required("step", SmallInteger),
    #: Attempts made so far, withdrawn ones included.
    _required("attempts", SmallInteger),
    #: What one attempt costs at the present step.
    _required("segments", SmallInteger),
    #: The sender in use where it is not the one of attempt number `attempts`; of an inbound message, who received it.
    Column("sender_id", Key),
    _required("ambiguous", SmallInteger),
    #: Wire code of how it ended, where it failed.
    Column("error_code", Integer),
    #: The recipient's own values for the templates of the content: text by name.
    Column("variables", Json),
    _required("updated_at", Time),
    #: The recipient's name beside an email address.
    Column("name", Text),
    #: When it is or was due, where the request was for later.
    Column("scheduled_for", Time),
    #: Since when its text, variables and address are gone.
    Column("deleted_at", Time),
    #: Steps that it left without a failure there, each as its index and a letter for why ("0n 2t"), blanks between.
    Column("passed", Text),
    # Few, if all is well. The condition names no column that changes as a message goes its way.
    Index(
        "message_ambiguous",
        "id",
        sqlite_where=Column("ambiguous") != 0,
        postgresql_where=Column("ambiguous") != 0,
    ),
)

queue = Table(
    "queue",
    metadata,
    Column("id", Key, primary_key=True),
    _required("pool_id", Key),
    _required("channel", Text),
    #: "" for the whole pool; a sender's key where only that sender may take the row; "?" until the phone is asked.
    _required("lane", Text),
    UniqueConstraint("pool_id", "channel", "lane"),
)

number_block = Table(
    "number_block",
    metadata,
    #: What is numbered: "message".
    Column("name", Text, primary_key=True),
    #: The first number that no process has taken.
    _required("next", BigInteger),
    sqlite_with_rowid=False,
)

outq = Table(
    "outq",
    metadata,
    Column("queue_id", Key, primary_key=True, autoincrement=False),
    Column("rank", BigInteger, primary_key=True, autoincrement=False),
    Column("message_id", Key, primary_key=True, autoincrement=False),
    #: Segments.
    _required("cost", SmallInteger),
    _required("due", Time),
    sqlite_with_rowid=False,
)

later = Table(
    "later",
    metadata,
    Column("due", Time, primary_key=True, autoincrement=False),
    Column("message_id", Key, primary_key=True, autoincrement=False),
    _required("queue_id", Key),
    #: The rank it had; None for a row that has never been due.
    Column("rank", BigInteger),
    _required("cost", SmallInteger),
    #: The reason's code where a limit holds it, whoever might take it; and since when it has waited on its channel.
    Column("held", Text),
    Column("since", Time),
    Index(
        "later_held",
        "held",
        sqlite_where=Column("held").is_not(None),
        postgresql_where=Column("held").is_not(None),
    ),
    sqlite_with_rowid=False,
)

#: Segments that lasting limits have counted. A scope is "sender:<id>", "connection:<id>" or "scope:<name>".
scope_day = Table(
    "scope_day",
    metadata,
    Column("scope", Text, primary_key=True),
    #: When the day began where the limit counts it.
    Column("day", Time, primary_key=True, autoincrement=False),
    _required("used", BigInteger),
    sqlite_with_rowid=False,
)

#: First contacts in 24 hours.
scope_contact = Table(
    "scope_contact",
    metadata,
    Column("scope", Text, primary_key=True),
    #: A digest: nobody learns the address from it.
    Column("recipient", Text, primary_key=True),
    _required("at", Time),
    Index("scope_contact_age", "at"),
    sqlite_with_rowid=False,
)

#: What carriers' throttle answers have said.
scope_learned = Table(
    "scope_learned",
    metadata,
    Column("scope", Text, primary_key=True),
    #: Segments a second with which it went on after the last one; None: unlimited by itself.
    Column("mps", Float),
    _required("at", Time),
    _required("paused_until", Time),
    _required("throttles", BigInteger),
)

#: Limits as the configuration declares them, for those who ask.
scope_declared = Table(
    "scope_declared",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("mps", Float),
    Column("burst", Float),
    Column("daily_limit", BigInteger),
    _required("day_zone", Text),
    Column("recipient_limit", BigInteger),
    Column("pair_seconds", Float),
    Column("pair_burst", BigInteger),
)

attempt = Table(
    "attempt",
    metadata,
    #: message * 64 + n: a message's attempts lie together, and a run of messages is a run of keys.
    Column("id", Key, primary_key=True, autoincrement=False),
    _required("sender_id", Key),
    _required("connection_id", Key),
    _required("channel", Text),
    _required("state", SmallInteger),
    _required("segments", SmallInteger),
    #: Concatenation reference, kept so that a single part can be sent again.
    _required("reference", SmallInteger),
    #: Bit 1: a carrier took it. Bit 2: its fate was once unknown (`error.code` 30410 stays as its history).
    #: Bit 4: the policy went past it while it was still open.
    _required("marks", SmallInteger),
    #: Bit i: the receipt of part i + 1 said delivered; said failed. For attempts of several segments.
    _required("parts_delivered", BigInteger, server_default="0"),
    _required("parts_failed", BigInteger, server_default="0"),
    Column("failure", Text),
    Column("code", Text),
    Column("rule", Text),
    Column("table_version", Integer),
    #: What was decided after it ended: "failover", "fallback", "later", "wait", "end".
    Column("next", Text),
    #: The carrier's id where the attempt may have to be taken back (timed fallback); receipts match by `segment`.
    Column("carrier_id", Text),
    #: The interned record of the pool's state when it was chosen.
    Column("scene", Key),
    #: The step of the message's plan that it is a try of; it names the address.
    _required("step", SmallInteger, server_default="0"),
    #: The term of ownership of its connection under which it was started (`lease.epoch`); 0 on SQLite.
    _required("epoch", BigInteger, server_default="0"),
    _required("started_at", Time),
    _required("updated_at", Time),
    # What a receipt of an unknown id may be about: every AMBIGUOUS attempt has this failure. No index names the state
    # or another column that changes as an attempt goes its usual way: PostgreSQL would write every index anew.
    Index(
        "attempt_doubtful",
        "connection_id",
        "started_at",
        sqlite_where=Column("failure") == "AMBIGUOUS",
        postgresql_where=Column("failure") == "AMBIGUOUS",
    ),
)

#: Where attempts without a result are found, as a crash leaves them behind: one row for all that a commit started.
begun = Table(
    "begun",
    metadata,
    Column("id", Key, primary_key=True),
    #: A list of the attempts' keys. The row goes once none of them is STARTED.
    _required("attempts", Json),
)

segment = Table(
    "segment",
    metadata,
    Column("connection_id", Key, primary_key=True, autoincrement=False),
    Column("carrier_id", Text, primary_key=True),
    Column("attempt_id", Key, primary_key=True, autoincrement=False),
    Column("part", SmallInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

inquiry = Table(
    "inquiry",
    metadata,
    #: An attempt over a connection whose carrier can be asked; until it is over, or has been asked for often enough.
    Column("attempt_id", Key, primary_key=True, autoincrement=False),
    _required("connection_id", Key),
    _required("carrier_id", Text),
    _required("due_at", Time),
    #: How often it was asked for.
    _required("asked", SmallInteger),
    Index("inquiry_due", "connection_id", "due_at"),
)

receipt = Table(
    "receipt",
    metadata,
    Column("id", Key, primary_key=True),
    _required("connection_id", Key),
    _required("carrier_id", Text),
    _required("state", SmallInteger),
    Column("failure", Text),
    _required("code", Text),
    _required("received_at", Time),
    _required("rule", Text, server_default=""),
    #: Who sent, who received and when it was submitted, as the carrier wrote them; "" where it did not.
    _required("sender", Text, server_default=""),
    _required("recipient", Text, server_default=""),
    _required("submitted", Text, server_default=""),
    Index("receipt_carrier", "connection_id", "carrier_id"),
)

inbound_seen = Table(
    "inbound_seen",
    metadata,
    Column("connection_id", Key, primary_key=True, autoincrement=False),
    Column("carrier_id", Text, primary_key=True),
    _required("seen_at", Time),
    sqlite_with_rowid=False,
)

scene = Table(
    "scene",
    metadata,
    Column("id", Key, primary_key=True),
    _required("digest", LargeBinary, unique=True),
    _required("body", Json),
    _required("created_at", Time),
)

uptime = Table(
    "uptime",
    metadata,
    #: Spans in which the server ran and its clock went on as clocks do: retention counts no other time.
    Column("id", Key, primary_key=True),
    _required("began_at", Time),
    _required("ended_at", Time),
)

event = Table(
    "event",
    metadata,
    #: Ascends in the order of commits.
    Column("position", Key, primary_key=True),
    #: A message's key, or an operation's.
    _required("subject_id", Key),
    #: attempt * 16 + state of the message; 1024 + state for an operation. Unique: no event twice.
    _required("number", SmallInteger),
    Column("error_code", Integer),
    _required("created_at", Time),
    UniqueConstraint("subject_id", "number"),
)
