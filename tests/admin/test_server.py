from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sendpool.admin.client import NoServer, ask_server
from sendpool.admin.protocol import MAX_ASK, Ask, CommandRefused, reachable, socket_of
from sendpool.admin.server import AT_ONCE, forget_ended, listen

if TYPE_CHECKING:
    from tests.admin.conftest import Desk


async def tell(path: Path, asked: bytes) -> bytes:
    """Write bytes to a socket and read a line."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(asked)
    if not asked.endswith(b"\n"):
        writer.write_eof()
    answered = await reader.readline()
    writer.close()
    return answered


async def ask(desk: Desk, command: str, **arguments: object) -> object:
    return await asyncio.to_thread(ask_server, desk.path, Ask(command, arguments))


async def listed(desk: Desk) -> list[Any]:
    """Every account."""
    found = await ask(desk, "accounts.list")
    assert isinstance(found, list)
    return found


async def test_a_command_is_carried_out_and_the_server_told_before_the_answer(desk: Desk) -> None:
    made = await ask(desk, "accounts.create", name="Sales")

    assert isinstance(made, dict)
    assert desk.changes == 1
    accounts = await listed(desk)
    assert [one["name"] for one in accounts] == ["", "Sales"]
    assert accounts[1]["sid"] == made["sid"]
    assert desk.changes == 1


async def test_commands_at_the_same_time_are_all_carried_out(desk: Desk) -> None:
    await asyncio.gather(*(ask(desk, "accounts.create", name=str(i)) for i in range(AT_ONCE)))

    assert {one["name"] for one in await listed(desk)} == {"", *map(str, range(AT_ONCE))}


async def test_a_change_that_the_server_cannot_take_over_is_not_told_as_done(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise OSError("no more files")

    monkeypatch.setattr(desk.server, "_changed", fail)

    with pytest.raises(CommandRefused, match="stored, but the server goes on without it"):
        await ask(desk, "accounts.create")

    assert len(await listed(desk)) == 2


async def test_only_the_user_of_the_server_may_open_the_socket(desk: Desk) -> None:
    assert stat.S_IMODE(desk.path.stat().st_mode) == 0o600


async def test_another_user_who_gets_to_the_socket_all_the_same_is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = await listed(desk)
    monkeypatch.setattr("sendpool.admin.protocol.peer_user", lambda _: os.geteuid() + 1)

    answer = await tell(desk.path, b'{"command": "accounts.create"}\n')

    assert b"only the user that the server runs as may command it" in answer
    assert desk.changes == 0
    monkeypatch.undo()
    assert await listed(desk) == [first]


async def test_nothing_is_told_to_a_server_of_another_user(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sendpool.admin.client.trusted", lambda _: False)

    with pytest.raises(CommandRefused, match="belongs to another user; run this as the user that the server runs as"):
        await ask(desk, "accounts.create")

    assert desk.changes == 0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (b"\n", "this is no command"),
        (b"[]\n", "this is no command"),
        (b'{"arguments": {}}\n', "this is no command"),
        (b'{"command": "\xff"}\n', "this is no command"),
        (b'{"command": "accounts.explode"}\n', 'no command "accounts.explode"'),
        (b'{"command": "accounts.create", "arguments": {"nmae": "x"}}\n', "unknown field `nmae`"),
        (b'{"command": "accounts.create", "arguments": {"name": 7}}\n', "Expected `str`, got `int`"),
        (b'{"command": "accounts.rename", "arguments": {"sid": "ACx", "name": "x"}}\n', "there is no account ACx"),
    ],
)
async def test_what_cannot_be_carried_out_is_refused_with_a_reason(desk: Desk, asked: bytes, said: str) -> None:
    answer = msgspec.json.decode(await tell(desk.path, asked))

    assert said in answer["error"]
    assert desk.changes == 0


async def test_a_line_that_never_ends_is_refused_at_the_limit(desk: Desk) -> None:
    reader, writer = await asyncio.open_unix_connection(str(desk.path))
    answering = asyncio.create_task(reader.readline())
    block = b"x" * 65536
    for _ in range(2 * MAX_ASK // len(block) + 2):
        if answering.done():
            break
        writer.write(block)
        await asyncio.wait([asyncio.create_task(_drained(writer)), answering], return_when="FIRST_COMPLETED")

    assert b"longer than" in await answering
    writer.close()


async def _drained(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        await writer.drain()


async def test_half_a_command_is_nothing(desk: Desk) -> None:
    assert await tell(desk.path, b'{"command": "accounts.create"') == b""
    assert desk.changes == 0


async def test_more_callers_than_it_takes_are_told_so(desk: Desk) -> None:
    silent = [await asyncio.open_unix_connection(str(desk.path)) for _ in range(AT_ONCE)]

    with pytest.raises(CommandRefused, match="try again in a moment"):
        await ask(desk, "accounts.list")
    for _, writer in silent:
        writer.close()


async def test_closing_ends_silent_callers_and_takes_the_socket_away(desk: Desk) -> None:
    reader, writer = await asyncio.open_unix_connection(str(desk.path))
    await ask(desk, "accounts.list")

    await asyncio.wait_for(desk.server.close(), 5)

    assert await reader.read() == b""
    assert not desk.path.exists()
    with pytest.raises(NoServer):
        ask_server(desk.path, Ask("accounts.list"))
    writer.close()


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "sendpool.db.sock"
    listen(path).close()
    assert path.exists()

    listener = listen(path)

    with socket.socket(socket.AF_UNIX) as caller, reachable(path) as name:
        caller.connect(name)
    listener.close()


def test_what_is_no_socket_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "sendpool.db.sock"
    path.write_text("precious")

    with pytest.raises(OSError, match="is no socket; move it away"):
        listen(path)

    assert path.read_text() == "precious"


def test_a_folder_that_is_deeper_than_a_socket_may_be_works(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 30)
    folder.mkdir()
    path = folder / "sendpool.db.sock"
    open_before = len(os.listdir("/proc/self/fd"))

    listener = listen(path)

    with socket.socket(socket.AF_UNIX) as caller, reachable(path) as name:
        caller.connect(name)
    listener.close()
    assert len(os.listdir("/proc/self/fd")) == open_before


async def test_an_answer_that_does_not_come_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "sendpool.db.sock"

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    server = await asyncio.start_unix_server(hang_up, path=str(path))
    with pytest.raises(CommandRefused, match="ended before it answered"):
        await asyncio.to_thread(ask_server, path, Ask("accounts.list"))
    server.close()


def test_sockets_of_processes_that_have_ended_are_removed_and_no_others(tmp_path: Path) -> None:
    base = tmp_path / "sendpool.sock"
    ended = subprocess.Popen(["true"])
    ended.wait()
    stale, own, other = (socket_of(base, one) for one in (ended.pid, os.getpid(), os.getppid()))
    for path in (stale, other):
        listen(path).close()
    named = base.with_name("sendpool-backup.sock")
    listen(named).close()

    forget_ended(own)

    assert not stale.exists()
    assert other.exists()
    assert named.exists()


def test_a_socket_at_which_somebody_listens_stays_whatever_its_number_says(tmp_path: Path) -> None:
    base = tmp_path / "sendpool.sock"
    ended = subprocess.Popen(["true"])
    ended.wait()
    elsewhere = socket_of(base, ended.pid)
    with listen(elsewhere):
        forget_ended(socket_of(base, os.getpid()))

        assert elsewhere.exists()
