"""What goes over the command socket: a line of JSON, `{"command": ..., "arguments": ...}`, and one as its answer."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

#: Bytes of a line. A thousand templates or ten thousand profiles fit into one.
MAX_ASK = 8 * 1024 * 1024
MAX_ANSWER = 64 * 1024 * 1024
#: Bytes that the path of a socket may have on every system (108 on Linux, 104 elsewhere, with a zero at the end).
_LONGEST_PATH = 103


class Ask(msgspec.Struct, frozen=True):
    """One command."""

    command: str
    arguments: dict[str, Any] = {}


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of it: a result, or why there is none."""

    result: Any = None
    error: str | None = None


class CommandRefused(Exception):
    """A command was not carried out; the message says why, and what to do."""


_encode = msgspec.json.Encoder().encode
read_ask = msgspec.json.Decoder(Ask).decode
read_answer = msgspec.json.Decoder(Answer).decode


def line(value: Ask | Answer) -> bytes:
    """A value as it is sent. JSON writes a line's end inside a text as two characters."""
    return _encode(value) + b"\n"


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """*path* as the system takes it for a socket: a long one, on Linux, by way of its open folder."""
    if len(os.fsencode(path)) <= _LONGEST_PATH or not sys.platform.startswith("linux"):
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def socket_of(path: Path, process: int) -> Path:
    """Where one process of several that share a database takes commands: beside *path*, by its number."""
    return path.with_name(f"{path.stem}-{process}{path.suffix}")


def sockets_at(path: Path) -> list[Path]:
    """Where there may be servers: at *path* itself, or several of one database beside it, newest first."""
    others = sorted(path.parent.glob(f"{path.stem}-*{path.suffix}"), key=lambda one: -one.lstat().st_mtime)
    return [path, *others]


def trusted(connection: socket.socket) -> bool:
    """Whether whoever is at the other end runs as the user that we run as, or is root, which may do all anyway."""
    peer = peer_user(connection)
    # Where the system does not tell, the mode of the socket (0600) has to do.
    return peer is None or may_command(peer, os.geteuid())


def may_command(peer: int, own: int) -> bool:
    """Whether the user *peer* (its number) may talk to a process of the user *own*."""
    return peer in (own, 0)


def peer_user(connection: socket.socket) -> int | None:
    """The number of the user at the other end, or None where the system does not tell."""
    peer = _peer(connection)
    return None if peer is None else peer[1]


def peer_process(connection: socket.socket) -> int | None:
    """The number of the process at the other end, or None where the system does not tell."""
    peer = _peer(connection)
    return None if peer is None else peer[0]


def _peer(connection: socket.socket) -> tuple[int, int] | None:
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    process, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
    return int(process), int(user)
