"""The SMPP connector and message centres that are not ours."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import smpp34
from tests.peers.meetings.base import OURS, Meeting, Place, live, submission
from tests.peers.npm import modules_with, running
from tests.peers.recording.conversation import HEARS, SAYS, Conversation
from tests.peers.recording.smpp import SmppReader
from tests.peers.smsc import smsc_program

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.connectors.smpp.connector import SmppConnector
from sendpool.domain.sender import Channel

PASSWORD = "sm9pPw5x"
NPM_VERSION = "0.5.1"
_LIFE = (
    (SAYS, "bind_transceiver"),
    (HEARS, "bind_transceiver_resp"),
    (SAYS, "submit_sm"),
    (HEARS, "submit_sm_resp"),
    (HEARS, "deliver_sm"),
    (SAYS, "deliver_sm_resp"),
)


async def npm(place: Place) -> Conversation:
    """npm's smpp, as a centre."""
    modules = modules_with("smpp", NPM_VERSION)
    peer = await place.stack.enter_async_context(running("smpp_server.cjs", modules, receipts=True))
    talk = Conversation("smpp", "npm-smpp", f"a message centre by npm's smpp {NPM_VERSION}", [PASSWORD])
    await live(await _connector(place, talk, peer.port), submission())
    return talk


async def compiled(place: Place) -> Conversation:
    """The compiled centre of bench/."""
    program = smsc_program(place.folder)
    port = _free_port()
    process = await asyncio.create_subprocess_exec(
        program, "--port", str(port), "--dlr", "1/20", stdout=asyncio.subprocess.PIPE
    )
    place.stack.push_async_callback(process.communicate)
    place.stack.callback(process.terminate)
    talk = Conversation("smpp", "smsc", "the compiled message centre of bench/smsc.c", [PASSWORD])
    await live(await _connector(place, talk, port), submission())
    return talk


async def python(place: Place) -> Conversation:
    """The server of PyPI's smpp34."""
    port = _free_port()
    server = smpp34.Server("127.0.0.1", port, system_id="peer")
    await server.start()
    place.stack.push_async_callback(server.stop)
    talk = Conversation("smpp", "smpp34", "the server of PyPI's smpp34", [PASSWORD])

    async def report() -> None:
        text = b"id:77 sub:001 dlvrd:001 submit date:2511220101 done date:2511220102 stat:DELIVRD err:000 text:"
        await esme[0].deliver_sm(OURS[1:], text, source_addr="447700900123", esm_class=4)

    async def serve() -> None:
        while True:
            event = await server.next()
            if isinstance(event, smpp34.Esme):
                esme.append(event)
            elif isinstance(event, smpp34.SubmitSmEvent):
                event.accept("77")

    esme: list[Any] = []
    serving = asyncio.create_task(serve())
    place.stack.callback(serving.cancel)
    await live(await _connector(place, talk, port), submission(), report)
    return talk


async def _connector(place: Place, talk: Conversation, port: int) -> SmppConnector:
    relay = await place.stack.enter_async_context(talk.relay(port, SmppReader))
    options = {"host": "127.0.0.1", "port": relay.port, "system_id": "pool1", "password": PASSWORD}
    sender = SenderSettings(channel=Channel.SMS, address=OURS)
    return SmppConnector(ConnectionSettings(name="carrier", type="smpp", senders=(sender,), options=options))


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


MEETINGS = {
    "npm-smpp": Meeting(npm, _LIFE),
    "smsc": Meeting(compiled, _LIFE),
    "smpp34": Meeting(python, _LIFE),
}
