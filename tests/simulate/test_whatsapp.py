"""The simulated WhatsApp platform, judged by `pywa`, a client of Meta's Cloud API that is not ours.

It sends to it, lists its numbers, checks the signatures of what it posts, and reads that.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from aiohttp import web
from pywa import WhatsApp, types
from pywa.errors import ExpiredAccessToken, MessageUndeliverable, TooManyMessages, WhatsAppError
from pywa.utils import Version

from sendpool.connectors.base import AttemptKey, CarrierId, ConnectionSettings, Outcome, Submission
from sendpool.connectors.whatsapp.connector import WhatsAppConnector
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.simulate.script import ScriptError
from sendpool.simulate.whatsapp import WhatsAppPlatform
from sendpool.simulate.whatsapp_script import Number, WhatsAppScript, parse_whatsapp_fault
from sendpool.testing.inbox import RecordingInbox

APP_SECRET, TOKEN, PERSON = "app-secret-1", "EAAtoken", "447700900123"
NUMBERS = tuple(Number(id=f"106{n}", display_phone_number=f"+1 555-078-388{n}") for n in range(3))


class _Elsewhere(httpx.HTTPTransport):
    """Takes requests for Meta's host to the platform: pywa knows no other host."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self._port)
        return super().handle_request(request)


class Rig:
    """The platform, pywa as its client, and what pywa makes of the webhooks."""

    def __init__(self, platform: WhatsAppPlatform) -> None:
        self.platform = platform
        self.statuses: list[Any] = []
        self.texts: list[Any] = []
        self._changed = asyncio.Condition()
        self.session = httpx.Client(transport=_Elsewhere(platform.port))
        self.client = WhatsApp(
            phone_id=NUMBERS[0].id,
            token=TOKEN,
            session=self.session,
            app_secret=APP_SECRET,
            waba_id="1020",
            api_version=float(Version.GRAPH_API.value),
        )
        self.client.on_message_status(lambda _, status: self.statuses.append(status))
        self.client.on_message(lambda _, message: self.texts.append(message))

    async def hear(self, request: web.BaseRequest) -> web.Response:
        """The webhook: pywa checks what was posted, and reads it."""
        body = await request.read()
        refused = self.client.webhook_update_validator(body, request.headers.get("X-Hub-Signature-256"))
        if refused is not None:
            return web.Response(status=refused[1])
        words, status = await asyncio.to_thread(self.client.webhook_update_handler, body)
        async with self._changed:
            self._changed.notify_all()
        return web.Response(status=status, text=words)

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(what)

    async def send(self, **what: Any) -> Any:
        return await asyncio.to_thread(self.client.send_message, to=PERSON, **what)

    def told(self) -> list[str]:
        return [status.status.value for status in self.statuses]


Rehearse = Callable[..., Awaitable[Rig]]


@pytest.fixture
async def rehearse() -> AsyncIterator[Rehearse]:
    """Makes platforms with these faults, each with pywa at both ends."""
    async with AsyncExitStack() as stack:

        async def make(*faults: str, **settings: Any) -> Rig:
            rigs: list[Rig] = []

            async def hear(request: web.BaseRequest) -> web.Response:
                return await rigs[0].hear(request)

            host = web.Server(hear, access_log=None)
            server = await asyncio.get_running_loop().create_server(host, "127.0.0.1", 0)
            stack.push_async_callback(host.shutdown, 1.0)
            stack.callback(server.close)
            usual = {"token": TOKEN, "app_secret": APP_SECRET, "numbers": NUMBERS, "receipt_delay": 0.02}
            script = WhatsAppScript(
                port=0,
                webhook=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/",
                faults=tuple(map(parse_whatsapp_fault, faults)),
                **{**usual, **settings},
            )
            rigs.append(Rig(await stack.enter_async_context(WhatsAppPlatform(script))))
            stack.callback(rigs[0].session.close)
            return rigs[0]

        yield make


async def test_pywa_sends_a_text_and_reads_what_became_of_it(rehearse: Rehearse) -> None:
    rig = await rehearse(read_delay=0.02)

    sent = await rig.send(text="Hello", tracker="msg-01J")
    await rig.until(lambda: len(rig.statuses) == 3)

    (message,) = rig.platform.messages
    assert (message.phone, message.text, message.opaque) == (f"+{PERSON}", "Hello", "msg-01J")
    assert sent.id == message.wamid
    assert sorted(rig.told()) == ["delivered", "read", "sent"]
    assert {(status.id, status.tracker) for status in rig.statuses} == {(message.wamid, "msg-01J")}
    assert rig.platform.totals().delivered == 1


async def test_pywa_sends_buttons_and_pictures(rehearse: Rehearse) -> None:
    rig = await rehearse()

    await rig.send(text="Ok?", buttons=[types.Button(title="Yes", callback_data="y")])
    await asyncio.to_thread(rig.client.send_image, to=PERSON, image="https://media.example/1.jpg", caption="c")

    assert [message.kind for message in rig.platform.messages] == ["interactive", "image"]
    assert rig.platform.messages[1].said == {"link": "https://media.example/1.jpg", "caption": "c"}


async def test_pywa_uploads_a_file_sends_it_and_reads_it_back(rehearse: Rehearse) -> None:
    rig = await rehearse()

    media = await asyncio.to_thread(rig.client.upload_media, b"picture", mime_type="image/png", filename="a.png")
    await asyncio.to_thread(rig.client.send_image, to=PERSON, image=media.id)

    assert rig.platform.uploads[media.id] == ("1060", "image/png", b"picture")
    assert rig.platform.messages[0].said == {"id": media.id}
    assert await pywa_reads(rig, media.id) == b"picture"
    with pytest.raises(WhatsAppError):
        await asyncio.to_thread(rig.client.send_image, to=PERSON, image="900000000000099")


