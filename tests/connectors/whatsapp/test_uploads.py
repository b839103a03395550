"""Files are uploaded once and named by their ids; what cannot be had ends the message as a file that is unfit does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from tests.connectors.hosts import Host
from tests.connectors.whatsapp.conftest import Rehearse, Rig

from sendpool.connectors.base import CarrierId, Rejected, Submission, Throttled, Unavailable
from sendpool.connectors.media import UNFIT
from sendpool.connectors.whatsapp.uploads import LATER, PASSING_FOR, UNFIT_FOR
from sendpool.domain.failures import FailureClass, Repair
from sendpool.domain.message import Content
from sendpool.simulate.whatsapp import WhatsAppPlatform

LOOPBACK = ["127.0.0.0/8"]
PICTURE = b"\x89PNG picture"


class Files(Host):
    """A host of files: what each path answers, and what was asked for."""

    def __init__(self) -> None:
        self.answers: dict[str, web.Response | None] = {}
        self.asked: list[str] = []
        super().__init__()

    def has(self, path: str, kind: str = "image/png", body: bytes = PICTURE, status: int = 200, **more: str) -> str:
        """Have a file at a path; returns its URL."""
        self.answers[path] = web.Response(status=status, body=body, headers={"Content-Type": kind, **more})
        return self.url + path

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request.path)
        answer = self.answers.get(request.path)
        if answer is None:
            await asyncio.sleep(1_000)
            return web.Response(status=404)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


@pytest.fixture
async def host() -> AsyncIterator[Files]:
    made = Files()
    await made.start()
    yield made
    await made.stop()


def about(url: str, number: int = 1, **more: Any) -> Submission:
    content = Content(text="See", media=(url,))
    return Rig.submission(number)._replace(content=content, **more)


async def outcome(rig: Rig, sent: Submission, **options: Any) -> Any:
    connector = await rig.opened(upload_media=True, media_networks=LOOPBACK, **options)
    return await rig.outcome(connector, sent)


def media_ids(platform: WhatsAppPlatform) -> list[str]:
    return list(platform.uploads)


async def test_thousands_who_get_one_file_cost_one_fetch_and_one_upload(rig: Rig, host: Files) -> None:
    connector = await rig.opened(upload_media=True, media_networks=LOOPBACK)
    batch = [about(host.has("/1.png"), number) for number in range(200)]

    await connector.submit(batch)
    await rig.inbox.wait_for(lambda inbox: len(inbox.outcome_list) == 200, 100.0)

    assert host.asked == ["/1.png"]
    ((media, upload),) = rig.platform.uploads.items()
    assert upload.octets == PICTURE
    assert {type(one) for _, _, one in rig.inbox.outcome_list} == {CarrierId}
    assert {(one.kind, str(one.said)) for one in rig.platform.messages} == {
        ("image", str({"caption": "See", "id": media}))
    }


async def test_an_upload_is_used_until_its_time_is_over(rehearse: Rehearse, host: Files) -> None:
    rig = await rehearse()
    connector = await rig.opened(upload_media=True, media_networks=LOOPBACK, keep_uploads=600)
    now = [0.0]
    connector._uploads._clock = lambda: now[0]
    url = host.has("/1.png")

    for number, at in enumerate([0.0, 599.0, 600.0]):
        now[0] = at
        await rig.outcome(connector, about(url, number))

    assert [one.said["id"] for one in rig.platform.messages] == [media_ids(rig.platform)[n] for n in (0, 0, 1)]
    assert len(host.asked) == 2


@pytest.mark.parametrize(
    ("path", "kind", "goes_as", "filename"),
    [
        ("/no-end", "image/jpeg", "image", None),
        ("/a.jpg", "application/pdf", "document", "a.jpg"),
        ("/clip", "video/mp4", "video", None),
        ("/sound", "audio/mpeg", "document", "sound"),  # sound has no words below it
        ("/a%20b.pdf", "application/octet-stream", "document", "a b.pdf"),
    ],
)
async def test_a_file_goes_as_what_it_is_whatever_its_url_says(
    rig: Rig, host: Files, path: str, kind: str, goes_as: str, filename: str | None
) -> None:
    host.has(path.replace("%20", " "), kind)

    await outcome(rig, about(host.url + path))

    (message,) = rig.platform.messages
    assert (message.kind, message.said.get("filename")) == (goes_as, filename)


async def test_the_files_of_modules_are_uploaded_wherever_they_stand(rig: Rig, host: Files) -> None:
    link = host.has("/1.png")
    header = {"type": "header", "parameters": [{"type": "image", "image": {"link": link}}]}
    module = {"template": {"name": "notice", "language": {"code": "en"}, "components": [header]}}

    await outcome(rig, Rig.submission()._replace(content=Content(rich=module)))

    (message,) = rig.platform.messages
    assert message.said["components"][0]["parameters"] == [
        {"type": "image", "image": {"id": media_ids(rig.platform)[0]}}
    ]
    assert header["parameters"] == [{"type": "image", "image": {"link": link}}], "what was asked for stays as it was"


async def test_a_text_in_the_template_of_a_closed_window_uploads_nothing(rig: Rig, host: Files) -> None:
    sent = about(host.has("/1.png"), repair=Repair.TEMPLATE)

    assert isinstance(await outcome(rig, sent, window_template={"name": "notice"}), CarrierId)
    assert (host.asked, rig.platform.uploads) == ([], {})


@pytest.mark.parametrize(
    ("answer", "failure", "code"),
    [
        ({"status": 404}, FailureClass.CONTENT, UNFIT),
        ({"kind": "image/gif"}, FailureClass.CONTENT, UNFIT),
        ({"body": b"x" * 5_000_001}, FailureClass.CONTENT, UNFIT),
        ({"body": b""}, FailureClass.CONTENT, UNFIT),
        ({"status": 302, "Location": "/1.png"}, FailureClass.CONTENT, UNFIT),
        ({"status": 302, "Location": "ftp://127.0.0.1/1.png"}, FailureClass.CONTENT, UNFIT),
        ({"status": 503}, FailureClass.TRANSIENT, LATER),
        (None, FailureClass.TRANSIENT, LATER),
    ],
)
async def test_a_file_that_cannot_be_had_is_told_by_its_class(
    rig: Rig, host: Files, answer: dict[str, Any] | None, failure: FailureClass, code: str
) -> None:
    url = host.url + "/1.png" if answer is None else host.has("/1.png", **answer)

    assert await outcome(rig, about(url)) == Rejected(failure, code)
    assert not rig.platform.messages


async def test_a_file_may_be_elsewhere_but_not_in_a_private_network(rehearse: Rehearse, host: Files) -> None:
    rig = await rehearse()
    host.has("/old.png", status=301, Location="/new.png")
    host.has("/new.png")

    assert isinstance(await outcome(rig, about(host.url + "/old.png")), CarrierId)
    assert host.asked == ["/old.png", "/new.png"]
    other = await rehearse()
    guarded = await other.opened(upload_media=True)
    assert await other.outcome(guarded, about(host.url + "/new.png")) == Rejected(FailureClass.CONTENT, UNFIT)
    assert len(host.asked) == 2


async def test_what_could_not_be_had_is_asked_for_again_after_a_while(rehearse: Rehearse, host: Files) -> None:
    rig = await rehearse()
    connector = await rig.opened(upload_media=True, media_networks=LOOPBACK)
    now = [0.0]
    connector._uploads._clock = lambda: now[0]
    gone, busy = host.has("/gone.png", status=404), host.has("/busy.png", status=503)

    for number, at in enumerate([0.0, PASSING_FOR - 1, PASSING_FOR, UNFIT_FOR - 1, UNFIT_FOR]):
        now[0] = at
        await rig.outcome(connector, about(gone, 2 * number))
        await rig.outcome(connector, about(busy, 2 * number + 1))

    assert host.asked.count("/gone.png") == 2
    assert host.asked.count("/busy.png") == 3


async def test_a_platform_that_takes_no_upload_says_what_that_means(rehearse: Rehearse, host: Files) -> None:
    rig = await rehearse()
    connector = await rig.opened(upload_media=True, media_networks=LOOPBACK, access_token="EAAother")

    refused = await rig.outcome(connector, about(host.has("/1.png")))
    assert refused == Rejected(FailureClass.ACCOUNT, "190", "connection", "whatsapp/190")
    await rig.platform.begin_outage()
    away = await rig.outcome(connector, about(host.has("/2.png"), 2))
    assert isinstance(away, Unavailable), "nothing of the message has left"
    assert not isinstance(away, Throttled)


async def test_who_waits_for_an_upload_when_the_connection_is_closed_has_sent_nothing(rig: Rig, host: Files) -> None:
    connector = await rig.opened(upload_media=True, media_networks=LOOPBACK, response_timeout=60)
    sent = about(host.url + "/never.png")
    await connector.submit([sent])
    while not host.asked:
        await asyncio.sleep(0.01)

    await connector.finish(0.1)
    assert isinstance(rig.inbox.outcomes_of(sent.attempt)[0], Unavailable)
