"""A simulated RCS platform as a process of its own: `python -m bench.rcs_platform SCRIPT.json`.

Listens, says where in one line, and ends on SIGTERM with one line of JSON: its totals, and every request to send.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from sendpool.simulate.rcs import RcsPlatform
from sendpool.simulate.rcs_record import Message
from sendpool.simulate.rcs_script import RcsScript

LISTENING = "listening on "


def as_json(message: Message) -> dict[str, Any]:
    """What the figures need to know of one request to send."""
    known = {name: getattr(message, name) for name in ("at", "phone", "message_id", "status", "repeated")}
    return {**known, "state": message.state if message.status == 200 else "refused"}


async def run(script: RcsScript) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with RcsPlatform(script) as platform:
        print(f"{LISTENING}{platform.port}", flush=True)
        await stop.wait()
        totals, messages = platform.totals()._asdict(), [as_json(message) for message in platform.messages]
    print(json.dumps({"totals": totals, "messages": messages}), flush=True)


if __name__ == "__main__":
    uvloop.run(run(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=RcsScript)))
