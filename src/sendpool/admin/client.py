"""Have a command carried out: by the server that runs, else here, as the owner of the database."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sendpool.admin.commands import prepare
from sendpool.admin.context import Context
from sendpool.admin.protocol import (
    MAX_ANSWER,
    MAX_ASK,
    Ask,
    CommandRefused,
    line,
    reachable,
    read_answer,
    socket_path,
    trusted,
)
from sendpool.store.accounts import load_accounts
from sendpool.store.database import Script
from sendpool.store.migrate import migrate
from sendpool.store.sqlite import DatabaseInUse, Owner, connect, transact

#: Seconds that a command may take.
PATIENCE = 60.0
#: Seconds to wait for a server that starts or ends: it owns the database and takes no commands.
IN_BETWEEN = 15.0


class NoServer(Exception):
    """Nobody takes commands at the socket."""


def carry_out(database: Path, ask: Ask, context: Callable[[], Context]) -> Any:
    """What a command brings. *context* is made only if no server runs.

    Raises CommandRefused, OSError, or DatabaseInUse where another process owns the database and takes no commands.
    """
    if not database.exists():
        raise CommandRefused(f"there is no database {database}; start `sendpool serve` once, or name another")
    end = time.monotonic() + IN_BETWEEN
    while True:
        try:
            return ask_server(socket_path(database), ask)
        except NoServer:
            pass
        try:
            return run_here(database, ask, context)
        except DatabaseInUse:
            if time.monotonic() > end:
                raise
        time.sleep(0.1)


def ask_server(path: Path, ask: Ask) -> Any:
    """What the server at *path* answers. Raises NoServer, CommandRefused, or OSError."""
    asked = line(ask)
    if len(asked) > MAX_ASK:
        raise CommandRefused(f"the command is longer than {MAX_ASK:,} bytes; ask for less")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(PATIENCE)
        try:
            with reachable(path) as name:
                connection.connect(name)
        except (FileNotFoundError, ConnectionRefusedError):
            raise NoServer from None
        except PermissionError:
            raise _foreign(path) from None
        if not trusted(connection):
            raise _foreign(path)
        answer = read_answer(_exchange(connection, asked))
    if answer.error is not None:
        raise CommandRefused(answer.error)
    return answer.result


def _foreign(path: Path) -> CommandRefused:
    return CommandRefused(f"{path} belongs to another user; run this as the user that the server runs as")


def _exchange(connection: socket.socket, asked: bytes) -> bytes:
    try:
        with contextlib.suppress(BrokenPipeError):  # Refused before it was read: the answer says why.
            connection.sendall(asked)
        with connection.makefile("rb") as file:
            answered = file.readline(MAX_ANSWER)
    except TimeoutError:
        raise CommandRefused(f"the server did not answer within {PATIENCE:g} s; look what became of it") from None
    except ConnectionError:
        answered = b""
    if not answered.endswith(b"\n"):
        raise CommandRefused("the server ended before it answered; look what became of it")
    return answered


def run_here(path: Path, ask: Ask, context: Callable[[], Context]) -> Any:
    """Carry a command out as the owner of the database, brought to this version's schema.

    Raises DatabaseInUse, and WrongSecretKey before anything is written that the server could not read.
    """
    owner = Owner(path)
    try:
        migrate(path)
        connection = connect(path)
        try:
            return transact(connection, _checked(ask, context()))
        finally:
            connection.close()
    finally:
        owner.release()


def _checked(ask: Ask, context: Context) -> Script[Any]:
    command = prepare(ask, context)
    if command.writes:
        yield from load_accounts(context.key)
    return (yield from command.script())
