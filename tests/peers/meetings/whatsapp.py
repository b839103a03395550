"""The WhatsApp connector and pywa, a client of Meta's Cloud API that is not ours.

Nobody but Meta serves that API, so the platform is our double. Pywa judges both ends: it says the same by the same
request, reads the double's answer, checks the signature of what the double posts, and reads that.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from pywa import WhatsApp
from pywa.utils import Version
from tests.connectors.whatsapp.conftest import ADDRESS, APP_SECRET, NUMBER, NUMBER_ID, TOKEN, VERIFY_TOKEN
from tests.peers.meetings.base import OF_AN_API, PERSON, TEXT, Meeting, Place, callbacks, live, submission
from tests.peers.recording.conversation import Conversation, json_of
from tests.peers.recording.http import HttpReader

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.connectors.whatsapp.connector import WhatsAppConnector
from sendpool.domain.sender import Channel
from sendpool.simulate.whatsapp import WhatsAppPlatform
from sendpool.simulate.whatsapp_script import WhatsAppScript

SECRETS = (APP_SECRET, TOKEN)


async def pywa(place: Place) -> Conversation:
    """What the connector says and what it hears, both as pywa has it."""
    talk = Conversation("whatsapp", "pywa", "a double of Meta's Cloud API, judged by PyPI's pywa", SECRETS)
    server = await callbacks(place)
    fro = await place.stack.enter_async_context(talk.relay(server.port, HttpReader, from_peer=True))
    script = WhatsAppScript(
        port=0,
        webhook=f"http://127.0.0.1:{fro.port}/callbacks/meta/events",
        numbers=(NUMBER,),
        token=TOKEN,
        app_secret=APP_SECRET,
        receipt_delay=0.05,
    )
    platform = await place.stack.enter_async_context(WhatsAppPlatform(script))
    to = await place.stack.enter_async_context(talk.relay(platform.port, HttpReader))
    connector = _connector(to.port)
    server.mount("meta", connector)

    sent = submission(channel=Channel.WHATSAPP, sender=ADDRESS, options={"phone_number_id": NUMBER_ID})
    await live(connector, sent)
    # Another one, which tells nobody.
    quiet = WhatsAppPlatform(WhatsAppScript(port=0, numbers=(NUMBER,), token=TOKEN, app_secret=APP_SECRET))
    await place.stack.enter_async_context(quiet)
    await _judge(place, talk, quiet.port, sent.public_id)
    return talk


def _connector(port: int) -> WhatsAppConnector:
    options = {"access_token": TOKEN, "app_secret": APP_SECRET, "verify_token": VERIFY_TOKEN}
    sender = SenderSettings(channel=Channel.WHATSAPP, address=ADDRESS, options={"phone_number_id": NUMBER_ID})
    return WhatsAppConnector(
        ConnectionSettings(
            name="meta",
            type="whatsapp",
            senders=(sender,),
            options={**options, "base_url": f"http://127.0.0.1:{port}"},
        )
    )


async def _judge(place: Place, talk: Conversation, port: int, tracker: str) -> None:
    """Pywa says the same, and makes of the callbacks what the connector made of them."""
    theirs = Conversation("whatsapp", "itself", "pywa")
    relay = await place.stack.enter_async_context(theirs.relay(port, HttpReader))
    with httpx.Client(transport=_Elsewhere(relay.port)) as session:
        client = WhatsApp(
            phone_id=NUMBER_ID,
            token=TOKEN,
            session=session,
            app_secret=APP_SECRET,
            api_version=float(Version.GRAPH_API.value),
        )
        statuses: list[Any] = []
        client.on_message_status(lambda _, status: statuses.append(status))
        heard = talk.said("POST /callbacks", by_connector=False)
        for one in heard:
            assert client.webhook_update_validator(one.body, one.headers["x-hub-signature-256"]) is None
            await asyncio.to_thread(client.webhook_update_handler, one.body)
        await asyncio.to_thread(client.send_message, to=PERSON.lstrip("+"), text=TEXT, tracker=tracker)

    assert "delivered" in [status.status.value for status in statuses]
    assert {status.tracker for status in statuses} == {tracker}
    (ours,), (like_it,) = talk.said("POST", by_connector=True), theirs.said("POST", by_connector=True)
    assert _plain(json_of(ours)) == _plain(json_of(like_it))
    assert ours.headers["authorization"] == like_it.headers["authorization"]


def _plain(body: dict[str, Any]) -> dict[str, Any]:
    """A request without what means nothing: a plus before the number, a field at its default."""
    text = {name: value for name, value in body["text"].items() if value not in (None, False)}
    return {**body, "to": body["to"].lstrip("+"), "text": text}


class _Elsewhere(httpx.HTTPTransport):
    """Takes requests for Meta's host to a port of this machine: pywa knows no other host."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self._port)
        return super().handle_request(request)


MEETINGS = {"pywa": Meeting(pywa, OF_AN_API)}
