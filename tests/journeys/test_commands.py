"""Commands while the server runs, while it does not, and right after it was killed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig, Server

SENDER = "+12034458910"


async def command(rig: Rig, server: Server, *words: str, status: int = 0) -> Any:
    """Run `sendpool` with these words beside the server; brings its JSON, or what it complained of."""

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sendpool", *words, "--json", "--config", str(server.config)],
            env=rig.environment(),
            cwd=server.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    done = await asyncio.to_thread(run)
    assert done.returncode == status, done
    return json.loads(done.stdout) if status == 0 else done.stderr


async def test_commands_reach_the_running_server_and_the_database_of_one_that_does_not_run(rig: Rig) -> None:
    server = await rig.server(rig.sandbox([("SMS", SENDER, 10)]))

    made = await command(rig, server, "accounts", "create", "Sales")
    refused = await command(rig, server, "accounts", "rename", "AC" + "9" * 32, "x", status=1)
    assert refused.startswith("sendpool: there is no account AC999")
    assert refused.count("\n") == 1
    assert len(server.events("command carried out")) == 1

    assert await server.stop() == 0
    assert not server.database.with_name("journey.db.sock").exists()
    await command(rig, server, "accounts", "rename", made["sid"], "Support")

    await server.start()
    await server.kill()
    assert server.database.with_name("journey.db.sock").exists()
    listed = await command(rig, server, "accounts", "list")
    assert [one["name"] for one in listed] == ["", "Support"]

    await server.start()
    assert await command(rig, server, "accounts", "list") == listed
    assert made["authToken"] not in server.log_text()
