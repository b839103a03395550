"""A real file system without room: 503 with the time to come again, nothing lost, and all goes on by itself."""

from __future__ import annotations

import contextlib
import json
import resource
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from sendpool.store.sqlite import connect, transact
from sendpool.testing.invariants import contradictions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.conftest import Rig, Server

SENDERS = [("+12034458910", 200.0)]
UNAVAILABLE = 20503
MEGABYTE = 1024 * 1024


class Disk(Protocol):
    """Something that can be full."""

    def fill(self, server: Server) -> None:
        """Leave no room."""

    def free(self, server: Server) -> None:
        """Leave room again."""


class FileSize:
    """No file of the server may grow: every write beyond what is there fails (EFBIG)."""

    def fill(self, server: Server) -> None:
        self._set(server, max(path.stat().st_size for path in server.folder.iterdir()))

    def free(self, server: Server) -> None:
        self._set(server, resource.RLIM_INFINITY)

    def _set(self, server: Server, size: int) -> None:
        assert server._process is not None
        pid = server._process.pid
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]))


class FileSystem:
    """A small file system with one large file on it (ENOSPC)."""

    def fill(self, server: Server) -> None:
        with (server.folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    def free(self, server: Server) -> None:
        (server.folder / "filler").unlink()


@pytest.fixture(params=["file size", "file system"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """Where the rig's servers live."""
    if request.param == "file size":
        yield FileSize()
        return
    place = tmp_path / "server-0"
    place.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "none", place], capture_output=True, check=False
    )
    if mounting.returncode != 0:
        pytest.skip("mounting a file system takes root")
    yield FileSystem()
    subprocess.run(["umount", "-l", place], check=True)


async def test_a_full_disk_refuses_what_it_cannot_keep_and_loses_nothing(rig: Rig, disk: Disk) -> None:
    centre = await rig.centre(receipt_delay="0.5-1.5")
    server = await rig.server(rig.smpp("carrier", centre.port, SENDERS))
    pool = await server.pool()
    accepted = [await server.send(pool, rig.phones(50))]
    await rig.until(lambda: len(centre.submits) >= 10, what="some are at the carrier")

    disk.fill(server)
    refused = None
    for n in range(200):
        answer = await post(rig, server, pool, rig.phones(20, 1_000 + 20 * n))
        if answer.status != 202:
            refused = answer
            break
        accepted.append(answer.json["operationId"])
    assert refused is not None
    assert (refused.status, refused.json["errors"][0]["code"]) == (503, UNAVAILABLE)
    assert int(refused.headers["Retry-After"]) > 0
    # What is there can be read, and the server is well enough to say so.
    assert {one["id"] for one in await server.pages("/v1/Messages/Operations", "operations")} == set(accepted)
    assert (await server.ask("GET", "/healthz")).status == 200
    for _ in range(3):
        assert (await post(rig, server, pool, rig.phones(20, 9_000))).status == 503
    # A log on the same disk may have no room either.
    assert "commit failed" in server.log_text() or isinstance(disk, FileSystem)

    disk.free(server)

    async def taken() -> bool:
        answer = await post(rig, server, pool, rig.phones(1, 20_000))
        if answer.status == 202:
            accepted.append(answer.json["operationId"])
        return bool(answer.status == 202)

    await rig.until(taken, what="requests are taken again")
    for operation in accepted:
        total = (await server.stats(operation))["total"]
        await server.wait_stats(operation, 60.0, delivered=total)
    await rig.until(lambda: centre.totals().receipts_waiting == 0, what="every receipt is acknowledged")
    phones = [submit.destination for submit in centre.submits]
    assert len(phones) == len(set(phones)) == sum([(await server.stats(one))["total"] for one in accepted])
    assert await server.stop() == 0
    with contextlib.closing(connect(server.database)) as database:
        assert transact(database, contradictions()) == []


async def post(rig: Rig, server: Server, pool: str, phones: list[str]) -> Any:
    """Ask for a send, whatever the answer."""
    to = [{"address": phone, "channel": "PHONE"} for phone in phones]
    body = {"from": {"senderPoolId": pool}, "to": to, "content": {"text": "Hello, World!"}}
    headers = {"Authorization": rig.authorization, "Content-Type": "application/json"}
    return await server.ask("POST", "/v1/Messages", json.dumps(body).encode(), headers)
