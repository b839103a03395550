"""The process that hands events over ends with its server, whatever else does not answer."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from sendpool.pipeline.notify.words import Order
from sendpool.store.migrate import migrate


async def start() -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "sendpool.notifying", stdin=pipe, stdout=pipe)


async def test_it_ends_with_the_server_though_the_database_never_answers() -> None:
    connected, left = asyncio.Event(), asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        while await reader.read(1_024):
            pass
        writer.close()
        await writer.wait_closed()
        left.set()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    order = Order(
        database=f"postgresql://nobody@127.0.0.1:{port}/nothing",
        file=False,
        key="",
        allow_private_networks=(),
        log_level="info",
        log_json=True,
    )
    process = await start()
    assert process.stdin is not None
    try:
        process.stdin.write(msgspec.json.encode(order) + b"\n")
        await asyncio.wait_for(connected.wait(), 60)
        process.stdin.close()

        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await asyncio.wait_for(left.wait(), 10)
        silent.close()


async def test_beside_the_server_of_a_file_it_steps_back(tmp_path: Path) -> None:
    path = tmp_path / "sendpool.db"
    migrate(path)
    order = Order(database=str(path), file=True, key="", allow_private_networks=(), log_level="info", log_json=True)
    process = await start()
    assert process.stdin is not None
    try:
        process.stdin.write(msgspec.json.encode(order) + b"\n")
        async with asyncio.timeout(60):
            while os.getpriority(os.PRIO_PROCESS, process.pid) < 10:
                await asyncio.sleep(0.05)
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_what_runs_beside_a_server_on_a_file_loads_nothing_that_talks_to_postgresql_or_migrates() -> None:
    code = (
        "import sys, sendpool.notifying, sendpool.fronting; print({'asyncpg', 'alembic', 'aiohttp'} & {*sys.modules})"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "{'aiohttp'}"
