"""Sessions on a PostgreSQL server whose process or network is gone must not keep their locks.

The server sees by itself that a client has gone only where the client said so. Three things make it notice. Idle in a
transaction, a session is ended after `IDLE` seconds. Where the network takes nothing and brings nothing, TCP gives up
after about `GONE` seconds. But a client that stands still behind a network that works, between the parts of a
statement, is "active" to the server, which then waits for ever: neither `idle_in_transaction_session_timeout` nor
`statement_timeout` counts there. Such sessions are ended by another node.
"""

from __future__ import annotations

from sendpool.store.database import Query, Script

#: Seconds for which a session may stand still in a transaction: a third of a lease, so that nobody waits for it when
#: the lease is over.
IDLE = 5
#: Seconds without a sign of life from the client's machine after which its connection counts as broken.
GONE = 5
#: Nothing but look-ups by keys, one row after another. A plan is kept for as long as its connection lives, and what is
#: planned while a table is small or nobody has counted its rows reads all of it at each commit when it has grown.
#: Every statement is written for SQLite too, which knows nothing else. Whole plans are not worth compiling then.
_PLANS = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
#: What sessions of ours are known by begins so.
_OURS = "sendpool"


def server_settings(name: str) -> dict[str, str]:
    """What a session asks of its server; *name* is shown in `pg_stat_activity`. By a socket there is no TCP to set."""
    return {
        **_PLANS,
        "application_name": name,
        "idle_in_transaction_session_timeout": str(IDLE * 1000),
        # Of a quiet connection; the first probe after 2 s, then one a second.
        "tcp_keepalives_idle": "2",
        "tcp_keepalives_interval": "1",
        "tcp_keepalives_count": str(GONE - 2),
        # Of one over which the server has something to say.
        "tcp_user_timeout": str(GONE * 1000),
    }


def end_silent_sessions(seconds: float) -> Script[int]:
    """End sessions of ours that may hold locks and have heard nothing from their clients for so long; brings how many.

    They lose nothing: what they began is rolled back, as it would be if their process had died.
    """
    rows = yield Query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND usename = current_user AND starts_with(application_name, ?) AND pid <> pg_backend_pid()"
        " AND backend_xid IS NOT NULL AND wait_event_type = 'Client'"
        " AND state_change < clock_timestamp() - ? * interval '1 second'",
        (_OURS, float(seconds)),
    )
    return len(rows)
