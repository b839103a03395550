from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sendpool.admin.client import carry_out
from sendpool.admin.context import Context
from sendpool.admin.protocol import Ask, CommandRefused
from sendpool.admin.server import listen
from sendpool.config.places import command_socket
from sendpool.store.accounts import WrongSecretKey
from sendpool.store.database import DatabaseInUse
from sendpool.store.sqlite import Owner

CONTEXT = Context(1_800_000_000_000_000, b"k" * 32)


def url_of(path: Path) -> str:
    """The URL of an SQLite file."""
    return f"sqlite:///{path}"


def carried_out(path: Path, ask: Ask, context: Callable[[], Context]) -> Any:
    """What a command on the database in a file brings."""
    return carry_out(path, command_socket(url_of(path)), ask, context)


@pytest.fixture
def path(migrated: Path, tmp_path: Path) -> Path:
    path = tmp_path / "sendpool.db"
    shutil.copyfile(migrated, path)
    return path


def test_without_a_server_a_command_runs_here(path: Path) -> None:
    made = carried_out(path, Ask("accounts.create", {"name": "Sales"}), lambda: CONTEXT)

    (listed,) = carried_out(path, Ask("accounts.list"), lambda: CONTEXT)
    assert (listed["sid"], listed["name"]) == (made["sid"], "Sales")
    assert listed["createdAt"] == "2027-01-15T08:00:00.000Z"


def test_the_socket_of_a_server_that_crashed_is_passed_over(path: Path) -> None:
    listen(command_socket(url_of(path))).close()

    assert carried_out(path, Ask("accounts.list"), lambda: CONTEXT) == []


def test_a_refused_command_changes_nothing_and_gives_the_database_back(path: Path) -> None:
    with pytest.raises(CommandRefused, match="there is no account ACx"):
        carried_out(path, Ask("accounts.rename", {"sid": "ACx", "name": "y"}), lambda: CONTEXT)

    Owner(path).release()


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(CommandRefused, match="start `sendpool serve` once"):
        carried_out(tmp_path / "no.db", Ask("accounts.list"), lambda: CONTEXT)

    assert list(tmp_path.iterdir()) == []


def test_a_command_waits_for_a_server_that_is_about_to_end(path: Path) -> None:
    owner = Owner(path)
    threading.Timer(0.2, owner.release).start()

    assert carried_out(path, Ask("accounts.list"), lambda: CONTEXT) == []


def test_a_server_that_takes_no_commands_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sendpool.admin.client.IN_BETWEEN", 0.2)
    owner = Owner(path)
    try:
        with pytest.raises(DatabaseInUse, match="in use by another sendpool process"):
            carried_out(path, Ask("accounts.list"), lambda: CONTEXT)
    finally:
        owner.release()


def test_nothing_is_written_with_another_key_than_the_servers(path: Path) -> None:
    carried_out(path, Ask("accounts.create"), lambda: CONTEXT)
    wrong = CONTEXT._replace(key=b"another key")

    with pytest.raises(WrongSecretKey, match="SENDPOOL_SECRET_KEY"):
        carried_out(path, Ask("accounts.create"), lambda: wrong)

    assert len(carried_out(path, Ask("accounts.list"), lambda: wrong)) == 1
