"""A simulated platform as a process: `python -m bench.web_platform rcs|whatsapp SCRIPT`, the script as JSON.

Prints its port, and as soon as it is given a line how many connections were made to it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from sendpool.simulate.rcs import RcsPlatform
from sendpool.simulate.rcs_script import RcsScript
from sendpool.simulate.whatsapp import WhatsAppPlatform
from sendpool.simulate.whatsapp_script import WhatsAppScript


def platform_of(kind: str, script: str) -> RcsPlatform | WhatsAppPlatform:
    """One that does what the script says."""
    if kind == "rcs":
        return RcsPlatform(msgspec.json.decode(script, type=RcsScript))
    return WhatsAppPlatform(msgspec.json.decode(script, type=WhatsAppScript))


async def run(kind: str, script: str) -> None:
    """Serve until a line comes."""
    async with platform_of(kind, script) as platform:
        print(platform.port, flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        print(platform.connections_made, flush=True)


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1], sys.argv[2]))
