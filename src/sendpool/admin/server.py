"""The command socket of a running server: `<database>.sock`, for the same user only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog

from sendpool.admin.commands import prepare
from sendpool.admin.context import Context
from sendpool.admin.protocol import MAX_ASK, Answer, Ask, CommandRefused, line, reachable, read_ask, trusted
from sendpool.pipeline.waiter import StoreUnavailable
from sendpool.store.database import Database, Script

T = TypeVar("T")

log = structlog.get_logger()

#: Seconds that a caller may be silent.
PATIENCE = 30.0
#: Callers at one time.
AT_ONCE = 32


class Writer(Protocol):
    """Runs a cold script in the next commit (`Engine.change`)."""

    def __call__(self, script: Callable[[], Script[T]]) -> Awaitable[T]:
        """Run what *script* makes."""


class CommandServer:
    """Carries out what comes over the socket, while it is open."""

    def __init__(
        self,
        path: Path,
        database: Database,
        write: Writer,
        context: Callable[[], Context],
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        """*changed* is called after each command that wrote, before its answer."""
        self._path = path
        self._database = database
        self._write = write
        self._context = context
        self._changed = changed
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.Task[None]] = set()
        #: Those of them that have not said all yet.
        self._silent: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        """Listen. Whoever owns the database may replace a socket that an earlier server left behind.

        A place where there can be no socket (some mounted folders) is no reason not to serve.
        """
        forget_ended(self._path)
        try:
            listener = listen(self._path)
        except OSError as error:
            log.error("no commands are taken", socket=str(self._path), error=str(error))
            return
        self._server = await asyncio.start_unix_server(self._answer_caller, sock=listener, limit=MAX_ASK)

    async def close(self) -> None:
        """Take no more commands; those under way are carried out and answered."""
        if self._server is None:
            return
        self._server.close()
        self._path.unlink(missing_ok=True)
        for writer in self._silent:
            writer.close()
        if self._callers:
            await asyncio.wait(self._callers)

    async def _answer_caller(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller = asyncio.current_task()
        assert caller is not None
        self._callers.add(caller)
        try:
            refused = self._unwelcome(writer.get_extra_info("socket"))
            if refused:
                log.warning("command refused", reason=refused)
            answer = Answer(error=refused) if refused else await self._listen_to(reader, writer)
            if answer is not None:
                await _send(writer, answer)
        except (TimeoutError, ConnectionError):
            pass  # Whoever asked has gone, or says nothing.
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            self._callers.discard(caller)

    async def _listen_to(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer | None:
        self._silent.add(writer)
        try:
            async with asyncio.timeout(PATIENCE):
                asked = await reader.readline()
        except ValueError:
            return Answer(error=f"the command is longer than {MAX_ASK:,} bytes; ask for less")
        finally:
            self._silent.discard(writer)
        return await self.answer(asked) if asked.endswith(b"\n") else None

    def _unwelcome(self, connection: socket.socket) -> str:
        if not trusted(connection):
            return "only the user that the server runs as may command it"
        if len(self._callers) > AT_ONCE:
            return f"{AT_ONCE} commands run already; try again in a moment"
        return ""

    async def answer(self, asked: bytes) -> Answer:
        """Carry out one line."""
        try:
            ask = read_ask(asked)
        except ValueError:  # DecodeError and ValidationError are ones.
            return Answer(error="this is no command: a line of JSON with `command` and `arguments`")
        try:
            result = await self._carry_out(ask)
        except CommandRefused as error:
            return Answer(error=str(error))
        except StoreUnavailable as error:
            return Answer(error=f"{error}; try again in a moment")
        except Exception:
            log.exception("command failed", command=ask.command)
            return Answer(error="the server failed; its log says why")
        return Answer(result=result)

    async def _carry_out(self, ask: Ask) -> Any:
        command = prepare(ask, self._context())
        if not command.writes:
            return command.finish(await self._database.read(command.script()))
        result = await self._write(command.script)
        try:
            await self._changed()
        except Exception:
            log.exception("command not taken over", command=ask.command)
            raise CommandRefused(
                "the change is stored, but the server goes on without it; its log says why: mend that and restart it"
            ) from None
        log.info("command carried out", command=ask.command)
        return result


async def _send(writer: asyncio.StreamWriter, answer: Answer) -> None:
    async with asyncio.timeout(PATIENCE):
        writer.write(line(answer))
        await writer.drain()


def forget_ended(path: Path) -> None:
    """Remove sockets beside *path* of processes that have ended without a word, where nobody listens any more.

    Both is asked: one that is just being made refuses a caller too, and another container numbers processes by itself.
    """
    base, _, process = path.stem.rpartition("-")
    if process != str(os.getpid()):
        return
    for one in path.parent.glob(f"{base}-*{path.suffix}"):
        with contextlib.suppress(OSError):
            number = one.stem.rpartition("-")[2]
            if number.isdecimal() and not _runs(int(number)) and _is_ours(one) and _refuses(one):
                one.unlink()


def _is_ours(path: Path) -> bool:
    """Whether it is a socket of the user that we run as."""
    found = path.lstat()
    return stat.S_ISSOCK(found.st_mode) and found.st_uid == os.geteuid()


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _refuses(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as caller, reachable(path) as name:
        caller.settimeout(1.0)
        try:
            caller.connect(name)
        except ConnectionRefusedError:
            return True
    return False


def listen(path: Path) -> socket.socket:
    """A socket at *path* that only its user may open, in place of a stale one. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(f"{path} is no socket; move it away, the server takes commands there")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with reachable(path) as name:
            listener.bind(name)
        # Nobody gets in between: until `listen` every connect is refused.
        os.chmod(path, 0o600)
        listener.listen()
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