@asynccontextmanager
async def files_of(files: Mapping[str, tuple[str, bytes]]) -> AsyncIterator[tuple[str, list[str]]]:
    """A host of files, by path: its URL, and the paths that it was asked for."""
    asked: list[str] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(request.raw_path)
        kind, octets = files[request.raw_path]
        return web.Response(body=octets, content_type=kind)

    host = web.Server(answer, access_log=None)
    server = await asyncio.get_running_loop().create_server(host, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()
        await host.shutdown(1.0)


async def sent_by_connector(platform: WhatsAppPlatform, content: Content, number: int) -> list[Outcome]:
    """What becomes of so many messages that the connector sends, uploading their files."""
    options = {"base_url": platform.url, "access_token": TOKEN, "upload_media": True, "media_networks": ["127.0.0.0/8"]}
    connector = WhatsAppConnector(ConnectionSettings(name="meta", type="whatsapp", options=options))
    inbox = RecordingInbox()
    own = {"phone_number_id": NUMBERS[0].id}
    whom = (Channel.WHATSAPP, "+15550783880", f"+{PERSON}")
    batch = [Submission(AttemptKey(n, 1), *whom, content, 1, 0, None, 1, own, public_id="SM") for n in range(number)]
    await connector.open(inbox)
    await inbox.wait_for(lambda inbox: inbox.is_up)
    await connector.submit(batch)
    await inbox.wait_for(lambda inbox: len(inbox.outcome_list) == number)
    await connector.close()
    return [outcome for _, _, outcome in inbox.outcome_list]


async def pywa_reads(rig: Rig, media: str) -> bytes:
    """A file that the platform has, as pywa gets it."""
    told = await asyncio.to_thread(rig.client.get_media_url, media)
    read: bytes = await asyncio.to_thread(rig.client.get_media_bytes, url=told.url)
    return read


async def test_what_the_connector_uploads_is_what_pywa_reads(rehearse: Rehearse) -> None:
    """The files' host is asked once for two messages; what the platform has is the file, and the messages name it."""
    rig = await rehearse()
    async with files_of({"/a%20b.pdf": ("application/pdf", b"%PDF-1.7 paper")}) as (url, asked):
        content = Content(text="See", media=(f"{url}/a%20b.pdf",))
        outcomes = await sent_by_connector(rig.platform, content, 2)

    assert [type(one) for one in outcomes] == [CarrierId, CarrierId]
    assert asked == ["/a%20b.pdf"]
    ((media, upload),) = rig.platform.uploads.items()
    assert (upload.number, upload.kind) == ("1060", "application/pdf")
    assert await pywa_reads(rig, media) == b"%PDF-1.7 paper"
    assert [one.said for one in rig.platform.messages] == [{"id": media, "caption": "See", "filename": "a b.pdf"}] * 2


async def test_pywa_sees_failures_with_their_codes(rehearse: Rehearse) -> None:
    rig = await rehearse("undelivered err=131026")

    await rig.send(text="Hello")
    await rig.until(lambda: "failed" in rig.told())

    failed = next(status for status in rig.statuses if status.status.value == "failed")
    assert isinstance(failed.error, MessageUndeliverable)


async def test_pywa_raises_what_the_platform_refuses(rehearse: Rehearse) -> None:
    rig = await rehearse("refuse status=131056")

    with pytest.raises(TooManyMessages):
        await rig.send(text="Hello")


async def test_pywa_with_another_token_is_refused(rehearse: Rehearse) -> None:
    rig = await rehearse(token="another")

    with pytest.raises(ExpiredAccessToken):
        await rig.send(text="Hello")

    assert not rig.platform.messages


async def test_pywa_reads_what_people_write_and_that_opens_their_window(rehearse: Rehearse) -> None:
    rig = await rehearse("closed-window")

    await rig.send(text="Too early")
    await rig.until(lambda: "failed" in rig.told())
    assert await rig.platform.send_text(f"+{PERSON}", NUMBERS[0].id, "Zoë says hello")
    await rig.send(text="In time")
    await rig.until(lambda: "delivered" in rig.told())

    (heard,) = rig.texts
    assert (heard.text, heard.from_user.wa_id) == ("Zoë says hello", PERSON)
    assert [message.state for message in rig.platform.messages] == ["failed", "delivered"]


async def test_pywa_refuses_a_webhook_that_is_signed_with_another_secret(rehearse: Rehearse) -> None:
    rig = await rehearse(app_secret="another")

    assert not await rig.platform.send_text(f"+{PERSON}", NUMBERS[0].id, "Hello")
    assert not rig.texts


async def test_pywa_lists_the_numbers_over_several_pages(rehearse: Rehearse) -> None:
    rig = await rehearse()

    first = await asyncio.to_thread(rig.client.get_business_phone_numbers, pagination=types.others.Pagination(limit=2))
    found = [number.id for number in first] + [number.id for number in await asyncio.to_thread(first.next)]

    assert found == [number.id for number in NUMBERS]


async def test_a_body_that_is_no_message_is_refused_as_the_api_does(rehearse: Rehearse) -> None:
    rig = await rehearse()
    body = {"messaging_product": "whatsapp", "to": PERSON, "type": "text", "text": {"body": ""}}

    answer = await asyncio.to_thread(
        httpx.post,
        f"{rig.platform.url}/v23.0/{NUMBERS[0].id}/messages",
        content=json.dumps(body),
        headers={"Authorization": f"Bearer {TOKEN}"},
    )

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 100)


@pytest.mark.parametrize("text", ["", "no-rcs", "refuse status", "refuse http=200", "throttle mps=fast"])
def test_a_fault_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(ScriptError, match="fault"):
        parse_whatsapp_fault(text)
