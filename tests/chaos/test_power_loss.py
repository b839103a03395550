"""The power fails at any moment: what clients were told and carriers were given is in the database afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos.disk import DURABLE, Done, power_cuts, read

from sendpool.domain import ids
from sendpool.store.sqlite import connect, transact
from sendpool.testing.invariants import contradictions

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig

SENDERS = [("+12034458910", 5_000.0), ("+12034458911", 5_000.0)]
SIZES = (1, 40, 300, 700, 2_500)
CUTS, SEED = 60, 20
#: Requests, so that the log outgrows what makes it flow back into the database (64 MB), while some are sent.
REQUESTS = 45


async def test_whatever_moment_the_power_fails_nothing_that_was_said_is_lost(
    rig: Rig, shim: Path, tmp_path: Path
) -> None:
    centre = await rig.centre(receipt_delay="0-0.3")
    server = await rig.server(rig.smpp("carrier", centre.port, SENDERS, window=500), start=False)
    journal = tmp_path / "journal"
    server.variables = {
        "LD_PRELOAD": str(shim),
        "SHIM_PREFIX": str(server.database),
        "SHIM_JOURNAL": str(journal),
    }
    await server.start()
    pool = await server.pool()
    answered: dict[str, float] = {}
    turns = asyncio.Semaphore(4)

    async def ask(n: int) -> None:
        async with turns:
            operation = await server.send(pool, rig.phones(SIZES[n % len(SIZES)], first=2_200 * n))
            answered[operation] = time.monotonic()

    await asyncio.gather(*(ask(n) for n in range(REQUESTS)))
    for operation in answered:
        total = (await server.stats(operation))["total"]
        await server.wait_stats(operation, 200.0, delivered=total)
    assert await server.stop() == 0

    done = read(journal)
    assert sum(one.file == "" for one in done) > 1_000, "the log has flowed back into the database under way"
    steady = time.monotonic() - time.time()
    left = {submit.destination: submit.at + steady for submit in centre.submits}
    look_at_power_cuts(done, answered, left, tmp_path)


def look_at_power_cuts(
    done: list[Done], answered: Mapping[str, float], left: Mapping[str, float], folder: Path
) -> None:
    """Cut the power again and again. *answered* says when each operation was, *left* when each phone's text was."""
    for number, (at, files) in enumerate(power_cuts(done, CUTS, SEED)):
        path = folder / f"{number}.db"
        for file in DURABLE:
            Path(f"{path}{file}").write_bytes(files[file])
        promised = {ids.parse_operation(one) for one, then in answered.items() if then < at}
        look_at(path, promised, {phone for phone, then in left.items() if then < at})
        for file in (*DURABLE, "-shm"):
            Path(f"{path}{file}").unlink(missing_ok=True)


def look_at(path: Path, promised: set[bytes | None], begun: set[str]) -> None:
    """Everything that was said before the power failed is there, and nothing contradicts itself."""
    with closing(connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if not promised:
            return  # Its tables may have been under way.
        assert transact(database, contradictions()) == []
        stored = {uid for (uid,) in database.execute("SELECT uid FROM operation")}
        assert promised <= stored, "what was answered is durable"
        started = "SELECT m.address FROM attempt a JOIN message m ON m.id = a.id >> 6"
        assert begun <= {address for (address,) in database.execute(started)}, "what has left was written down before"
