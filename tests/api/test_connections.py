"""What is written in one turn of the event loop leaves in one piece, and nothing stays behind."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from sendpool.api.connections import MOST, Gathering


class Wire:
    """A transport that takes note."""

    def __init__(self) -> None:
        self.wrote: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.wrote.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def get_extra_info(self, name: str) -> str:
        return f"{name} of the wire"


@pytest.fixture
async def held() -> tuple[Gathering, Wire]:
    wire = Wire()
    return Gathering(cast(Any, wire), asyncio.get_running_loop()), wire


async def test_head_and_body_of_an_answer_leave_together(held: tuple[Gathering, Wire]) -> None:
    gathering, wire = held

    gathering.write(b"head ")
    gathering.write(b"body")
    assert wire.wrote == []
    await asyncio.sleep(0)
    gathering.write(b"next")
    await asyncio.sleep(0)

    assert wire.wrote == [b"head body", b"next"]


async def test_what_is_held_leaves_before_the_connection_closes(held: tuple[Gathering, Wire]) -> None:
    gathering, wire = held

    gathering.write(b"last words")
    gathering.close()
    await asyncio.sleep(0)

    assert (wire.wrote, wire.closed) == ([b"last words"], True)


async def test_nothing_is_written_to_a_connection_that_is_gone(held: tuple[Gathering, Wire]) -> None:
    gathering, wire = held

    gathering.write(b"too late")
    wire.closed = True
    await asyncio.sleep(0)

    assert wire.wrote == []


async def test_a_lot_is_written_at_once_so_that_the_writer_learns_of_a_slow_client(
    held: tuple[Gathering, Wire],
) -> None:
    gathering, wire = held

    gathering.write(b"head")
    gathering.write(b"x" * MOST)

    assert [len(one) for one in wire.wrote] == [4 + MOST]


async def test_everything_else_is_asked_of_the_transport_itself(held: tuple[Gathering, Wire]) -> None:
    gathering, _ = held

    assert gathering.get_extra_info("peername") == "peername of the wire"
