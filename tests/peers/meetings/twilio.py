"""The Twilio connector and npm's Prism, which serves Twilio's own description of its API; PyPI's twilio calls back."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from typing import Any
from urllib.parse import parse_qsl

from tests.peers.meetings.base import OF_AN_API, OURS, PERSON, Meeting, Place, callbacks, live, submission
from tests.peers.npm import modules_with, unpacked
from tests.peers.recording.conversation import Conversation, json_of
from tests.peers.recording.http import HttpReader
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.connectors.twilio.connector import TwilioConnector
from sendpool.domain.sender import Channel

PRISM, DOCUMENTS = "5.16.0", "8.3.2"
ACCOUNT, TOKEN = "AC00000000000000000000000000000001", "token-of-the-account"
_ROOT = "/2010-04-01/Accounts/{AccountSid}/Messages"
#: Seconds that reading the description may take.
_READ = 60


async def prism(place: Place) -> Conversation:
    """Prism refuses what the description does not allow (422), and answers as it says."""
    port = await _prism(place)
    about = f"Twilio's API by its own description (@twilio/cli-core {DOCUMENTS}) in Prism {PRISM}, and PyPI's twilio"
    talk = Conversation("twilio", "prism", about, [TOKEN])
    server = await callbacks(place)
    to = await place.stack.enter_async_context(talk.relay(port, HttpReader))
    fro = await place.stack.enter_async_context(talk.relay(server.port, HttpReader, from_peer=True))
    connector = _connector(to.port, f"http://127.0.0.1:{fro.port}")
    server.mount("tw", connector)

    async def report() -> None:
        (asked,), (answer,) = talk.said("POST", by_connector=True), talk.said("201", by_connector=False)
        sid = json_of(answer)["sid"]
        assert await connector.fates([sid]) == {sid: None}, "the description's example is on its way"
        await asyncio.to_thread(_call_back, str(asked.fields["StatusCallback"]), sid)

    await live(connector, submission(), report)
    # Prism looks at the fields that it knows: there are no others.
    (asked,) = talk.said("POST", by_connector=True)
    form = _messages()["paths"][f"{_ROOT}.json"]["post"]["requestBody"]["content"][asked.headers["content-type"]]
    assert {name for name, _ in parse_qsl(asked.body.decode())} <= form["schema"]["properties"].keys()
    return talk


def _connector(port: int, public_url: str) -> TwilioConnector:
    options: dict[str, Any] = {"account_sid": ACCOUNT, "auth_token": TOKEN, "base_url": f"http://127.0.0.1:{port}"}
    sender = SenderSettings(channel=Channel.SMS, address=OURS)
    settings = ConnectionSettings(
        name="tw", type="twilio", senders=(sender,), options={**options, "public_url": public_url}
    )
    return TwilioConnector(settings)


def _call_back(url: str, sid: str) -> None:
    """Post a status as Twilio does, signed by its own package."""
    url = url.partition("#")[0]
    fields = {"MessageSid": sid, "MessageStatus": "delivered", "AccountSid": ACCOUNT, "From": OURS, "To": PERSON}
    signature = RequestValidator(TOKEN).compute_signature(url, fields)
    TwilioHttpClient(pool_connections=False).request(
        "POST", url, data=fields, headers={"X-Twilio-Signature": signature}
    )


async def _prism(place: Place) -> int:
    """Start it; returns its port once it answers."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    modules = modules_with("@stoplight/prism-cli", PRISM)
    document = place.folder / "messages.json"
    document.write_text(json.dumps(_messages()), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        modules / ".bin" / "prism",
        *("mock", "--host", "127.0.0.1", "--port", str(port), str(document)),
        env={**os.environ, "NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    place.stack.push_async_callback(process.wait)
    place.stack.callback(process.kill)
    assert process.stdout is not None
    async with asyncio.timeout(_READ):
        while b"is listening" not in (line := await process.stdout.readline()):
            assert line, "prism has ended"
    draining = asyncio.create_task(process.stdout.read())
    place.stack.callback(draining.cancel)
    return port


def _messages() -> Any:
    """Twilio's description of its API, of which the paths of messages are kept: Prism logs and checks every path."""
    file = unpacked("@twilio/cli-core", DOCUMENTS) / "src" / "services" / "twilio-api" / "twilio_api_v2010.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    document["paths"] = {path: document["paths"][path] for path in (f"{_ROOT}.json", f"{_ROOT}/{{Sid}}.json")}
    return document


MEETINGS = {"prism": Meeting(prism, OF_AN_API)}
