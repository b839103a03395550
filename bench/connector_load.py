"""A connector of an HTTP carrier under an even load, on an event loop that is watched: `connector_load.py KIND ...`.

`connector_load.py rcs|whatsapp RATE SECONDS` prints one line of JSON. The platform is a process of its own, as carriers
are; the connector and the endpoint of its callbacks share this process, as in the server, and so does its collector.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from sendpool.collecting import calm_the_collector
from sendpool.connectors.base import AttemptKey, CarrierId, ConnectionSettings, SenderSettings
from sendpool.connectors.base import Submission as Sent
from sendpool.connectors.rcs.connector import RcsConnector
from sendpool.connectors.whatsapp.connector import WhatsAppConnector
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.testing.callbacks import Callbacks
from sendpool.testing.inbox import RecordingInbox

ROOT = Path(__file__).resolve().parents[1]
#: Seconds between looks at how late the loop is, and between batches.
LOOK, TURN = 0.005, 0.05
SECRET, TOKEN = "bench-secret", "bench-token"
WINDOW = 100
TEXT = Content(text="Hello")

_SECRET_OF = {"rcs": "client_token", "whatsapp": "app_secret"}


def _connector(kind: str, port: int) -> RcsConnector | WhatsAppConnector:
    options: dict[str, Any] = {"base_url": f"http://127.0.0.1:{port}", _SECRET_OF[kind]: SECRET}
    if kind == "rcs":
        senders = (SenderSettings(channel=Channel.RCS, address="bench_agent"),)
        options["token"] = TOKEN
        return RcsConnector(ConnectionSettings(name=kind, type=kind, window=WINDOW, senders=senders, options=options))
    senders = (SenderSettings(channel=Channel.WHATSAPP, address="+12034458910", options={"phone_number_id": "1065"}),)
    options |= {"access_token": TOKEN, "verify_token": "bench-verify"}
    return WhatsAppConnector(ConnectionSettings(name=kind, type=kind, window=WINDOW, senders=senders, options=options))


def _submission(connector: RcsConnector | WhatsAppConnector, number: int) -> Sent:
    rcs = isinstance(connector, RcsConnector)
    channel, sender = (Channel.RCS, "bench_agent") if rcs else (Channel.WHATSAPP, "+12034458910")
    recipient, public_id = f"+4477{number:08}", f"SM{number:032x}"
    options = {} if rcs else {"phone_number_id": "1065"}
    return Sent(AttemptKey(number, 1), channel, sender, recipient, TEXT, 1, 0, None, 1, options, public_id=public_id)


async def _watch(worst: list[float]) -> None:
    """Note by how much the loop is late."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(LOOK)
        worst[0] = max(worst[0], time.perf_counter() - began - LOOK)


async def _send(connector: RcsConnector | WhatsAppConnector, rate: int, seconds: int) -> None:
    """Batches at an even pace, whatever becomes of them."""
    began, number = time.perf_counter(), 0
    while number < rate * seconds:
        due = min(rate * seconds, int((time.perf_counter() - began + TURN) * rate))
        await connector.submit([_submission(connector, place) for place in range(number, due)])
        number = due
        await asyncio.sleep(TURN)


async def run(kind: str, rate: int, seconds: int) -> dict[str, Any]:
    """One load; what came of it."""
    loop = asyncio.get_running_loop()
    calm_the_collector()
    callbacks = Callbacks()
    await callbacks.listen()
    script = {"port": 0, "webhook": f"{callbacks.url}/callbacks/{kind}/events", _SECRET_OF[kind]: SECRET}
    words = [sys.executable, str(ROOT / "bench" / "web_platform.py"), kind, json.dumps(script)]
    pipe = asyncio.subprocess.PIPE
    platform = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe)
    assert platform.stdin is not None
    assert platform.stdout is not None
    try:
        connector, inbox = _connector(kind, int(await platform.stdout.readline())), RecordingInbox()
        callbacks.mount(kind, connector)
        await connector.open(inbox)
        await inbox.wait_for(lambda inbox: inbox.is_up, 10.0)
        worst = [0.0]
        watching = loop.create_task(_watch(worst))
        began = time.perf_counter()
        await _send(connector, rate, seconds)
        await inbox.wait_for(lambda inbox: len(inbox.outcome_list) >= rate * seconds, 30.0)
        took = time.perf_counter() - began
        delivered = rate * seconds
        with suppress(TimeoutError):
            await inbox.wait_for(lambda inbox: len({one.carrier_id for one in inbox.stored}) >= delivered, 30.0)
        watching.cancel()
        await connector.close()
        platform.stdin.write(b"\n")
        connections = int(await platform.stdout.readline())
    finally:
        platform.stdin.close()
        await platform.wait()
    await callbacks.stop()
    return {
        "rate": round(rate * seconds / took),
        "accepted": sum(isinstance(outcome, CarrierId) for _, _, outcome in inbox.outcome_list),
        "reported": len({one.carrier_id for one in inbox.stored}),
        "stall_ms": round(worst[0] * 1000, 1),
        "connections": connections,
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))
