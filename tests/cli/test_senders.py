"""What `sendpool senders` prints."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.cli.conftest import Run


def unwell(path: Path) -> None:
    """An account with a sender that loses receipts."""
    with closing(sqlite3.connect(path)) as connection, connection:
        account = "INSERT INTO account (id, sid, name, auth_token, created_at) VALUES (1, 'AC1', '', 'x', 1)"
        line = (
            "INSERT INTO connection (id, account_id, name, type, active, created_at, updated_at)"
            " VALUES (1, 1, 'carrier-a', 'smpp', 1, 1, 1)"
        )
        sender = (
            "INSERT INTO sender (id, uid, account_id, connection_id, channel, address, active, tags, mps, options,"
            " created_at, updated_at) VALUES (1, x'0123456789abcdef0123456789abcdef', 1, 1, 'SMS', '+12034458910', 1,"
            " '{}', 10, '{}', 1, 1)"
        )
        health = (
            "INSERT INTO sender_health VALUES (1, 'GB', 'unhealthy', 0.05, 'lost-receipts',"
            """ '{"lost":0.61,"peersLost":0.01}', 0, 1800000000000000, 1800000000000000)"""
        )
        for statement in (account, line, sender, health):
            connection.execute(statement)
    connection.close()


def test_everybody_is_healthy_until_somebody_is_not(run: Run) -> None:
    assert run("senders", "health").out == "Every sender is healthy.\n"
    assert json.loads(run("senders", "health", "--json").out) == []


def test_an_unhealthy_sender_is_listed_with_what_it_is_measured_by(run: Run, tmp_path: Path) -> None:
    unwell(tmp_path / "sendpool.db")

    title, row = run("senders", "health").out.splitlines()
    assert title.split()[:4] == ["Sender", "Channel", "Connection", "Country"]
    assert row.split() == [
        *("+12034458910", "SMS", "carrier-a", "GB", "unhealthy", "5%", "lost-receipts", "61%", "1%"),
        "2027-01-15T08:00:00.000Z",
    ]
    (told,) = json.loads(run("senders", "health", "--json", "--account", "AC1").out)
    assert told["senderId"].startswith("comms_sender_")
    assert (told["country"], told["share"], told["figures"]) == ("GB", 0.05, {"lost": 0.61, "peersLost": 0.01})


def test_an_account_that_is_not_there_is_named(run: Run) -> None:
    done = run("senders", "health", "--account", "AC9")

    assert done.status == 1
    assert "there is no account AC9" in done.err


def test_codes_that_came_are_listed_with_counts(run: Run, tmp_path: Path) -> None:
    assert run("classes", "--seen").out == "No carrier has refused anything.\n"
    assert run("classes", "--unclassified").out == "Every code that came is known.\n"
    unwell(tmp_path / "sendpool.db")
    with closing(sqlite3.connect(tmp_path / "sendpool.db")) as connection, connection:
        for code, rule, count in (("0x400", "smpp/?", 7), ("0x0a", "smpp/0x0a", 9)):
            values = (1, "submit", code, "TRANSIENT", rule, count, 1_800_000_000_000_000, 1_800_000_001_000_000)
            connection.execute("INSERT INTO code_seen VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
    connection.close()

    assert [row.split()[2] for row in run("classes", "--seen").out.splitlines()[1:]] == ["0x0a", "0x400"]
    (told,) = json.loads(run("classes", "--unclassified", "--json").out)
    assert (told["connection"], told["code"], told["count"], told["known"]) == ("carrier-a", "0x400", 7, False)
