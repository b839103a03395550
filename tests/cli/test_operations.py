"""What `sendpool operations` does, without a server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.cli.conftest import Run

from sendpool.domain import ids
from sendpool.store.pauses import Pause, pause_operation
from sendpool.store.sqlite import Sqlite
from sendpool.testing.store_rows import accept, operation

#: An operation whose key is fit for a public id.
FIRST = 1 << 20


def test_paused_operations_are_listed_and_resumed(run: Run, tmp_path: Path) -> None:
    run("accounts", "create", "Sales")
    assert run("operations", "paused").out == "No operation is paused.\n"

    async def fill() -> None:
        database = Sqlite(tmp_path / "sendpool.db", readers=1)
        await database.write(accept(FIRST, 3))
        assert await database.write(pause_operation(Pause(FIRST, 50, 3, 40, "30007", "twilio/30007")))
        await database.close()

    asyncio.run(fill())
    operation_id = ids.operation_id(operation(FIRST, 3).uid)
    (row,) = json.loads(run("operations", "paused", "--json").out)
    assert (row["operationId"], row["refused"], row["answers"], row["queued"]) == (operation_id, 3, 40, 3)
    assert "twilio/30007" in run("operations", "paused").out

    assert run("operations", "resume", "comms_operation_nothing").status == 1
    assert run("operations", "resume", operation_id).out == f"{operation_id} goes on\n"
    assert json.loads(run("operations", "paused", "--json").out) == []
    assert "operation.resumed" in run("log", "--json").out
