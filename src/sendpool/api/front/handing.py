"""Hand connections over from one process to another: their descriptors, and the bytes that have come on them.

Linux: packets of a pair of Unix sockets (SOCK_SEQPACKET), in order. The first of a connection carries its descriptor
(`SCM_RIGHTS`, unix(7)); the first byte of each says whether more follow.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable

#: Bytes of what has come on a connection that go in one packet.
_PIECE = 64 * 1024
_MORE, _LAST = b"\1", b"\0"
#: Seconds until we look again whether a client has read its answers.
_AGAIN = 0.02
#: Packets that are read in one turn.
_AT_ONCE = 64


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setblocking(False)
    return ends


class Giver:
    """The end at which connections are handed over."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._loop = asyncio.get_running_loop()
        #: Packets that wait, the first of each connection with it.
        self._waiting: deque[tuple[bytes, asyncio.Transport | None]] = deque()
        self._watching = False

    def give(self, transport: asyncio.Transport, begun: bytes) -> None:
        """Hand a connection over, with what has come on it and is not answered; it is closed here, and nowhere else."""
        if transport.is_closing():
            return
        transport.pause_reading()
        if transport.get_write_buffer_size():
            # Its client has not read all of its answers yet.
            self._loop.call_later(_AGAIN, self.give, transport, begun)
            return
        first, *more = _packets(begun)
        self._waiting.append((first, transport))
        self._waiting.extend((packet, None) for packet in more)
        if not self._watching:
            self._send()

    def _send(self) -> None:
        try:
            while self._waiting:
                self._send_packet(*self._waiting[0])
                self._waiting.popleft()
        except BlockingIOError:
            self._watch(True)
        except OSError:
            # The server has gone, and everything with it.
            self._waiting.clear()
        else:
            self._watch(False)

    def _send_packet(self, packet: bytes, transport: asyncio.Transport | None) -> None:
        if transport is None:
            self._end.send(packet)
        else:
            socket.send_fds(self._end, [packet], [transport.get_extra_info("socket").fileno()])
            transport.abort()

    def _watch(self, on: bool) -> None:
        if on and not self._watching:
            self._loop.add_writer(self._end, self._send)
        elif self._watching and not on:
            self._loop.remove_writer(self._end)
        self._watching = on


def _packets(begun: bytes) -> list[bytes]:
    pieces = [begun[at : at + _PIECE] for at in range(0, len(begun), _PIECE)] or [b""]
    return [*(_MORE + piece for piece in pieces[:-1]), _LAST + pieces[-1]]


class Taker:
    """The end at which they arrive."""

    def __init__(self, end: socket.socket, take: Callable[[socket.socket, bytes], None]) -> None:
        """*take* is called with each connection and what has come on it."""
        self._end = end
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._connection: socket.socket | None = None
        self._begun: list[bytes] = []
        self._loop.add_reader(end, self._read)

    def close(self) -> None:
        """Take no more."""
        self._loop.remove_reader(self._end)
        self._end.close()
        if self._connection is not None:
            self._connection.close()

    def _read(self) -> None:
        try:
            for _ in range(_AT_ONCE):
                packet, descriptors, _, _ = socket.recv_fds(self._end, 1 + _PIECE, 1)
                if not packet:
                    self._loop.remove_reader(self._end)
                    return
                self._put(packet, descriptors)
        except BlockingIOError:
            pass

    def _put(self, packet: bytes, descriptors: list[int]) -> None:
        if descriptors:
            self._connection, self._begun = socket.socket(fileno=descriptors[0]), []
        self._begun.append(packet[1:])
        if packet[:1] == _LAST and self._connection is not None:
            connection, self._connection = self._connection, None
            connection.setblocking(False)
            self._take(connection, b"".join(self._begun))
