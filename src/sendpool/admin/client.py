"""Have a command carried out: by the server that runs, else here, as the owner of the database."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sendpool.admin.commands import Prepared, prepare
from sendpool.admin.context import Context
from sendpool.admin.protocol import (
    MAX_ANSWER,
    MAX_ASK,
    Ask,
    CommandRefused,
    line,
    peer_process,
    reachable,
    read_answer,
    sockets_at,
    trusted,
)
from sendpool.store.accounts import load_accounts
from sendpool.store.database import DatabaseInUse, Script, Where
from sendpool.store.opening import open_database
from sendpool.store.signals import NOBODY, Signal, notify

#: Seconds that a command may take.
PATIENCE = 60.0
#: Seconds to wait for a server that starts or ends: it owns the database and takes no commands.
IN_BETWEEN = 15.0


class NoServer(Exception):
    """Nobody takes commands at the socket."""


def carry_out(where: Where, at: Path, ask: Ask, context: Callable[[], Context]) -> Any:
    """What a command brings: from the server that listens *at* a socket, else done here on the database.

    *context* is made only if no server runs. Raises CommandRefused, OSError, or DatabaseInUse where another process
    owns the database and takes no commands.
    """
    if isinstance(where, Path) and not where.exists():
        raise CommandRefused(f"there is no database {where}; start `sendpool serve` once, or name another")
    end = time.monotonic() + IN_BETWEEN
    while True:
        try:
            return ask_server(at, ask)
        except NoServer:
            pass
        try:
            return asyncio.run(run_here(where, ask, context))
        except DatabaseInUse:
            if time.monotonic() > end:
                raise
        time.sleep(0.1)


def ask_server(path: Path, ask: Ask) -> Any:
    """What the server at *path* answers, or one of several beside it. Raises NoServer, CommandRefused, or OSError."""
    asked = line(ask)
    if len(asked) > MAX_ASK:
        raise CommandRefused(f"the command is longer than {MAX_ASK:,} bytes; ask for less")
    with _connected_to_any(path) as connection:
        answer = read_answer(_exchange(connection, asked))
    if answer.error is not None:
        raise CommandRefused(answer.error)
    return answer.result


@contextlib.contextmanager
def _connected_to_any(path: Path) -> Iterator[socket.socket]:
    """A connection to the first server that is there; all of a database's carry out the same commands."""
    with contextlib.ExitStack() as stack:
        for one in sockets_at(path):
            with contextlib.suppress(NoServer):
                connection = stack.enter_context(_connected(one))
                break
        else:
            raise NoServer
        yield connection


@contextlib.contextmanager
def _connected(path: Path) -> Iterator[socket.socket]:
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
        yield connection


def drain_server(path: Path, within: float, tell: Callable[[float], None]) -> bool:
    """Ask the server at *path* to drain and end, as SIGTERM does, and wait; False: it has not ended *within* seconds.

    *tell* is called at once and then about once a second with how many have passed. Raises NoServer, CommandRefused,
    or OSError.
    """
    processes = dict.fromkeys(_processes(path))
    if not processes:
        raise NoServer
    if len(processes) > 1:
        raise CommandRefused(
            f"several servers of this database run here: processes {', '.join(map(str, processes))}; send SIGTERM to"
            " the one that is to end"
        )
    process = next(iter(processes))
    if process is None or not hasattr(os, "pidfd_open"):
        raise CommandRefused("this system does not say which process the server is; send it SIGTERM instead")
    began = time.monotonic()
    # It is the server that is waited for, whoever has its number afterwards.
    handle = os.pidfd_open(process)
    try:
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        ended = select.poll()
        ended.register(handle, select.POLLIN)
        while (passed := time.monotonic() - began) <= within:
            tell(passed)
            if ended.poll(1000.0):
                return True
        return False
    finally:
        os.close(handle)


def _processes(path: Path) -> Iterator[int | None]:
    for one in sockets_at(path):
        with contextlib.suppress(NoServer), _connected(one) as connection:
            yield peer_process(connection)


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


async def run_here(where: Where, ask: Ask, context: Callable[[], Context]) -> Any:
    """Carry a command out as the owner of the database, brought to this version's schema.

    Raises DatabaseInUse, and WrongSecretKey before anything is written that the server could not read.
    """
    # On PostgreSQL servers on other machines may run, which are told.
    database = await open_database(where, shared=isinstance(where, str))
    try:
        command, result = await database.write(_checked(ask, context(), tell=database.shared))
        return command.finish(result)
    finally:
        await database.close()


def _checked(ask: Ask, context: Context, *, tell: bool) -> Script[tuple[Prepared, Any]]:
    command = prepare(ask, context)
    if command.writes:
        yield from load_accounts(context.key)
        if tell:
            yield from notify(Signal(node=NOBODY, roster=True))
    return command, (yield from command.script())
